//! Cookie of a browser session.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, InvalidHeaderValue};

use crate::store::browser_sessions::SessionToken;

/// Name under HTTPS. Because of the prefix, a browser accepts it from this exact host over HTTPS only:
/// neither a sibling domain nor somebody on the network can set one.
const SECURE_NAME: &str = "__Host-verbatim_session";
/// Name under plain HTTP, where browsers reject the prefix.
const PLAIN_NAME: &str = "verbatim_session";
/// Name of the cookie that lets the page know that there may be a session, so that one that is signed
/// out sends no request. It holds no secret and lets nobody in.
const MARK_NAME: &str = "verbatim_signed_in";
/// Most cookies of a request that are read. Browsers keep 180 of a site at the most.
const MAX_COOKIES: usize = 200;

/// Returns the token in a request's cookie; the first one if there are several.
pub(crate) fn token(headers: &HeaderMap, is_https: bool) -> Option<SessionToken> {
    let lines = headers.get_all(COOKIE).filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).take(MAX_COOKIES);
    cookies.find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        if name == cookie_name(is_https) { SessionToken::parse(value) } else { None }
    })
}

/// Returns the header that sets the cookie.
pub(crate) fn set(
    token: &SessionToken,
    is_https: bool,
    max_age_seconds: i64,
) -> Result<HeaderValue, InvalidHeaderValue> {
    header(token.expose(), is_https, max_age_seconds)
}

/// Returns the header that removes the cookie.
pub(crate) fn clear(is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    header("", is_https, 0)
}

/// Returns the header that sets the mark for the page or, with an age of 0, removes it. `reads` lets
/// the page request the conversations before it knows the session.
pub(crate) fn mark(
    reads: bool,
    is_https: bool,
    max_age_seconds: i64,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let value = if reads { "read" } else { "1" };
    let secure = if is_https { "; Secure" } else { "" };
    HeaderValue::try_from(format!(
        "{MARK_NAME}={value}; Path=/; Max-Age={max_age_seconds}; SameSite=Strict{secure}"
    ))
}

fn header(
    value: &str,
    is_https: bool,
    max_age_seconds: i64,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let (name, secure) = (cookie_name(is_https), if is_https { "; Secure" } else { "" });
    HeaderValue::try_from(format!(
        "{name}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"
    ))
}

fn cookie_name(is_https: bool) -> &'static str {
    if is_https { SECURE_NAME } else { PLAIN_NAME }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lines: &[&str], is_https: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        token(&headers, is_https).map(|token| token.expose().to_owned())
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let token = SessionToken::generate().expose().to_owned();
        let own = format!("verbatim_session={token}");
        assert_eq!(sent(&[&own], false), Some(token.clone()));
        assert_eq!(sent(&[&format!("a=b; {own};c=d")], false), Some(token.clone()));
        assert_eq!(sent(&["a=b", &own], false), Some(token.clone()));
        assert_eq!(sent(&[&format!("x{own}")], false), None);
        assert_eq!(sent(&["verbatim_session=short"], false), None);
        assert_eq!(sent(&["verbatim_session", ""], false), None);
    }

    #[test]
    fn a_cookie_without_the_prefix_is_ignored_under_https() {
        let token = SessionToken::generate().expose().to_owned();
        let (plain, prefixed) =
            (format!("verbatim_session={token}"), format!("__Host-verbatim_session={token}"));
        assert_eq!(sent(&[&plain], true), None);
        assert_eq!(sent(&[&prefixed], true), Some(token));
        assert_eq!(sent(&[&prefixed], false), None);
    }
}
