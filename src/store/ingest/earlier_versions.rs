//! Deliveries that an earlier version stored, with an ID from the delivery header or a time that
//! was rounded twice. A duplicate that arrives after the upgrade adopts the stored key.
//!
//! A header does not identify the bytes. A row with its hash is the same delivery only if its
//! content is the same.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::row::Readable;
use crate::domain::Event;
use crate::store::{AFTER_ALL, BEFORE_ALL};

/// Stored key of a delivery: its ID and time.
type Stored = (Uuid, DateTime<Utc>);

/// Inserts guards for messages whose duplicates the key of `messages` does not catch, and returns
/// the guards that existed before, as (session, ID).
///
/// A message without a time has the time of its arrival, so its ID decides. A message with a
/// delivery header leaves the header's hash: see `guarded_messages.by_header`.
pub(super) async fn guard(
    connection: &mut PgConnection,
    events: &[Readable<'_>],
) -> Result<HashSet<(Uuid, Uuid)>, sqlx::Error> {
    let mut guards: Vec<(Uuid, Uuid, bool)> = Vec::new();
    for one in events {
        if !matches!(one.delivery.event, Event::Message { .. }) {
            continue;
        }
        let Some(session) = one.session() else { continue };
        if one.delivery.undated {
            guards.push((session, one.id, false));
        }
        if let Some([former, _]) = one.delivery.former.ids {
            guards.push((session, former.0, true));
        }
    }
    if guards.is_empty() {
        return Ok(HashSet::new());
    }
    guards.sort_unstable();
    guards.dedup();
    let new: HashSet<(Uuid, Uuid)> = sqlx::query!(
        "INSERT INTO guarded_messages (session_id, id, by_header)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::boolean[])
         ON CONFLICT DO NOTHING
         RETURNING session_id, id",
        &guards.iter().map(|guard| guard.0).collect::<Vec<_>>(),
        &guards.iter().map(|guard| guard.1).collect::<Vec<_>>(),
        &guards.iter().map(|guard| guard.2).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.session_id, row.id))
    .collect();
    let old = guards.into_iter().map(|(session, id, _)| (session, id));
    Ok(old.filter(|guard| !new.contains(guard)).collect())
}

/// Replaces each event's key with the one an earlier version stored it under, if any. `guarded` is
/// the result of [`guard`].
pub(super) async fn adopt(
    connection: &mut PgConnection,
    events: &mut [Readable<'_>],
    guarded: &HashSet<(Uuid, Uuid)>,
) -> Result<(), sqlx::Error> {
    let mut stored = find_rounded_twice(connection, events).await?;
    let by_header = HeaderKeys::of(events, guarded);
    if !by_header.places.is_empty() {
        for row in by_header.find(connection).await? {
            let one = usize::try_from(row.place - 1).ok().and_then(|at| events.get(at));
            if let Some(one) = one.filter(|one| row.has_content_of(one)) {
                stored.entry(one.id).or_insert((row.id, row.occurred_at));
            }
        }
    }
    if !stored.is_empty() {
        for one in events {
            if let Some((id, at)) = stored.get(&one.id) {
                (one.id, one.occurred_at) = (*id, *at);
            }
        }
    }
    Ok(())
}

/// Finds messages stored with a time that was rounded twice. Only the key of `messages` contains a
/// time.
async fn find_rounded_twice(
    connection: &mut PgConnection,
    events: &[Readable<'_>],
) -> Result<HashMap<Uuid, Stored>, sqlx::Error> {
    let (mut sessions, mut times, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for one in events {
        let is_message = matches!(one.delivery.event, Event::Message { .. });
        if let (true, Some(session), Some(at)) =
            (is_message, one.session(), one.delivery.former.occurred_at)
        {
            sessions.push(session);
            times.push(at);
            ids.push(one.id);
        }
    }
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Ok(HashMap::new());
    };
    let rows = sqlx::query!(
        r#"SELECT m.id AS "id!", m.occurred_at AS "occurred_at!"
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::uuid[]) AS k (session_id, occurred_at, id)
         JOIN messages AS m USING (session_id, occurred_at, id)
         WHERE m.occurred_at BETWEEN $4 AND $5"#,
        &sessions,
        &times,
        &ids,
        first,
        last,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, (row.id, row.occurred_at))).collect())
}

/// Keys derived from delivery headers, one column each.
#[derive(Default)]
struct HeaderKeys {
    /// Number of the event, from one.
    places: Vec<i64>,
    sessions: Vec<Option<Uuid>>,
    ids: Vec<Uuid>,
    /// Range of the time: a microsecond either way, or any time for an event without one.
    from: Vec<DateTime<Utc>>,
    to: Vec<DateTime<Utc>>,
    undated: Vec<bool>,
    bodies: Vec<Vec<u8>>,
}

impl HeaderKeys {
    fn of(events: &[Readable<'_>], guarded: &HashSet<(Uuid, Uuid)>) -> Self {
        let mut keys = Self::default();
        for (place, one) in (1_i64..).zip(events) {
            let Some(ids) = one.delivery.former.ids else { continue };
            if let (Event::Message { .. }, Some(session)) = (&one.delivery.event, one.session())
                && !guarded.contains(&(session, ids[0].0))
            {
                // The version that stored it would have left the guard.
                continue;
            }
            let body: [u8; 32] = Sha256::digest(&one.arrival.body).into();
            let step = TimeDelta::microseconds(1);
            let (from, to) = if one.delivery.undated {
                (BEFORE_ALL, AFTER_ALL)
            } else {
                (one.occurred_at - step, one.occurred_at + step)
            };
            for id in ids {
                keys.places.push(place);
                keys.sessions.push(one.session());
                keys.ids.push(id.0);
                keys.from.push(from);
                keys.to.push(to);
                keys.undated.push(one.delivery.undated);
                keys.bodies.push(body.to_vec());
            }
        }
        keys
    }

    /// Finds the rows with these keys, and compares their bytes if the log has them.
    async fn find(&self, connection: &mut PgConnection) -> Result<Vec<Found>, sqlx::Error> {
        sqlx::query_as!(
            Found,
            r#"WITH k AS (
                 SELECT *
                 FROM UNNEST(
                     $1::bigint[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[],
                     $6::boolean[], $7::bytea[]
                 ) AS k (place, session_id, id, from_at, to_at, undated, body)
             ), stored AS (
                 SELECT
                     k.place, k.body, m.id, m.occurred_at, m.received_at, m.delivery_id,
                     m.role AS word, m.message AS text, m.sent_at,
                     NULL::integer AS participant_count
                 FROM k
                 JOIN messages AS m
                     ON m.session_id = k.session_id
                     AND m.id = k.id
                     AND m.undated = k.undated
                     AND m.occurred_at BETWEEN k.from_at AND k.to_at
                 UNION ALL
                 SELECT
                     k.place, k.body, j.id, j.occurred_at, j.received_at, j.delivery_id,
                     NULL, j.room_name, NULL, j.participant_count
                 FROM k
                 JOIN joins AS j
                     ON j.session_id = k.session_id
                     AND j.id = k.id
                     AND j.undated = k.undated
                     AND j.occurred_at BETWEEN k.from_at AND k.to_at
                 UNION ALL
                 SELECT
                     k.place, k.body, e.id, e.occurred_at, e.received_at, e.delivery_id,
                     e.event_type, e.agent_id, NULL, NULL
                 FROM k
                 JOIN other_events AS e
                     ON e.id = k.id
                     AND e.session_id IS NOT DISTINCT FROM k.session_id
                     AND e.occurred_at BETWEEN k.from_at AND k.to_at
             )
             SELECT
                 s.place AS "place!",
                 s.id AS "id!",
                 s.occurred_at AS "occurred_at!",
                 s.word,
                 s.text,
                 s.sent_at,
                 s.participant_count,
                 CASE WHEN d.event_id IS NULL AND octet_length(d.body) > 0
                     THEN sha256(d.body) = s.body
                 END AS same_bytes
             FROM stored AS s
             LEFT JOIN deliveries AS d ON d.received_at = s.received_at AND d.id = s.delivery_id"#,
            &self.places,
            &self.sessions as _,
            &self.ids,
            &self.from,
            &self.to,
            &self.undated,
            &self.bodies,
        )
        .fetch_all(connection)
        .await
    }
}

/// Row found under one of the keys.
struct Found {
    place: i64,
    id: Uuid,
    occurred_at: DateTime<Utc>,
    /// Role of a message, or type of another event.
    word: Option<String>,
    /// Message, room name, or agent.
    text: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    participant_count: Option<i32>,
    /// The bytes are the same; `None` if the log does not have them as they arrived.
    same_bytes: Option<bool>,
}

impl Found {
    /// Reports whether the row has the content of `one`. Redaction may have changed its texts, with
    /// rules that have changed since.
    fn has_content_of(&self, one: &Readable<'_>) -> bool {
        let redacted = one.arrival.evidence.event_id.is_some();
        if let (Some(same_bytes), false) = (self.same_bytes, redacted) {
            return same_bytes;
        }
        let same = |found: Option<&String>, said: Option<&str>| found.map(String::as_str) == said;
        match &one.delivery.event {
            Event::Message { role, message, .. } => {
                same(self.word.as_ref(), Some(role))
                    && (redacted || same(self.text.as_ref(), Some(message)))
                    && within_microsecond(self.sent_at, one.delivery.sent_at)
            }
            Event::Join { room_name, participant_count, .. } => {
                (redacted || same(self.text.as_ref(), room_name.as_deref()))
                    && self.participant_count == *participant_count
            }
            _ => {
                same(self.word.as_ref(), Some(&one.delivery.event_type))
                    && same(self.text.as_ref(), one.delivery.agent_id.as_deref())
            }
        }
    }
}

/// Reports whether the times differ by at most a microsecond, as after rounding twice.
fn within_microsecond(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => (one - other).abs() <= TimeDelta::microseconds(1),
        _ => false,
    }
}
