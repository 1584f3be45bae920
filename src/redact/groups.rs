//! Groups of digits in a text, with their separators and neighbours.

use std::ops::Range;

use super::characters::is_unspaced;
use super::cues::{Class, Cue};
use super::steps;

/// Placeholders of replaced parts.
pub(super) const PLACEHOLDERS: [&str; 3] = ["[email]", "[phone]", "[card]"];
/// Longest separator between two groups, in bytes.
const MAX_SEPARATOR: usize = 6;
/// Most characters of an edge that are inspected.
const MAX_EDGE: usize = 24;
/// Signs that connect one number to the next.
const BINDING: &str = ".,/:-_'";
/// Most letters of an abbreviation, whose dot ends no sentence.
const MAX_ABBREVIATION: u32 = 3;

/// Text between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separator {
    pub(super) kind: SeparatorKind,
    /// It has spaces around it.
    pub(super) wide: bool,
    pub(super) opens: bool,
    pub(super) closes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeparatorKind {
    /// Ends a number.
    Break,
    Space,
    Dash,
    Dot,
    Comma,
    Slash,
    Underscore,
    Colon,
    Newline,
    /// One or two parentheses.
    Parenthesis,
}

/// Text directly beside a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Unrelated text.
    Free,
    /// Word.
    Word,
    /// The rest of a name such as `AB12` or `x_12`.
    Code,
    /// Sign that connects it to another group.
    Bound(char),
}

/// Consecutive digits.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Separator before it.
    pub(super) separator: Separator,
    /// Position of the plus before it.
    pub(super) plus: Option<usize>,
    /// Position of the opening parenthesis before it.
    pub(super) parenthesis: Option<usize>,
    pub(super) left: Edge,
    pub(super) right: Edge,
    pub(super) place: Place,
    /// Part of a URL.
    pub(super) in_url: bool,
}

impl Group {
    /// Number of its digits.
    pub(super) fn length(&self) -> usize {
        self.end - self.start
    }
}

/// Position among the words. Replacing numbers does not change it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Letters before it.
    pub(super) letters: u32,
    pub(super) sentence: u32,
    pub(super) clause: u32,
}

/// Cue with its position.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedCue {
    pub(super) cue: Cue,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// Groups and cues of a text.
pub(super) struct Parts {
    pub(super) groups: Vec<Group>,
    pub(super) cues: Vec<PlacedCue>,
    /// Number of letters.
    pub(super) letters: u32,
    /// Some letters are of a script without spaces.
    pub(super) unspaced: bool,
}

/// Splits a text into its parts. Ignores the text in `spans`.
pub(super) fn parts(text: &str, spans: &[Range<usize>], cues: &[Cue]) -> Parts {
    let mut walk = Walk {
        text,
        place: Place::default(),
        word: 0,
        parts: Parts { groups: Vec::new(), cues: Vec::new(), letters: 0, unspaced: false },
    };
    let (mut spans, mut cues) = (spans.iter().peekable(), cues.iter().peekable());
    let mut urls = urls(text).into_iter().peekable();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        steps::add(1);
        let placeholder = PLACEHOLDERS.iter().find(|holder| text[at..].starts_with(**holder));
        let span = spans.next_if(|span| span.start == at);
        let opaque = placeholder.map(|holder| at + holder.len()).or(span.map(|span| span.end));
        if let Some(end) = opaque {
            while cues.next_if(|cue| cue.start < end).is_some() {}
            at = end;
            continue;
        }
        while cues.peek().is_some_and(|cue| cue.start < at) {
            cues.next();
        }
        if let Some(cue) = cues.next_if(|cue| cue.start == at) {
            walk.cue(*cue);
        }
        if c.is_ascii_digit() {
            while urls.next_if(|url| url.end <= at).is_some() {}
            let in_url = urls.peek().is_some_and(|url| url.contains(&at));
            at = walk.group(at, in_url);
        } else {
            walk.character(at, c);
            at += c.len_utf8();
        }
    }
    walk.parts.letters = walk.place.letters;
    walk.parts
}

struct Walk<'a> {
    text: &'a str,
    place: Place,
    /// Number of letters of the current word.
    word: u32,
    parts: Parts,
}

impl Walk<'_> {
    fn cue(&mut self, cue: Cue) {
        let letters = self.text[cue.start..cue.end].chars().filter(|c| c.is_alphabetic()).count();
        let letters = u32::try_from(letters).unwrap_or(u32::MAX);
        let to = Place { letters: self.place.letters + letters, ..self.place };
        self.parts.cues.push(PlacedCue { cue, from: self.place, to });
    }

    fn character(&mut self, at: usize, c: char) {
        if c.is_alphabetic() {
            self.place.letters += 1;
            self.word += 1;
            self.parts.unspaced |= is_unspaced(c);
            return;
        }
        // Signs between two numbers, replaced or not, end no sentence.
        let rest = &self.text[at + c.len_utf8()..];
        let after = without_spaces(rest);
        let between =
            ends_as_number(without_spaces_at_end(&self.text[..at])) && starts_as_number(after);
        let sentence = match c {
            '!' | '?' | '。' | '؟' | '।' | '॥' | '։' => true,
            '\n' => !between,
            '.' => {
                rest.starts_with(' ')
                    && after.starts_with(char::is_alphabetic)
                    && self.word > MAX_ABBREVIATION
            }
            _ => false,
        };
        self.place.sentence += u32::from(sentence);
        let clause = sentence || ",;،".contains(c) && !between;
        self.place.clause += u32::from(clause);
        self.word = 0;
    }

    fn group(&mut self, start: usize, in_url: bool) -> usize {
        let text = self.text;
        let rest = &text.as_bytes()[start..];
        let end = start + rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        steps::add(end - start);
        let before = &text[..start];
        let (mut plus, mut parenthesis) = (None, None);
        let mut outside = before.len();
        for _ in 0..2 {
            match before[..outside].chars().next_back() {
                Some('+') if plus.is_none() => plus = Some(outside - 1),
                Some('(') if parenthesis.is_none() => parenthesis = Some(outside - 1),
                _ => break,
            }
            outside -= 1;
        }
        if plus.is_none() && before.ends_with("+ ") {
            (plus, outside) = (Some(start - 2), start - 2);
        }
        let last = self.parts.groups.last().map(|group| group.end);
        let separator = last.filter(|_| plus.is_none()).map(|last| &text[last..start]);
        self.word = 0;
        self.parts.groups.push(Group {
            start,
            end,
            separator: separator.map_or(Separator::of(""), Separator::of),
            plus,
            parenthesis,
            left: left_edge(&before[..outside]),
            right: right_edge(&text[end..]),
            place: self.place,
            in_url,
        });
        end
    }
}

impl Separator {
    fn of(text: &str) -> Self {
        let separator = |kind, wide| Self { kind, wide, opens: false, closes: false };
        if text.is_empty() || text.len() > MAX_SEPARATOR {
            return separator(SeparatorKind::Break, false);
        }
        let core = text.trim_matches([' ', '\r']);
        let wide = core.len() < text.len();
        separator(
            match core {
                "" => return separator(SeparatorKind::Space, false),
                "-" | "--" => SeparatorKind::Dash,
                "." | "\u{B7}" => SeparatorKind::Dot,
                "," => SeparatorKind::Comma,
                "/" => SeparatorKind::Slash,
                "_" => SeparatorKind::Underscore,
                ":" => SeparatorKind::Colon,
                "\n" => SeparatorKind::Newline,
                _ => return Self::of_parentheses(core),
            },
            wide,
        )
    }

    fn of_parentheses(core: &str) -> Self {
        let (opens, closes) = (core.contains('('), core.contains(')'));
        let known = core.chars().all(|c| "() -/.".contains(c));
        let once = core.matches(['(', ')']).count() == usize::from(opens) + usize::from(closes);
        let ordered = !opens || !closes || core.find(')') < core.find('(');
        let kind = if known && once && ordered && (opens || closes) {
            SeparatorKind::Parenthesis
        } else {
            SeparatorKind::Break
        };
        Self { kind, wide: false, opens, closes }
    }
}

/// Returns the text without up to [`MAX_SEPARATOR`] leading spaces: without a limit, repeated
/// calls would take quadratic time.
fn without_spaces(text: &str) -> &str {
    let spaces = text.bytes().take(MAX_SEPARATOR).take_while(|byte| *byte == b' ').count();
    &text[spaces..]
}

fn without_spaces_at_end(text: &str) -> &str {
    let ends = text.bytes().rev().take(MAX_SEPARATOR);
    &text[..text.len() - ends.take_while(|byte| *byte == b' ').count()]
}

/// Returns `true` if the text ends in a number or in a placeholder for one.
fn ends_as_number(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit())
        || text.ends_with(PLACEHOLDERS[1])
        || text.ends_with(PLACEHOLDERS[2])
}

fn starts_as_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        || text.starts_with(PLACEHOLDERS[1])
        || text.starts_with(PLACEHOLDERS[2])
}

fn left_edge(before: &str) -> Edge {
    let mut chars = before.chars().rev().take(MAX_EDGE);
    let Some(last) = chars.next() else { return Edge::Free };
    if last == '_' || last == '#' {
        return Edge::Code;
    }
    if !is_joined(last) {
        let beyond = &before[..before.len() - last.len_utf8()];
        let is_code = last == '-' && beyond.ends_with(|c: char| c.is_ascii_alphabetic());
        let bound = BINDING.contains(last) && ends_as_number(beyond) || is_code;
        return if bound { Edge::Bound(last) } else { Edge::Free };
    }
    let letters = 1 + chars.by_ref().take_while(|c| is_joined(*c)).count();
    let beyond = before.chars().rev().nth(letters);
    let is_code = beyond.is_some_and(|c| c.is_ascii_digit() || c == '_');
    if letters >= 2 && !is_code { Edge::Word } else { Edge::Code }
}

fn right_edge(after: &str) -> Edge {
    let mut chars = after.chars().take(MAX_EDGE);
    let Some(first) = chars.next() else { return Edge::Free };
    if first == '_' || first == '@' {
        return Edge::Code;
    }
    let beyond = &after[first.len_utf8()..];
    if !is_joined(first) {
        let bound = BINDING.contains(first) && starts_as_number(beyond);
        return if bound { Edge::Bound(first) } else { Edge::Free };
    }
    if first == 'x' && starts_as_number(beyond) {
        return Edge::Free;
    }
    let letters = 1 + chars.by_ref().take_while(|c| is_joined(*c)).count();
    let beyond = after.chars().nth(letters);
    let is_code = beyond.is_some_and(|c| c.is_ascii_digit() || c == '_');
    if letters >= 2 && !is_code { Edge::Word } else { Edge::Code }
}

/// Matches letters that join a number to a name. Other scripts write words next to numbers.
fn is_joined(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < 0x530
}

/// Returns the spans of the URLs in a text, in order.
fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found_at) = bytes[at..].iter().position(|byte| *byte == b'/' || *byte == b'.') {
        let sign = at + found_at;
        at = sign + 1;
        let begins = text[..sign].ends_with(':') && text[sign..].starts_with("//")
            || text[sign..].starts_with(".me/") && text[..sign].ends_with("wa")
            || text[..sign].ends_with("www");
        if begins {
            let length = bytes[sign..].iter().position(|byte| {
                byte.is_ascii_whitespace() || !byte.is_ascii() || b"\"<>".contains(byte)
            });
            let end = length.map_or(text.len(), |length| sign + length);
            found.push(sign..end);
            at = end;
        }
    }
    found
}

impl PlacedCue {
    pub(super) fn is(&self, class: Class) -> bool {
        self.cue.class == class
    }
}
