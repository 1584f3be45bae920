//! The certificate, for those who have no proxy in front that speaks TLS.

use std::path::PathBuf;

/// Where the certificate and its key are, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate, followed by those that lead from it to a known authority.
    pub cert: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
}

impl TlsSettings {
    /// Both, or neither for plain HTTP.
    pub(super) fn resolve(
        cert: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> anyhow::Result<Option<Self>> {
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert, key })),
            (None, None) => Ok(None),
            (Some(_), None) => {
                anyhow::bail!("tls-cert needs its private key: set tls-key (VERBATIM_TLS_KEY) too")
            }
            (None, Some(_)) => {
                anyhow::bail!("tls-key needs its certificate: set tls-cert (VERBATIM_TLS_CERT) too")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_refused_and_the_other_half_named() {
        let error = |cert: Option<&str>, key: Option<&str>| {
            let resolved = TlsSettings::resolve(cert.map(Into::into), key.map(Into::into));
            resolved.unwrap_err().to_string()
        };
        assert!(error(Some("c"), None).contains("VERBATIM_TLS_KEY"));
        assert!(error(None, Some("k")).contains("VERBATIM_TLS_CERT"));
        assert_eq!(TlsSettings::resolve(None, None).unwrap(), None);
    }
}
