//! Full-text search: text → tokens, in any script; a caller's text → a query; a matching message →
//! its highlights. Pure; `store` owns the index.

mod class;
mod document;
mod fold;
mod highlight;
mod letters;
mod marks;
mod matcher;
mod parse;
mod query;
mod tokens;

pub use document::Document;
pub use highlight::{Highlights, Piece, highlight};
pub use marks::{agent_mark, day_mark};
pub use parse::QueryError;
pub use query::{IgnoredSyntax, Query};
pub use tokens::{Token, TokenKind, tokens};

/// Version of the documents that this code creates. Raise it with every change of a text's
/// documents, which the test below detects; every index is then rebuilt in the background.
pub const INDEX_VERSION: i32 = 1;

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use chrono::DateTime;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn changed_documents_require_a_new_version() {
        // Letters of every script, without the large blocks whose letters are all handled alike.
        let plain = |c: char| matches!(c, '\u{AC00}'..='\u{F8FF}' | '\u{40000}'..);
        let letters = ('\0'..=char::MAX)
            .filter(|c| !plain(*c) && (*c < '\u{3400}' || c.is_alphanumeric()))
            .collect::<Vec<char>>();
        let mut digest = Sha256::new();
        for letters in letters.chunks(1_000) {
            let text: String = letters.iter().flat_map(|c| ['a', *c, 'b', ' ', *c, '7']).collect();
            for document in Document::of(&text, "a", DateTime::UNIX_EPOCH) {
                digest.update(document.vector);
            }
        }
        let digest = hex::encode(&digest.finalize()[..8]);
        let expected = (1, "a32e21ea88566421");
        assert_eq!(
            (INDEX_VERSION, &*digest),
            expected,
            "documents have changed: raise INDEX_VERSION, and update the expected values"
        );
    }

    /// Returns the shortest of three run times.
    fn time(work: &dyn Fn()) -> Duration {
        let once = || {
            let began = Instant::now();
            work();
            began.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    }

    /// Linear work takes 64 times as long for 64 times the text, quadratic work 4,096 times. The
    /// limit between them allows for the noise of a busy machine.
    #[test]
    fn scan_time_grows_linearly_with_the_text() {
        const MOST: u32 = 8 * 64;
        let query = |text: &str| Query::parse(text).unwrap();
        let queries = [
            query(&"退款".repeat(300)),
            query(&format!("\"{}\"", "no ".repeat(300))),
            query("a* no 退 -x"),
            query("aaa no aba").widened(&std::collections::HashMap::new()),
        ];
        for piece in [
            "退款",
            "no ",
            "a",
            "a'",
            "a\u{301}",
            "1,000",
            "1,",
            "می\u{200C}",
            "👍🏽",
            "ﷺ",
            "\u{1112}\u{1161}",
            "\"a ",
            "-",
            "aba",
        ] {
            let (short, long) = (piece.repeat(75), piece.repeat(4_800));
            let holds = |name: &str, scan: &dyn Fn(&str)| {
                let (one, many) = (time(&|| scan(&short)), time(&|| scan(&long)));
                let most = (one * MOST).max(Duration::from_millis(20));
                assert!(many < most, "{name} of {piece:?}: {one:?} and {many:?}");
            };
            holds("tokens", &|text| assert!(tokens(text).count() <= 5 * text.len()));
            holds("documents", &|text| drop(Document::of(text, "a", DateTime::UNIX_EPOCH)));
            for query in &queries {
                holds("highlights", &|text| drop(highlight(text, query)));
                holds("matches", &|text| {
                    black_box(query.matches(text));
                });
            }
            let query: String = piece.chars().cycle().take(15).collect();
            let (short, long) = (query.clone(), query.repeat(64));
            let parse = |text: &str| drop(black_box(Query::parse(text)));
            let (one, many) = (time(&|| parse(&short)), time(&|| parse(&long)));
            let most = (one * MOST).max(Duration::from_millis(20));
            assert!(many < most, "parsing {piece:?}: {one:?} and {many:?}");
        }
    }
}
