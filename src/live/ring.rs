//! The latest events, for all listeners together: bounded in count and bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::store::Position;
use crate::store::changes::{Change, ChangeFilter};
use crate::store::journal::Place;

/// Most events that are kept. At a thousand a second a reader may fall behind by a quarter of a
/// minute, beside what the network's buffers hold.
const MOST_EVENTS: usize = 16_384;
/// Most bytes of events that are kept; one event may pass it.
const MOST_BYTES: usize = 16 << 20;

/// Something that came, rendered.
#[derive(Debug)]
pub struct Event {
    /// Behind it.
    pub position: Position<Place>,
    /// As listeners are told it.
    pub text: Bytes,
    agent_id: String,
    /// Our id, the sender's, and the source, where it is about a session.
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

    /// Whether a filter lets it through.
    pub(super) fn passes(&self, filter: &ChangeFilter) -> bool {
        let session = self.session.as_ref();
        filter.lets_through(
            &self.agent_id,
            session.map(|(_, _, source)| source.as_str()),
            session.map(|(id, senders, _)| (*id, senders.as_str())),
        )
    }
}

/// The ring: asleep, or with all events from one position to another.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Everything behind the first and up to the second has been put in, and what was put out is
    /// before the first. `None` while nobody listens.
    span: Option<(Place, Position<Place>)>,
    /// Counts up when what comes no longer goes on from what was there.
    generation: u64,
}

/// What a listener finds.
#[derive(Debug)]
pub(super) enum Taken {
    /// Nobody fills the ring yet.
    Asleep,
    /// What it asks for is no longer in the ring.
    Behind,
    /// The next events, and how far they reach.
    Events(Vec<Arc<Event>>, Option<Position<Place>>),
}

impl Ring {
    /// Up to where it has been filled.
    pub(super) fn reached(&self) -> Option<&Position<Place>> {
        self.span.as_ref().map(|(_, reached)| reached)
    }

    /// Which journal it is filled from: it changes when that is replaced.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Begins, with what comes after a position.
    pub(super) fn wake(&mut self, position: Position<Place>) {
        self.sleep();
        self.span = Some((position.key, position));
    }

    /// Forgets everything.
    pub(super) fn sleep(&mut self) {
        self.events.clear();
        self.bytes = 0;
        self.span = None;
    }

    /// Forgets everything, since the journal is another one: nobody may go on.
    pub(super) fn break_off(&mut self) {
        self.sleep();
        self.generation += 1;
    }

    /// Takes in what comes next, up to a position.
    pub(super) fn push(&mut self, events: Vec<Arc<Event>>, up_to: Position<Place>) {
        let Some((floor, reached)) = &mut self.span else { return };
        *reached = up_to;
        for event in events {
            self.bytes += event.text.len();
            self.events.push_back(event);
        }
        while self.events.len() > MOST_EVENTS || (self.bytes > MOST_BYTES && self.events.len() > 1)
        {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.text.len();
            *floor = oldest.position.key;
        }
    }

    /// The events after a place that a filter lets through, until they have so many bytes.
    pub(super) fn take(&self, after: Place, filter: &ChangeFilter, bytes: usize) -> Taken {
        let Some((floor, reached)) = &self.span else { return Taken::Asleep };
        if after < *floor {
            return Taken::Behind;
        }
        let first = self.events.partition_point(|event| event.position.key <= after);
        let (mut taken, mut size) = (Vec::new(), 0);
        for event in self.events.range(first..) {
            if event.passes(filter) {
                size += event.text.len();
                if size > bytes && !taken.is_empty() {
                    let up_to = taken.last().map(|last: &Arc<Event>| last.position.clone());
                    return Taken::Events(taken, up_to);
                }
                taken.push(Arc::clone(event));
            }
        }
        // A listener may be ahead, having read the journal by itself.
        Taken::Events(taken, (after < reached.key).then(|| reached.clone()))
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
        match ring.take(position(after).key, filter, bytes) {
            Taken::Events(events, reached) => (
                events.iter().map(|event| event.position.key.seq).collect(),
                reached.map(|reached| reached.key.seq),
            ),
            other => panic!("{other:?}"),
        }
    }

    fn filled() -> Ring {
        let mut ring = Ring::default();
        ring.wake(position(1));
        let events = [(2, "a"), (3, "b"), (4, "a"), (5, "b")];
        let events = events.into_iter().map(|(seq, agent_id)| event(seq, agent_id, 10));
        ring.push(events.collect(), position(9));
        ring
    }

    #[test]
    fn a_listener_takes_what_is_after_its_place() {
        let (ring, all) = (filled(), ChangeFilter::default());
        assert_eq!(seqs(&ring, 1, &all, 100), (vec![2, 3, 4, 5], Some(9)));
        assert_eq!(seqs(&ring, 3, &all, 100), (vec![4, 5], Some(9)));
        assert_eq!(seqs(&ring, 1, &all, 25), (vec![2, 3], Some(3)));
        assert_eq!(seqs(&ring, 1, &all, 1), (vec![2], Some(2)), "one at the least");
        assert_eq!(seqs(&ring, 9, &all, 100), (vec![], None));
        assert_eq!(seqs(&ring, 12, &all, 100), (vec![], None), "it is ahead, and stays there");
    }

    #[test]
    fn a_filter_goes_past_what_it_leaves_out() {
        let ring = filled();
        let b = ChangeFilter { agents: Some(vec!["b".into()]), ..ChangeFilter::default() };
        assert_eq!(seqs(&ring, 1, &b, 100), (vec![3, 5], Some(9)));
        let none = ChangeFilter { agents: Some(vec![]), ..ChangeFilter::default() };
        assert_eq!(seqs(&ring, 1, &none, 100), (vec![], Some(9)));
    }

    #[test]
    fn what_is_before_the_ring_is_behind() {
        let mut ring = filled();
        let all = ChangeFilter::default();
        assert!(matches!(ring.take(position(0).key, &all, 1), Taken::Behind));
        ring.push((10..20).map(|seq| event(seq, "a", MOST_BYTES / 4)).collect(), position(19));
        assert!(ring.bytes <= MOST_BYTES);
        assert!(matches!(ring.take(position(9).key, &all, 1), Taken::Behind));
        assert_eq!(seqs(&ring, 16, &all, usize::MAX).0, [17, 18, 19]);
        ring.push((20..20_000).map(|seq| event(seq, "a", 1)).collect(), position(19_999));
        assert_eq!(ring.events.len(), MOST_EVENTS);
        assert_eq!(ring.bytes, MOST_EVENTS);
        ring.sleep();
        assert!(matches!(ring.take(position(19_999).key, &all, 1), Taken::Asleep));
    }
}
