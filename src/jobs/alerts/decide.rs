//! Computes the state of an alert after a reading.

use chrono::{DateTime, Utc};

use crate::alerts::{Measured, Message, Missing, Reading, Rule, State, Status};
use crate::store::alerts::StateRow;

/// Returns the state after a reading, and the message about its change.
pub(super) fn decide(
    rule: &Rule,
    known: Option<&StateRow>,
    measured: Measured,
    now: DateTime<Utc>,
) -> (StateRow, Option<Message>) {
    let before = known.and_then(state).unwrap_or_else(|| State::new(now));
    let row = StateRow {
        name: rule.name.clone(),
        status: before.status.as_str().to_owned(),
        since: before.since,
        evaluated_at: now,
        value: None,
        normal: None,
        threshold: None,
        missing: None,
        agent_ids: rule.agents.clone(),
        version: known.map_or(0, |known| known.version),
    };
    let reading = match measured {
        Measured::Reading(reading) => reading,
        Measured::Missing(missing) => {
            return (StateRow { missing: Some(missing.to_string()), ..row }, None);
        }
    };
    let Some(limit) = rule.condition.limit(reading.normal) else {
        return (StateRow { missing: Some(Missing::Nothing.to_string()), ..row }, None);
    };
    let holds = rule.condition.holds(reading.value, limit);
    let (state, change) = before.advance(holds, rule.hold, now);
    let message =
        change.map(|change| Message::of_change(rule, change, state.since, reading, limit, now));
    let Reading { value, normal } = reading;
    let row = StateRow {
        status: state.status.as_str().to_owned(),
        since: state.since,
        value: Some(value),
        normal,
        threshold: Some(limit),
        ..row
    };
    (row, message)
}

fn state(row: &StateRow) -> Option<State> {
    Some(State { status: Status::parse(&row.status)?, since: row.since })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::alerts::{Amount, Draft, MessageKind};

    #[test]
    fn missing_reading_does_not_change_the_state() {
        let draft = Draft {
            name: "n".into(),
            metric: "no_delivery".into(),
            above: Some(Amount::Number(60.0)),
            ..Draft::default()
        };
        let rule = Rule::new(&draft).unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let reading = |value| Measured::Reading(Reading { value, normal: None });
        let (firing, message) = decide(&rule, None, reading(61.0), now);
        assert_eq!((firing.status.as_str(), firing.threshold), ("firing", Some(60.0)));
        assert_eq!(message.unwrap().kind, MessageKind::Firing);
        let firing = StateRow { version: 1, ..firing };
        let later = now + TimeDelta::minutes(1);
        let missing = Measured::Missing(Missing::Database);
        let (still, message) = decide(&rule, Some(&firing), missing, later);
        assert_eq!((still.status.as_str(), still.since, message), ("firing", now, None));
        assert_eq!(still.missing.as_deref(), Some("the database did not answer"));
        assert_eq!((still.value, still.version), (None, 1));
        let (over, message) = decide(&rule, Some(&still), reading(1.0), later);
        let message = message.unwrap();
        assert_eq!((over.status.as_str(), over.since, message.since), ("ok", later, now));
        assert_eq!(message.kind, MessageKind::Resolved);
    }
}
