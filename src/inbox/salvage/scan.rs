//! Finds everything that can still be read in a damaged file, without SQLite, which gives up a
//! whole tree where a page on the way is damaged.
//!
//! First down the table's tree from its root. Where that meets damage, every other page, too: rows
//! in leaves to which no way leads, and bytes that may hold records, however they came there. What
//! was drained long ago may turn up again that way; it meets itself in Postgres.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use bytes::Bytes;

use super::image::{Image, Page};
use super::note::Note;
use super::page::{Cell, Node, REST_BYTES, ROOT, row_head, u32_at};
use crate::inbox::file::LARGEST_SEQ;

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The longest piece that is put together from pages to which no way leads.
const LONGEST_CHAIN_BYTES: usize = 64 << 20;
/// The most pages of a damaged tree that may be above one another; far more than there ever are.
const DEEPEST: u32 = 20;

/// Bytes that hold deliveries, as far as they are whole.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) origin: Origin,
}

/// Where a piece comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is a group of the table, so that all of it should be deliveries.
    Table,
    /// A group that had been drained, and forgotten; what held it has not been overwritten since.
    Drained,
    /// Either, or a part of either.
    Unknown,
}

/// What was seen besides.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The numbers of deliveries that were there.
    first: Option<i64>,
    last: Option<i64>,
    /// Pages that are not what they should be.
    pub(super) damaged_pages: u64,
    /// There may have been more before the first or after the last.
    pub(super) open_ended: bool,
    /// Pages in which they may have lain: damaged ones, and those that are gone. Looked for where
    /// the ends are open; `None` where nobody can tell how many there were.
    pub(super) damaged_room: Option<u64>,
}

impl Findings {
    /// The numbers of the first and the last delivery of which is known that they were there.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        self.first.zip(self.last)
    }

    /// How many deliveries the file held at the least.
    pub(super) fn held(&self) -> u64 {
        let Some((first, last)) = self.range() else { return 0 };
        u64::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0)
    }

    fn add(&mut self, first: i64, last: i64) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
    }
}

/// A reading of one file; `emit` takes what is found, and may break it off.
pub(super) struct Scan<'a, F> {
    image: &'a mut Image,
    note: Option<Note>,
    emit: F,
    findings: Findings,
    /// Pages of the tree.
    nodes: HashSet<u32>,
    /// Pages whose content is known, as nodes without damage or as rests of rows.
    seen: HashSet<u32>,
    /// How many pages were neither, nor rows.
    loose: u64,
}

/// Where a row is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the table.
    Tree,
    /// Perhaps where the table once was: it may have been drained long ago.
    Anywhere,
}

/// A page of the tree that is to be read.
struct Visit {
    page: Option<u32>,
    depth: u32,
    /// It holds the first row, or the last.
    at_an_end: bool,
}

type Flow = ControlFlow<()>;

impl<'a, F: FnMut(Piece) -> Flow> Scan<'a, F> {
    pub(super) fn new(image: &'a mut Image, note: Option<Note>, emit: F) -> Self {
        Self {
            image,
            note,
            emit,
            findings: Findings::default(),
            nodes: HashSet::new(),
            seen: HashSet::new(),
            loose: 0,
        }
    }

    /// Reads all of it; `None` where it was broken off.
    pub(super) fn run(mut self) -> Option<Findings> {
        let done = self.walk().is_continue();
        let others = self.image.other_contents();
        let damaged = self.findings.damaged_pages > 0 || self.findings.first.is_none();
        let done = done
            && (!damaged || self.stray_pages().is_continue())
            && (others.is_empty() || self.stray_frames(&others).is_continue());
        if done && self.findings.open_ended {
            self.findings.damaged_room = self.damaged_room();
        }
        done.then_some(self.findings)
    }

    /// Pages that lost deliveries may have lain in. A log may have lost its end, too, and held any
    /// number of them.
    fn damaged_room(&mut self) -> Option<u64> {
        let has_log = self.image.has_log();
        let first = self.image.page(1).filter(|page| !has_log && page.starts_with(MAGIC))?;
        // As many pages as the file had at its last commit.
        let pages = u32_at(&first, 28)?;
        Some(self.image.missing(pages) + self.loose + self.findings.damaged_pages)
    }

    /// Down the tree, from left to right.
    fn walk(&mut self) -> Flow {
        let mut open = vec![Visit { page: Some(ROOT), depth: 0, at_an_end: true }];
        while let Some(visit) = open.pop() {
            let page = visit.page.filter(|page| {
                visit.depth <= DEEPEST && *page <= self.image.pages && self.nodes.insert(*page)
            });
            let node = page.and_then(|page| Node::of(&self.image.page(page)?));
            match (page, node) {
                (Some(page), Some(Node::Leaf(cells))) => {
                    self.leaf(page, &cells, visit.at_an_end)?;
                }
                (Some(page), Some(Node::Interior(below))) => {
                    self.seen.insert(page);
                    self.keys(&below);
                    let last = below.len() - 1;
                    for (n, (page, _)) in below.into_iter().enumerate().rev() {
                        let at_an_end = visit.at_an_end && (n == 0 || n == last);
                        open.push(Visit { page, depth: visit.depth + 1, at_an_end });
                    }
                }
                _ => {
                    self.findings.damaged_pages += 1;
                    self.findings.open_ended |= visit.at_an_end;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether the row of the largest key can be read or not: it was there.
    fn keys(&mut self, below: &[(Option<u32>, Option<i64>)]) {
        // The pages themselves may be gone, if the file has lost its end.
        let fits = below.iter().all(|(page, _)| page.is_some())
            && below.iter().rev().skip(1).all(|(_, key)| key.is_some())
            && below.is_sorted_by_key(|(_, key)| key.unwrap_or(i64::MAX));
        let last = below.iter().filter_map(|(_, key)| *key).max();
        if let Some(last) = last.filter(|last| fits && *last <= LARGEST_SEQ) {
            self.findings.add(self.findings.first.unwrap_or(last), last);
        }
    }

    /// The rows of a leaf of the tree. A leaf with damage is looked at once more among the others.
    fn leaf(&mut self, page: u32, cells: &[Option<Cell>], at_an_end: bool) -> Flow {
        if self.rows(cells, Place::Tree)? {
            self.seen.insert(page);
        } else {
            self.findings.damaged_pages += 1;
            self.findings.open_ended |= at_an_end;
        }
        ControlFlow::Continue(())
    }

    /// The rows of a leaf; false where something in it does not fit.
    fn rows(&mut self, cells: &[Option<Cell>], place: Place) -> ControlFlow<(), bool> {
        // One bit in a number would make a loss of millions.
        let in_order = in_order(cells);
        let mut whole = in_order;
        for cell in cells {
            match cell {
                Some(cell) => whole &= self.row(cell, place, in_order)?,
                None => whole = false,
            }
        }
        ControlFlow::Continue(whole)
    }

    /// A row; says whether it is one of ours.
    fn row(&mut self, cell: &Cell, place: Place, in_order: bool) -> ControlFlow<(), bool> {
        let Some(head) = row_head(cell) else { return ControlFlow::Continue(false) };
        let (first, last) = (cell.seq.saturating_sub(head.count).saturating_add(1), cell.seq);
        let origin = match (place, self.note) {
            (Place::Tree, _) => Origin::Table,
            (Place::Anywhere, Some(note)) if note.covers(first, last) => Origin::Table,
            (Place::Anywhere, Some(_)) => Origin::Drained,
            (Place::Anywhere, None) => Origin::Unknown,
        };
        let fits = last <= LARGEST_SEQ && (0..=last).contains(&head.count);
        if origin == Origin::Table && in_order && fits {
            self.findings.add(first, last);
        }
        let mut record = self.whole_record(cell);
        let payload = record.split_off(head.payload_at.min(record.len()));
        (self.emit)(Piece { bytes: payload.into(), origin })?;
        ControlFlow::Continue(true)
    }

    /// The bytes of a row, as far as its pages can be found. Where a page does not tell the next,
    /// it is most likely the one behind it; if not, the checksums tell.
    fn whole_record(&mut self, cell: &Cell) -> Vec<u8> {
        let mut record = cell.local.clone();
        let (mut next, mut guessed) = (cell.rest, false);
        while record.len() < cell.length
            && let Some(number) = next.filter(|page| *page > 1 && *page <= self.image.pages)
        {
            let Some(page) = self.image.page(number) else {
                self.findings.damaged_pages += 1;
                // What follows stays in its place.
                record.resize((record.len() + REST_BYTES).min(cell.length), 0);
                next = number.checked_add(1);
                continue;
            };
            if !guessed {
                self.seen.insert(number);
            }
            let wanted = cell.length - record.len();
            let content = page.get(4..).unwrap_or_default();
            record.extend_from_slice(&content[..wanted.min(content.len())]);
            let said = u32_at(&page, 0);
            let is_last = wanted <= REST_BYTES;
            let fits = said.is_some_and(|said| {
                if is_last { said == 0 } else { said > 1 && said <= self.image.pages }
            });
            if !fits {
                self.findings.damaged_pages += 1;
            }
            guessed = !fits;
            next = if fits { said } else { number.checked_add(1) };
        }
        record
    }

    /// Every page to which no way led.
    fn stray_pages(&mut self) -> Flow {
        let free = self.free_pages();
        self.findings.open_ended |= free.is_none() && self.findings.first.is_none();
        // A page that is neither known nor free is one of the tree's.
        let place = if free.is_some() { Place::Tree } else { Place::Anywhere };
        let free = free.unwrap_or_default();
        let mut loose = BTreeSet::new();
        for number in ROOT..=self.image.pages {
            if self.seen.contains(&number) || free.contains(&number) {
                continue;
            }
            let Some(page) = self.image.page(number) else { continue };
            if !self.rows_of_stray(&page, place)? {
                loose.insert(number);
            }
        }
        self.loose = loose.len() as u64;
        self.chains(&loose)
    }

    /// The rows of a page that looks like a leaf; false where something in it does not fit.
    fn rows_of_stray(&mut self, page: &Page, place: Place) -> ControlFlow<(), bool> {
        let Some(Node::Leaf(cells)) = Node::of(page) else { return ControlFlow::Continue(false) };
        let whole = self.rows(&cells, place)?;
        ControlFlow::Continue(whole && !cells.is_empty())
    }

    /// Rests of rows whose beginning is lost: pages that name each other, put together.
    fn chains(&mut self, loose: &BTreeSet<u32>) -> Flow {
        let mut next = Vec::new();
        for number in loose {
            let said = self.image.page(*number).and_then(|page| u32_at(&page, 0));
            next.push((*number, said.filter(|said| loose.contains(said))));
        }
        let named: HashSet<u32> = next.iter().filter_map(|(_, next)| *next).collect();
        let next: HashMap<u32, Option<u32>> = next.into_iter().collect();
        let mut used = HashSet::new();
        // Those that nobody names come first; what is left then names each other in a circle.
        let heads = loose.iter().filter(|number| !named.contains(number));
        for head in heads.chain(loose.iter()) {
            let mut bytes = Vec::new();
            let mut number = Some(*head);
            while let Some(at) = number.filter(|at| used.insert(*at)) {
                let page = self.image.page(at).unwrap_or_default();
                // A page that goes nowhere may be a leaf, of which all bytes count.
                let content = if next[&at].is_some() || !bytes.is_empty() { 4 } else { 0 };
                bytes.extend_from_slice(page.get(content..).unwrap_or_default());
                number = next[&at].filter(|_| bytes.len() < LONGEST_CHAIN_BYTES);
            }
            if !bytes.is_empty() {
                (self.emit)(Piece { bytes: bytes.into(), origin: Origin::Unknown })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Contents of the log that are not the newest: only they may hold what damage has taken from
    /// those.
    fn stray_frames(&mut self, others: &[u64]) -> Flow {
        for at in others {
            let Some(page) = self.image.other_content(*at) else { continue };
            if !self.rows_of_stray(&page, Place::Anywhere)? {
                (self.emit)(Piece { bytes: page.into(), origin: Origin::Unknown })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Pages that hold nothing any more; `None` where nobody can tell.
    fn free_pages(&mut self) -> Option<HashSet<u32>> {
        let first = self.image.page(1).filter(|page| page.starts_with(MAGIC))?;
        let mut free = HashSet::new();
        let mut trunk = u32_at(&first, 32)?;
        while trunk != 0 && free.insert(trunk) {
            let page = self.image.page(trunk)?;
            let count = u32_at(&page, 4)? as usize;
            free.extend((0..count).map_while(|n| u32_at(&page, 8 + 4 * n)));
            trunk = u32_at(&page, 0)?;
        }
        Some(free)
    }
}

/// The rows' numbers grow, each by its count at the least.
fn in_order(cells: &[Option<Cell>]) -> bool {
    let mut before = i64::MIN;
    cells.iter().flatten().filter_map(|cell| Some((cell.seq, row_head(cell)?.count))).all(
        |(seq, count)| {
            let follows = seq.saturating_sub(count) >= before;
            before = seq;
            follows
        },
    )
}
