//! A file of the page in each of its codings, and the answer that carries it.

use std::collections::BTreeMap;

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG,
    EntityTag, Header as _, HeaderValue, IfNoneMatch, VARY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::encoding;

/// Folder of files whose names hold a hash of their content.
pub(super) const IMMUTABLE_FOLDER: &str = "assets/";
/// One year: a changed file has another name.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The browser stores the file and revalidates it on each use.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// Bytes of a SHA-256 in a tag: enough that no two files share one.
const TAG_BYTES: usize = 16;

/// Files by path. Compressed forms have no separate entry.
pub(super) struct Files(BTreeMap<String, File>);

/// File in all of its codings.
pub(super) struct File {
    media_type: &'static str,
    cache: HeaderValue,
    codings: Vec<Coded>,
}

/// Bytes of a file in one coding.
struct Coded {
    coding: ContentEncoding,
    bytes: Bytes,
    tag: EntityTag,
}

impl Files {
    /// Groups files: `x.br` and `x.gz` are compressed forms of `x`.
    pub(super) fn new(all: &BTreeMap<String, Bytes>) -> Self {
        let is_coded = |path: &str| {
            let plain = path.strip_suffix(".br").or_else(|| path.strip_suffix(".gz"));
            plain.is_some_and(|plain| all.contains_key(plain))
        };
        let files = all.keys().filter(|path| !is_coded(path)).map(|path| {
            let beside = [
                (ContentEncoding::Brotli, all.get(&format!("{path}.br"))),
                (ContentEncoding::Gzip, all.get(&format!("{path}.gz"))),
                (ContentEncoding::Identity, all.get(path)),
            ];
            let coded = |(coding, bytes): (ContentEncoding, Option<&Bytes>)| {
                Some(Coded { coding, bytes: bytes?.clone(), tag: tag_of(bytes?) })
            };
            let file = File {
                media_type: media_type(path),
                cache: if path.starts_with(IMMUTABLE_FOLDER) { IMMUTABLE } else { NO_CACHE },
                codings: beside.into_iter().filter_map(coded).collect(),
            };
            (path.clone(), file)
        });
        Self(files.collect())
    }

    /// Returns the file at a path.
    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// Returns the paths of all files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl File {
    /// Returns the file in the coding that the client prefers, or 304 if it has these bytes.
    pub(super) fn answer(&self, req: &HttpRequest) -> HttpResponse {
        // A malformed header counts as none.
        let accepted = AcceptEncoding::parse(req).unwrap_or(AcceptEncoding(Vec::new()));
        let chosen = encoding::choose(&accepted, self.codings.iter().map(|coded| coded.coding));
        let Some(coded) = self.codings.iter().find(|coded| coded.coding == chosen) else {
            // Each file has its plain form.
            return HttpResponse::NotFound().finish();
        };
        let is_known = match IfNoneMatch::parse(req) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&coded.tag)),
            Err(_) => false,
        };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((VARY, "Accept-Encoding"))
            .insert_header((CACHE_CONTROL, self.cache.clone()))
            .insert_header((ETAG, coded.tag.to_string()));
        if is_known { response.finish() } else { self.send(response, coded) }
    }

    fn send(&self, mut response: HttpResponseBuilder, coded: &Coded) -> HttpResponse {
        response.insert_header((CONTENT_TYPE, self.media_type));
        if coded.coding != ContentEncoding::Identity {
            response.insert_header((CONTENT_ENCODING, coded.coding.as_str()));
        }
        response.body(coded.bytes.clone())
    }
}

fn tag_of(bytes: &[u8]) -> EntityTag {
    EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..TAG_BYTES]))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use actix_web::test::TestRequest;

    use super::*;

    fn files() -> Files {
        let all = [
            ("index.html", "<p>"),
            ("index.html.gz", "zipped"),
            ("assets/app-4f6u.js", "code"),
            ("assets/app-4f6u.js.br", "packed"),
            ("assets/app-4f6u.js.gz", "zipped code"),
            ("assets/lonely.gz", "not a compressed form"),
        ];
        let own = |(path, text): (&str, &'static str)| (path.to_owned(), text.into());
        Files::new(&all.into_iter().map(own).collect())
    }

    fn answer(path: &str, headers: &[(&str, &str)]) -> (u16, HttpResponse) {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.insert_header(*header);
        }
        let response = files().get(path).unwrap().answer(&request.to_http_request());
        (response.status().as_u16(), response)
    }

    fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn compressed_files_have_no_separate_path() {
        let files = files();
        let paths: Vec<_> = files.paths().collect();
        assert_eq!(paths, ["assets/app-4f6u.js", "assets/lonely.gz", "index.html"]);
    }

    #[test]
    fn file_is_sent_in_the_best_coding_with_a_tag_of_its_bytes() {
        let mut tags = Vec::new();
        for (accepted, coding, body) in [
            ("br, gzip", Some("br"), "packed"),
            ("gzip", Some("gzip"), "zipped code"),
            ("", None, "code"),
        ] {
            let (status, response) = answer("assets/app-4f6u.js", &[("Accept-Encoding", accepted)]);
            assert_eq!((status, header(&response, "content-encoding")), (200, coding));
            assert_eq!(header(&response, "content-type"), Some("text/javascript; charset=utf-8"));
            assert_eq!(header(&response, "vary"), Some("Accept-Encoding"));
            let cache = header(&response, "cache-control").unwrap();
            assert_eq!(cache, "public, max-age=31536000, immutable");
            tags.push(header(&response, "etag").unwrap().to_owned());
            assert_eq!(response.into_body().try_into_bytes().unwrap(), body);
        }
        tags.dedup();
        assert_eq!(tags.len(), 3, "{tags:?}");
    }

    #[test]
    fn unchanged_document_is_not_sent_again() {
        let (_, first) = answer("index.html", &[("Accept-Encoding", "br, gzip")]);
        assert_eq!(header(&first, "content-encoding"), Some("gzip"), "there is no other");
        assert_eq!(header(&first, "cache-control"), Some("no-cache"));
        let tag = header(&first, "etag").unwrap();
        let same = [("Accept-Encoding", "gzip"), ("If-None-Match", tag)];
        let (status, again) = answer("index.html", &same);
        assert_eq!((status, header(&again, "etag")), (304, Some(tag)));
        assert_eq!(header(&again, "vary"), Some("Accept-Encoding"));
        assert_eq!(again.into_body().try_into_bytes().unwrap(), "");
        let (status, _) = answer("index.html", &[("If-None-Match", tag)]);
        assert_eq!(status, 200, "those were the bytes of another coding");
    }
}
