//! The origins whose pages may read the API's answers in a browser.

use url::{Origin as UrlOrigin, Url};

/// Most origins that can be listed: each request is compared with all of them.
const MOST: usize = 100;
/// Stands for every origin.
const ANY: &str = "*";

/// Which origins may read answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None but our own.
    #[default]
    None,
    /// These, written as browsers write them.
    Listed(Vec<String>),
    /// Every one.
    Any,
}

impl CorsOrigins {
    /// From environment or command line, comma-separated, or else the file's.
    pub(super) fn resolve(flag: Option<&str>, file: Option<&[String]>) -> anyhow::Result<Self> {
        let listed: Vec<&str> = match flag.filter(|text| !text.trim().is_empty()) {
            Some(text) => text.split(',').collect(),
            None => file.unwrap_or_default().iter().map(String::as_str).collect(),
        };
        let listed = listed.into_iter().map(str::trim).filter(|text| !text.is_empty());
        let listed: Vec<&str> = listed.collect();
        if listed == [ANY] {
            return Ok(Self::Any);
        }
        anyhow::ensure!(listed.len() <= MOST, "cors-origin lists {MOST} origins at the most");
        let origins = listed.into_iter().map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(if origins.is_empty() { Self::None } else { Self::Listed(origins) })
    }
}

/// An origin as a browser writes it: without a default port, and with a host of ASCII.
fn parse(text: &str) -> anyhow::Result<String> {
    let wrong = |what: &str| {
        anyhow::anyhow!(
            "cors-origin lists origins such as https://app.example.com or http://localhost:3000, \
             and {text:?} {what}"
        )
    };
    anyhow::ensure!(text != ANY, wrong("allows every origin, so it has to be alone"));
    anyhow::ensure!(
        text != "null",
        wrong("is the origin of every sandboxed frame and local file, so it cannot be listed")
    );
    let url = Url::parse(text).map_err(|_| wrong("is none"))?;
    anyhow::ensure!(
        url.has_host() && url.username().is_empty() && url.password().is_none(),
        wrong("is none")
    );
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    anyhow::ensure!(bare && !text.ends_with('/'), wrong("goes on behind the host; leave that out"));
    Ok(match url.origin() {
        UrlOrigin::Tuple(..) => url.origin().ascii_serialization(),
        // Of an app, or of a browser's extension: `capacitor://localhost`.
        UrlOrigin::Opaque(_) => text.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let file = ["https://of-the-file.example".to_owned()];
        let listed = |flag| CorsOrigins::resolve(flag, Some(&file)).unwrap();
        let these = |origins: &[&str]| {
            CorsOrigins::Listed(origins.iter().map(|origin| (*origin).to_owned()).collect())
        };
        assert_eq!(
            listed(Some(
                "https://App.Example.com:443, http://localhost:3000,,https://bücher.example,\
                 http://[::1]:8080,capacitor://localhost"
            )),
            these(&[
                "https://app.example.com",
                "http://localhost:3000",
                "https://xn--bcher-kva.example",
                "http://[::1]:8080",
                "capacitor://localhost"
            ])
        );
        assert_eq!(listed(None), these(&["https://of-the-file.example"]));
        assert_eq!(listed(Some(" ")), listed(None), "an empty variable is none");
        assert_eq!(listed(Some("*")), CorsOrigins::Any);
        assert_eq!(CorsOrigins::resolve(None, None).unwrap(), CorsOrigins::None);
    }

    #[test]
    fn what_is_no_origin_is_named() {
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
            let error = CorsOrigins::resolve(Some(wrong), None).unwrap_err().to_string();
            assert!(error.contains("cors-origin"), "{wrong}: {error}");
        }
    }
}
