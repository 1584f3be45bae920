//! A damaged file of the inbox and its log are read to their end without a panic. No delivery is
//! found twice, and an intact file is reported as intact.
//!
//! The input is a byte that selects the place of the pages (the file, a log, or both), two bytes
//! for the length at which they are cut off, and edits: three bytes for the place and one for the
//! new value. The pages and the checksums of the log are real, since a fuzzer cannot find them. The
//! checksums are right unless the edits follow them.

use std::collections::HashSet;
use std::path::PathBuf;

use verbatim::inbox::{Damaged, Readable, decode_group, encode_group, read_damaged};

/// A file with five deliveries, one of which needs several pages.
const WHOLE: &[u8] = include_bytes!("../../tests/payloads/inbox-layout-1.sqlite");
const DELIVERIES: usize = 5;
const PAGE_BYTES: usize = 4096;

/// Bits of the first byte.
const IN_LOG: u8 = 1;
const FILE_IS_GONE: u8 = 2;
const BEFORE_CHECKSUMS: u8 = 4;

/// Checks the input.
pub fn check(input: &[u8]) {
    let Some(([how, cut @ ..], edits)) = input.split_first_chunk::<3>() else { return };
    let in_log = how & IN_LOG != 0;
    let mut pages = WHOLE.to_vec();
    let mut damaged = if !in_log {
        spoil(&mut pages, edits);
        pages
    } else if how & BEFORE_CHECKSUMS != 0 {
        spoil(&mut pages, edits);
        log(&pages)
    } else {
        let mut log = log(&pages);
        spoil(&mut log, edits);
        log
    };
    let remaining = damaged.len().saturating_sub(usize::from(u16::from_be_bytes(*cut)));
    let is_whole = edits.len() < EDIT_BYTES && remaining == damaged.len();
    damaged.truncate(remaining);
    let folder = Folder::new();
    if in_log {
        std::fs::write(folder.file("-wal"), &damaged).unwrap();
        if how & FILE_IS_GONE == 0 {
            std::fs::write(folder.file(""), WHOLE).unwrap();
        }
    } else {
        std::fs::write(folder.file(""), &damaged).unwrap();
    }

    let Readable { arrivals, lost: (at_least, at_most) } = read_damaged(&folder.file("")).unwrap();
    let ids: HashSet<_> = arrivals.iter().map(|one| one.id.0).collect();
    assert_eq!(ids.len(), arrivals.len(), "a delivery was found twice");
    assert!(at_most.is_none_or(|most| at_least <= most), "{at_least} to {at_most:?} are lost");
    let (again, damage) = decode_group(encode_group(&arrivals).into());
    assert_eq!((again.len(), damage), (arrivals.len(), None::<Damaged>));
    if is_whole {
        assert_eq!(
            (arrivals.len(), at_least),
            (DELIVERIES, 0),
            "an intact file is reported as damaged"
        );
    }
}

/// Size of an edit: three bytes for the place, and the new byte.
const EDIT_BYTES: usize = 4;

/// Applies the edits.
fn spoil(bytes: &mut [u8], edits: &[u8]) {
    for edit in edits.chunks_exact(EDIT_BYTES) {
        let place = u32::from_be_bytes([0, edit[0], edit[1], edit[2]]);
        bytes[usize::try_from(place).unwrap() % WHOLE.len()] = edit[3];
    }
}

/// Returns a log with one transaction that wrote these pages.
fn log(pages: &[u8]) -> Vec<u8> {
    let count = u32::try_from(pages.len() / PAGE_BYTES).unwrap();
    let mut log: Vec<u8> = [0x377f_0682, 3_007_000, 4096, 0].map(u32::to_be_bytes).concat();
    let salt = *b"any salt";
    log.extend(salt);
    let mut sum = add((0, 0), &log);
    log.extend([sum.0, sum.1].map(u32::to_be_bytes).concat());
    for (number, page) in (1..).zip(pages.chunks_exact(PAGE_BYTES)) {
        // The last frame ends the transaction.
        let size = if number == count { count } else { 0 };
        let head = [number, size].map(u32::to_be_bytes).concat();
        sum = add(add(sum, &head), page);
        log.extend(head);
        log.extend(salt);
        log.extend([sum.0, sum.1].map(u32::to_be_bytes).concat());
        log.extend(page);
    }
    log
}

/// Continues the checksum of a log.
fn add((mut one, mut two): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().unwrap());
        one = one.wrapping_add(word(0)).wrapping_add(two);
        two = two.wrapping_add(word(4)).wrapping_add(one);
    }
    (one, two)
}

/// Temporary folder, deleted with this value. Each process tries one input at a time.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("inbox-salvage-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, part: &str) -> PathBuf {
        self.0.join(format!("inbox.sqlite{part}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, the system deletes the folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
