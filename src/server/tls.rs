//! TLS: the certificate and its key, read at the start and again whenever their files change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::config::TlsSettings;
use crate::lifecycle::Lifecycle;

/// How often the files are looked at. Two calls of the kernel, and whoever renews a certificate sees
/// at once whether it worked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The bits of a file's mode that let other accounts read it.
const OTHERS_MAY_READ: u32 = 0o004;

/// The certificate in use. A handshake takes the one that is there when it begins; a connection
/// keeps what it began with.
#[derive(Debug)]
struct InUse(RwLock<Arc<CertifiedKey>>);

/// The pair of files, and what they looked like when they were last read.
#[derive(Debug)]
pub(super) struct Pair {
    files: TlsSettings,
    seen: Option<Seen>,
    in_use: Arc<InUse>,
}

/// What tells whether the files have changed: time, size and number of each.
type Seen = [(i64, i64, u64, u64); 2];

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// They are as they were.
    Unchanged,
    /// They have changed, and are in use for connections to come.
    Replaced,
    /// They have changed and cannot be used: the pair that was there before stays in use.
    Refused,
}

/// Whether the pair can be used, without using it. What is wrong is an error that says what to do.
pub fn check(files: &TlsSettings) -> anyhow::Result<()> {
    load(files).map(drop)
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Pair {
    /// Reads the files. What is wrong with them is an error that says what to do.
    pub(super) fn read(files: TlsSettings) -> anyhow::Result<Self> {
        // Looked at first: a change that comes while they are read is then seen as one.
        let seen = look(&files);
        let in_use = Arc::new(InUse(RwLock::new(Arc::new(load(&files)?))));
        Ok(Self { files, seen, in_use })
    }

    /// A server's side of TLS, with whichever certificate is in use at the time.
    pub(super) fn server_config(&self) -> anyhow::Result<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = self.in_use.clone();
        Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver))
    }

    /// Looks whether the files have changed, and takes what they hold if it can be used.
    pub(super) fn run_once(&mut self) -> Look {
        let seen = look(&self.files);
        if seen == self.seen {
            return Look::Unchanged;
        }
        // Also where they cannot be used: that is logged once, and again only when they change.
        self.seen = seen;
        match load(&self.files) {
            Ok(pair) => {
                *self.in_use.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!(cert = %self.files.cert.display(), "using the new certificate");
                Look::Replaced
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"),
                    "the new certificate cannot be used; keeping the one before");
                Look::Refused
            }
        }
    }

    /// Looks until the service stops.
    pub(super) async fn run(mut self, life: Lifecycle) {
        loop {
            tokio::select! {
                () = life.stopping() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => { self.run_once(); }
            }
        }
    }
}

/// `None` where a file cannot be looked at.
fn look(files: &TlsSettings) -> Option<Seen> {
    let facts = |path: &Path| {
        let of = |file: Metadata| (file.mtime(), file.mtime_nsec(), file.size(), file.ino());
        path.metadata().ok().map(of)
    };
    Some([facts(&files.cert)?, facts(&files.key)?])
}

fn load(files: &TlsSettings) -> anyhow::Result<CertifiedKey> {
    let (cert, key) = (files.cert.display(), files.key.display());
    let text = std::fs::read(&files.cert)
        .with_context(|| format!("cannot read the certificate {cert} (tls-cert)"))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{cert} (tls-cert) is not whole"))?;
    ensure!(
        !chain.is_empty(),
        "there is no certificate in {cert} (tls-cert): it must be in PEM, which has a line \
         -----BEGIN CERTIFICATE-----"
    );
    let text = std::fs::read(&files.key)
        .with_context(|| format!("cannot read the private key {key} (tls-key)"))?;
    // The parser's own error says which part is missing; it quotes nothing of the key.
    let private = PrivateKeyDer::from_pem_slice(&text).with_context(|| {
        format!(
            "there is no private key in {key} (tls-key): it must be in PEM, and without a \
             passphrase"
        )
    })?;
    let pair = CertifiedKey::from_der(chain, private, &ring::default_provider());
    let pair = pair.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow::anyhow!(
            "the private key {key} (tls-key) is not the one of the certificate {cert} (tls-cert)"
        ),
        error => anyhow::anyhow!(error)
            .context(format!("cannot use the certificate {cert} with the private key {key}")),
    })?;
    warn_if_open(&files.key);
    Ok(pair)
}

fn warn_if_open(key: &Path) {
    if key.metadata().is_ok_and(|file| file.mode() & OTHERS_MAY_READ != 0) {
        tracing::warn!(key = %key.display(),
            "other accounts of this machine can read the private key of TLS: `chmod o-r` it");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey as Made, KeyPair, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    struct Files {
        folder: TempDir,
        settings: TlsSettings,
    }

    fn made() -> Made<KeyPair> {
        generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    impl Files {
        fn new(pair: &Made<KeyPair>) -> Self {
            let folder = TempDir::new().unwrap();
            let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
            let files = Self { settings: TlsSettings { cert, key }, folder };
            files.put(&pair.cert.pem(), &pair.signing_key.serialize_pem());
            files
        }

        /// By renaming, as tools that renew certificates do it.
        fn put(&self, cert: &str, key: &str) {
            for (path, text) in [(&self.settings.cert, cert), (&self.settings.key, key)] {
                let beside = self.folder.path().join("beside");
                fs::write(&beside, text).unwrap();
                fs::rename(beside, path).unwrap();
            }
        }

        fn error(&self) -> String {
            format!("{:#}", Pair::read(self.settings.clone()).unwrap_err())
        }
    }

    fn shown(pair: &Pair) -> CertificateDer<'static> {
        pair.in_use.0.read().unwrap().cert[0].clone()
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told() {
        let (one, other) = (made(), made());
        let files = Files::new(&one);
        let key = one.signing_key.serialize_pem();
        files.put(&key, &key);
        assert!(files.error().contains("no certificate in "), "{}", files.error());
        files.put(&one.cert.pem(), &one.cert.pem());
        assert!(files.error().contains("no private key in "), "{}", files.error());
        files.put(&one.cert.pem(), &other.signing_key.serialize_pem());
        assert!(files.error().contains("is not the one of the certificate"), "{}", files.error());
        files.put(&one.cert.pem()[..80], &key);
        assert!(files.error().contains("cert.pem (tls-cert)"), "{}", files.error());
        fs::remove_file(&files.settings.key).unwrap();
        files.put(&one.cert.pem(), &key);
        fs::remove_file(&files.settings.cert).unwrap();
        assert!(files.error().contains("cannot read the certificate"), "{}", files.error());
    }

    #[test]
    fn a_new_pair_is_taken_and_a_broken_one_is_not() {
        let (one, other) = (made(), made());
        let files = Files::new(&one);
        let mut pair = Pair::read(files.settings.clone()).unwrap();
        assert_eq!(pair.run_once(), Look::Unchanged);

        files.put(&other.cert.pem(), &one.signing_key.serialize_pem());
        assert_eq!(pair.run_once(), Look::Refused);
        assert_eq!(pair.run_once(), Look::Unchanged, "and said once");
        assert_eq!(shown(&pair), *one.cert.der());

        files.put(&other.cert.pem(), &other.signing_key.serialize_pem());
        assert_eq!(pair.run_once(), Look::Replaced);
        assert_eq!(shown(&pair), *other.cert.der());

        fs::remove_file(&files.settings.key).unwrap();
        assert_eq!(pair.run_once(), Look::Refused);
        assert_eq!(pair.run_once(), Look::Unchanged);
        assert_eq!(shown(&pair), *other.cert.der());
    }
}
