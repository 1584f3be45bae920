//! Who is it? Every credential that a source has must match; comparison takes the same time
//! whatever differs.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::config::SourceSettings;
use crate::domain::SourceName;

/// Header with the signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-bithuman-signature");
/// Header with the time that the account system signs, in Unix seconds.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-bithuman-timestamp");

/// How far a signed time may be from our clock before it is stale; the sender's own advice.
const FRESH_FOR_SECONDS: i64 = 300;

/// A source that is ready to judge.
#[derive(Clone)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// One keyed state a secret.
    keys: Vec<Hmac<Sha256>>,
    headers: Vec<(HeaderName, [u8; 32])>,
    strict_timestamps: bool,
}

/// What the credentials told, once they were found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// There was a signature.
    pub signed: bool,
    /// The signed time was more than five minutes from our clock, or no time at all.
    pub stale: bool,
}

/// Why a delivery is not let in. The text goes to the sender; it holds nothing of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature where the source has a secret.
    #[error("the header X-bitHuman-Signature is missing; it carries sha256= and the body's HMAC")]
    MissingSignature,
    /// Bare hex.
    #[error("the signature lacks its prefix: X-bitHuman-Signature is `sha256=` and 64 hex digits")]
    SignaturePrefix,
    /// Not hex, or not as long as a SHA-256.
    #[error("the signature is malformed: after `sha256=` come 64 hex digits")]
    SignatureForm,
    /// Another secret, or another body.
    #[error("the signature does not match: it is the HMAC-SHA256 of the raw body with the secret")]
    WrongSignature,
    /// A header that the source requires is absent.
    #[error("the header {0} is missing; this source requires it")]
    MissingHeader(HeaderName),
    /// A header that the source requires says something else.
    #[error("the header {0} has the wrong value")]
    WrongHeader(HeaderName),
    /// The source is strict, and the signature covers no time.
    #[error("the signature covers no X-BitHuman-Timestamp, which this source requires")]
    MissingTimestamp,
    /// The source is strict, and the time is off.
    #[error("X-BitHuman-Timestamp is more than five minutes from this server's clock")]
    StaleTimestamp,
}

/// A source's settings hold a header name that HTTP does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no header name")]
pub struct InvalidHeader(String);

impl Source {
    /// Prepares a source.
    pub fn new(settings: &SourceSettings) -> Result<Self, InvalidHeader> {
        let headers = settings.headers.iter().map(|header| {
            let name = HeaderName::try_from(header.name.as_str())
                .map_err(|_| InvalidHeader(header.name.clone()))?;
            Ok((name, Sha256::digest(header.value.expose()).into()))
        });
        Ok(Self {
            name: settings.name.clone(),
            keys: settings
                .secrets
                .iter()
                .filter_map(|secret| Hmac::new_from_slice(secret.expose().as_bytes()).ok())
                .collect(),
            headers: headers.collect::<Result<_, _>>()?,
            strict_timestamps: settings.strict_timestamps,
        })
    }

    /// Judges a delivery by its headers and raw body.
    pub fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refusal> {
        for (name, wanted) in &self.headers {
            let found = headers
                .get(name)
                .ok_or_else(|| Refusal::MissingHeader(name.clone()))?;
            // Digests have one length, so the comparison does not tell how long the value is.
            let digest: [u8; 32] = Sha256::digest(found.as_bytes()).into();
            if !bool::from(digest.ct_eq(wanted)) {
                return Err(Refusal::WrongHeader(name.clone()));
            }
        }
        if self.keys.is_empty() {
            return Ok(Proof::default());
        }
        let signature = headers.get(&SIGNATURE).ok_or(Refusal::MissingSignature)?;
        self.check_signature(
            &parse_signature(signature)?,
            headers.get(&TIMESTAMP),
            body,
            now,
        )
    }

    /// A signature covers the time and the body, or the body alone. Where a time is there both are
    /// tried: a proxy or a mixture of generations may add the header to a delivery that was signed
    /// without it. A strict source takes the first form only.
    fn check_signature(
        &self,
        signature: &[u8; 32],
        timestamp: Option<&HeaderValue>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refusal> {
        if let Some(timestamp) = timestamp
            && self.signed_by_any(signature, &[timestamp.as_bytes(), b".", body])
        {
            let stale = !is_fresh(timestamp, now);
            return if stale && self.strict_timestamps {
                Err(Refusal::StaleTimestamp)
            } else {
                Ok(Proof {
                    signed: true,
                    stale,
                })
            };
        }
        match (
            self.signed_by_any(signature, &[body]),
            self.strict_timestamps,
        ) {
            (true, false) => Ok(Proof {
                signed: true,
                stale: false,
            }),
            (true, true) => Err(Refusal::MissingTimestamp),
            (false, _) => Err(Refusal::WrongSignature),
        }
    }

    /// Tries every secret, whichever of them matches.
    fn signed_by_any(&self, signature: &[u8; 32], message: &[&[u8]]) -> bool {
        let matches = self.keys.iter().fold(Choice::from(0), |matches, key| {
            let mut mac = key.clone();
            for part in message {
                mac.update(part);
            }
            let digest: [u8; 32] = mac.finalize().into_bytes().into();
            matches | digest.ct_eq(signature)
        });
        matches.into()
    }
}

/// `sha256=` and 64 hex digits in either case.
fn parse_signature(value: &HeaderValue) -> Result<[u8; 32], Refusal> {
    let value = value.as_bytes().trim_ascii();
    let Some((prefix, digits)) = value.split_at_checked(b"sha256=".len()) else {
        return Err(Refusal::SignaturePrefix);
    };
    if !prefix.eq_ignore_ascii_case(b"sha256=") {
        return Err(Refusal::SignaturePrefix);
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| Refusal::SignatureForm)?;
    Ok(signature)
}

fn is_fresh(timestamp: &HeaderValue, now: DateTime<Utc>) -> bool {
    let seconds = timestamp
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<i64>().ok());
    seconds.is_some_and(|seconds| {
        now.timestamp().saturating_sub(seconds).unsigned_abs() <= FRESH_FOR_SECONDS.unsigned_abs()
    })
}
