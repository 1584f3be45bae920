//! Message about an alert, which is signed and sent.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::reading::Reading;
use super::rule::Rule;
use super::sentence::sentence;
use super::state::Change;
use crate::analytics::catalog::{Stat, Unit};

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The alert fires.
    Firing,
    /// The alert is over.
    Resolved,
    /// Requested sample.
    Test,
}

impl MessageKind {
    /// Name in the database and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Firing => "alert.firing",
            Self::Resolved => "alert.resolved",
            Self::Test => "alert.test",
        }
    }
}

/// Message about an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Kind.
    pub kind: MessageKind,
    /// Time of the evaluation.
    pub at: DateTime<Utc>,
    /// Time from which on the condition has held.
    pub since: DateTime<Utc>,
    /// Value and normal value.
    pub reading: Reading,
    /// Limit that the value passed, or no longer passes.
    pub limit: f64,
    /// Sentence for a person.
    pub summary: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    summary: &'a str,
    metric: &'static str,
    stat: Option<Stat>,
    unit: Unit,
    value: f64,
    comparison: &'static str,
    threshold: f64,
    normal: Option<f64>,
    window_seconds: Option<u64>,
    for_seconds: u64,
    agent_ids: Option<&'a [String]>,
    since: String,
    /// Time of its end; null while it fires.
    resolved_at: Option<String>,
}

impl Message {
    /// Creates the message about a change.
    #[must_use]
    pub fn of_change(
        rule: &Rule,
        change: Change,
        since: DateTime<Utc>,
        reading: Reading,
        limit: f64,
        now: DateTime<Utc>,
    ) -> Self {
        let text = sentence(rule, reading, limit, now);
        let (kind, since, summary) = match change {
            Change::Fired => (MessageKind::Firing, since, text),
            Change::Resolved { since } => (MessageKind::Resolved, since, format!("Over: {text}")),
        };
        Self { kind, at: now, since, reading, limit, summary }
    }

    /// Creates a sample with invented values that pass the limit.
    #[must_use]
    pub fn sample(rule: &Rule, now: DateTime<Utc>) -> Self {
        use super::condition::Side;
        let normal = rule.condition.relative.map(|_| 360.0);
        let limit = rule.condition.limit(normal).unwrap_or_default();
        let value = match rule.condition.side {
            Side::Above => limit * 1.5 + 1.0,
            Side::Below => limit / 2.0,
        };
        let reading = Reading { value, normal };
        let summary = format!("Test: {}", sentence(rule, reading, limit, now));
        Self { kind: MessageKind::Test, at: now, since: now, reading, limit, summary }
    }

    /// Returns the body to send.
    #[must_use]
    pub fn body(&self, rule: &Rule) -> String {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let body = Body {
            kind: self.kind.type_name(),
            timestamp: time(self.at),
            data: Data {
                name: &rule.name,
                summary: &self.summary,
                metric: rule.subject.name(),
                stat: rule.subject.stat(),
                unit: rule.subject.unit(),
                value: self.reading.value,
                comparison: rule.condition.side.as_str(),
                threshold: self.limit,
                normal: self.reading.normal,
                window_seconds: rule.window.map(|window| window.as_secs()),
                for_seconds: rule.hold.as_secs(),
                agent_ids: rule.agents.as_deref(),
                since: time(self.since),
                resolved_at: (self.kind == MessageKind::Resolved).then(|| time(self.at)),
            },
        };
        // Serializing strings and numbers does not fail.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::amount::Amount;
    use super::super::rule::Draft;
    use super::*;

    #[test]
    fn body_contains_all_fields_for_a_receiver() {
        let draft = Draft {
            name: "slow".into(),
            metric: "reply_gap".into(),
            stat: Some("p90".into()),
            agents: vec!["A1".into()],
            above: Some(Amount::Number(10.0)),
            hold: Some("5m".into()),
            ..Draft::default()
        };
        let rule = Rule::new(&draft).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (since, now) = (at("2026-09-28T09:00:00Z"), at("2026-09-28T09:20:00Z"));
        let reading = Reading { value: 9.5, normal: None };
        let change = Change::Resolved { since };
        let message = Message::of_change(&rule, change, now, reading, 10.0, now);
        let body: Value = serde_json::from_str(&message.body(&rule)).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "alert.resolved",
                "timestamp": "2026-09-28T09:20:00.000000Z",
                "data": {
                    "name": "slow",
                    "summary": "Over: Reply gap (p90) in the last hour: 9.5 seconds (agent A1); \
                        the limit is 10.",
                    "metric": "reply_gap", "stat": "p90", "unit": "seconds", "value": 9.5,
                    "comparison": "above", "threshold": 10.0, "normal": null,
                    "window_seconds": 3_600, "for_seconds": 300, "agent_ids": ["A1"],
                    "since": "2026-09-28T09:00:00.000000Z",
                    "resolved_at": "2026-09-28T09:20:00.000000Z"
                }
            })
        );
        let sample: Value = serde_json::from_str(&Message::sample(&rule, now).body(&rule)).unwrap();
        assert_eq!(
            (&sample["type"], &sample["data"]["value"]),
            (&json!("alert.test"), &json!(16.0))
        );
    }
}
