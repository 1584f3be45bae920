//! Candidates: neighbouring groups that may form one number, by their digits and separators.

use super::groups::{Edge, Group, Separator, SeparatorKind};

/// Most digits of a candidate: those of an IBAN.
pub(super) const MAX_DIGITS: usize = 34;
/// Most groups: a card number with one digit a group.
pub(super) const MAX_GROUPS: usize = 19;

/// Neighbouring groups of a text.
pub(super) struct Candidate<'a> {
    groups: &'a [Group],
    /// The group before them.
    before: Option<&'a Group>,
    text: &'a str,
    digits: [u8; MAX_DIGITS],
    digit_count: usize,
    lengths: [usize; MAX_GROUPS],
    count: usize,
    /// All separators are the same.
    uniform: bool,
    /// Open parenthesis: the one before the first group, or one between groups.
    open: Option<Opened>,
    closed_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Before,
    Within,
}

impl<'a> Candidate<'a> {
    /// Creates an empty candidate that begins at the group `at`.
    pub(super) fn new(text: &'a str, groups: &'a [Group], at: usize) -> Self {
        let (before, groups) = groups.split_at(at);
        Self {
            groups,
            before: before.last(),
            text,
            digits: [0; MAX_DIGITS],
            digit_count: 0,
            lengths: [0; MAX_GROUPS],
            count: 0,
            uniform: true,
            open: groups.first().and_then(|group| group.parenthesis).map(|_| Opened::Before),
            closed_first: false,
        }
    }

    /// Appends the next group; returns `false` if no number can continue with it.
    pub(super) fn extend(&mut self) -> bool {
        let Some(group) = self.groups.get(self.count) else { return false };
        let length = group.length();
        if self.count == MAX_GROUPS || self.digit_count + length > MAX_DIGITS {
            return false;
        }
        if self.count > 0 {
            let separator = group.separator;
            if separator.kind == SeparatorKind::Break || !self.parenthesis(separator) {
                return false;
            }
            self.uniform &= separator == self.groups[1].separator;
        }
        for (digit, byte) in self.digits[self.digit_count..]
            .iter_mut()
            .zip(&self.text.as_bytes()[group.start..group.end])
        {
            *digit = byte - b'0';
        }
        self.digit_count += length;
        self.lengths[self.count] = length;
        self.count += 1;
        true
    }

    fn parenthesis(&mut self, separator: Separator) -> bool {
        if separator.closes {
            match self.open.take() {
                None => return false,
                Some(Opened::Before) => self.closed_first = true,
                Some(Opened::Within) => {}
            }
        }
        if separator.opens {
            if self.open == Some(Opened::Within) {
                return false;
            }
            self.open = Some(Opened::Within);
        }
        true
    }

    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.digit_count]
    }

    /// Number of digits of each group.
    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths[..self.count]
    }

    pub(super) fn groups(&self) -> &'a [Group] {
        &self.groups[..self.count]
    }

    pub(super) fn first(&self) -> &'a Group {
        &self.groups[0]
    }

    pub(super) fn last(&self) -> &'a Group {
        &self.groups[self.count - 1]
    }

    pub(super) fn separators(&self) -> impl Iterator<Item = Separator> + 'a {
        self.groups()[1..].iter().map(|group| group.separator)
    }

    /// Separator between the groups, if all of them are the same.
    pub(super) fn uniform(&self) -> Option<Separator> {
        (self.uniform && self.count > 1).then(|| self.groups[1].separator)
    }

    /// Returns `true` if a neighbouring group has the same form, so that this is part of a list.
    pub(super) fn continues_list(&self) -> bool {
        let Some(separator) = self.uniform() else { return false };
        let (first, last) = (self.first(), self.last());
        let before = self.before.is_some_and(|before| {
            first.separator == separator && before.length() == first.length()
        });
        before
            || self.groups.get(self.count).is_some_and(|after| {
                after.separator == separator && after.length() == last.length()
            })
    }

    /// Returns `true` if all separators are of this kind, without spaces around them.
    pub(super) fn is_uniform(&self, kind: SeparatorKind) -> bool {
        self.uniform().is_some_and(|separator| separator.kind == kind && !separator.wide)
    }

    /// Returns `true` if every group has one digit.
    pub(super) fn is_spelt(&self) -> bool {
        self.count > 1 && self.digit_count == self.count
    }

    /// Returns `true` if it begins in the middle of spelt digits.
    pub(super) fn begins_within_spelt(&self) -> bool {
        let first = self.first();
        first.length() == 1
            && self.before.is_some_and(|before| before.length() == 1)
            && self.groups.get(1).is_some_and(|next| next.separator == first.separator)
    }

    pub(super) fn has_plus(&self) -> bool {
        self.first().plus.is_some()
    }

    /// Returns `true` if the first group is in parentheses, which are part of the number.
    pub(super) fn has_parenthesis(&self) -> bool {
        self.closed_first
    }

    /// Returns `true` if every parenthesis that opens within it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.open != Some(Opened::Within)
    }

    /// Start, including the plus and the parenthesis that belong to it.
    pub(super) fn start(&self) -> usize {
        let first = self.first();
        let parenthesis = first.parenthesis.filter(|_| self.closed_first);
        [first.plus, parenthesis].into_iter().flatten().fold(first.start, usize::min)
    }

    pub(super) fn end(&self) -> usize {
        self.last().end
    }

    /// Returns `true` if no sign except `signs` connects it to its neighbours.
    pub(super) fn is_apart(&self, signs: &str) -> bool {
        let apart = |edge| match edge {
            Edge::Free | Edge::Word => true,
            Edge::Code => false,
            Edge::Bound(sign) => signs.contains(sign),
        };
        apart(self.first().left) && apart(self.last().right)
    }

    /// Returns `true` if a word is directly beside it.
    pub(super) fn is_beside_word(&self) -> bool {
        self.first().left == Edge::Word || self.last().right == Edge::Word
    }
}
