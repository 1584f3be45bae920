//! Words that tell what a number beside them is, in the languages that people speak to avatars.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_normalization::UnicodeNormalization as _;

use super::steps;

/// The shortest word that is known without its accents, too: a shorter one is another word.
const SHORTEST_BARE: usize = 5;

/// The words, a class at a time.
const WORDS: &str = include_str!("cues.txt");

/// What a word speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A phone, or calling.
    Phone,
    /// A number, of whatever.
    Number,
    /// A payment card.
    Card,
    /// Something else that is known by a number.
    Id,
    /// Something that is counted.
    Unit,
}

impl Class {
    const ALL: [(&str, Self); 5] = [
        ("[phone]", Self::Phone),
        ("[number]", Self::Number),
        ("[card]", Self::Card),
        ("[id]", Self::Id),
        ("[unit]", Self::Unit),
    ];
}

/// A word found in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cue {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
}

/// Each word's class, and whether it may go on.
struct Words {
    automaton: AhoCorasick,
    classes: Vec<(Class, bool)>,
}

static ALL: LazyLock<Option<Words>> = LazyLock::new(|| {
    let (mut patterns, mut classes) = (Vec::new(), Vec::new());
    let mut class = Class::Phone;
    for line in WORDS.lines().filter(|line| !line.starts_with('#')) {
        if let Some((_, named)) = Class::ALL.into_iter().find(|(name, _)| *name == line) {
            class = named;
            continue;
        }
        for word in line.split_whitespace() {
            let stem = word.strip_suffix('*');
            let word = fold(&stem.unwrap_or(word).replace('_', " "));
            let bare = without_accents(&word);
            patterns.extend(bare.filter(|bare| bare.len() >= SHORTEST_BARE));
            patterns.push(word);
            classes.resize(patterns.len(), (class, stem.is_some()));
        }
    }
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    // The list is our own, and far too short to be refused.
    automaton.ok().map(|automaton| Words { automaton, classes })
});

/// A word as it is written without accents, where it has some. Of scripts with other marks than
/// these it is as it was.
fn without_accents(word: &str) -> Option<String> {
    let bare: String = word.nfd().filter(|c| !matches!(c, '\u{300}'..='\u{36F}')).collect();
    let bare = bare.replace('ł', "l").replace('ø', "o").replace('ı', "i");
    (bare.is_ascii() && bare != word).then_some(bare)
}

/// A text in lower case, byte for byte where it was; letters that two keyboards write differently
/// are one.
fn fold(text: &str) -> String {
    let fold = |c: char| match c {
        'ی' | 'ى' => 'ي',
        'ک' => 'ك',
        _ => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(lower), None) if lower.len_utf8() == c.len_utf8() => lower,
                _ => c,
            }
        }
    };
    text.chars().map(fold).collect()
}

/// The cues in a text, in order.
pub(super) fn find(text: &str) -> Vec<Cue> {
    let Some(words) = &*ALL else { return Vec::new() };
    let folded = fold(text);
    steps::add(folded.len());
    let mut found = Vec::new();
    for hit in words.automaton.find_iter(&folded) {
        let (class, stem) = words.classes[hit.pattern().as_usize()];
        if stands_alone(&folded, hit.start(), hit.end(), stem) {
            found.push(Cue { start: hit.start(), end: hit.end(), class });
        }
    }
    found
}

/// What the name of a member speaks of, such as `phoneNumber` or `order_id`.
pub(super) fn of_name(name: &str) -> Option<Class> {
    let mut words = String::with_capacity(name.len() + 8);
    let mut last = ' ';
    for c in name.chars() {
        if c.is_uppercase() && last.is_lowercase() {
            words.push(' ');
        }
        words.push(if "_-.".contains(c) { ' ' } else { c });
        last = c;
    }
    // What is said is a text, and not the text of a phone.
    if words.to_lowercase().split(' ').any(|word| word == "text") {
        return None;
    }
    let found = find(&words);
    let of = |class| found.iter().any(|cue| cue.class == class).then_some(class);
    // `order_phone` is a phone, `phone_id` an id.
    let last = found.iter().rev().find(|cue| cue.class != Class::Number);
    last.map(|cue| cue.class).or_else(|| of(Class::Number))
}

/// Whether it is a word. Scripts that neither join nor space their words as these do are not
/// asked.
fn stands_alone(text: &str, start: usize, end: usize, stem: bool) -> bool {
    let word = &text[start..end];
    if !word.starts_with(is_bicameral) {
        return true;
    }
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !before.is_some_and(is_bicameral) && (stem || !after.is_some_and(is_bicameral))
}

/// Letters of Latin, Greek, Cyrillic, Armenian and Georgian.
fn is_bicameral(c: char) -> bool {
    c.is_alphabetic()
        && matches!(u32::from(c), 0..0x590 | 0x10A0..0x1100 | 0x1E00..0x2000 | 0x2C60..0x2C80 | 0xA720..0xA800)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_word_is_of_one_class() {
        let words = ALL.as_ref().unwrap();
        assert!(words.classes.len() > 1_000);
        let mut seen = HashMap::new();
        let (mut class, mut twice) = (None, Vec::new());
        for line in WORDS.lines().filter(|line| !line.starts_with('#')) {
            if let Some((_, named)) = Class::ALL.into_iter().find(|(name, _)| *name == line) {
                class = Some(named);
            }
            for word in line.split_whitespace() {
                let other = seen.insert(fold(word.trim_end_matches('*')), class);
                if other.is_some_and(|other| other != class) {
                    twice.push(word);
                }
            }
        }
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn a_member_is_called_by_the_last_word_of_its_name() {
        for (name, class) in [
            ("phone", Some(Class::Phone)),
            ("phoneNumber", Some(Class::Phone)),
            ("customer_mobile_no", Some(Class::Phone)),
            ("orderId", Some(Class::Id)),
            ("phone_id", Some(Class::Id)),
            ("card-number", Some(Class::Card)),
            ("number", Some(Class::Number)),
            ("text", None),
            ("message", None),
            ("answer", None),
        ] {
            assert_eq!(of_name(name), class, "{name}");
        }
    }
}
