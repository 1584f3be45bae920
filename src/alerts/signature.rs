//! Signatures as in Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, in base64.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Prefix of a secret.
const PREFIX: &str = "whsec_";
/// Length of a key that Standard Webhooks allows, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signing key. Its debug output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reason for rejecting a secret. It does not quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text is not base64.
    #[error(
        "a secret of alerts must be `whsec_` and base64: \
         `echo \"whsec_$(openssl rand -base64 32)\"` creates one"
    )]
    NotBase64,
    /// The key is too short or too long.
    #[error(
        "a secret of alerts must have 24 to 64 bytes in base64, not {0}: \
         `echo \"whsec_$(openssl rand -base64 32)\"` creates one"
    )]
    Length(usize),
}

impl SigningKey {
    /// Parses a secret: base64, usually after `whsec_`.
    pub fn parse(secret: &str) -> Result<Self, InvalidKey> {
        let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
        let key = STANDARD.decode(encoded).map_err(|_| InvalidKey::NotBase64)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(InvalidKey::Length(key.len()));
        }
        Ok(Self(key))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC accepts any key length");
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Returns the value of `webhook-signature`: one signature per key, so that a receiver can change
/// its secret while messages arrive.
#[must_use]
pub fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &str) -> String {
    let all: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_that_of_the_published_example() {
        // From the specification's test vectors in its reference libraries.
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = signatures(
            std::slice::from_ref(&key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signatures(&[key.clone(), key], "id", 0, "{}");
        assert_eq!(two.split(' ').count(), 2);
    }

    #[test]
    fn invalid_secret_is_rejected_and_not_quoted() {
        for (secret, error) in [
            ("whsec_hunter2!", InvalidKey::NotBase64),
            ("whsec_aHVudGVyMg==", InvalidKey::Length(7)),
            ("", InvalidKey::Length(0)),
        ] {
            let rejected = SigningKey::parse(secret).unwrap_err();
            assert_eq!(rejected, error);
            assert!(!rejected.to_string().contains("hunter2"));
        }
        let key = SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{key:?}"), "***");
    }
}
