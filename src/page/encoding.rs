//! Choice of a content coding by `Accept-Encoding` (RFC 9110, 12.5.3).

use actix_web::http::header::{ACCEPT_ENCODING, HeaderMap};

/// Content coding of a file, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// All codings. Among equal weights the first one wins.
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// Returns its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// Chooses the coding with the highest weight among those that a file has; `Identity` if the
    /// client accepts none of them.
    pub(super) fn choose(headers: &HeaderMap, has: impl Fn(Self) -> bool) -> Self {
        let mut best = (Self::Identity, 0);
        for coding in Self::ALL.into_iter().filter(|coding| has(*coding)) {
            let weight = weight(headers, coding);
            if weight > best.1 {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// Returns the weight of a coding in thousandths.
fn weight(headers: &HeaderMap, coding: Coding) -> u32 {
    let lines = headers.get_all(ACCEPT_ENCODING).filter_map(|line| line.to_str().ok());
    let (mut named, mut any) = (None, None);
    for member in lines.flat_map(|line| line.split(',')) {
        let (name, params) = member.split_once(';').unwrap_or((member, ""));
        let name = name.trim();
        let weight = thousandths(params);
        if name.eq_ignore_ascii_case(coding.name()) {
            named = named.or(Some(weight));
        } else if name == "*" {
            any = any.or(Some(weight));
        }
    }
    // Unless it is excluded, the plain form is acceptable, with the lowest weight.
    let default = u32::from(coding == Coding::Identity);
    named.or(any).unwrap_or(default)
}

/// Parses `q=0.8`; a malformed weight counts as 0.
fn thousandths(params: &str) -> u32 {
    let param = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(text) = param else { return 1_000 };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, format!("{fraction:0<3}").parse::<u32>()) {
        ("1", Ok(0)) if is_fraction => 1_000,
        ("0", Ok(thousandths)) if is_fraction => thousandths,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn chosen(accepted: Option<&str>) -> &'static str {
        let mut headers = HeaderMap::new();
        if let Some(accepted) = accepted {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accepted).unwrap());
        }
        Coding::choose(&headers, |_| true).name()
    }

    #[test]
    fn the_coding_that_the_client_likes_best_is_chosen() {
        for (accepted, expected) in [
            (None, "identity"),
            (Some(""), "identity"),
            (Some("gzip, deflate, br, zstd"), "br"),
            (Some("gzip, deflate"), "gzip"),
            (Some("GZIP"), "gzip"),
            (Some("br;q=0.5, gzip;q=0.8"), "gzip"),
            (Some("br;q=0.801, gzip;q=0.8"), "br"),
            (Some("br;q=0, gzip"), "gzip"),
            (Some("br ; q=0.1 ,gzip;q=0"), "br"),
            (Some("*"), "br"),
            (Some("*;q=0.5, br;q=0"), "gzip"),
            (Some("identity, br;q=0.9"), "identity"),
            (Some("identity;q=0.5, br;q=0.9"), "br"),
            (Some("identity;q=0"), "identity"),
            (Some("zstd"), "identity"),
            (Some("br;q=nonsense"), "identity"),
            (Some("br;q=1.001"), "identity"),
            (Some("br;q=0.0001"), "identity"),
        ] {
            assert_eq!(chosen(accepted), expected, "{accepted:?}");
        }
    }

    #[test]
    fn a_coding_that_the_file_lacks_is_not_chosen() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
        assert_eq!(Coding::choose(&headers, |coding| coding != Coding::Brotli), Coding::Gzip);
        assert_eq!(Coding::choose(&headers, |it| it == Coding::Identity), Coding::Identity);
    }
}
