//! Tests of credentials: right, wrong and missing ones.

use secrecy::SecretString;

use super::*;
use crate::config::RequiredHeader;

const BODY: &[u8] = br#"{"event_type":"test"}"#;

fn source(secrets: &[&str], headers: &[(&str, &str)], strict_timestamps: bool) -> Source {
    Source::new(&SourceSettings {
        name: SourceName::default(),
        secrets: secrets.iter().map(|secret| SecretString::from(*secret)).collect(),
        headers: headers
            .iter()
            .map(|(name, value)| RequiredHeader {
                name: (*name).into(),
                value: SecretString::from(*value),
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

fn check(source: &Source, headers: &[(&str, &str)]) -> Result<Proof, Refusal> {
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
fn signature_of_any_secret_is_accepted() {
    let source = source(&["old", "new"], &[], false);
    for secret in ["old", "new"] {
        let signature = sign(secret, BODY);
        assert_eq!(check(&source, &[("X-bitHuman-Signature", &signature)]), Ok(SIGNED));
        let upper = format!("sha256={}", signature[7..].to_uppercase());
        assert_eq!(check(&source, &[("x-bithuman-signature", &upper)]), Ok(SIGNED));
    }
    let other = sign("other", BODY);
    assert_eq!(check(&source, &[("X-bitHuman-Signature", &other)]), Err(Refusal::WrongSignature));
}

#[test]
fn malformed_signature_is_rejected_with_its_fault() {
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
        assert_eq!(check(&source, &[("X-bitHuman-Signature", value)]), Err(refusal), "{value}");
    }
    assert_eq!(check(&source, &[]), Err(Refusal::MissingSignature));
}

#[test]
fn every_required_header_must_match() {
    let source = source(&["s"], &[("x-webhook-secret", "a"), ("x-api-key", "b")], false);
    let signature = sign("s", BODY);
    let signature = ("X-bitHuman-Signature", signature.as_str());
    let name = |name: &'static str| HeaderName::from_static(name);
    assert_eq!(
        check(&source, &[signature, ("X-Webhook-Secret", "a"), ("X-API-Key", "b")]),
        Ok(SIGNED)
    );
    assert_eq!(
        check(&source, &[signature, ("X-Webhook-Secret", "a")]),
        Err(Refusal::MissingHeader(name("x-api-key")))
    );
    assert_eq!(
        check(&source, &[signature, ("X-Webhook-Secret", "A"), ("X-API-Key", "b")]),
        Err(Refusal::WrongHeader(name("x-webhook-secret")))
    );
    assert_eq!(
        check(&source, &[("X-Webhook-Secret", "a"), ("X-API-Key", "b")]),
        Err(Refusal::MissingSignature),
        "headers do not replace the signature"
    );
}

#[test]
fn any_value_of_a_required_header_is_accepted() {
    let headers = [("x-api-key", "old"), ("x-site", "berlin"), ("x-api-key", "new")];
    let source = source(&[], &headers, false);
    for key in ["old", "new"] {
        let checked = check(&source, &[("X-API-Key", key), ("X-Site", "berlin")]);
        assert_eq!(checked, Ok(Proof::default()), "{key}");
    }
    let name = HeaderName::from_static;
    for (headers, refusal) in [
        (
            vec![("X-API-Key", "other"), ("X-Site", "berlin")],
            Refusal::WrongHeader(name("x-api-key")),
        ),
        (vec![("X-API-Key", "berlin"), ("X-Site", "old")], Refusal::WrongHeader(name("x-api-key"))),
        (vec![("X-API-Key", "new")], Refusal::MissingHeader(name("x-site"))),
        (vec![("X-Site", "berlin")], Refusal::MissingHeader(name("x-api-key"))),
    ] {
        assert_eq!(check(&source, &headers), Err(refusal));
    }
}

#[test]
fn unsigned_delivery_is_accepted_by_its_headers() {
    let source = source(&[], &[("authorization", "Bearer t")], false);
    assert_eq!(check(&source, &[("Authorization", "Bearer t")]), Ok(Proof::default()));
    assert!(check(&source, &[("Authorization", "Bearer u")]).is_err());
}

#[test]
fn signed_time_is_compared_with_the_clock() {
    let (lenient, strict) = (source(&["s"], &[], false), source(&["s"], &[], true));
    let signed_at = |time: &str| {
        let message = [time.as_bytes(), b".", BODY].concat();
        [("X-BitHuman-Timestamp", time.to_owned()), ("X-BitHuman-Signature", sign("s", &message))]
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
        assert_eq!(check(&lenient, &headers), Ok(if fresh { SIGNED } else { STALE }), "{time}");
        let wanted = if fresh { Ok(SIGNED) } else { Err(Refusal::StaleTimestamp) };
        assert_eq!(check(&strict, &headers), wanted, "{time}");
    }
}

#[test]
fn unsigned_time_is_rejected_only_by_a_strict_source() {
    let signature = sign("s", BODY);
    let headers =
        [("X-BitHuman-Timestamp", "1790000000"), ("X-BitHuman-Signature", signature.as_str())];
    assert_eq!(check(&source(&["s"], &[], false), &headers), Ok(SIGNED));
    assert_eq!(check(&source(&["s"], &[], true), &headers), Err(Refusal::MissingTimestamp));
}

#[test]
fn refusal_never_contains_a_secret() {
    let source = source(&["hunter2"], &[("x-key", "hunter3")], false);
    for headers in [&[("x-key", "wrong")][..], &[("x-key", "hunter3")][..]] {
        let text = check(&source, headers).unwrap_err().to_string();
        assert!(!text.contains("hunter"), "{text}");
    }
}
