//! Parser of the pages of the table's tree: leaves with rows, and interior pages with pointers.
//!
//! It trusts no value in a page: every access is checked against the bounds, and an invalid value
//! is `None`. Format: <https://www.sqlite.org/fileformat2.html#b_tree_pages>.

use crate::inbox::page_size::PAGE_BYTES;

/// First byte of a leaf.
const LEAF: u8 = 0x0d;
/// First byte of an interior page.
const INTERIOR: u8 = 0x05;
/// Root page of the table's tree. Page 1 is the root of the schema, and this table was created
/// first.
pub(super) const ROOT: u32 = 2;
/// Bytes of an overflow page after the number of the next one.
pub(super) const REST_BYTES: usize = PAGE_BYTES as usize - 4;

const USABLE: usize = PAGE_BYTES as usize;
/// Most bytes of a row in its leaf, and the fewest of a row with overflow pages.
const MAX_LOCAL: usize = USABLE - 35;
const LEAST_LOCAL: usize = (USABLE - 12) * 32 / 255 - 23;

/// Parsed page of the tree.
#[derive(Debug)]
pub(super) enum Node {
    /// Cells of a leaf; an invalid one is `None`.
    Leaf(Vec<Option<Cell>>),
    /// Child pages in order, each with the largest row number in it. The last one has none.
    Interior(Vec<(Option<u32>, Option<i64>)>),
}

/// Row in a leaf.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) seq: i64,
    /// Bytes of the whole record.
    pub(super) length: usize,
    /// Beginning of the record, in the leaf.
    pub(super) local: Vec<u8>,
    /// First overflow page.
    pub(super) rest: Option<u32>,
}

/// Values of a row's record before the group's bytes.
#[derive(Debug)]
pub(super) struct RowHead {
    pub(super) count: i64,
    /// Offset of the group's bytes.
    pub(super) payload_at: usize,
}

impl Node {
    /// Parses a page; returns `None` if it is neither a leaf nor an interior page.
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
    if length <= MAX_LOCAL {
        let local = page.get(at..at + length)?.to_vec();
        return Some(Cell { seq, length, local, rest: None });
    }
    let local = match LEAST_LOCAL + (length - LEAST_LOCAL) % REST_BYTES {
        fits if fits <= MAX_LOCAL => fits,
        _ => LEAST_LOCAL,
    };
    let rest = u32_at(page, at + local)?;
    Some(Cell { seq, length, local: page.get(at..at + local)?.to_vec(), rest: Some(rest) })
}

/// Parses the head of a row's record. The columns are the number (stored in the cell), the count,
/// the oldest time, the bytes. Returns `None` if the record does not have these columns.
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

/// Reads a number of one to nine bytes; returns it with the offset after it.
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
