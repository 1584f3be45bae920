//! Certificate and key of HTTPS, for a service without a TLS proxy in front.

use std::path::PathBuf;

/// Files of certificate and key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificate chain, the service's certificate first.
    pub cert: PathBuf,
    /// Private key, without a passphrase.
    pub key: PathBuf,
}

impl TlsSettings {
    /// Requires both files, or neither for plain HTTP.
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
    fn certificate_or_key_alone_is_rejected_and_the_other_setting_named() {
        let error = |cert: Option<&str>, key: Option<&str>| {
            let resolved = TlsSettings::resolve(cert.map(Into::into), key.map(Into::into));
            resolved.unwrap_err().to_string()
        };
        assert!(error(Some("c"), None).contains("VERBATIM_TLS_KEY"));
        assert!(error(None, Some("k")).contains("VERBATIM_TLS_CERT"));
        assert_eq!(TlsSettings::resolve(None, None).unwrap(), None);
    }
}
