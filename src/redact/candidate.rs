//! Groups that may be one number, as far as their digits and separators go.

use super::groups::{Edge, Group, Separator, SeparatorKind};

/// Most digits that anything of interest has: an IBAN's.
pub(super) const MOST_DIGITS: usize = 34;
/// Most groups: a card's number, a digit a group.
pub(super) const MOST_GROUPS: usize = 19;

/// Some neighbouring groups of a text.
pub(super) struct Candidate<'a> {
    groups: &'a [Group],
    /// The group before them.
    before: Option<&'a Group>,
    text: &'a str,
    digits: [u8; MOST_DIGITS],
    digit_count: usize,
    lengths: [usize; MOST_GROUPS],
    count: usize,
    /// All separators are the same.
    uniform: bool,
    /// A parenthesis is open: the one before the first group, or one within.
    open: Option<Opened>,
    closed_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Before,
    Within,
}

impl<'a> Candidate<'a> {
    /// Begins before the group at this place.
    pub(super) fn new(text: &'a str, groups: &'a [Group], at: usize) -> Self {
        let (before, groups) = groups.split_at(at);
        Self {
            groups,
            before: before.last(),
            text,
            digits: [0; MOST_DIGITS],
            digit_count: 0,
            lengths: [0; MOST_GROUPS],
            count: 0,
            uniform: true,
            open: groups.first().and_then(|group| group.parenthesis).map(|_| Opened::Before),
            closed_first: false,
        }
    }

    /// Takes the next group; `false` where no number goes on with it.
    pub(super) fn extend(&mut self) -> bool {
        let Some(group) = self.groups.get(self.count) else { return false };
        let length = group.length();
        if self.count == MOST_GROUPS || self.digit_count + length > MOST_DIGITS {
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

    /// Digits of each group.
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

    /// What all separators are, where they are the same.
    pub(super) fn uniform(&self) -> Option<Separator> {
        (self.uniform && self.count > 1).then(|| self.groups[1].separator)
    }

    /// The groups beside it are as its own, so that it is a part of a list.
    pub(super) fn goes_on(&self) -> bool {
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

    /// They are all of this kind, without spaces around them.
    pub(super) fn is_uniform(&self, kind: SeparatorKind) -> bool {
        self.uniform().is_some_and(|separator| separator.kind == kind && !separator.wide)
    }

    /// Every group has one digit.
    pub(super) fn is_spelt(&self) -> bool {
        self.count > 1 && self.digit_count == self.count
    }

    /// It begins within digits that are spelt, where no number of theirs begins.
    pub(super) fn begins_within_spelt(&self) -> bool {
        let first = self.first();
        first.length() == 1
            && self.before.is_some_and(|before| before.length() == 1)
            && self.groups.get(1).is_some_and(|next| next.separator == first.separator)
    }

    pub(super) fn has_plus(&self) -> bool {
        self.first().plus.is_some()
    }

    /// The first group is in parentheses, which are part of the number.
    pub(super) fn has_parenthesis(&self) -> bool {
        self.closed_first
    }

    /// No parenthesis that opens within it stays open.
    pub(super) fn is_closed(&self) -> bool {
        self.open != Some(Opened::Within)
    }

    /// Where it begins, with the plus and the parenthesis that belong to it.
    pub(super) fn start(&self) -> usize {
        let first = self.first();
        let parenthesis = first.parenthesis.filter(|_| self.closed_first);
        [first.plus, parenthesis].into_iter().flatten().fold(first.start, usize::min)
    }

    pub(super) fn end(&self) -> usize {
        self.last().end
    }

    /// Nothing binds it to what is beside it; `signs` are allowed to.
    pub(super) fn is_apart(&self, signs: &str) -> bool {
        let apart = |edge| match edge {
            Edge::Free | Edge::Word => true,
            Edge::Code => false,
            Edge::Bound(sign) => signs.contains(sign),
        };
        apart(self.first().left) && apart(self.last().right)
    }

    /// A word is directly beside it.
    pub(super) fn is_beside_word(&self) -> bool {
        self.first().left == Edge::Word || self.last().right == Edge::Word
    }
}
