//! Who is it? Every credential that a source has must match; comparison takes the same time
//! whatever differs.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::config::SourceSettings;
use crate::domain::{Arrival, EventId, SourceName};
use crate::redact::Redaction;

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
    /// Digests of the values that each required header may have.
    headers: Vec<(HeaderName, Vec<[u8; 32]>)>,
    strict_timestamps: bool,
    redaction: Redaction,
}

/// What the credentials told, once they were found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// There was a signature.
    pub signed: bool,
    /// The signed time was more than five minutes from our clock, or no time at all.
    pub stale: bool,
}

/// A head whose credentials are right as far as a head shows.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What the body has to match; `None` where the source has no secret.
    signature: Option<[u8; 32]>,
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
        let mut headers: Vec<(HeaderName, Vec<[u8; 32]>)> = Vec::new();
        for header in &settings.headers {
            let name = HeaderName::try_from(header.name.as_str())
                .map_err(|_| InvalidHeader(header.name.clone()))?;
            let digest = Sha256::digest(header.value.expose()).into();
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
                .filter_map(|secret| Hmac::new_from_slice(secret.expose().as_bytes()).ok())
                .collect(),
            headers,
            strict_timestamps: settings.strict_timestamps,
            redaction: settings.redaction,
        })
    }

    /// It asks for redaction.
    pub(super) fn redacts(&self) -> bool {
        !self.redaction.is_off()
    }

    /// The arrival as it may be kept. It stays the same event, also towards those that came before
    /// the source asked for redaction.
    pub(super) fn redact(&self, mut arrival: Arrival) -> Arrival {
        if let Some(kept) = self.redaction.body(&arrival.body) {
            arrival.evidence.event_id = Some(EventId::of(&arrival.source, &arrival.body));
            arrival.body = kept.into();
        }
        arrival
    }

    /// Judges a delivery by its headers and raw body.
    pub fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refusal> {
        let claim = self.check_head(headers, now)?;
        self.check_body(&claim, headers, body, now)
    }

    /// Judges what can be judged before the body is there: the required headers, and whether there
    /// is a signature as this source takes it.
    pub fn check_head(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Claim, Refusal> {
        for (name, allowed) in &self.headers {
            let found = headers.get(name).ok_or_else(|| Refusal::MissingHeader(name.clone()))?;
            // Digests have one length, so the comparison does not tell how long the value is.
            let digest: [u8; 32] = Sha256::digest(found.as_bytes()).into();
            // All of them are compared, whichever matches.
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

    /// Judges the rest, once the body is there.
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
                Ok(Proof { signed: true, stale })
            };
        }
        match (self.signed_by_any(signature, &[body]), self.strict_timestamps) {
            (true, false) => Ok(Proof { signed: true, stale: false }),
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
    let seconds = timestamp.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
    seconds.is_some_and(|seconds| {
        now.timestamp().saturating_sub(seconds).unsigned_abs() <= FRESH_FOR_SECONDS.unsigned_abs()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RequiredHeader, Secret};

    const BODY: &[u8] = br#"{"event_type":"test"}"#;

    fn source(secrets: &[&str], headers: &[(&str, &str)], strict_timestamps: bool) -> Source {
        Source::new(&SourceSettings {
            name: SourceName::default(),
            secrets: secrets.iter().map(|secret| Secret::new((*secret).into())).collect(),
            headers: headers
                .iter()
                .map(|(name, value)| RequiredHeader {
                    name: (*name).into(),
                    value: Secret::new((*value).into()),
                })
                .collect(),
            strict_timestamps,
            redaction: Redaction::default(),
        })
        .unwrap()
    }

    fn sign(secret: &str, message: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn judge(source: &Source, headers: &[(&str, &str)]) -> Result<Proof, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            map.append(name, HeaderValue::try_from(*value).unwrap());
        }
        source.check(&map, BODY, DateTime::from_timestamp(1_790_000_000, 0).unwrap())
    }

    const SIGNED: Proof = Proof { signed: true, stale: false };
    const STALE: Proof = Proof { signed: true, stale: true };

    #[test]
    fn any_one_of_the_secrets_may_have_signed() {
        let source = source(&["old", "new"], &[], false);
        for secret in ["old", "new"] {
            let signature = sign(secret, BODY);
            assert_eq!(judge(&source, &[("X-bitHuman-Signature", &signature)]), Ok(SIGNED));
            let upper = format!("sha256={}", signature[7..].to_uppercase());
            assert_eq!(judge(&source, &[("x-bithuman-signature", &upper)]), Ok(SIGNED));
        }
        let other = sign("other", BODY);
        assert_eq!(
            judge(&source, &[("X-bitHuman-Signature", &other)]),
            Err(Refusal::WrongSignature)
        );
    }

    #[test]
    fn a_malformed_signature_is_refused_for_what_is_wrong_with_it() {
        let source = source(&["s"], &[], false);
        let right = sign("s", BODY);
        for (value, refusal) in [
            (&right[7..], Refusal::SignaturePrefix),
            ("", Refusal::SignaturePrefix),
            ("sha1=00", Refusal::SignaturePrefix),
            ("sha256=", Refusal::SignatureForm),
            ("sha256=zz", Refusal::SignatureForm),
            (&right[..70], Refusal::SignatureForm),
        ] {
            assert_eq!(judge(&source, &[("X-bitHuman-Signature", value)]), Err(refusal), "{value}");
        }
        assert_eq!(judge(&source, &[]), Err(Refusal::MissingSignature));
    }

    #[test]
    fn every_required_header_must_match() {
        let source = source(&["s"], &[("x-webhook-secret", "a"), ("x-api-key", "b")], false);
        let signature = sign("s", BODY);
        let signature = ("X-bitHuman-Signature", signature.as_str());
        let name = |name: &'static str| HeaderName::from_static(name);
        assert_eq!(
            judge(&source, &[signature, ("X-Webhook-Secret", "a"), ("X-API-Key", "b")]),
            Ok(SIGNED)
        );
        assert_eq!(
            judge(&source, &[signature, ("X-Webhook-Secret", "a")]),
            Err(Refusal::MissingHeader(name("x-api-key")))
        );
        assert_eq!(
            judge(&source, &[signature, ("X-Webhook-Secret", "A"), ("X-API-Key", "b")]),
            Err(Refusal::WrongHeader(name("x-webhook-secret")))
        );
        assert_eq!(
            judge(&source, &[("X-Webhook-Secret", "a"), ("X-API-Key", "b")]),
            Err(Refusal::MissingSignature),
            "headers do not stand in for the signature"
        );
    }

    #[test]
    fn a_header_with_several_values_may_have_any_of_them() {
        let headers = [("x-api-key", "old"), ("x-site", "berlin"), ("x-api-key", "new")];
        let source = source(&[], &headers, false);
        for key in ["old", "new"] {
            let judged = judge(&source, &[("X-API-Key", key), ("X-Site", "berlin")]);
            assert_eq!(judged, Ok(Proof::default()), "{key}");
        }
        let name = HeaderName::from_static;
        for (headers, refusal) in [
            (
                vec![("X-API-Key", "other"), ("X-Site", "berlin")],
                Refusal::WrongHeader(name("x-api-key")),
            ),
            (
                vec![("X-API-Key", "berlin"), ("X-Site", "old")],
                Refusal::WrongHeader(name("x-api-key")),
            ),
            (vec![("X-API-Key", "new")], Refusal::MissingHeader(name("x-site"))),
            (vec![("X-Site", "berlin")], Refusal::MissingHeader(name("x-api-key"))),
        ] {
            assert_eq!(judge(&source, &headers), Err(refusal));
        }
    }

    #[test]
    fn headers_alone_let_in_what_is_not_signed() {
        let source = source(&[], &[("authorization", "Bearer t")], false);
        assert_eq!(judge(&source, &[("Authorization", "Bearer t")]), Ok(Proof::default()));
        assert!(judge(&source, &[("Authorization", "Bearer u")]).is_err());
    }

    #[test]
    fn a_signed_time_is_checked_against_our_clock() {
        let (lenient, strict) = (source(&["s"], &[], false), source(&["s"], &[], true));
        let signed_at = |time: &str| {
            let message = [time.as_bytes(), b".", BODY].concat();
            [
                ("X-BitHuman-Timestamp", time.to_owned()),
                ("X-BitHuman-Signature", sign("s", &message)),
            ]
        };
        for (time, fresh) in [
            ("1790000000", true),
            ("1789999700", true),
            ("1790000300", true),
            ("1789999699", false),
            ("1790000301", false),
            ("soon", false),
            ("99999999999999999999", false),
        ] {
            let headers = signed_at(time);
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(judge(&lenient, &headers), Ok(if fresh { SIGNED } else { STALE }), "{time}");
            let wanted = if fresh { Ok(SIGNED) } else { Err(Refusal::StaleTimestamp) };
            assert_eq!(judge(&strict, &headers), wanted, "{time}");
        }
    }

    #[test]
    fn a_time_beside_a_signature_of_the_body_alone_is_no_fault_unless_strict() {
        let signature = sign("s", BODY);
        let headers =
            [("X-BitHuman-Timestamp", "1790000000"), ("X-BitHuman-Signature", signature.as_str())];
        assert_eq!(judge(&source(&["s"], &[], false), &headers), Ok(SIGNED));
        assert_eq!(judge(&source(&["s"], &[], true), &headers), Err(Refusal::MissingTimestamp));
    }

    #[test]
    fn a_refusal_never_tells_a_secret() {
        let source = source(&["hunter2"], &[("x-key", "hunter3")], false);
        for headers in [&[("x-key", "wrong")][..], &[("x-key", "hunter3")][..]] {
            let told = judge(&source, headers).unwrap_err().to_string();
            assert!(!told.contains("hunter"), "{told}");
        }
    }
}
