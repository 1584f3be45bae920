//! Arbitrary bytes in the inbox's file are read without a panic. Intact records are read unchanged,
//! and damage is detected and costs only what it affects.
//!
//! The input is a byte that selects the use of the rest: the bytes of a group; records, each with a
//! valid length and checksum, which a fuzzer cannot find; or such records with one byte changed.

use bytes::Bytes;
use verbatim::domain::Arrival;
use verbatim::inbox::{decode_group, encode_group};

/// Each record is preceded by its length and its checksum.
const LENGTH_BYTES: usize = 4;

/// Checks the input.
pub fn check(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    match how % 3 {
        0 => {
            readable(rest);
        }
        1 => {
            readable(&frame(rest).concat());
        }
        _ => damaged(rest),
    }
}

/// Reads a group and writes it again. What was written must be read unchanged.
fn readable(group: &[u8]) -> Vec<Arrival> {
    let (arrivals, damage) = decode_group(Bytes::copy_from_slice(group));
    let again = encode_group(&arrivals);
    let lost = damage.map_or(0, |damage| damage.bytes);
    assert_eq!(again.len() + lost, group.len(), "bytes are neither read nor reported as damaged");
    let (back, damage) = decode_group(again.into());
    assert_eq!(back, arrivals, "a written group is read differently");
    assert_eq!(damage, None);
    arrivals
}

/// Cuts the input into records, each with its length in the first byte, and adds the headers.
fn frame(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (record, after) = after.split_at(usize::from(*length).min(after.len()));
        let length = u32::try_from(record.len()).unwrap().to_le_bytes();
        let checksum = crc32fast::hash(record).to_le_bytes();
        records.push([&length, &checksum, record].concat());
        rest = after;
    }
    records
}

/// Changes one byte of one record. That record is lost. Those before it are not, and those after it
/// only if the changed byte is in the length, which gives their position.
fn damaged(rest: &[u8]) {
    let Some(([record, at, flip], rest)) = rest.split_first_chunk::<3>() else { return };
    let mut records = frame(rest);
    if records.is_empty() || *flip == 0 {
        return;
    }
    let record = usize::from(*record) % records.len();
    let at = usize::from(*at) % records[record].len();
    let before = readable(&records[..record].concat());
    let after = readable(&records[record + 1..].concat());
    records[record][at] ^= flip;
    let (found, damage) = decode_group(records.concat().into());
    assert!(damage.is_some(), "the damage was not detected");
    assert!(found.starts_with(&before), "a record before the damage is lost");
    if at >= LENGTH_BYTES {
        assert!(found.ends_with(&after), "a record after the damage is lost");
    }
}
