//! A request is accepted if and only if it has every credential that the source requires. The rules
//! of the contract are implemented here a second time.
//!
//! The input is a byte of switches, header lines (`Name: value`) up to an empty line, and the body.
//! A fuzzer cannot find an HMAC, so a switch signs the request as the sender would.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use verbatim::config::{RequiredHeader, SourceSettings};
use verbatim::domain::SourceName;
use verbatim::redact::Redaction;
use verbatim::webhook::credentials::{Proof, SIGNATURE, Source, TIMESTAMP};

/// Two secrets, as during a rotation.
const SECRETS: [&str; 2] = ["an old secret of the sender", "its new one"];
/// Header that a source may require beside the signature.
const TOKEN: (&str, &str) = ("authorization", "Bearer token of the kiosk");
/// The service's clock, in Unix seconds.
const NOW: i64 = 1_790_000_000;
/// Largest distance of a signed time from it, in seconds.
const FRESH_FOR: i64 = 300;

/// The first byte of the input.
#[derive(Clone, Copy)]
struct Switches(u8);

/// Bits of the first byte.
#[derive(Clone, Copy)]
enum Switch {
    /// The source has no signatures.
    AsksForNone,
    /// The source requires [`TOKEN`].
    AsksForToken,
    /// The source accepts only fresh timestamps under the signature.
    Strict,
    /// The request is signed with one of the secrets.
    Signed,
    /// The signature includes the timestamp.
    OverTime,
    /// The second secret signs.
    Rotated,
    /// The request has the token.
    WithToken,
    /// One bit of the body is flipped on the way.
    Tampered,
}

impl Switches {
    fn has(self, switch: Switch) -> bool {
        self.0 >> switch as u8 & 1 == 1
    }

    fn source(self) -> Source {
        let secrets = if self.has(Switch::AsksForNone) { &[][..] } else { &SECRETS };
        let token = RequiredHeader { name: TOKEN.0.into(), value: TOKEN.1.into() };
        Source::new(&SourceSettings {
            name: SourceName::default(),
            secrets: secrets.iter().map(|&secret| secret.into()).collect(),
            headers: if self.has(Switch::AsksForToken) { vec![token] } else { vec![] },
            strict_timestamps: self.has(Switch::Strict),
            redaction: Redaction::default(),
        })
        .unwrap()
    }
}

/// Checks the input.
pub fn check(input: &[u8]) {
    let Some((switches, request)) = input.split_first() else { return };
    let switches = Switches(*switches);
    let (mut headers, mut body) = parse(request);
    if switches.has(Switch::WithToken) {
        headers.insert(HeaderName::from_static(TOKEN.0), HeaderValue::from_static(TOKEN.1));
    }
    if switches.has(Switch::Signed) {
        sign(switches, &mut headers, &body);
    }
    if switches.has(Switch::Tampered)
        && let Some(byte) = body.first_mut()
    {
        *byte ^= 1;
    }
    let verdict =
        switches.source().check(&headers, &body, DateTime::from_timestamp(NOW, 0).unwrap());
    assert_eq!(verdict.as_ref().ok(), expected(switches, &headers, &body).as_ref());
    if let Err(refusal) = verdict {
        let text = refusal.to_string();
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)) && !text.contains(TOKEN.1));
    }
}

/// Returns the header lines, and the body after an empty one. Skips lines that are invalid in HTTP,
/// which actix would reject.
fn parse(mut request: &[u8]) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    while let Some(end) = request.iter().position(|byte| *byte == b'\n') {
        let line = &request[..end];
        request = &request[end + 1..];
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, request.to_vec())
}

fn sign(switches: Switches, headers: &mut HeaderMap, body: &[u8]) {
    let time = headers.get(&TIMESTAMP).filter(|_| switches.has(Switch::OverTime));
    let message = match time {
        Some(time) => [time.as_bytes(), b".", body].concat(),
        None => body.to_vec(),
    };
    let signature = hex::encode(mac(SECRETS[usize::from(switches.has(Switch::Rotated))], &message));
    let value = HeaderValue::try_from(format!("sha256={signature}")).unwrap();
    headers.insert(SIGNATURE, value);
}

fn mac(secret: &str, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Returns the proof that the contract allows. `None` is a rejection.
fn expected(switches: Switches, headers: &HeaderMap, body: &[u8]) -> Option<Proof> {
    if switches.has(Switch::AsksForToken) && headers.get(TOKEN.0)?.as_bytes() != TOKEN.1.as_bytes()
    {
        return None;
    }
    if switches.has(Switch::AsksForNone) {
        return Some(Proof { signed: false, stale: false });
    }
    let signature = String::from_utf8(headers.get(&SIGNATURE)?.as_bytes().to_vec()).ok()?;
    let signature = signature.trim_ascii().to_ascii_lowercase();
    let made_by = |message: &[u8]| {
        SECRETS
            .iter()
            .any(|secret| signature == format!("sha256={}", hex::encode(mac(secret, message))))
    };
    let time = headers.get(&TIMESTAMP).map(HeaderValue::as_bytes);
    if let Some(time) = time.filter(|time| made_by(&[time, b".".as_slice(), body].concat())) {
        let digits = std::str::from_utf8(time).ok().filter(|digits| digits.is_ascii());
        let seconds = digits.and_then(|digits| digits.trim().parse::<i128>().ok());
        let stale = seconds.is_none_or(|at| (at - i128::from(NOW)).abs() > i128::from(FRESH_FOR));
        return (!stale || !switches.has(Switch::Strict)).then_some(Proof { signed: true, stale });
    }
    (made_by(body) && !switches.has(Switch::Strict)).then_some(Proof { signed: true, stale: false })
}
