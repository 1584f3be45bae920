//! Compression of answers.

use std::io::Read as _;

use super::app::{BOOTSTRAP, TestApi};
use super::http::Answer;
use super::rows::Row;

/// Stores a session whose page of messages is compressed in another thread, one whose page is
/// compressed in place, and one whose page is too small.
async fn sessions_of_three_sizes() -> TestApi {
    let api = TestApi::start().await;
    let said = "Wo finde ich die Öffnungszeiten? 営業時間は? ".repeat(10);
    for (session, messages) in [("long", 120), ("short", 4), ("tiny", 0)] {
        let said = vec![("user", said.as_str()); messages];
        Row::new("A", session).store_with(api.database.pool(), &said).await;
    }
    api
}

async fn ask(api: &TestApi, method: &str, path: &str, accepted: &str) -> Answer {
    api.send(method, path, &[("X-API-Key", BOOTSTRAP), ("Accept-Encoding", accepted)]).await
}

fn decode(answer: &Answer) -> Vec<u8> {
    let (mut out, body) = (Vec::new(), &answer.body[..]);
    match answer.header("content-encoding").expect("a coding") {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut out).map(drop),
        "zstd" => zstd::stream::copy_decode(body, &mut out),
        "br" => brotli::BrotliDecompress(&mut &body[..], &mut out),
        other => panic!("{other}"),
    }
    .expect("decodes");
    out
}

#[actix_web::test]
async fn page_is_sent_in_a_coding_that_the_client_accepts() {
    let api = sessions_of_three_sizes().await;
    for path in ["/v1/sessions/long/messages?limit=500", "/v1/sessions/short/messages"] {
        let plain = api.get(path).await;
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary"), Some("Accept-Encoding"));
        for (accepted, coding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("zstd", "zstd"),
            ("gzip;q=0.5, br", "br"),
            ("deflate, gzip;q=0, zstd;q=0.1", "zstd"),
        ] {
            let packed = ask(&api, "GET", path, accepted).await;
            assert_eq!(packed.status, 200);
            assert_eq!(packed.header("content-encoding"), Some(coding), "{accepted}");
            assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
            assert_eq!(packed.header("content-type"), Some("application/json"));
            assert!(packed.body.len() * 4 < plain.body.len(), "{coding}: {}", packed.body.len());
            let length = packed.body.len().to_string();
            assert_eq!(packed.header("content-length"), Some(&*length));
            assert_eq!(decode(&packed), plain.body, "{coding}");
            let head = ask(&api, "HEAD", path, accepted).await;
            assert!(head.body.is_empty());
            for name in ["content-encoding", "content-length", "vary", "content-type"] {
                assert_eq!(head.header(name), packed.header(name), "{name}");
            }
        }
        for accepted in ["identity", "", "deflate", "gzip;q=0", "nonsense;;", "identity, br;q=0.2"]
        {
            let answer = ask(&api, "GET", path, accepted).await;
            assert_eq!(answer.header("content-encoding"), None, "{accepted}");
            assert_eq!(answer.body, plain.body);
        }
    }
}

#[actix_web::test]
async fn small_answers_and_streams_are_not_compressed() {
    let api = sessions_of_three_sizes().await;
    for path in ["/v1/sessions/tiny/messages", "/v1/agents/A", "/v1/sessions/none", "/healthz"] {
        let answer = ask(&api, "GET", path, "gzip, br, zstd").await;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    // A body read without its head would never end.
    let stream = ask(&api, "HEAD", "/v1/stream", "gzip, br, zstd").await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!((stream.header("content-encoding"), stream.header("vary")), (None, None));
    for path in ["/openapi.json", "/docs"] {
        let answer = ask(&api, "GET", path, "br").await;
        assert_eq!(answer.header("content-encoding"), Some("br"), "{path}");
    }
}

#[actix_web::test]
async fn etag_is_the_same_for_every_coding() {
    let api = TestApi::start().await;
    // Its long name makes the answer large enough.
    let agent = "A".repeat(500);
    let room = "r".repeat(600);
    let row = Row { room: Some(&room), ..Row::new(&agent, "s") };
    row.store(api.database.pool()).await;
    let plain = api.get("/v1/sessions/s").await;
    let tag = plain.header("etag").expect("a tag").to_owned();
    for coding in ["gzip", "br", "zstd"] {
        let packed = ask(&api, "GET", "/v1/sessions/s", coding).await;
        assert_eq!(packed.header("content-encoding"), Some(coding));
        assert_eq!(packed.header("etag"), Some(&*tag));
        assert_eq!(decode(&packed), plain.body);
        let headers =
            [("X-API-Key", BOOTSTRAP), ("Accept-Encoding", coding), ("If-None-Match", &*tag)];
        let known = api.send("GET", "/v1/sessions/s", &headers).await;
        assert_eq!((known.status, known.header("content-encoding")), (304, None));
        assert_eq!(known.header("vary"), Some("Accept-Encoding"));
    }
    assert!(tag.starts_with("W/\""), "bytes differ by coding: {tag}");
}
