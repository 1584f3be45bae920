//! Recovery of files with every kind of damage.

mod written;

use std::fs::OpenOptions;

use proptest::prelude::*;

use super::log::Log;
use super::loss::Loss;
use super::set_aside;
use crate::inbox::file::InboxFile;
use written::{Left, PAGE, Written, mixed, overwrite, pages, write};

fn exactly(count: u64) -> Loss {
    Loss { at_least: count, at_most: Some(count) }
}

#[test]
fn intact_file_is_read_without_sqlite() {
    for cleanly in [true, false] {
        let written = Written::new(&mixed(), cleanly);
        assert!(!cleanly || pages(&written.file()) > 300, "the tree has several levels");
        assert_eq!(written.missing(), (0, Loss::NONE));
        assert_eq!(set_aside::damage(&written.file()).unwrap(), None);
    }
}

#[test]
fn lost_header_loses_no_delivery() {
    let written = Written::new(&mixed()[..150], true);
    overwrite(&written.file(), 0, 4096);
    assert_eq!(written.missing(), (0, Loss::NONE));
}

#[test]
fn lost_root_loses_no_delivery() {
    let written = Written::new(&mixed(), true);
    overwrite(&written.file(), PAGE, 4096);
    let (missing, loss) = written.checked_missing("the root");
    assert_eq!((missing, loss.at_least), (0, 0));
    assert!(loss.perhaps_more(), "there might have been more");
}

#[test]
fn damaged_page_loses_only_its_deliveries() {
    let written = Written::new(&mixed(), true);
    let whole = std::fs::read(written.file()).unwrap();
    let mut known = 0;
    let pages = pages(&written.file());
    for page in (1..pages).step_by(9) {
        std::fs::write(written.file(), &whole).unwrap();
        overwrite(&written.file(), page * PAGE, 4096);
        let (missing, loss) = written.checked_missing(&format!("page {page}"));
        // The smallest record takes 190 bytes.
        assert!(missing <= 4096 / 190, "page {page} costs {missing}");
        known += u64::from(loss.at_most.is_some_and(|most| most - loss.at_least <= 40));
    }
    assert!(known > pages / 9 * 9 / 10, "the bounds are nearly always at most a group apart");
}

#[test]
fn truncated_file_yields_its_rest() {
    let written = Written::new(&mixed(), true);
    let length = written.file().metadata().unwrap().len();
    let mut before = 0;
    for cut in [length - 100, length - 5 * PAGE, length / 2 + 77, 3 * PAGE, 10, 0] {
        OpenOptions::new().write(true).open(written.file()).unwrap().set_len(cut).unwrap();
        let (missing, _) = written.checked_missing(&format!("cut at {cut}"));
        assert!(missing >= before, "{cut}");
        before = missing;
        if cut > length / 2 {
            assert!(u128::from(missing) < written.deliveries * 6 / 10, "{cut}: {missing}");
        }
    }
    assert_eq!(u128::from(before), written.deliveries);
}

/// Returns groups as in an outage of Postgres: thousands of deliveries, a few in each commit, and
/// the number of groups that were drained before.
fn outage() -> (Vec<Vec<usize>>, usize) {
    let groups = (0..900).map(|n| (0..=n % 7).map(|k| 300 + (n * 37 + k * 211) % 1_700).collect());
    (groups.collect(), 250)
}

/// Returns lengths to cut a file of `length` bytes to, from 0 to almost all.
fn cuts(length: u64) -> impl Iterator<Item = u64> {
    [0, PAGE + 1, 2 * PAGE, 9 * PAGE]
        .into_iter()
        .chain((1..12).map(move |n| length * n / 12 + n))
        .chain([length - 5 * PAGE, length - 1])
}

#[test]
fn loss_of_a_closed_file_that_is_cut_is_known() {
    let (groups, drained) = outage();
    let written = Written::leave(&groups, drained, Left::Noted);
    let whole = std::fs::read(written.file()).unwrap();
    assert_eq!(written.missing(), (0, Loss::NONE));
    let mut exact = 0;
    for cut in cuts(whole.len() as u64) {
        std::fs::write(written.file(), &whole[..usize::try_from(cut).unwrap()]).unwrap();
        let (missing, loss) = written.checked_missing(&format!("cut at {cut}"));
        // Except for records found outside of the table, which may have been drained.
        let unsure = loss.at_most.map(|most| most - loss.at_least);
        assert!(unsure.is_some_and(|unsure| unsure <= 40), "cut at {cut}: {missing}, {loss:?}");
        exact += usize::from(loss == exactly(missing));
        // The same without the list of free pages.
        if cut > PAGE {
            overwrite(&written.file(), 0, 4096);
            let (_, loss) = written.checked_missing(&format!("no header, and cut at {cut}"));
            assert!(loss.at_most.is_some(), "cut at {cut}: {loss:?}");
        }
    }
    assert!(exact >= 10, "{exact} of {} are exact", cuts(1 << 20).count());
}

#[test]
fn loss_of_a_cut_file_without_a_note_has_bounds() {
    let (groups, drained) = outage();
    let written = Written::leave(&groups, drained, Left::Closed);
    let whole = std::fs::read(written.file()).unwrap();
    for cut in cuts(whole.len() as u64) {
        std::fs::write(written.file(), &whole[..usize::try_from(cut).unwrap()]).unwrap();
        let (missing, loss) = written.checked_missing(&format!("cut at {cut}"));
        // The header has the number of pages.
        assert!(loss.at_most.is_some() || cut < 32, "cut at {cut}: {missing}, {loss:?}");
    }
}

#[test]
fn loss_of_a_cut_file_with_its_log_is_exact() {
    let (groups, drained) = outage();
    let written = Written::leave(&groups, drained, Left::Cut);
    let whole = std::fs::read(written.file()).unwrap();
    for cut in [0, whole.len() / 3, whole.len() / 2] {
        std::fs::write(written.file(), &whole[..cut]).unwrap();
        let (missing, loss) = written.checked_missing(&format!("cut at {cut}"));
        assert_eq!(loss, exactly(missing), "cut at {cut} of {}", whole.len());
    }
}

#[test]
fn note_of_another_file_is_ignored() {
    let (groups, drained) = outage();
    let written = Written::leave(&groups, drained, Left::Noted);
    let length = written.file().metadata().unwrap().len();
    OpenOptions::new().write(true).open(written.file()).unwrap().set_len(length / 2).unwrap();
    for note in [
        "",
        "{}",
        r#"{"deliveries":3,"first":1,"last":3}"#,
        r#"{"deliveries":9,"first":1,"last":3}"#,
        r#"{"deliveries":1,"first":9223372036854775807,"last":-9223372036854775808}"#,
    ] {
        std::fs::write(set_aside::note_of(&written.file()), note).unwrap();
        let (missing, loss) = written.checked_missing(note);
        assert!(loss.perhaps_more() && loss.at_least < missing, "{note}: {missing}, {loss:?}");
    }
}

#[test]
fn number_out_of_order_reports_no_loss() {
    let written = Written::new(&mixed(), true);
    let mut bytes = std::fs::read(written.file()).unwrap();
    // Offset of the number in a leaf's first row, after its length; both have two bytes.
    let number = (2..bytes.len() / 4096)
        .map(|page| page * 4096)
        .filter(|page| bytes[*page] == 0x0d)
        .map(|page| page + usize::from(u16::from_be_bytes([bytes[page + 8], bytes[page + 9]])))
        .find(|cell| bytes[*cell] & 0x80 != 0 && bytes[cell + 2] & 0xc0 == 0x80)
        .unwrap()
        + 2;
    // 8,192 more.
    bytes[number] |= 0x40;
    std::fs::write(written.file(), &bytes).unwrap();
    assert_eq!(written.checked_missing("a number").0, 0);
}

#[test]
fn damaged_log_is_detected_and_read_beyond_the_damage() {
    let written = Written::new(&mixed()[..150], false);
    let whole = std::fs::read(written.log()).unwrap();
    let frame = 24 + PAGE;
    let frames = (whole.len() as u64 - 32) / frame;
    assert!(frames > 200, "{frames}");
    for n in (0..frames - 4).step_by(61) {
        for (at, length) in [(24 + 100, 200), (0, 24), (0, 2 * 4120)] {
            std::fs::write(written.log(), &whole).unwrap();
            overwrite(&written.log(), 32 + n * frame + at, length);
            let damage = set_aside::damage(&written.file()).unwrap();
            assert_eq!(damage.as_deref(), Some("its log is damaged"), "frame {n}");
            let (missing, _) = written.checked_missing(&format!("frame {n}"));
            assert!(missing <= 2 * 4096 / 190, "frame {n} costs {missing}");
        }
    }
}

#[test]
fn log_without_its_header_is_read() {
    let written = Written::new(&mixed(), false);
    overwrite(&written.log(), 0, 32);
    assert_eq!(set_aside::damage(&written.file()).unwrap().as_deref(), Some("its log is damaged"));
    assert_eq!(written.missing().0, 0);
}

#[test]
fn log_without_its_file_is_read() {
    let written = Written::new(&mixed(), false);
    std::fs::write(written.file(), b"").unwrap();
    let damage = set_aside::damage(&written.file()).unwrap();
    assert_eq!(damage.as_deref(), Some("it is empty, but its log exists"));
    // No checkpoint had moved pages to the file yet.
    assert_eq!(written.missing().0, 0);
    std::fs::remove_file(written.file()).unwrap();
    let damage = set_aside::damage(&written.file()).unwrap();
    assert_eq!(damage.as_deref(), Some("it is missing, but its log exists"));
}

#[test]
fn log_cut_by_a_crash_is_not_damaged() {
    let written = Written::new(&mixed(), false);
    let whole = std::fs::read(written.log()).unwrap();
    for cut in (whole.len() - 30_000..whole.len()).step_by(1_009).chain([0, 10, 32, 100]) {
        std::fs::write(written.log(), &whole[..cut]).unwrap();
        assert_eq!(set_aside::damage(&written.file()).unwrap(), None, "{cut}");
    }
}

#[tokio::test]
async fn log_that_has_restarted_is_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = InboxFile::open(&path).await.unwrap();
    // More than 32 MiB (8,192 pages), after which the log is written back and restarted.
    let large = vec![vec![1 << 20]; 40];
    write(&mut file, &large, 0).await;
    let log = Log::read(std::fs::File::open(set_aside::log_of(&path)).unwrap()).unwrap();
    assert!(log.is_some_and(|log| !log.is_damaged()));
    assert_eq!(set_aside::damage(&path).unwrap(), None);
    file.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn recovery_survives_any_damage(
        spots in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..40_000), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        cleanly in any::<bool>(),
    ) {
        let written = Written::new(&mixed()[..120], cleanly);
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
        let (missing, loss) = written.missing();
        prop_assert!(u128::from(missing) <= written.deliveries);
        prop_assert!(loss.at_least <= missing, "{missing}, reported {loss:?}");
        // A log that is cut cannot be distinguished from one that ended there.
        let covers = !cleanly || loss.at_most.is_none_or(|most| missing <= most);
        prop_assert!(covers, "{missing}, reported {loss:?}");
    }
}
