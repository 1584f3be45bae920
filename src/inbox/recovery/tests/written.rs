//! Inboxes that are written, damaged and recovered in tests.

use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use crate::domain::{Arrival, DeliveryId, Evidence, SourceName};
use crate::inbox::file::InboxFile;
use crate::inbox::group::GroupInfo;
use crate::inbox::opening;
use crate::inbox::page_size::PAGE_BYTES;
use crate::inbox::record::encode_group;
use crate::inbox::recovery::image::Image;
use crate::inbox::recovery::loss::{Loss, Outcome};
use crate::inbox::recovery::note::Note;
use crate::inbox::recovery::scan::Scan;

/// Size of a page, in bytes.
pub(super) const PAGE: u64 = PAGE_BYTES as u64;

fn arrival(number: u128, length: usize) -> Arrival {
    // Bodies without repetition, like compressed speech.
    let mut state = u32::try_from(number).unwrap() + 1;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect();
    Arrival {
        id: DeliveryId(Uuid::from_u128(number)),
        received_at: chrono::DateTime::default(),
        source: SourceName::parse("default").unwrap(),
        evidence: Evidence::default(),
        body: body.into(),
    }
}

/// Writes groups like the writer; each inner slice has the body lengths of one group. The first
/// `drained` groups are deleted three groups later. Returns how many deliveries were written, and
/// how many deleted.
pub(super) async fn write(
    file: &mut InboxFile,
    groups: &[Vec<usize>],
    drained: usize,
) -> (u128, u128) {
    const BEHIND: usize = 3;
    let (mut seq, mut deleted, mut seqs) = (0, 0, Vec::new());
    for (n, lengths) in groups.iter().enumerate() {
        let arrivals: Vec<Arrival> = (0_i64..)
            .zip(lengths)
            .map(|(n, length)| arrival(u128::try_from(seq + n).unwrap(), *length))
            .collect();
        seq += i64::try_from(arrivals.len()).unwrap();
        let payload = encode_group(&arrivals);
        let info = GroupInfo {
            seq,
            count: arrivals.len(),
            bytes: payload.len() as u64,
            oldest_at: chrono::DateTime::default(),
        };
        let deletable: Vec<i64> =
            n.checked_sub(BEHIND).filter(|n| *n < drained).map(|n| seqs[n]).into_iter().collect();
        deleted = deletable.first().copied().unwrap_or(deleted);
        file.commit(Some((&info, payload)), &deletable).await.unwrap();
        seqs.push(seq);
    }
    (u128::try_from(seq).unwrap(), u128::try_from(deleted).unwrap())
}

/// State in which a file is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Closed, with its note.
    Noted,
    /// Closed, without its note, as after a crash between the two.
    Closed,
    /// With its log, as after a power cut.
    Cut,
}

/// Inbox in a separate folder.
pub(super) struct Written {
    folder: TempDir,
    /// Drained deliveries have numbers below `drained`, all deliveries below `deliveries`.
    drained: u128,
    pub(super) deliveries: u128,
}

impl Written {
    /// Writes groups, none of which is drained.
    pub(super) fn new(groups: &[Vec<usize>], cleanly: bool) -> Self {
        Self::leave(groups, 0, if cleanly { Left::Closed } else { Left::Cut })
    }

    /// Writes groups, of which the first `drained` are drained, and leaves the file in a state.
    pub(super) fn leave(groups: &[Vec<usize>], drained: usize, left: Left) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (deliveries, drained) = runtime.block_on(async {
            let path = folder.path().join("live");
            let mut file = InboxFile::open(&path).await.unwrap();
            let written = write(&mut file, groups, drained).await;
            let copy = |parts: &[&str]| {
                for part in parts {
                    let from = folder.path().join(format!("live{part}"));
                    std::fs::copy(from, folder.path().join(format!("file{part}"))).unwrap();
                }
            };
            if left == Left::Cut {
                copy(&["", "-wal"]);
            }
            opening::close(file, &path).await.unwrap();
            match left {
                Left::Noted => copy(&["", ".closed.json"]),
                Left::Closed => copy(&[""]),
                Left::Cut => {}
            }
            written
        });
        Self { folder, drained, deliveries }
    }

    /// Returns the path of the file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// Returns the path of its log.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("file-wal")
    }

    /// Returns the numbers of the recovered deliveries, and the outcome.
    fn scan(&self) -> (Vec<u128>, Outcome) {
        let mut image = Image::open(&self.file()).unwrap();
        let note = Note::read(&self.file());
        let (mut found, mut outcome) = (Vec::new(), Outcome::default());
        outcome.note = note;
        let scan = Scan::new(&mut image, note, |piece| {
            for one in outcome.add_piece(piece) {
                let number = one.id.0.as_u128();
                assert_eq!(one, arrival(number, one.body.len()), "no delivery is invented");
                found.push(number);
            }
            ControlFlow::Continue(())
        });
        outcome.findings = scan.run().unwrap();
        found.sort_unstable();
        found.dedup();
        (found, outcome)
    }

    /// Returns the number of undrained deliveries that are missing, and the reported loss.
    pub(super) fn missing(&self) -> (u64, Loss) {
        let (found, outcome) = self.scan();
        let there = found.iter().filter(|number| **number >= self.drained).count();
        let missing = u64::try_from(self.deliveries - self.drained).unwrap() - there as u64;
        (missing, outcome.loss())
    }

    /// Like [`Self::missing`]; asserts that the reported bounds are true.
    pub(super) fn checked_missing(&self, what: &str) -> (u64, Loss) {
        let (missing, loss) = self.missing();
        assert!(loss.at_least <= missing, "{what}: {missing} are missing, reported {loss:?}");
        let covers = loss.at_most.is_none_or(|most| missing <= most);
        assert!(covers, "{what}: {missing} are missing, reported {loss:?}");
        (missing, loss)
    }
}

/// Overwrites a part of a file with noise.
pub(super) fn overwrite(path: &Path, at: u64, length: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let mut state = 7_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect();
    file.write_all_at(&noise, at).unwrap();
}

/// Returns the number of whole pages of a file.
pub(super) fn pages(path: &Path) -> u64 {
    path.metadata().unwrap().len() / PAGE
}

/// Returns body lengths of small deliveries, some of several pages, and groups of many.
pub(super) fn mixed() -> Vec<Vec<usize>> {
    (0..400)
        .map(|n| match n % 10 {
            3 => vec![9_000 + n],
            7 => vec![300 + n; 40],
            _ => vec![150 + n],
        })
        .collect()
}
