//! Whatever lies in the inbox's file is read without a panic; what is whole comes back as it was,
//! and damage is noticed and costs what it touches.
//!
//! The input is a byte that says how the rest is tried: as a group's bytes; as records, each
//! under a length and a checksum that fit, which a fuzzer does not find by itself; or as such
//! records of which one byte is then another.

use bytes::Bytes;
use verbatim::domain::Arrival;
use verbatim::inbox::{decode_group, encode_group};

/// A length and then a checksum stand before each record.
const LENGTH_BYTES: usize = 4;

/// Reads the input.
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

/// Reads a group, and writes what was read: that reads the same, and is whole.
fn readable(group: &[u8]) -> Vec<Arrival> {
    let (arrivals, damage) = decode_group(Bytes::copy_from_slice(group));
    let again = encode_group(&arrivals);
    let lost = damage.map_or(0, |damage| damage.bytes);
    assert_eq!(again.len() + lost, group.len(), "bytes are neither read nor called damaged");
    let (back, damage) = decode_group(again.into());
    assert_eq!(back, arrivals, "what was written reads differently");
    assert_eq!(damage, None);
    arrivals
}

/// Cuts the input into records, each begun by its length in one byte, and puts the headers before
/// them.
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

/// One byte of one record is another: that record is lost, and no record before it is; nor is one
/// after it, unless it was the length that said where that begins.
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
    assert!(damage.is_some(), "the damage was not noticed");
    assert!(found.starts_with(&before), "a record before the damage is lost");
    if at >= LENGTH_BYTES {
        assert!(found.ends_with(&after), "a record after the damage is lost");
    }
}
