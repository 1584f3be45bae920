//! Finds e-mail addresses in a normalized text.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::characters::is_unspaced;
use super::steps;

/// Longest part before the `@` and longest domain, in characters (RFC 5321, 4.5.3.1).
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;

/// Top-level domains of IANA's list, one a line, sorted by bytes.
const TOP_LEVEL: &str = include_str!("top_level_domains.txt");
/// Private top-level domains that are used in addresses.
const PRIVATE: [&str; 10] = [
    "test", "example", "invalid", "local", "lan", "internal", "corp", "home", "intranet", "private",
];
/// Words that precede an address of the same script in sentences without spaces.
const COPULAS: [&str; 6] = ["是", "为", "為", "は", "が", "到"];
/// Extensions of files whose names may contain an `@`.
const FILES: [&str; 16] = [
    "png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "js", "mjs", "ts", "css", "json", "map",
    "tgz", "gz", "html",
];
/// Free mail providers, for which an address is recognized despite spaces around the `@`.
const FREE_MAIL: [&str; 14] = [
    "gmail.",
    "googlemail.",
    "yahoo.",
    "hotmail.",
    "outlook.",
    "icloud.",
    "live.",
    "gmx.",
    "web.de",
    "proton",
    "aol.",
    "qq.com",
    "163.com",
    "yandex.",
];
/// Words after which an address is recognized despite spaces around the `@`.
const MAIL: [&str; 8] = ["mail", "correo", "courriel", "почт", "邮箱", "メール", "메일", "ईमेल"];

static DOMAINS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| TOP_LEVEL.lines().chain(PRIVATE).collect());

/// Returns the spans of the addresses, in order.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        if at < from {
            continue;
        }
        if let Some(span) = address(text, from, at) {
            from = span.end;
            found.push(span);
        }
    }
    found
}

fn address(text: &str, from: usize, at: usize) -> Option<Range<usize>> {
    let (before, after) = (&text[from..at], &text[at + 1..]);
    let spaced = before.ends_with(' ') || after.starts_with(' ');
    let before = before.strip_suffix(' ').unwrap_or(before);
    let gap = usize::from(after.starts_with(' '));
    let start = from + local_start(before)?;
    let end = at + 1 + gap + domain_end(&after[gap..])?;
    let (local, domain) = (&text[start..from + before.len()], &text[at + 1 + gap..end]);
    let context = last_chars(&text[from..start], MAX_LOCAL);
    // An account on a server, as in `@name@server.social`.
    let is_handle = context.ends_with('@');
    let is_path = text[end..].starts_with(':') && local == "git";
    let is_user_of_url = context
        .rsplit_once("://")
        .is_some_and(|(_, user)| !user.contains(['/', '?', '#', ' ', '\n']));
    let is_sure = !spaced
        || local.contains(|c: char| ".-_+".contains(c) || c.is_ascii_digit())
        || FREE_MAIL.iter().any(|name| domain.to_lowercase().starts_with(name))
        || mentions_mail(context);
    (is_sure && !is_handle && !is_path && !is_user_of_url).then_some(start..end)
}

/// Returns `true` if the words just before mention mail.
fn mentions_mail(before: &str) -> bool {
    let words = last_chars(before, MAX_LOCAL / 2).to_lowercase();
    steps::add(words.len());
    MAIL.iter().any(|word| words.contains(word))
}

fn last_chars(text: &str, count: usize) -> &str {
    text.char_indices().rev().take(count).last().map_or("", |(at, _)| &text[at..])
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c) || "._%+-'=".contains(c)
}

/// Matches combining marks, including the vowel signs of Indic scripts.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..0x370 | 0x900..0xE00)
}

/// Returns the start of the local part within the text before the `@`.
fn local_start(before: &str) -> Option<usize> {
    // A local part is entirely in an unspaced script, or has none of it.
    let unspaced = before.chars().next_back().is_some_and(is_unspaced);
    let mut start = before.len();
    for (at, c) in before.char_indices().rev().take(MAX_LOCAL) {
        steps::add(1);
        let other_script = c.is_alphabetic() && is_unspaced(c) != unspaced;
        if !is_local(c) || other_script {
            break;
        }
        start = at;
    }
    if unspaced {
        let copula = COPULAS.iter().filter_map(|word| {
            let at = before[start..].rfind(word)? + word.len();
            (start + at < before.len()).then_some(start + at)
        });
        start = copula.max().unwrap_or(start);
    }
    // Skip the name of a query parameter.
    if let Some((name, _)) = before[start..].rsplit_once('=')
        && name.chars().all(|c| c.is_alphabetic() || c == '_')
    {
        start += name.len() + 1;
    }
    let local = before[start..].trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    // A local part does not end in a dot; `.@` is a smiley.
    let ends_well =
        local.ends_with(|c: char| c.is_alphanumeric() || is_mark(c) || c == '_' || c == '-');
    ends_well.then_some(before.len() - local.len())
}

/// Returns the end of the domain at the start of a text: after its last label that is a top-level
/// domain, or, because people mistype them, one that may be.
fn domain_end(text: &str) -> Option<usize> {
    let (mut end, mut guess) = (None, None);
    let (mut start, mut labels, mut capital) = (0, 0, None);
    while start < MAX_DOMAIN * 4 {
        let label = label(&text[start..]);
        if label.is_empty() {
            break;
        }
        // A sentence may begin directly after the dot.
        let begins_so = label.chars().next().is_some_and(char::is_uppercase)
            && label.chars().nth(1).is_some_and(char::is_lowercase);
        if labels > 0
            && begins_so
            && capital == Some(false)
            && (labels > 1 || top_level(label).is_none())
        {
            break;
        }
        capital = Some(capital.unwrap_or(begins_so));
        if labels > 0 {
            if let Some(length) = top_level(label) {
                end = Some(start + length);
                if length < label.len() {
                    break;
                }
            } else if may_be_top_level(label) {
                guess = Some(start + label.len());
            }
        }
        labels += 1;
        start += label.len();
        match text[start..].chars().next() {
            Some(dot @ ('.' | '。')) => start += dot.len_utf8(),
            _ => break,
        }
    }
    end.or(guess)
}

/// Returns the label at the start: letters of one kind of script, digits and hyphens.
fn label(text: &str) -> &str {
    let unspaced = text.chars().next().is_some_and(is_unspaced);
    let length = text
        .char_indices()
        .take(MAX_LOCAL)
        .take_while(|(_, c)| {
            steps::add(1);
            (c.is_alphanumeric() || is_mark(*c) || *c == '-')
                && (!c.is_alphabetic() || is_unspaced(*c) == unspaced)
        })
        .last()
        .map_or(0, |(at, c)| at + c.len_utf8());
    text[..length].trim_end_matches('-')
}

/// Returns the length of the top-level domain in a label: the whole label, or in a script without
/// spaces its longest prefix.
fn top_level(label: &str) -> Option<usize> {
    if label.starts_with(is_unspaced) {
        let mut ends = label.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        return ends.find(|end| DOMAINS.contains(&label[..*end]));
    }
    // A number may follow directly.
    let label = label.trim_end_matches(|c: char| c.is_ascii_digit());
    let lower = label.to_lowercase();
    (DOMAINS.contains(&*lower) || is_punycode(&lower)).then_some(label.len())
}

/// Returns `true` if a label resembles a top-level domain and is no file extension
/// (`icon@2x.png`).
fn may_be_top_level(label: &str) -> bool {
    label.chars().count() > 1
        && label.chars().all(|c| c.is_alphabetic() && !is_unspaced(c))
        && !FILES.contains(&&*label.to_lowercase())
}

fn is_punycode(label: &str) -> bool {
    label.strip_prefix("xn--").is_some_and(|rest| rest.len() > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_domains_are_sorted_and_in_lower_case() {
        let lines: Vec<&str> = TOP_LEVEL.lines().collect();
        assert!(lines.is_sorted() && lines.len() > 1_400);
        assert!(lines.iter().all(|line| line.to_lowercase() == **line && line.trim() == *line));
    }
}
