//! What fuzzing found worth keeping, tried again at every build: the inputs of `fuzz/corpus`, and
//! every cut and every changed byte of each.

use std::path::Path;

#[expect(unreachable_pub, reason = "a crate of its own where it is fuzzed")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

/// Every input of a target, by name; then spoilt in ways that cost a fuzzer no thought.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "the corpus of {target} is not there");
    for (input, path) in inputs {
        let spoilt = (0..input.len()).flat_map(|at| {
            let mut changed = input.clone();
            changed[at] ^= 1 << (at % 8);
            [changed, input[..at].to_vec()]
        });
        for input in std::iter::once(input.clone()).chain(spoilt) {
            let tried = std::panic::catch_unwind(|| check(&input));
            assert!(tried.is_ok(), "{}: {}", path.display(), input.escape_ascii());
        }
    }
}

#[test]
fn the_corpus_of_decode_holds() {
    replay("decode", fuzz::decode::check);
}

#[test]
fn the_corpus_of_credentials_holds() {
    replay("credentials", fuzz::credentials::check);
}

#[test]
fn the_corpus_of_cursor_holds() {
    replay("cursor", fuzz::cursor::check);
}

#[test]
fn the_corpus_of_inbox_record_holds() {
    replay("inbox_record", fuzz::inbox_record::check);
}

#[test]
fn the_corpus_of_inbox_salvage_holds() {
    replay("inbox_salvage", fuzz::inbox_salvage::check);
}
