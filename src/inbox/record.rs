//! A group of deliveries as bytes: each one with its length and checksum, so that damage costs the
//! deliveries that it touches and no other.

use bytes::{Buf as _, BufMut as _, Bytes};
use chrono::DateTime;
use uuid::Uuid;

use crate::domain::{Arrival, DeliveryId, EventId, Evidence, SourceName};

/// The layout of a record. A later one gets another number, and this one stays readable: an
/// upgrade finds what the version before it left.
const LAYOUT: u8 = 1;
/// The same with the id of the event before the body, which does not tell it: it was redacted.
/// Records that need it not are written without, so that a step back can read them.
const LAYOUT_WITH_EVENT_ID: u8 = 2;

const SIGNED: u8 = 1;
const STALE: u8 = 2;
const TEST: u8 = 4;
const HAS_DELIVERY_ID: u8 = 8;

/// A record's length and checksum, 4 bytes each, little-endian, stand before it.
const HEADER_BYTES: usize = 8;

/// What a record holds beside texts and body: layout, id, time, flags, two lengths of texts.
const FIXED_BYTES: usize = 1 + 16 + 8 + 1 + 2 + 2;

/// What a record takes at the least, with its length and checksum.
pub(super) const SMALLEST_RECORD: usize = HEADER_BYTES + FIXED_BYTES - 2;

/// Part of a group that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of the group are damaged")]
pub struct Damaged {
    /// How many bytes were passed over.
    pub bytes: usize,
}

/// Puts a group into bytes.
#[must_use]
pub fn encode_group<'a>(arrivals: impl IntoIterator<Item = &'a Arrival> + Clone) -> Vec<u8> {
    // Room for all of it at once: growing would touch fresh memory several times a group.
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

/// What a record takes, or a little more.
fn room_for(arrival: &Arrival) -> usize {
    let id = arrival.evidence.sender_delivery_id.as_deref().map_or(0, str::len);
    let event_id = arrival.evidence.event_id.map_or(0, |_| size_of::<Uuid>());
    HEADER_BYTES + FIXED_BYTES + event_id + arrival.source.as_str().len() + id + arrival.body.len()
}

/// Reads a group back: every delivery that is whole, and how much is not.
///
/// Behind damage it looks for the next record byte by byte, so that damage costs what it touches
/// wherever it hits, and a piece that begins in the middle of a record gives all after that. What
/// looks like a record has its checksum; only an authentic sender could put one into a body.
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

/// The record that begins there, and where the next one does; `None` where none does.
fn record_at(group: &Bytes, at: usize) -> Option<(Arrival, usize)> {
    let mut header = group.get(at..at + HEADER_BYTES)?;
    let (length, checksum) = (header.get_u32_le() as usize, header.get_u32_le());
    let start = at + HEADER_BYTES;
    let record = group.get(start..start.checked_add(length)?)?;
    // The cheap test first: behind damage this is asked at every byte.
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

/// Both texts are bounded far below 64 KiB at the door.
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
        let one = one.prop_map(|(id, micros, source, sender_delivery_id, told, event_id, body)| {
            let [signed, stale, test] = told;
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
        fn a_group_comes_back_as_it_was(group in arrivals()) {
            let (back, damaged) = decode_group(encode_group(&group).into());
            prop_assert_eq!(back, group);
            prop_assert_eq!(damaged, None);
        }

        #[test]
        fn damage_is_noticed_and_costs_what_it_touches(
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
        fn a_group_that_has_lost_its_beginning_gives_the_rest(
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
        fn noise_is_never_a_delivery(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let length = noise.len();
            let (back, damaged) = decode_group(noise.into());
            prop_assert!(back.is_empty());
            prop_assert_eq!(damaged.map_or(0, |damaged| damaged.bytes), length);
        }
    }
}
