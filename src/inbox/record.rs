//! Encoding of a group: a record for each delivery, with length and checksum, so that damage loses
//! only the deliveries that it touches.

use bytes::{Buf as _, BufMut as _, Bytes};
use chrono::DateTime;
use uuid::Uuid;

use crate::domain::{Arrival, DeliveryId, EventId, Evidence, SourceName};

/// Layout of a record. A later layout gets another number. Every layout stays readable, since an
/// upgrade finds the records of the earlier version.
const LAYOUT: u8 = 1;
/// Layout with the event's ID before the body, for redacted bodies, from which the ID cannot be
/// computed. Other records use [`LAYOUT`], so an earlier version can read them after a downgrade.
const LAYOUT_WITH_EVENT_ID: u8 = 2;

const SIGNED: u8 = 1;
const STALE: u8 = 2;
const TEST: u8 = 4;
const HAS_DELIVERY_ID: u8 = 8;

/// Length and checksum before each record, 4 bytes each, little-endian.
const HEADER_BYTES: usize = 8;

/// Bytes of a record without texts and body: layout, ID, time, flags, two lengths of texts.
const FIXED_BYTES: usize = 1 + 16 + 8 + 1 + 2 + 2;

/// Bytes of the smallest record, with its length and checksum.
pub(super) const SMALLEST_RECORD: usize = HEADER_BYTES + FIXED_BYTES - 2;

/// Damaged part of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of the group are damaged")]
pub struct Damaged {
    /// Bytes that were skipped.
    pub bytes: usize,
}

/// Encodes a group.
#[must_use]
pub fn encode_group<'a>(arrivals: impl IntoIterator<Item = &'a Arrival> + Clone) -> Vec<u8> {
    // One allocation: growth would touch fresh memory several times for each group.
    let mut group = Vec::with_capacity(arrivals.clone().into_iter().map(room_for).sum());
    for arrival in arrivals {
        let start = group.len();
        group.put_bytes(0, HEADER_BYTES);
        encode(arrival, &mut group);
        let record = &group[start + HEADER_BYTES..];
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes();
        let checksum = crc32fast::hash(record).to_le_bytes();
        group[start..start + 4].copy_from_slice(&length);
        group[start + 4..start + HEADER_BYTES].copy_from_slice(&checksum);
    }
    group
}

/// Returns an upper bound of a record's bytes, at most 2 bytes too high.
fn room_for(arrival: &Arrival) -> usize {
    let id = arrival.evidence.sender_delivery_id.as_deref().map_or(0, str::len);
    let event_id = arrival.evidence.event_id.map_or(0, |_| size_of::<Uuid>());
    HEADER_BYTES + FIXED_BYTES + event_id + arrival.source.as_str().len() + id + arrival.body.len()
}

/// Decodes a group: returns every intact delivery, and the size of the damage.
///
/// After damage, searches for the next record byte by byte. So damage anywhere loses only the
/// records that it touches, and a piece that begins in the middle of a record yields all later
/// ones. Every accepted record has a valid checksum; only an authentic sender could embed one in a
/// body.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the bodies are parts of it, and keep it alive")]
pub fn decode_group(group: Bytes) -> (Vec<Arrival>, Option<Damaged>) {
    let mut arrivals = Vec::new();
    let (mut at, mut damaged) = (0, 0);
    while at < group.len() {
        match record_at(&group, at) {
            Some((arrival, next)) => {
                arrivals.push(arrival);
                at = next;
            }
            None => {
                damaged += 1;
                at += 1;
            }
        }
    }
    (arrivals, (damaged > 0).then_some(Damaged { bytes: damaged }))
}

/// Returns the record at offset `at`, and the offset after it; `None` without a valid record.
fn record_at(group: &Bytes, at: usize) -> Option<(Arrival, usize)> {
    let mut header = group.get(at..at + HEADER_BYTES)?;
    let (length, checksum) = (header.get_u32_le() as usize, header.get_u32_le());
    let start = at + HEADER_BYTES;
    let record = group.get(start..start.checked_add(length)?)?;
    // The cheap test first: after damage this runs for every byte.
    if !is_layout(*record.first()?) || crc32fast::hash(record) != checksum {
        return None;
    }
    let end = start + length;
    Some((decode(group.slice(start..end))?, end))
}

fn is_layout(layout: u8) -> bool {
    [LAYOUT, LAYOUT_WITH_EVENT_ID].contains(&layout)
}

fn encode(arrival: &Arrival, out: &mut Vec<u8>) {
    let Evidence { sender_delivery_id, signed, stale, test, event_id } = &arrival.evidence;
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_u8(if event_id.is_some() { LAYOUT_WITH_EVENT_ID } else { LAYOUT });
    out.put_slice(arrival.id.0.as_bytes());
    out.put_i64_le(arrival.received_at.timestamp_micros());
    out.put_u8(
        flag(*signed, SIGNED)
            | flag(*stale, STALE)
            | flag(*test, TEST)
            | flag(sender_delivery_id.is_some(), HAS_DELIVERY_ID),
    );
    put_text(out, arrival.source.as_str());
    if let Some(id) = sender_delivery_id {
        put_text(out, id);
    }
    if let Some(EventId(id)) = event_id {
        out.put_slice(id.as_bytes());
    }
    out.put_slice(&arrival.body);
}

/// Writes a text with its length. The webhook limits both texts to far below 64 KiB.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn decode(mut record: Bytes) -> Option<Arrival> {
    let layout = record.try_get_u8().ok()?;
    if !is_layout(layout) {
        return None;
    }
    let id = Uuid::from_u128(record.try_get_u128().ok()?);
    let received_at = DateTime::from_timestamp_micros(record.try_get_i64_le().ok()?)?;
    let flags = record.try_get_u8().ok()?;
    let source = SourceName::parse(&get_text(&mut record)?).ok()?;
    let sender_delivery_id = match flags & HAS_DELIVERY_ID {
        0 => None,
        _ => Some(get_text(&mut record)?),
    };
    let event_id = match layout {
        LAYOUT => None,
        _ => Some(EventId(Uuid::from_u128(record.try_get_u128().ok()?))),
    };
    Some(Arrival {
        id: DeliveryId(id),
        received_at,
        source,
        evidence: Evidence {
            sender_delivery_id,
            signed: flags & SIGNED != 0,
            stale: flags & STALE != 0,
            test: flags & TEST != 0,
            event_id,
        },
        body: record,
    })
}

fn get_text(record: &mut Bytes) -> Option<String> {
    let length = usize::from(record.try_get_u16_le().ok()?);
    if length > record.len() {
        return None;
    }
    String::from_utf8(record.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
        let one = (
            any::<u128>(),
            0_i64..4_000_000_000_000_000,
            "[a-z0-9_-]{1,64}",
            proptest::option::of("\\PC{1,40}"),
            any::<[bool; 3]>(),
            proptest::option::of(any::<u128>()),
            prop::collection::vec(any::<u8>(), 0..200),
        );
        let one =
            one.prop_map(|(id, micros, source, sender_delivery_id, flags, event_id, body)| {
                let [signed, stale, test] = flags;
                let event_id = event_id.map(|id| EventId(Uuid::from_u128(id)));
                Arrival {
                    id: DeliveryId(Uuid::from_u128(id)),
                    received_at: DateTime::from_timestamp_micros(micros).unwrap(),
                    source: SourceName::parse(&source).unwrap(),
                    evidence: Evidence { sender_delivery_id, signed, stale, test, event_id },
                    body: body.into(),
                }
            });
        prop::collection::vec(one, 1..8)
    }

    proptest! {
        #[test]
        fn group_survives_encoding_and_decoding(group in arrivals()) {
            let (back, damaged) = decode_group(encode_group(&group).into());
            prop_assert_eq!(back, group);
            prop_assert_eq!(damaged, None);
        }

        #[test]
        fn damage_is_detected_and_loses_one_delivery(
            group in arrivals(), at in any::<prop::sample::Index>(), flip in 1_u8..=255,
        ) {
            let mut bytes = encode_group(&group);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let (back, damaged) = decode_group(bytes.into());
            prop_assert!(damaged.is_some());
            prop_assert_eq!(back.len(), group.len() - 1);
            prop_assert!(back.iter().all(|arrival| group.contains(arrival)));
        }

        #[test]
        fn group_without_its_beginning_yields_the_rest(
            group in arrivals(), at in any::<prop::sample::Index>(),
        ) {
            let bytes = encode_group(&group);
            let at = at.index(bytes.len());
            let whole_before = {
                let (back, _) = decode_group(Bytes::copy_from_slice(&bytes[..at]));
                back.len() + usize::from(encode_group(&group[..back.len()]).len() < at)
            };
            let (back, _) = decode_group(Bytes::copy_from_slice(&bytes[at..]));
            prop_assert_eq!(&back[..], &group[whole_before..]);
        }

        #[test]
        fn noise_is_not_a_delivery(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let length = noise.len();
            let (back, damaged) = decode_group(noise.into());
            prop_assert!(back.is_empty());
            prop_assert_eq!(damaged.map_or(0, |damaged| damaged.bytes), length);
        }
    }
}
