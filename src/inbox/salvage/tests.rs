//! Files that are damaged in every way that a disk can think of.

use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::image::Image;
use super::log::Log;
use super::scan::{Findings, Scan};
use super::{aside, decode_group};
use crate::domain::{Arrival, DeliveryId, Evidence, SourceName};
use crate::inbox::file::{InboxFile, PAGE_BYTES};
use crate::inbox::group::GroupInfo;
use crate::inbox::record::encode_group;

const PAGE: u64 = PAGE_BYTES as u64;

fn arrival(number: u128, length: usize) -> Arrival {
    // Bodies that differ in every stretch, as compressed speech does.
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

/// Groups of so many deliveries each, as the writer writes them.
async fn write(file: &mut InboxFile, groups: &[Vec<usize>]) -> u128 {
    let mut seq = 0;
    for lengths in groups {
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
        file.commit(Some((&info, payload)), &[]).await.unwrap();
    }
    u128::try_from(seq).unwrap()
}

/// An inbox in a folder of its own, closed tidily, or as a power cut leaves it: file and log.
struct Written {
    folder: TempDir,
    deliveries: u128,
}

impl Written {
    fn new(groups: &[Vec<usize>], tidily: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deliveries = runtime.block_on(async {
            let path = folder.path().join("live");
            let mut file = InboxFile::open(&path).await.unwrap();
            let deliveries = write(&mut file, groups).await;
            if tidily {
                file.close().await.unwrap();
                std::fs::rename(&path, folder.path().join("file")).unwrap();
            } else {
                for part in ["", "-wal"] {
                    let from = folder.path().join(format!("live{part}"));
                    std::fs::copy(from, folder.path().join(format!("file{part}"))).unwrap();
                }
                file.close().await.unwrap();
            }
            deliveries
        });
        Self { folder, deliveries }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("file-wal")
    }

    /// The numbers that are found, and what else is.
    fn scan(&self) -> (Vec<u128>, Findings) {
        let mut image = Image::open(&self.file()).unwrap();
        let mut found = Vec::new();
        let scan = Scan::new(&mut image, |piece| {
            let (arrivals, _) = decode_group(piece.bytes);
            for one in arrivals {
                let number = one.id.0.as_u128();
                assert_eq!(one, arrival(number, one.body.len()), "nothing is made up");
                found.push(number);
            }
            ControlFlow::Continue(())
        });
        let findings = scan.run().unwrap();
        found.sort_unstable();
        found.dedup();
        (found, findings)
    }

    /// Everything is found that was not touched; says how much is missing, and how much is said to
    /// be.
    fn missing(&self) -> (u128, u128, bool) {
        let (found, findings) = self.scan();
        let count = found.len() as u128;
        let missing = self.deliveries - count;
        (missing, u128::from(findings.held()).saturating_sub(count), findings.open_ended)
    }
}

fn overwrite(path: &Path, at: u64, length: usize) {
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

fn pages(path: &Path) -> u64 {
    path.metadata().unwrap().len() / PAGE
}

/// Small ones, some of several pages, and groups of many.
fn mixed() -> Vec<Vec<usize>> {
    (0..400)
        .map(|n| match n % 10 {
            3 => vec![9_000 + n],
            7 => vec![300 + n; 40],
            _ => vec![150 + n],
        })
        .collect()
}

#[test]
fn a_whole_file_is_read_without_sqlite() {
    for tidily in [true, false] {
        let written = Written::new(&mixed(), tidily);
        assert!(!tidily || pages(&written.file()) > 300, "a tree of several levels");
        assert_eq!(written.missing(), (0, 0, false));
        assert_eq!(aside::damage(&written.file()).unwrap(), None);
    }
}

#[test]
fn a_lost_header_costs_nothing() {
    let written = Written::new(&mixed()[..150], true);
    overwrite(&written.file(), 0, 4096);
    assert_eq!(written.missing(), (0, 0, false));
}

#[test]
fn a_lost_root_costs_nothing() {
    let written = Written::new(&mixed(), true);
    overwrite(&written.file(), PAGE, 4096);
    let (missing, lost, open_ended) = written.missing();
    assert_eq!((missing, lost), (0, 0));
    assert!(open_ended, "there might have been more");
}

#[test]
fn every_page_costs_what_lay_in_it() {
    let written = Written::new(&mixed(), true);
    let whole = std::fs::read(written.file()).unwrap();
    let mut exact = 0;
    let pages = pages(&written.file());
    for page in (1..pages).step_by(9) {
        std::fs::write(written.file(), &whole).unwrap();
        overwrite(&written.file(), page * PAGE, 4096);
        let (missing, lost, open_ended) = written.missing();
        // The smallest record takes 190 bytes.
        assert!(missing <= 4096 / 190, "page {page} costs {missing}");
        assert!(lost == missing || open_ended && lost < missing, "page {page}: {lost}, {missing}");
        exact += u64::from(!open_ended);
    }
    assert!(exact > pages / 9 * 9 / 10, "nearly always it is known what is lost");
}

#[test]
fn a_truncated_file_gives_all_that_is_left() {
    let written = Written::new(&mixed(), true);
    let length = written.file().metadata().unwrap().len();
    let mut before = 0;
    for cut in [length - 100, length - 5 * PAGE, length / 2 + 77, 3 * PAGE, 10, 0] {
        OpenOptions::new().write(true).open(written.file()).unwrap().set_len(cut).unwrap();
        let (missing, lost, open_ended) = written.missing();
        assert!(missing >= before, "{cut}");
        assert!(lost == missing || open_ended && lost < missing, "{cut}: {lost}, {missing}");
        before = missing;
        if cut > length / 2 {
            assert!(missing < written.deliveries * 6 / 10, "{cut}: {missing}");
        }
    }
    assert_eq!(before, written.deliveries);
}

#[test]
fn a_damaged_log_is_noticed_and_read_beyond_the_damage() {
    let written = Written::new(&mixed()[..150], false);
    let whole = std::fs::read(written.log()).unwrap();
    let frame = 24 + PAGE;
    let frames = (whole.len() as u64 - 32) / frame;
    assert!(frames > 200, "{frames}");
    for n in (0..frames - 4).step_by(61) {
        for (at, length) in [(24 + 100, 200), (0, 24), (0, 2 * 4120)] {
            std::fs::write(written.log(), &whole).unwrap();
            overwrite(&written.log(), 32 + n * frame + at, length);
            let damage = aside::damage(&written.file()).unwrap();
            assert_eq!(damage.as_deref(), Some("its log is damaged"), "frame {n}");
            let (missing, lost, open_ended) = written.missing();
            assert!(missing <= 2 * 4096 / 190, "frame {n} costs {missing}");
            assert!(lost == missing || open_ended, "frame {n}: {lost}, {missing}");
        }
    }
}

#[test]
fn a_log_without_its_header_is_read() {
    let written = Written::new(&mixed(), false);
    overwrite(&written.log(), 0, 32);
    assert_eq!(aside::damage(&written.file()).unwrap().as_deref(), Some("its log is damaged"));
    assert_eq!(written.missing().0, 0);
}

#[test]
fn a_log_whose_file_is_gone_is_read() {
    let written = Written::new(&mixed(), false);
    std::fs::write(written.file(), b"").unwrap();
    let damage = aside::damage(&written.file()).unwrap();
    assert_eq!(damage.as_deref(), Some("it is empty, and its log is there"));
    // What a checkpoint had written back by then is gone with the file.
    let (missing, ..) = written.missing();
    assert_eq!(missing, 0);
    std::fs::remove_file(written.file()).unwrap();
    let damage = aside::damage(&written.file()).unwrap();
    assert_eq!(damage.as_deref(), Some("it is gone, and its log is there"));
}

#[test]
fn the_end_of_a_log_that_a_crash_cut_is_no_damage() {
    let written = Written::new(&mixed(), false);
    let whole = std::fs::read(written.log()).unwrap();
    for cut in (whole.len() - 30_000..whole.len()).step_by(1_009).chain([0, 10, 32, 100]) {
        std::fs::write(written.log(), &whole[..cut]).unwrap();
        assert_eq!(aside::damage(&written.file()).unwrap(), None, "{cut}");
    }
}

#[tokio::test]
async fn a_log_that_has_begun_again_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = InboxFile::open(&path).await.unwrap();
    // Once round: a log is written back every 8,192 pages, which are 32 MiB.
    let large = vec![vec![1 << 20]; 40];
    write(&mut file, &large).await;
    let log = Log::read(std::fs::File::open(aside::log_of(&path)).unwrap()).unwrap();
    assert!(log.is_some_and(|log| !log.is_damaged()));
    assert_eq!(aside::damage(&path).unwrap(), None);
    file.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_damage_is_survived(
        spots in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..40_000), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        tidily in any::<bool>(),
    ) {
        let written = Written::new(&mixed()[..120], tidily);
        for path in [written.file(), written.log()] {
            let Ok(found) = path.metadata() else { continue };
            let length = usize::try_from(found.len()).unwrap();
            for (at, noise) in &spots {
                overwrite(&path, at.index(length) as u64, *noise);
            }
            if let Some(cut) = cut {
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(cut.index(length) as u64).unwrap();
            }
        }
        let (missing, lost, open_ended) = written.missing();
        prop_assert!(missing <= written.deliveries);
        prop_assert!(lost <= missing || open_ended, "{} of {}", lost, missing);
    }
}
