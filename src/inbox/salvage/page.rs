//! What lies in a page of the table's tree: rows in its leaves, ways to them above.
//!
//! Nothing that stands in a page is believed: every place is looked up within bounds, and what does
//! not fit is `None`. The format: <https://www.sqlite.org/fileformat2.html#b_tree_pages>.

use crate::inbox::file::PAGE_BYTES;

/// The first byte of a leaf.
const LEAF: u8 = 0x0d;
/// The first byte of a page above leaves.
const INTERIOR: u8 = 0x05;
/// Where the table's tree begins: it was made first, after the schema's own.
pub(super) const ROOT: u32 = 2;
/// What a page of a long row's rest holds, after the number of the next.
pub(super) const REST_BYTES: usize = PAGE_BYTES as usize - 4;

const USABLE: usize = PAGE_BYTES as usize;
/// The most of a row that lies in its leaf, and the least of one that does not fit.
const MOST_LOCAL: usize = USABLE - 35;
const LEAST_LOCAL: usize = (USABLE - 12) * 32 / 255 - 23;

/// What a page is.
#[derive(Debug)]
pub(super) enum Node {
    /// Its cells; `None` where one does not fit.
    Leaf(Vec<Option<Cell>>),
    /// Pages below, in order, with the largest number of a row in them where it is known: of the
    /// last it is not.
    Interior(Vec<(Option<u32>, Option<i64>)>),
}

/// A row in a leaf.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) seq: i64,
    /// How long the whole record is.
    pub(super) length: usize,
    /// Its beginning.
    pub(super) local: Vec<u8>,
    /// The page where it goes on.
    pub(super) rest: Option<u32>,
}

/// What a row's record says before the group's bytes.
#[derive(Debug)]
pub(super) struct RowHead {
    pub(super) count: i64,
    /// Where the group's bytes begin.
    pub(super) payload_at: usize,
}

impl Node {
    /// Reads a page; `None` where it is neither.
    pub(super) fn of(page: &[u8]) -> Option<Self> {
        let kind = *page.first()?;
        let count = usize::from(u16_at(page, 3)?);
        let pointers_at = match kind {
            LEAF => 8,
            INTERIOR => 12,
            _ => return None,
        };
        if pointers_at + 2 * count > USABLE {
            return None;
        }
        let pointers = (0..count).map(|n| u16_at(page, pointers_at + 2 * n).map(usize::from));
        if kind == LEAF {
            return Some(Self::Leaf(pointers.map(|at| cell(page, at?)).collect()));
        }
        let mut below: Vec<_> = pointers
            .map(|at| {
                let Some(at) = at else { return (None, None) };
                (u32_at(page, at), varint(page, at + 4).map(|(key, _)| key.cast_signed()))
            })
            .collect();
        below.push((u32_at(page, 8), None));
        Some(Self::Interior(below))
    }
}

fn cell(page: &[u8], at: usize) -> Option<Cell> {
    let (length, at) = varint(page, at)?;
    let (seq, at) = varint(page, at)?;
    let length = usize::try_from(length).ok()?;
    let seq = seq.cast_signed();
    if length <= MOST_LOCAL {
        let local = page.get(at..at + length)?.to_vec();
        return Some(Cell { seq, length, local, rest: None });
    }
    let local = match LEAST_LOCAL + (length - LEAST_LOCAL) % REST_BYTES {
        fits if fits <= MOST_LOCAL => fits,
        _ => LEAST_LOCAL,
    };
    let rest = u32_at(page, at + local)?;
    Some(Cell { seq, length, local: page.get(at..at + local)?.to_vec(), rest: Some(rest) })
}

/// Reads the beginning of a row's record: the number (which stands in the cell), the count, the
/// oldest time, the bytes. `None` where it is none of ours.
pub(super) fn row_head(cell: &Cell) -> Option<RowHead> {
    let (head_length, mut at) = varint(&cell.local, 0)?;
    let mut types = [0; 4];
    for kind in &mut types {
        (*kind, at) = varint(&cell.local, at)?;
    }
    let ours = types[0] == 0 && at as u64 == head_length && types[3] >= 12 && types[3] % 2 == 0;
    let (count_length, time_length) = (integer_length(types[1])?, integer_length(types[2])?);
    let payload_at = at + count_length + time_length;
    let payload_length = usize::try_from((types[3].checked_sub(12)?) / 2).ok()?;
    if !ours || payload_at.checked_add(payload_length)? != cell.length {
        return None;
    }
    let count = match types[1] {
        8 => 0,
        9 => 1,
        _ => integer(cell.local.get(at..at + count_length)?),
    };
    Some(RowHead { count, payload_at })
}

fn integer_length(kind: u64) -> Option<usize> {
    match kind {
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 => Some(8),
        8 | 9 => Some(0),
        _ => None,
    }
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

/// A number of one to nine bytes, and where the next thing begins.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for n in 0..9 {
        let byte = *bytes.get(at + n)?;
        if n == 8 {
            return Some((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + n + 1));
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
