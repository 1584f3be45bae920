//! Cue words, which show what a number beside them is, in the languages that avatars hear.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_normalization::UnicodeNormalization as _;

use super::steps;

/// Length of the shortest word that also matches without its accents: a shorter one may be another
/// word.
const SHORTEST_BARE: usize = 5;

/// Words by class.
const WORDS: &str = include_str!("cues.txt");

/// Subject of a cue word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Phone, or calling.
    Phone,
    /// Unspecified number.
    Number,
    /// Payment card.
    Card,
    /// Something else that has a number.
    Id,
    /// Unit or thing that is counted.
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

/// Cue word in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cue {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
}

/// Matcher of the words, with each word's class; `true` marks a stem.
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
    // The list is built in, and far too short to be rejected.
    automaton.ok().map(|automaton| Words { automaton, classes })
});

/// Returns the word without accents if that changes it to ASCII.
fn without_accents(word: &str) -> Option<String> {
    let bare: String = word.nfd().filter(|c| !matches!(c, '\u{300}'..='\u{36F}')).collect();
    let bare = bare.replace('ł', "l").replace('ø', "o").replace('ı', "i");
    (bare.is_ascii() && bare != word).then_some(bare)
}

/// Returns the text in lower case with unchanged byte positions, and with Arabic and Persian
/// variants of a letter unified.
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

/// Returns the cues in a text, in order.
pub(super) fn find(text: &str) -> Vec<Cue> {
    let Some(words) = &*ALL else { return Vec::new() };
    let folded = fold(text);
    steps::add(folded.len());
    let mut found = Vec::new();
    for hit in words.automaton.find_iter(&folded) {
        let (class, stem) = words.classes[hit.pattern().as_usize()];
        if is_whole_word(&folded, hit.start(), hit.end(), stem) {
            found.push(Cue { start: hit.start(), end: hit.end(), class });
        }
    }
    found
}

/// Returns the class of a member name, such as `phoneNumber` or `order_id`.
pub(super) fn class_of_name(name: &str) -> Option<Class> {
    let mut words = String::with_capacity(name.len() + 8);
    let mut last = ' ';
    for c in name.chars() {
        if c.is_uppercase() && last.is_lowercase() {
            words.push(' ');
        }
        words.push(if "_-.".contains(c) { ' ' } else { c });
        last = c;
    }
    // In a member name `text` means content, not a text message.
    if words.to_lowercase().split(' ').any(|word| word == "text") {
        return None;
    }
    let found = find(&words);
    let of = |class| found.iter().any(|cue| cue.class == class).then_some(class);
    // `order_phone` is a phone, `phone_id` an id.
    let last = found.iter().rev().find(|cue| cue.class != Class::Number);
    last.map(|cue| cue.class).or_else(|| of(Class::Number))
}

/// Returns `true` if the match is a whole word, or the start of one for a stem. Other scripts
/// always match.
fn is_whole_word(text: &str, start: usize, end: usize, stem: bool) -> bool {
    let word = &text[start..end];
    if !word.starts_with(is_bicameral) {
        return true;
    }
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !before.is_some_and(is_bicameral) && (stem || !after.is_some_and(is_bicameral))
}

/// Matches letters of Latin, Greek, Cyrillic, Armenian and Georgian.
fn is_bicameral(c: char) -> bool {
    c.is_alphabetic()
        && matches!(u32::from(c), 0..0x590 | 0x10A0..0x1100 | 0x1E00..0x2000 | 0x2C60..0x2C80 | 0xA720..0xA800)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_word_has_one_class() {
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
    fn last_word_of_a_member_name_decides_its_class() {
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
            assert_eq!(class_of_name(name), class, "{name}");
        }
    }
}
