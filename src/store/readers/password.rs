//! Passwords of readers and their SCRAM verifiers (RFC 5802 and 7677).
//!
//! The verifier is computed here, so no statement and no server log contains the password, and
//! SCRAM is used whatever the value of `password_encryption`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Random bytes in a password.
const PASSWORD_BYTES: usize = 24;
/// Rounds of hashing. A password has 192 random bits, so more would only slow down connections.
const ITERATIONS: u32 = 4096;

/// Password of a reader. It is shown once and not stored.
pub struct Password(String);

/// Password verifier that the server stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier(String);

impl Password {
    /// Generates a password from 192 random bits. It needs no quotes in a URL.
    #[must_use]
    pub fn generate() -> Self {
        let bytes: [u8; PASSWORD_BYTES] = rand::random();
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Computes a verifier with a random salt.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let salt: [u8; 16] = rand::random();
        verifier(self.0.as_bytes(), &salt)
    }
}

impl Verifier {
    /// Returns the text that `PostgreSQL` stores. It needs no quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn verifier(password: &[u8], salt: &[u8]) -> Verifier {
    let salted = salted(password, salt);
    let stored = Sha256::digest(hmac(&salted, &[b"Client Key"]));
    let server = hmac(&salted, &[b"Server Key"]);
    let [salt, stored, server] = [salt, &stored, &server].map(|bytes| STANDARD.encode(bytes));
    Verifier(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

/// Computes PBKDF2 with one block.
fn salted(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut all = last;
    for _ in 1..ITERATIONS {
        last = hmac(password, &[&last]);
        all.iter_mut().zip(last).for_each(|(all, last)| *all ^= last);
    }
    all
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_matches_rfc_7677() {
        // Password and salt of the example; the keys are from hashlib.pbkdf2_hmac.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(verifier(b"pencil", &salt).as_str(), EXAMPLE);
    }

    const EXAMPLE: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
         $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn password_is_random_and_needs_no_quotes() {
        let (one, other) = (Password::generate(), Password::generate());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 32);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        assert!(one.expose().bytes().all(plain));
        assert_ne!(one.verifier(), one.verifier(), "each has its own salt");
    }
}
