//! TLS: the certificate and its key, read at the start and again when their files change.

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

/// Interval between two checks of the files. A check needs two system calls, and shows at once
/// whether a renewed certificate works.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Mode bit that lets other accounts read a file.
const OTHERS_MAY_READ: u32 = 0o004;

/// Certificate in use. A handshake uses the one at its beginning; the connection does not change
/// it.
#[derive(Debug)]
struct InUse(RwLock<Arc<CertifiedKey>>);

/// Pair of files, with their state when they were last read.
#[derive(Debug)]
pub(super) struct Pair {
    files: TlsSettings,
    state: Option<FileState>,
    in_use: Arc<InUse>,
}

/// State of both files: time, size and inode.
type FileState = [(i64, i64, u64, u64); 2];

/// Result of a check of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// The files have not changed.
    Unchanged,
    /// The files have changed, and new connections use them.
    Replaced,
    /// The files have changed and cannot be used: the earlier pair stays in use.
    Rejected,
}

/// Checks that the pair can be used. The error says what to do.
pub fn check(files: &TlsSettings) -> anyhow::Result<()> {
    load(files).map(drop)
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Pair {
    /// Reads the files. The error says what to do.
    pub(super) fn read(files: TlsSettings) -> anyhow::Result<Self> {
        // Before the read, so that a change during it is detected.
        let state = file_state(&files);
        let in_use = Arc::new(InUse(RwLock::new(Arc::new(load(&files)?))));
        Ok(Self { files, state, in_use })
    }

    /// Returns the server's configuration, which uses the current certificate.
    pub(super) fn server_config(&self) -> anyhow::Result<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = self.in_use.clone();
        Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver))
    }

    /// Checks whether the files have changed, and uses them if they are valid.
    pub(super) fn run_once(&mut self) -> Reload {
        let state = file_state(&self.files);
        if state == self.state {
            return Reload::Unchanged;
        }
        // Also if they cannot be used: that is logged once, until they change again.
        self.state = state;
        match load(&self.files) {
            Ok(pair) => {
                *self.in_use.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!(cert = %self.files.cert.display(), "using the new certificate");
                Reload::Replaced
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"),
                    "cannot use the new certificate; the earlier one stays in use");
                Reload::Rejected
            }
        }
    }

    /// Checks the files until the service stops.
    pub(super) async fn run(mut self, life: Lifecycle) {
        loop {
            tokio::select! {
                () = life.stopping() => return,
                () = tokio::time::sleep(CHECK_INTERVAL) => { self.run_once(); }
            }
        }
    }
}

/// Returns the state of the files; `None` if one cannot be read.
fn file_state(files: &TlsSettings) -> Option<FileState> {
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
    // The parser's error names the missing part and quotes nothing of the key.
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

        /// Replaces the files by renaming, as tools for certificates do.
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
    fn errors_name_the_fault_of_the_files() {
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
    fn valid_new_pair_is_used_and_broken_one_is_rejected() {
        let (one, other) = (made(), made());
        let files = Files::new(&one);
        let mut pair = Pair::read(files.settings.clone()).unwrap();
        assert_eq!(pair.run_once(), Reload::Unchanged);

        files.put(&other.cert.pem(), &one.signing_key.serialize_pem());
        assert_eq!(pair.run_once(), Reload::Rejected);
        assert_eq!(pair.run_once(), Reload::Unchanged, "it is logged once");
        assert_eq!(shown(&pair), *one.cert.der());

        files.put(&other.cert.pem(), &other.signing_key.serialize_pem());
        assert_eq!(pair.run_once(), Reload::Replaced);
        assert_eq!(shown(&pair), *other.cert.der());

        fs::remove_file(&files.settings.key).unwrap();
        assert_eq!(pair.run_once(), Reload::Rejected);
        assert_eq!(pair.run_once(), Reload::Unchanged);
        assert_eq!(shown(&pair), *other.cert.der());
    }
}
