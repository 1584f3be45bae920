//! Checks of a delivery's credentials. Every credential of a source must match; comparisons take
//! constant time.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::config::SourceSettings;
use crate::domain::{Arrival, EventId, SourceName};
use crate::redact::Redaction;

/// Header with the signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-bithuman-signature");
/// Header with the time that the account system signs, in Unix seconds.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-bithuman-timestamp");

/// Largest difference between a signed time and the service's clock, as the sender recommends.
const FRESH_FOR_SECONDS: i64 = 300;

/// Source with its credentials, prepared for checks.
#[derive(Clone)]
pub struct Source {
    /// Name of the source.
    pub name: SourceName,
    /// A keyed state for each secret.
    keys: Vec<Hmac<Sha256>>,
    /// Digests of the values that each required header may have.
    headers: Vec<(HeaderName, Vec<[u8; 32]>)>,
    strict_timestamps: bool,
    redaction: Redaction,
}

/// Result of a successful check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The delivery had a signature.
    pub signed: bool,
    /// The signed time was more than five minutes from the service's clock, or not a time.
    pub stale: bool,
}

/// Result of a successful check of the head.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Signature that the body must match; `None` if the source has no secret.
    signature: Option<[u8; 32]>,
}

/// Reason why a delivery is rejected. The text goes to the sender; it contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The source has a secret, and the delivery no signature.
    #[error("the header X-bitHuman-Signature is missing; it is `sha256=` and the body's HMAC")]
    MissingSignature,
    /// The signature has no prefix.
    #[error("the signature lacks its prefix: X-bitHuman-Signature is `sha256=` and 64 hex digits")]
    SignaturePrefix,
    /// The signature is not hex, or has another length than a SHA-256.
    #[error("the signature is malformed: `sha256=` is followed by 64 hex digits")]
    SignatureForm,
    /// The signature is of another secret or another body.
    #[error("the signature does not match: it is the HMAC-SHA256 of the raw body with the secret")]
    WrongSignature,
    /// A required header is missing.
    #[error("the header {0} is missing; this source requires it")]
    MissingHeader(HeaderName),
    /// A required header has another value.
    #[error("the header {0} has the wrong value")]
    WrongHeader(HeaderName),
    /// The source requires a signed time, and the signature covers none.
    #[error("the signature covers no X-BitHuman-Timestamp, which this source requires")]
    MissingTimestamp,
    /// The source requires a signed time, and it is stale.
    #[error("X-BitHuman-Timestamp is more than five minutes from this server's clock")]
    StaleTimestamp,
}

/// A source's settings contain an invalid header name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a valid header name")]
pub struct InvalidHeader(String);

impl Source {
    /// Prepares a source for checks.
    pub fn new(settings: &SourceSettings) -> Result<Self, InvalidHeader> {
        let mut headers: Vec<(HeaderName, Vec<[u8; 32]>)> = Vec::new();
        for header in &settings.headers {
            let name = HeaderName::try_from(header.name.as_str())
                .map_err(|_| InvalidHeader(header.name.clone()))?;
            let digest = Sha256::digest(header.value.expose_secret()).into();
            match headers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, digests)) => digests.push(digest),
                None => headers.push((name, vec![digest])),
            }
        }
        Ok(Self {
            name: settings.name.clone(),
            keys: settings
                .secrets
                .iter()
                .filter_map(|secret| Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok())
                .collect(),
            headers,
            strict_timestamps: settings.strict_timestamps,
            redaction: settings.redaction,
        })
    }

    /// Returns true if the source redacts deliveries.
    pub(super) fn redacts(&self) -> bool {
        !self.redaction.is_off()
    }

    /// Returns the arrival with a redacted body. It keeps its event ID, so it is a duplicate of the
    /// same event stored before the source redacted.
    pub(super) fn redact(&self, mut arrival: Arrival) -> Arrival {
        if let Some(redacted) = self.redaction.body(&arrival.body) {
            arrival.evidence.event_id = Some(EventId::of(&arrival.source, &arrival.body));
            arrival.body = redacted.into();
        }
        arrival
    }

    /// Checks a delivery by its headers and raw body.
    pub fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refusal> {
        let claim = self.check_head(headers, now)?;
        self.check_body(&claim, headers, body, now)
    }

    /// Checks everything that does not need the body: the required headers, and the presence and
    /// form of a signature and, for a strict source, a fresh time.
    pub fn check_head(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Claim, Refusal> {
        for (name, allowed) in &self.headers {
            let found = headers.get(name).ok_or_else(|| Refusal::MissingHeader(name.clone()))?;
            // Digests have equal lengths, so the comparison does not leak the value's length.
            let digest: [u8; 32] = Sha256::digest(found.as_bytes()).into();
            // Compares all, so the time does not depend on the matching one.
            let matches =
                allowed.iter().fold(Choice::from(0), |any, value| any | digest.ct_eq(value));
            if !bool::from(matches) {
                return Err(Refusal::WrongHeader(name.clone()));
            }
        }
        if self.keys.is_empty() {
            return Ok(Claim { signature: None });
        }
        let signature = headers.get(&SIGNATURE).ok_or(Refusal::MissingSignature)?;
        let signature = parse_signature(signature)?;
        if self.strict_timestamps {
            let timestamp = headers.get(&TIMESTAMP).ok_or(Refusal::MissingTimestamp)?;
            if !is_fresh(timestamp, now) {
                return Err(Refusal::StaleTimestamp);
            }
        }
        Ok(Claim { signature: Some(signature) })
    }

    /// Checks the signature over the body.
    pub fn check_body(
        &self,
        claim: &Claim,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refusal> {
        match &claim.signature {
            None => Ok(Proof::default()),
            Some(signature) => self.check_signature(signature, headers.get(&TIMESTAMP), body, now),
        }
    }

    /// Checks a signature over the time and the body, or over the body alone. With a time it tries
    /// both: a proxy or a mix of sender versions may add the header to a delivery that was signed
    /// without it. A strict source accepts the first form only.
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
                Ok(Proof { signed: true, stale })
            };
        }
        match (self.signed_by_any(signature, &[body]), self.strict_timestamps) {
            (true, false) => Ok(Proof { signed: true, stale: false }),
            (true, true) => Err(Refusal::MissingTimestamp),
            (false, _) => Err(Refusal::WrongSignature),
        }
    }

    /// Returns true if any secret made the signature. Tries all of them, so the time does not
    /// depend on the matching one.
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

/// Parses `sha256=` and 64 hex digits, both in either case.
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
    let seconds = timestamp.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
    seconds.is_some_and(|seconds| {
        now.timestamp().saturating_sub(seconds).unsigned_abs() <= FRESH_FOR_SECONDS.unsigned_abs()
    })
}

#[cfg(test)]
mod tests;
