//! A play as Markdown: `CommonMark`, and what GitHub and others add to it. What was said is a
//! quotation, in which nothing means anything: whatever could is escaped.

use std::io;
use std::io::Write as _;

use super::play::{Play, lines};
use crate::store::messages::MessageRow;

/// Characters with a meaning at any place: in `CommonMark`, in tables, footnotes, formulas and
/// strikethrough, or in MDX. A backslash before punctuation is that punctuation in all of them.
const ANYWHERE: &str = "\\`*_[]<>&#~|$^{}";
/// Characters with a meaning at the beginning of a line: a list, a rule, the underline of a heading,
/// metadata, a definition.
const FIRST: &str = "+-=:";

/// Writes the heading of the file.
pub(super) fn heading(
    out: &mut Vec<u8>,
    fields: &[(&str, String)],
    agent_id: &str,
) -> io::Result<()> {
    out.extend_from_slice(b"# Conversation with ");
    write_line(out, &lines(agent_id).collect::<Vec<_>>().join(" "));
    out.extend_from_slice(b"\n\n");
    for (name, value) in fields {
        write!(out, "- **{name}:** ")?;
        write_line(out, value);
        out.push(b'\n');
    }
    out.push(b'\n');
    Ok(())
}

/// A message.
pub(super) fn message(out: &mut Vec<u8>, play: &mut Play, row: &MessageRow) -> io::Result<()> {
    let between = play.between(row.occurred_at);
    if let Some(silence) = between.silence {
        write!(out, "*{silence}*\n\n")?;
    }
    if let Some(day) = between.day {
        write!(out, "## {day}\n\n")?;
    }
    out.extend_from_slice(b"**");
    write_line(out, play.names.of(&row.role).trim());
    write!(out, "** · {}\n\n", play.zone.time_of_day(row.occurred_at))?;
    quote(out, &row.message);
    Ok(())
}

/// Writes text as a quotation: its lines as lines, and where some are blank a new paragraph.
fn quote(out: &mut Vec<u8>, text: &str) {
    let mut separator = "";
    for line in lines(text) {
        let line = line.trim_matches([' ', '\t']);
        if !line.is_empty() {
            out.extend_from_slice(separator.as_bytes());
            out.extend_from_slice(b"> ");
            write_line(out, line);
            separator = "\\\n";
        } else if !separator.is_empty() {
            separator = "\n>\n";
        }
    }
    if separator.is_empty() {
        out.push(b'>');
    }
    out.extend_from_slice(b"\n\n");
}

/// Writes one line as nothing but text.
fn write_line(out: &mut Vec<u8>, line: &str) {
    // `1.` and `1)` begin a list.
    let number = line.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0);
    for (index, c) in line.char_indices() {
        let begins = index == 0 && FIRST.contains(c);
        let ends_number = number == Some(index) && ".)".contains(c);
        if begins || ends_number || ANYWHERE.contains(c) {
            out.push(b'\\');
        }
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    use uuid::Uuid;

    use super::super::play::Names;
    use super::*;
    use crate::api::query::zone::Zone;

    /// Strategy of texts with characters that have a meaning in Markdown.
    const PIECES: [&str; 60] = [
        "# ",
        "#",
        "=",
        "===",
        "---",
        "- ",
        "+ ",
        "* ",
        "***",
        "_",
        "__",
        "*",
        "**",
        "> ",
        ">",
        "`",
        "```",
        "~~~",
        "~~",
        "1. ",
        "12) ",
        "[",
        "]",
        "](",
        "![",
        "[a]: b",
        "[^1]",
        "[^1]: n",
        "[x] ",
        "(",
        ")",
        "<",
        "<b>",
        "</p>",
        "<script>",
        "<!--",
        "<https://a.b>",
        "https://a.b",
        "&amp;",
        "&#35;",
        "&",
        "|",
        "|-|",
        "| a |",
        ":-:",
        ": ",
        "$",
        "$$",
        "^",
        "{#id}",
        "+++",
        "\\",
        "\\\n",
        "\n",
        "\r\n",
        "\n\n",
        " ",
        "    ",
        "\t",
        "a",
    ];

    /// A text of such pieces, or of anything.
    fn said() -> impl Strategy<Value = String> {
        let pieces = prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12);
        prop_oneof![pieces.prop_map(|pieces| pieces.concat()), "\\PC{0,20}", any::<String>()]
    }

    fn row(seconds: i64, text: &str) -> MessageRow {
        let at = chrono::DateTime::from_timestamp(1_790_607_253 + seconds, 0).unwrap();
        MessageRow {
            id: Uuid::nil(),
            role: "user".into(),
            message: text.into(),
            occurred_at: at,
            sent_at: None,
            received_at: at,
            altered: false,
            undated: false,
        }
    }

    /// Renders a file as a reader sees it: a line for each block, which begins with its kind. Blocks other
    /// than text, headings, lists and quotations of ours are shown as they are, and are errors.
    fn rendered(markdown: &str) -> Vec<String> {
        let options = Options::all() - Options::ENABLE_SMART_PUNCTUATION;
        let (mut blocks, mut within) = (Vec::new(), String::new());
        for event in Parser::new_ext(markdown, options) {
            let block = blocks.last_mut();
            match (event, block) {
                (Event::Start(Tag::BlockQuote(None)), _) => within.push_str("> "),
                (Event::End(TagEnd::BlockQuote(None)), _) => within.clear(),
                (Event::Start(Tag::Paragraph), _) => blocks.push(within.clone()),
                (Event::Start(Tag::Heading { level, .. }), _) => blocks.push(format!("{level} ")),
                (Event::Start(Tag::Item), _) => blocks.push("- ".into()),
                (Event::Start(Tag::Strong | Tag::Emphasis), Some(block)) if within.is_empty() => {
                    block.push('*');
                }
                (Event::Text(text), Some(block)) => block.push_str(&text),
                (Event::HardBreak, Some(block)) => block.push('\n'),
                (
                    Event::Start(Tag::List(None))
                    | Event::End(
                        TagEnd::List(false)
                        | TagEnd::Item
                        | TagEnd::Paragraph
                        | TagEnd::Heading(_)
                        | TagEnd::Strong
                        | TagEnd::Emphasis,
                    ),
                    _,
                ) => {}
                (other, _) => blocks.push(format!("{other:?}")),
            }
        }
        blocks
    }

    /// The paragraphs of what was said, as blank lines divide it.
    fn paragraphs(text: &str) -> Vec<String> {
        let trimmed: Vec<_> =
            lines(text).map(|line| line.trim_matches([' ', '\t']).into()).collect();
        let split = trimmed.split(String::is_empty).filter(|lines| !lines.is_empty());
        split.map(|lines| format!("> {}", lines.join("\n"))).collect()
    }

    fn written(play: &mut Play, rows: &[MessageRow]) -> String {
        let mut out = Vec::new();
        for row in rows {
            message(&mut out, play, row).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_reads_well_as_it_is_written_too() {
        let mut play = Play::new(Zone::UTC, Names::default(), TimeDelta::seconds(300));
        let text = "Costs 5 * 3 - or more?\n\n1. *Yes*\n- <b>no</b>";
        let rows = [row(0, text), row(2820, "2+2 = 4!")];
        insta::assert_snapshot!(written(&mut play, &rows), @r"
        ## Monday, 28 September 2026

        **User** · 14:54:13 UTC

        > Costs 5 \* 3 - or more?
        >
        > 1\. \*Yes\*\
        > \- \<b\>no\</b\>

        *— 47 minutes of silence —*

        **User** · 15:41:13 UTC

        > 2+2 = 4!
        ");
    }

    #[test]
    fn a_message_is_written_in_linear_time() {
        crate::clock::linear::assert_linear(|text| {
            let mut play = Play::new(Zone::UTC, Names::default(), TimeDelta::seconds(300));
            written(&mut play, &[row(0, text)])
        });
    }

    proptest! {
        #[test]
        fn any_message_is_rendered_as_its_text(
            first in said(), second in said(), agent in said(), name in said(),
        ) {
            let mut play = Play::new(Zone::UTC, Names::default(), TimeDelta::seconds(300));
            let mut out = Vec::new();
            heading(&mut out, &[("Session", name.replace(char::is_control, " "))], &agent).unwrap();
            let rows = [row(0, &first), row(1, &second), row(1_000, "again")];
            let text = String::from_utf8(out).unwrap() + &written(&mut play, &rows);
            let blocks = rendered(&text);
            let mut expected = vec!["h2 Monday, 28 September 2026".to_owned()];
            expected.push("*User · 14:54:13 UTC".into());
            expected.extend(paragraphs(&first));
            expected.push("*User · 14:54:14 UTC".into());
            expected.extend(paragraphs(&second));
            expected.push("*— 16 minutes of silence —".into());
            expected.push("*User · 15:10:53 UTC".into());
            expected.push("> again".into());
            prop_assert_eq!(&blocks[2..], &expected[..], "{}", text);
            prop_assert!(blocks[0].starts_with("h1 Conversation with"), "{}", text);
            prop_assert!(blocks[1].starts_with("- *Session:"), "{}", text);
        }
    }
}
