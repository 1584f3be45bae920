//! Reads the figures of rules, and their normal values.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike as _, Utc};

use super::own::{OwnState, age};
use crate::alerts::{Measured, Missing, Reading, Relative, Rule, Subject, median};
use crate::analytics::calendar::{Bucket, Calendar, Span};
use crate::analytics::range::weeks_before;
use crate::store::figures::{Figures, Number, Selection, Wanted};
use crate::store::{Store, StoreError};

/// Greatest lag of figures that count as current.
const MAX_BEHIND: TimeDelta = TimeDelta::minutes(2);

/// Evaluation of all rules.
pub(super) struct Round<'a> {
    store: &'a Store,
    own: &'a OwnState,
    now: DateTime<Utc>,
    /// Arrival of the oldest delivery that waits in any service.
    undrained_since: Option<DateTime<Utc>>,
    /// Facts reflect all arrivals; `None` before the first check.
    facts_are_current: Option<bool>,
}

/// Reason for a missing reading.
enum Failure {
    Missing(Missing),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl<'a> Round<'a> {
    /// Begins a round at `now`.
    pub(super) async fn begin(
        store: &'a Store,
        own: &'a OwnState,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let undrained_since = store.undrained_since(now).await?;
        Ok(Self { store, own, now, undrained_since, facts_are_current: None })
    }

    /// Reads the figure of a rule. An error affects only this rule.
    pub(super) async fn measure(&mut self, rule: &Rule) -> Measured {
        match self.read(rule).await {
            Ok(measured) => measured,
            Err(Failure::Missing(missing)) => Measured::Missing(missing),
            Err(Failure::Store(StoreError::TooExpensive { .. })) => {
                Measured::Missing(Missing::TooExpensive)
            }
            Err(Failure::Store(error)) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::debug!(alert = rule.name, error, "alert figure not read");
                Measured::Missing(Missing::Database)
            }
        }
    }

    async fn read(&mut self, rule: &Rule) -> Result<Measured, Failure> {
        match &rule.subject {
            Subject::UndrainedAge => Ok(age(self.undrained_since, self.now)),
            Subject::NoDelivery => {
                let stored = self.store.last_delivery().await?.map(|last| last.received_at);
                let last = stored.max(self.own.last_delivery()).ok_or(Missing::NeverSeen)?;
                Ok(age(Some(last), self.now))
            }
            Subject::Quarantined => {
                let from = self.now - rule.window.unwrap_or_default();
                let count = self.store.quarantined_since(from).await?;
                #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
                let value = count as f64;
                Ok(Measured::Reading(Reading { value, normal: None }))
            }
            Subject::Quiet => self.quiet(rule).await,
            Subject::Catalog { metric, stat } => {
                self.require_current_facts().await?;
                let wanted = Wanted { metric, stat: *stat };
                self.catalog(rule, wanted, rule.window.unwrap_or_default()).await
            }
        }
    }

    /// Returns the seconds since the last event, with the normal longest silence of the hour.
    async fn quiet(&mut self, rule: &Rule) -> Result<Measured, Failure> {
        self.require_drained()?;
        let agents = rule.agents.as_deref();
        let last = self.store.last_activity(agents).await?.ok_or(Missing::NeverSeen)?;
        let value = (self.now - last).as_seconds_f64().max(0.0);
        let Some(relative) = rule.condition.relative else {
            return Ok(Measured::Reading(Reading { value, normal: None }));
        };
        self.require_current_facts().await?;
        let now = Span { from: self.now, to: self.now };
        let mut silences = Vec::new();
        for span in self.earlier_weeks(rule, relative, now).await? {
            let hour = hour_of(rule.calendar, span.from);
            silences.extend(self.store.longest_silence(agents, hour.from, hour.to).await?);
        }
        with_normal(value, silences, relative)
    }

    async fn catalog(
        &mut self,
        rule: &Rule,
        wanted: Wanted,
        window: Duration,
    ) -> Result<Measured, Failure> {
        let span = Span { from: self.now - window, to: self.now };
        let value = self.figure(rule, wanted, span).await?.ok_or(Missing::Nothing)?;
        let Some(relative) = rule.condition.relative else {
            return Ok(Measured::Reading(Reading { value, normal: None }));
        };
        let mut values = Vec::new();
        for span in self.earlier_weeks(rule, relative, span).await? {
            values.extend(self.figure(rule, wanted, span).await?);
        }
        with_normal(value, values, relative)
    }

    async fn figure(
        &self,
        rule: &Rule,
        wanted: Wanted,
        span: Span,
    ) -> Result<Option<f64>, StoreError> {
        let selection = Selection {
            starts: &[span.from],
            to: span.to,
            now: self.now,
            visible: None,
            agents: rule.agents.as_deref(),
            sources: None,
            rooms: None,
            split: None,
        };
        let mut snapshot = self.store.figures().await?;
        let figures = Figures::read(&mut snapshot, &selection, &[wanted], None).await?;
        Ok(figures.figure(wanted, &(0, None)).value.map(Number::as_f64))
    }

    /// Returns the same range in earlier weeks, if figures exist from its start on.
    async fn earlier_weeks(
        &self,
        rule: &Rule,
        relative: Relative,
        span: Span,
    ) -> Result<Vec<Span>, StoreError> {
        let since = self.store.figures_since(rule.agents.as_deref()).await?;
        let spans = (1..=relative.weeks)
            .map(|weeks| weeks_before(rule.calendar, span, weeks.into()))
            .filter(|span| since.is_some_and(|since| since <= span.from));
        Ok(spans.collect())
    }

    /// Requires that no delivery has waited in an inbox for long: figures do not contain it yet.
    fn require_drained(&self) -> Result<(), Missing> {
        let waiting = self.undrained_since.is_some_and(|since| self.now - since > MAX_BEHIND);
        if waiting { Err(Missing::Behind) } else { Ok(()) }
    }

    async fn require_current_facts(&mut self) -> Result<(), Failure> {
        self.require_drained()?;
        let are_current = match self.facts_are_current {
            Some(known) => known,
            None => {
                let mut snapshot = self.store.figures().await?;
                let until = snapshot.complete_until(None, self.now).await?;
                until.is_some_and(|until| self.now - until <= MAX_BEHIND)
            }
        };
        self.facts_are_current = Some(are_current);
        if are_current { Ok(()) } else { Err(Missing::Behind.into()) }
    }
}

/// Returns a reading with the median of earlier weeks; all weeks are needed.
fn with_normal(value: f64, earlier: Vec<f64>, relative: Relative) -> Result<Measured, Failure> {
    let (found, needed) = (u32::try_from(earlier.len()).unwrap_or(u32::MAX), relative.weeks);
    if found < needed {
        return Err(Missing::Weeks { found, needed }.into());
    }
    Ok(Measured::Reading(Reading { value, normal: median(earlier) }))
}

/// Returns the hour of the local clock that contains an instant.
fn hour_of(calendar: Calendar, at: DateTime<Utc>) -> Span {
    let local = calendar.local(at);
    let start = NaiveTime::from_hms_opt(local.hour(), 0, 0).unwrap_or_default();
    // An hour that occurs twice begins with the first occurrence.
    let from = calendar.at(local.date().and_time(start)).min(at);
    Span { from, to: calendar.next_start(Bucket::Hour, at) }
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use chrono_tz::Tz;

    use super::*;

    #[test]
    fn hour_is_one_of_the_local_clock() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let calendar = |zone| Calendar { zone, week_starts: Weekday::Mon };
        let hour = hour_of(calendar(Tz::Asia__Kolkata), at("2026-09-28T09:20:00Z"));
        assert_eq!((hour.from, hour.to), (at("2026-09-28T08:30:00Z"), at("2026-09-28T09:30:00Z")));
        let hour = hour_of(calendar(Tz::UTC), at("2026-09-28T09:00:00Z"));
        assert_eq!((hour.from, hour.to), (at("2026-09-28T09:00:00Z"), at("2026-09-28T10:00:00Z")));
    }
}
