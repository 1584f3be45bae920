//! SQLite's log (the `-wal` file), read without SQLite.
//!
//! A log is a header of 32 bytes and frames: a header of 24 bytes and a page. Each frame's checksum
//! continues that of the frame before. SQLite treats the first frame with a wrong checksum as the
//! end and reports nothing: so it drops a write that a crash interrupted. Damage in the middle
//! looks the same to it, and would lose every later commit. Here each frame is checked separately,
//! against the checksum that the frame before states.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Result};

use crate::inbox::page_size::PAGE_BYTES;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES as usize;
/// First word of the header, without its last bit, which is the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;

type Checksum = (u32, u32);
type Salt = [u8; 8];

/// Contents of a log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) file: File,
    /// Offset of the newest intact content of each page.
    pub(super) newest: HashMap<u32, u64>,
    /// Offsets of contents that are damaged, or older than the newest.
    pub(super) others: Vec<u64>,
    /// There are wrong frames that are not just an interrupted write at the end.
    damaged: bool,
}

struct Frame<'a> {
    page: u32,
    /// The frame ends a transaction.
    commits: bool,
    salt: Salt,
    checksum: Checksum,
    /// The whole frame.
    bytes: &'a [u8; FRAME_BYTES],
}

impl Log {
    /// Reads a log; returns `None` if it is empty.
    pub(super) fn read(file: File) -> Result<Option<Self>> {
        let length = file.metadata()?.len();
        if length <= HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut input = BufReader::with_capacity(1 << 16, file.try_clone()?);
        let mut head = [0; HEADER_BYTES];
        input.read_exact(&mut head)?;
        let header = Header::of(&head);
        let mut reading = Reading::new(header.as_ref());
        let mut at = HEADER_BYTES as u64;
        let mut bytes = [0; FRAME_BYTES];
        while at + FRAME_BYTES as u64 <= length {
            input.read_exact(&mut bytes)?;
            reading.add_frame(at + FRAME_HEADER_BYTES as u64, &Frame::of(&bytes));
            at += FRAME_BYTES as u64;
        }
        Ok(reading.finish(file, header.is_some()))
    }

    /// Returns true if SQLite would skip commits in this log.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

struct Header {
    salt: Salt,
    checksum: Checksum,
    big_endian: bool,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let big_endian = word(bytes, 0) & 1 == 1;
        let checksum = add((0, 0), &bytes[..24], big_endian);
        let whole = word(bytes, 0) & !1 == MAGIC
            && word(bytes, 8) == PAGE_BYTES
            && checksum == (word(bytes, 24), word(bytes, 28));
        whole.then(|| Self { salt: salt(&bytes[16..]), checksum, big_endian })
    }
}

impl<'a> Frame<'a> {
    fn of(bytes: &'a [u8; FRAME_BYTES]) -> Self {
        Self {
            page: word(bytes, 0),
            commits: word(bytes, 4) != 0,
            salt: salt(&bytes[8..]),
            checksum: (word(bytes, 16), word(bytes, 20)),
            bytes,
        }
    }

    /// Returns true if the checksum is right for a frame after one with the checksum `before`.
    fn follows(&self, before: Checksum, big_endian: bool) -> bool {
        let sum = add(before, &self.bytes[..8], big_endian);
        add(sum, &self.bytes[FRAME_HEADER_BYTES..], big_endian) == self.checksum
    }
}

/// State of reading a log from its beginning to its end.
struct Reading {
    /// Salt of this log's frames. Later in the file there may be frames of an earlier log, with
    /// another salt.
    salt: Option<Salt>,
    before: Checksum,
    big_endian: bool,
    newest: HashMap<u32, u64>,
    others: Vec<u64>,
    /// Intact frames of the transaction that has not ended yet.
    open: Vec<(u32, u64)>,
    /// Wrong frames since the last commit.
    doubtful: Vec<u64>,
    /// A commit follows wrong frames, or is itself wrong.
    damaged: bool,
}

impl Reading {
    fn new(header: Option<&Header>) -> Self {
        Self {
            salt: header.map(|header| header.salt),
            before: header.map_or((0, 0), |header| header.checksum),
            // Without a header, the byte order of all common machines.
            big_endian: header.is_some_and(|header| header.big_endian),
            newest: HashMap::new(),
            others: Vec::new(),
            open: Vec::new(),
            doubtful: Vec::new(),
            damaged: false,
        }
    }

    fn add_frame(&mut self, at: u64, frame: &Frame<'_>) {
        let follows = frame.follows(self.before, self.big_endian);
        self.before = frame.checksum;
        if follows && self.salt.is_none() {
            // The header is damaged: the first right frame has the salt.
            self.salt = Some(frame.salt);
        }
        if !follows || self.salt != Some(frame.salt) {
            let ours = self.salt == Some(frame.salt);
            // A commit of this log with damage in it or in its header.
            self.damaged |= ours && frame.commits;
            self.doubtful.push(at);
            return;
        }
        self.open.push((frame.page, at));
        if frame.commits {
            self.damaged |= !self.doubtful.is_empty();
            self.others.append(&mut self.doubtful);
            for (page, at) in self.open.drain(..) {
                self.others.extend(self.newest.insert(page, at));
            }
        }
    }

    fn finish(self, file: File, has_header: bool) -> Option<Log> {
        let Self { newest, mut others, doubtful, mut damaged, .. } = self;
        if !has_header && newest.is_empty() {
            // Neither header nor right frames: no commit ever, or none left.
            damaged = !doubtful.is_empty();
        }
        damaged |= !has_header && !newest.is_empty();
        if damaged {
            others.extend(doubtful);
        }
        (damaged || !newest.is_empty()).then_some(Log { file, newest, others, damaged })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn salt(bytes: &[u8]) -> Salt {
    let mut salt = [0; 8];
    salt.copy_from_slice(&bytes[..8]);
    salt
}

/// Continues a checksum of the log over pairs of words.
fn add((mut one, mut two): Checksum, bytes: &[u8], big_endian: bool) -> Checksum {
    let value = |word: &[u8]| {
        let word = [word[0], word[1], word[2], word[3]];
        if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(value(&pair[..4])).wrapping_add(two);
        two = two.wrapping_add(value(&pair[4..])).wrapping_add(one);
    }
    (one, two)
}
