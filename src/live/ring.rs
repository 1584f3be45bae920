//! Ring of the latest events, shared by all listeners: bounded in count and bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::store::Position;
use crate::store::changes::{Change, ChangeFilter};
use crate::store::journal::Place;

/// Limit of events in the ring. At a thousand events a second a listener may be 16 s behind,
/// besides what the network's buffers hold.
const MAX_EVENTS: usize = 16_384;
/// Limit of bytes in the ring; a single event may exceed it.
const MAX_BYTES: usize = 16 << 20;

/// Rendered event.
#[derive(Debug)]
pub struct Event {
    /// Position after the event.
    pub position: Position<Place>,
    /// Text that listeners receive.
    pub text: Bytes,
    agent_id: String,
    /// Our session id, the sender's and the source, if the event is about a session.
    session: Option<(Uuid, String, String)>,
}

impl Event {
    pub(super) fn new(position: Position<Place>, change: Change, text: Bytes) -> Self {
        let (agent_id, session) = match change {
            Change::Session(row) | Change::Message(row, _) => {
                let session = (row.id, row.session_id.clone(), row.source.clone());
                (row.agent_id.clone(), Some(session))
            }
            Change::Erasure(erasure) => {
                let session = erasure.session.map(|one| (one.id, one.session_id, one.source));
                (erasure.agent_id, session)
            }
        };
        Self { position, text, agent_id, session }
    }

    /// Returns `true` if the filter accepts the event.
    pub(super) fn passes(&self, filter: &ChangeFilter) -> bool {
        let session = self.session.as_ref();
        filter.accepts(
            &self.agent_id,
            session.map(|(_, _, source)| source.as_str()),
            session.map(|(id, senders, _)| (*id, senders.as_str())),
        )
    }
}

/// The ring: inactive, or with all events between two positions.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The ring was filled with everything between the two. Events up to the first were removed
    /// again. `None` while there is no listener.
    span: Option<(Place, Position<Place>)>,
    /// Increases when the journal is replaced, so that new events do not continue earlier ones.
    generation: u64,
}

/// Result of a read of the ring.
#[derive(Debug)]
pub(super) enum RingRead {
    /// The ring is not being filled.
    Inactive,
    /// The events after the position have left the ring.
    Behind,
    /// The next events and the position that they reach.
    Events(Vec<Arc<Event>>, Option<Position<Place>>),
}

impl Ring {
    /// Returns the position up to which the ring is filled.
    pub(super) fn reached(&self) -> Option<&Position<Place>> {
        self.span.as_ref().map(|(_, reached)| reached)
    }

    /// Returns the number of the journal's generation. It changes when the journal is replaced.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts an empty ring with the events after a position.
    pub(super) fn activate(&mut self, position: Position<Place>) {
        self.deactivate();
        self.span = Some((position.key, position));
    }

    /// Clears the ring and stops it.
    pub(super) fn deactivate(&mut self) {
        self.events.clear();
        self.bytes = 0;
        self.span = None;
    }

    /// Clears the ring because the journal was replaced: no listener may continue.
    pub(super) fn reset(&mut self) {
        self.deactivate();
        self.generation += 1;
    }

    /// Appends the next events, up to a position.
    pub(super) fn push(&mut self, events: Vec<Arc<Event>>, up_to: Position<Place>) {
        let Some((floor, reached)) = &mut self.span else { return };
        *reached = up_to;
        for event in events {
            self.bytes += event.text.len();
            self.events.push_back(event);
        }
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.text.len();
            *floor = oldest.position.key;
        }
    }

    /// Returns the events after a place that the filter accepts, up to `bytes` bytes.
    pub(super) fn read(&self, after: Place, filter: &ChangeFilter, bytes: usize) -> RingRead {
        let Some((floor, reached)) = &self.span else { return RingRead::Inactive };
        if after < *floor {
            return RingRead::Behind;
        }
        let first = self.events.partition_point(|event| event.position.key <= after);
        let (mut events, mut size) = (Vec::new(), 0);
        for event in self.events.range(first..) {
            if event.passes(filter) {
                size += event.text.len();
                if size > bytes && !events.is_empty() {
                    let up_to = events.last().map(|last: &Arc<Event>| last.position.clone());
                    return RingRead::Events(events, up_to);
                }
                events.push(Arc::clone(event));
            }
        }
        // A listener that has read the journal itself may be ahead.
        RingRead::Events(events, (after < reached.key).then(|| reached.clone()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn position(seq: i64) -> Position<Place> {
        Position { at: DateTime::UNIX_EPOCH, key: Place { seq, items: 1 } }
    }

    fn event(seq: i64, agent_id: &str, bytes: usize) -> Arc<Event> {
        Arc::new(Event {
            position: position(seq),
            text: vec![b'x'; bytes].into(),
            agent_id: agent_id.into(),
            session: None,
        })
    }

    fn seqs(
        ring: &Ring,
        after: i64,
        filter: &ChangeFilter,
        bytes: usize,
    ) -> (Vec<i64>, Option<i64>) {
        match ring.read(position(after).key, filter, bytes) {
            RingRead::Events(events, reached) => (
                events.iter().map(|event| event.position.key.seq).collect(),
                reached.map(|reached| reached.key.seq),
            ),
            other => panic!("{other:?}"),
        }
    }

    fn filled() -> Ring {
        let mut ring = Ring::default();
        ring.activate(position(1));
        let events = [(2, "a"), (3, "b"), (4, "a"), (5, "b")];
        let events = events.into_iter().map(|(seq, agent_id)| event(seq, agent_id, 10));
        ring.push(events.collect(), position(9));
        ring
    }

    #[test]
    fn listener_gets_the_events_after_its_place() {
        let (ring, all) = (filled(), ChangeFilter::default());
        assert_eq!(seqs(&ring, 1, &all, 100), (vec![2, 3, 4, 5], Some(9)));
        assert_eq!(seqs(&ring, 3, &all, 100), (vec![4, 5], Some(9)));
        assert_eq!(seqs(&ring, 1, &all, 25), (vec![2, 3], Some(3)));
        assert_eq!(seqs(&ring, 1, &all, 1), (vec![2], Some(2)), "at least one");
        assert_eq!(seqs(&ring, 9, &all, 100), (vec![], None));
        assert_eq!(seqs(&ring, 12, &all, 100), (vec![], None), "it is ahead");
    }

    #[test]
    fn filter_skips_excluded_events() {
        let ring = filled();
        let b = ChangeFilter { agents: Some(vec!["b".into()]), ..ChangeFilter::default() };
        assert_eq!(seqs(&ring, 1, &b, 100), (vec![3, 5], Some(9)));
        let none = ChangeFilter { agents: Some(vec![]), ..ChangeFilter::default() };
        assert_eq!(seqs(&ring, 1, &none, 100), (vec![], Some(9)));
    }

    #[test]
    fn place_before_the_ring_is_behind() {
        let mut ring = filled();
        let all = ChangeFilter::default();
        assert!(matches!(ring.read(position(0).key, &all, 1), RingRead::Behind));
        ring.push((10..20).map(|seq| event(seq, "a", MAX_BYTES / 4)).collect(), position(19));
        assert!(ring.bytes <= MAX_BYTES);
        assert!(matches!(ring.read(position(9).key, &all, 1), RingRead::Behind));
        assert_eq!(seqs(&ring, 16, &all, usize::MAX).0, [17, 18, 19]);
        ring.push((20..20_000).map(|seq| event(seq, "a", 1)).collect(), position(19_999));
        assert_eq!(ring.events.len(), MAX_EVENTS);
        assert_eq!(ring.bytes, MAX_EVENTS);
        ring.deactivate();
        assert!(matches!(ring.read(position(19_999).key, &all, 1), RingRead::Inactive));
    }
}
