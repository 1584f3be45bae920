//! Replay of the fuzz corpus: every input of `fuzz/corpus`, each prefix of it, and each input with
//! one changed byte.

use std::path::Path;

#[expect(unreachable_pub, reason = "a separate crate when it is fuzzed")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

/// Runs `check` on every input of a target, on each prefix, and with one bit of each byte flipped.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "the corpus of {target} is missing");
    for (input, path) in inputs {
        let damaged = (0..input.len()).flat_map(|at| {
            let mut changed = input.clone();
            changed[at] ^= 1 << (at % 8);
            [changed, input[..at].to_vec()]
        });
        for input in std::iter::once(input.clone()).chain(damaged) {
            let outcome = std::panic::catch_unwind(|| check(&input));
            assert!(outcome.is_ok(), "{}: {}", path.display(), input.escape_ascii());
        }
    }
}

#[test]
fn corpus_of_decode_passes() {
    replay("decode", fuzz::decode::check);
}

#[test]
fn corpus_of_credentials_passes() {
    replay("credentials", fuzz::credentials::check);
}

#[test]
fn corpus_of_cursor_passes() {
    replay("cursor", fuzz::cursor::check);
}

#[test]
fn corpus_of_inbox_record_passes() {
    replay("inbox_record", fuzz::inbox_record::check);
}

#[test]
fn corpus_of_inbox_salvage_passes() {
    replay("inbox_salvage", fuzz::inbox_salvage::check);
}
