//! Origins whose pages may read the API in a browser.

use url::{Origin as UrlOrigin, Url};

/// Limit on listed origins: each request is compared with all of them.
const MOST: usize = 100;
/// Text for every origin.
const ANY: &str = "*";

/// Origins whose pages may read the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Only the service's own.
    #[default]
    None,
    /// These, too, written as browsers write them.
    Listed(Vec<String>),
    /// All.
    Any,
}

impl TryFrom<Vec<String>> for CorsOrigins {
    type Error = anyhow::Error;

    fn try_from(listed: Vec<String>) -> anyhow::Result<Self> {
        let listed = listed.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let listed: Vec<&str> = listed.collect();
        if listed == [ANY] {
            return Ok(Self::Any);
        }
        anyhow::ensure!(listed.len() <= MOST, "must list at most {MOST} origins");
        let origins = listed.into_iter().map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(if origins.is_empty() { Self::None } else { Self::Listed(origins) })
    }
}

/// Parses an origin and writes it as a browser does: without a default port, the host in ASCII.
fn parse(text: &str) -> anyhow::Result<String> {
    let error = |reason: &str| {
        anyhow::anyhow!(
            "must list origins such as https://app.example.com or \
             http://localhost:3000: {text:?} {reason}"
        )
    };
    anyhow::ensure!(text != ANY, error("allows every origin, so it must be the only one"));
    anyhow::ensure!(
        text != "null",
        error("is the origin of every sandboxed frame and local file, so it cannot be listed")
    );
    let url = Url::parse(text).map_err(|_| error("is not an origin"))?;
    anyhow::ensure!(
        url.has_host() && url.username().is_empty() && url.password().is_none(),
        error("is not an origin")
    );
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    anyhow::ensure!(bare && !text.ends_with('/'), error("must end after the host and port"));
    Ok(match url.origin() {
        UrlOrigin::Tuple(..) => url.origin().ascii_serialization(),
        // Origin of an app or a browser extension: `capacitor://localhost`.
        UrlOrigin::Opaque(_) => text.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::Listed;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let listed = |text: &str| text.parse::<Listed<CorsOrigins>>().unwrap().0;
        let these = |origins: &[&str]| {
            CorsOrigins::Listed(origins.iter().map(|origin| (*origin).to_owned()).collect())
        };
        assert_eq!(
            listed(
                "https://App.Example.com:443, http://localhost:3000,,https://bücher.example,\
                 http://[::1]:8080,capacitor://localhost"
            ),
            these(&[
                "https://app.example.com",
                "http://localhost:3000",
                "https://xn--bcher-kva.example",
                "http://[::1]:8080",
                "capacitor://localhost"
            ])
        );
        assert_eq!(listed(" "), CorsOrigins::None);
        assert_eq!(listed("*"), CorsOrigins::Any);
    }

    #[test]
    fn invalid_origin_is_named() {
        for wrong in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?query",
            "https://user@app.example.com",
            "null",
            "*,https://app.example.com",
            "https://*.example.com/",
            "mailto:a@example.com",
            "//app.example.com",
        ] {
            let error = wrong.parse::<Listed<CorsOrigins>>().unwrap_err().to_string();
            assert!(error.starts_with("must list origins such as "), "{wrong}: {error}");
        }
    }
}
