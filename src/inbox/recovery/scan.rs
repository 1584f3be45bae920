//! Finds all readable records in a damaged file without SQLite, which gives up a whole subtree if
//! one page above it is damaged.
//!
//! The scan descends the table's tree from its root. If it meets damage, it also reads every other
//! page: rows in unlinked leaves, and bytes that may contain records. This may find deliveries that
//! were drained earlier; they are duplicates in Postgres.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use bytes::Bytes;

use super::image::{Image, Page};
use super::note::Note;
use super::page::{Cell, Node, REST_BYTES, ROOT, row_head, u32_at};
use crate::inbox::file::LARGEST_SEQ;

/// First bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Longest piece that is assembled from unlinked pages.
const MAX_CHAIN_BYTES: usize = 64 << 20;
/// Greatest depth of the tree that is followed; a valid tree is far less deep.
const DEEPEST: u32 = 20;

/// Bytes that may contain intact deliveries.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) origin: Origin,
}

/// Origin of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A group of the table: all its bytes should be deliveries.
    Table,
    /// A group that was drained and deleted, whose pages were not overwritten since.
    Drained,
    /// Either of them, or a part.
    Unknown,
}

/// Findings of a scan, besides the pieces.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// First and last number of the deliveries that the file had.
    first: Option<i64>,
    last: Option<i64>,
    /// Damaged pages.
    pub(super) damaged_pages: u64,
    /// There may have been deliveries before the first or after the last number.
    pub(super) open_ended: bool,
    /// Pages that may have contained them: damaged and missing ones. Computed only if
    /// `open_ended`; `None` if the number of pages is unknown.
    pub(super) damaged_room: Option<u64>,
}

impl Findings {
    /// Returns the first and the last number of the deliveries that the file certainly had.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        self.first.zip(self.last)
    }

    /// Returns a lower bound of the number of deliveries that the file had.
    pub(super) fn held(&self) -> u64 {
        let Some((first, last)) = self.range() else { return 0 };
        u64::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0)
    }

    fn add(&mut self, first: i64, last: i64) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
    }
}

/// Scan of one file. `emit` receives the pieces, and can stop the scan.
pub(super) struct Scan<'a, F> {
    image: &'a mut Image,
    note: Option<Note>,
    emit: F,
    findings: Findings,
    /// Pages of the tree.
    nodes: HashSet<u32>,
    /// Pages with known content: intact pages of the tree, and overflow pages.
    known: HashSet<u32>,
    /// Number of pages that are neither of these nor leaves with rows.
    loose: u64,
}

/// Place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the table's tree.
    Tree,
    /// In a page that may be no longer in the tree: the row may have been drained earlier.
    Anywhere,
}

/// Page of the tree that is to be read.
struct Visit {
    page: Option<u32>,
    depth: u32,
    /// The page's subtree has the first row, or the last.
    at_edge: bool,
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
            known: HashSet::new(),
            loose: 0,
        }
    }

    /// Scans the file; returns `None` if `emit` stopped the scan.
    pub(super) fn run(mut self) -> Option<Findings> {
        let done = self.walk().is_continue();
        let others = self.image.other_contents();
        let damaged = self.findings.damaged_pages > 0 || self.findings.first.is_none();
        let done = done
            && (!damaged || self.unlinked_pages().is_continue())
            && (others.is_empty() || self.other_frames(&others).is_continue());
        if done && self.findings.open_ended {
            self.findings.damaged_room = self.damaged_room();
        }
        done.then_some(self.findings)
    }

    /// Returns the number of pages that may have contained lost deliveries. Returns `None` with a
    /// log, since it may have lost any number of pages at its end.
    fn damaged_room(&mut self) -> Option<u64> {
        let has_log = self.image.has_log();
        let first = self.image.page(1).filter(|page| !has_log && page.starts_with(MAGIC))?;
        // Number of pages at the last commit.
        let pages = u32_at(&first, 28)?;
        Some(self.image.missing(pages) + self.loose + self.findings.damaged_pages)
    }

    /// Reads the tree from left to right.
    fn walk(&mut self) -> Flow {
        let mut open = vec![Visit { page: Some(ROOT), depth: 0, at_edge: true }];
        while let Some(visit) = open.pop() {
            let page = visit.page.filter(|page| {
                visit.depth <= DEEPEST && *page <= self.image.pages && self.nodes.insert(*page)
            });
            let node = page.and_then(|page| Node::of(&self.image.page(page)?));
            match (page, node) {
                (Some(page), Some(Node::Leaf(cells))) => {
                    self.leaf(page, &cells, visit.at_edge)?;
                }
                (Some(page), Some(Node::Interior(below))) => {
                    self.known.insert(page);
                    self.keys(&below);
                    let last = below.len() - 1;
                    for (n, (page, _)) in below.into_iter().enumerate().rev() {
                        let at_edge = visit.at_edge && (n == 0 || n == last);
                        open.push(Visit { page, depth: visit.depth + 1, at_edge });
                    }
                }
                _ => {
                    self.findings.damaged_pages += 1;
                    self.findings.open_ended |= visit.at_edge;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Adds the largest key of an interior page to the findings: the file had its row, even if it
    /// cannot be read.
    fn keys(&mut self, below: &[(Option<u32>, Option<i64>)]) {
        // Checks only the keys: the pages may be missing if the file has lost its end.
        let fits = below.iter().all(|(page, _)| page.is_some())
            && below.iter().rev().skip(1).all(|(_, key)| key.is_some())
            && below.is_sorted_by_key(|(_, key)| key.unwrap_or(i64::MAX));
        let last = below.iter().filter_map(|(_, key)| *key).max();
        if let Some(last) = last.filter(|last| fits && *last <= LARGEST_SEQ) {
            self.findings.add(self.findings.first.unwrap_or(last), last);
        }
    }

    /// Reads a leaf of the tree. A leaf with damage is read again among the unlinked pages.
    fn leaf(&mut self, page: u32, cells: &[Option<Cell>], at_edge: bool) -> Flow {
        if self.rows(cells, Place::Tree)? {
            self.known.insert(page);
        } else {
            self.findings.damaged_pages += 1;
            self.findings.open_ended |= at_edge;
        }
        ControlFlow::Continue(())
    }

    /// Emits the rows of a leaf; returns false if the leaf has damage.
    fn rows(&mut self, cells: &[Option<Cell>], place: Place) -> ControlFlow<(), bool> {
        // One wrong bit in a number would report a loss of millions.
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

    /// Emits a row; returns false if it is not a row of the inbox.
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

    /// Returns the bytes of a row, as far as its pages can be found. If a page has no valid pointer
    /// to the next one, the page after it is most likely; a wrong guess fails the checksums.
    fn whole_record(&mut self, cell: &Cell) -> Vec<u8> {
        let mut record = cell.local.clone();
        let (mut next, mut guessed) = (cell.rest, false);
        while record.len() < cell.length
            && let Some(number) = next.filter(|page| *page > 1 && *page <= self.image.pages)
        {
            let Some(page) = self.image.page(number) else {
                self.findings.damaged_pages += 1;
                // Zeros keep the offsets of the following pages right.
                record.resize((record.len() + REST_BYTES).min(cell.length), 0);
                next = number.checked_add(1);
                continue;
            };
            if !guessed {
                self.known.insert(number);
            }
            let wanted = cell.length - record.len();
            let content = page.get(4..).unwrap_or_default();
            record.extend_from_slice(&content[..wanted.min(content.len())]);
            let pointer = u32_at(&page, 0);
            let is_last = wanted <= REST_BYTES;
            let fits = pointer.is_some_and(|pointer| {
                if is_last { pointer == 0 } else { pointer > 1 && pointer <= self.image.pages }
            });
            if !fits {
                self.findings.damaged_pages += 1;
            }
            guessed = !fits;
            next = if fits { pointer } else { number.checked_add(1) };
        }
        record
    }

    /// Reads every page that the tree does not link.
    fn unlinked_pages(&mut self) -> Flow {
        let free = self.free_pages();
        self.findings.open_ended |= free.is_none() && self.findings.first.is_none();
        // A page that is neither known nor free belongs to the tree.
        let place = if free.is_some() { Place::Tree } else { Place::Anywhere };
        let free = free.unwrap_or_default();
        let mut loose = BTreeSet::new();
        for number in ROOT..=self.image.pages {
            if self.known.contains(&number) || free.contains(&number) {
                continue;
            }
            let Some(page) = self.image.page(number) else { continue };
            if !self.rows_of_unlinked(&page, place)? {
                loose.insert(number);
            }
        }
        self.loose = loose.len() as u64;
        self.chains(&loose)
    }

    /// Emits the rows of an unlinked leaf; returns false if the page is no intact leaf with rows.
    fn rows_of_unlinked(&mut self, page: &Page, place: Place) -> ControlFlow<(), bool> {
        let Some(Node::Leaf(cells)) = Node::of(page) else { return ControlFlow::Continue(false) };
        let whole = self.rows(&cells, place)?;
        ControlFlow::Continue(whole && !cells.is_empty())
    }

    /// Assembles and emits overflow pages of rows whose beginning is lost.
    fn chains(&mut self, loose: &BTreeSet<u32>) -> Flow {
        let mut next = Vec::new();
        for number in loose {
            let pointer = self.image.page(*number).and_then(|page| u32_at(&page, 0));
            next.push((*number, pointer.filter(|pointer| loose.contains(pointer))));
        }
        let named: HashSet<u32> = next.iter().filter_map(|(_, next)| *next).collect();
        let next: HashMap<u32, Option<u32>> = next.into_iter().collect();
        let mut used = HashSet::new();
        // First the pages that no other page points to; the remaining ones form circles.
        let heads = loose.iter().filter(|number| !named.contains(number));
        for head in heads.chain(loose.iter()) {
            let mut bytes = Vec::new();
            let mut number = Some(*head);
            while let Some(at) = number.filter(|at| used.insert(*at)) {
                let page = self.image.page(at).unwrap_or_default();
                // A page without a pointer may be a leaf, in which the first 4 bytes count, too.
                let content = if next[&at].is_some() || !bytes.is_empty() { 4 } else { 0 };
                bytes.extend_from_slice(page.get(content..).unwrap_or_default());
                number = next[&at].filter(|_| bytes.len() < MAX_CHAIN_BYTES);
            }
            if !bytes.is_empty() {
                (self.emit)(Piece { bytes: bytes.into(), origin: Origin::Unknown })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads pages of the log that are damaged or not the newest: they may have the only copy of
    /// damaged records.
    fn other_frames(&mut self, others: &[u64]) -> Flow {
        for at in others {
            let Some(page) = self.image.other_content(*at) else { continue };
            if !self.rows_of_unlinked(&page, Place::Anywhere)? {
                (self.emit)(Piece { bytes: page.into(), origin: Origin::Unknown })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Returns the pages of the free list; `None` if it cannot be read.
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

/// Returns true if each row's number grows by at least its count.
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
