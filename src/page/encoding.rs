//! Choice of a content coding by `Accept-Encoding` (RFC 9110, 12.5.3).

use actix_web::http::header::{AcceptEncoding, ContentEncoding, Encoding};

/// Returns the first of `codings` that the client accepts at least as well as the plain form, else
/// `Identity`.
pub(super) fn choose(
    accepted: &AcceptEncoding,
    codings: impl Iterator<Item = ContentEncoding>,
) -> ContentEncoding {
    let is_accepted = |coding: &ContentEncoding| {
        let coding = Encoding::Known(*coding);
        let offered = [coding.clone(), Encoding::identity()];
        accepted.negotiate(offered.iter()) == Some(coding)
    };
    let mut codings = codings.filter(|coding| *coding != ContentEncoding::Identity);
    codings.find(is_accepted).unwrap_or(ContentEncoding::Identity)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::Header as _;
    use actix_web::test::TestRequest;

    use super::*;

    fn chosen(accepted: Option<&str>, codings: &[ContentEncoding]) -> &'static str {
        let mut request = TestRequest::default();
        if let Some(accepted) = accepted {
            request = request.insert_header(("Accept-Encoding", accepted));
        }
        let accepted =
            AcceptEncoding::parse(&request.to_http_request()).unwrap_or(AcceptEncoding(Vec::new()));
        choose(&accepted, codings.iter().copied()).as_str()
    }

    #[test]
    fn smallest_coding_that_the_client_accepts_is_chosen() {
        for (accepted, expected) in [
            (None, "identity"),
            (Some(""), "identity"),
            (Some("gzip, deflate, br, zstd"), "br"),
            (Some("gzip, deflate"), "gzip"),
            (Some("br;q=0, gzip"), "gzip"),
            (Some("br ; q=0.1 ,gzip;q=0"), "br"),
            (Some("identity, br;q=0.9"), "identity"),
            (Some("identity;q=0.5, br;q=0.9"), "br"),
            (Some("identity;q=0"), "identity"),
            (Some("zstd"), "identity"),
            (Some("br;q=nonsense"), "identity"),
        ] {
            let both = [ContentEncoding::Brotli, ContentEncoding::Gzip];
            assert_eq!(chosen(accepted, &both), expected, "{accepted:?}");
        }
    }

    #[test]
    fn coding_that_the_file_lacks_is_not_chosen() {
        let both = Some("br, gzip");
        assert_eq!(chosen(both, &[ContentEncoding::Gzip]), "gzip");
        assert_eq!(chosen(both, &[]), "identity");
    }
}
