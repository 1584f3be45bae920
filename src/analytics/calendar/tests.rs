//! Tests of buckets in every zone, against a reference implementation that steps by minutes.

use chrono::Timelike as _;
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn calendar(zone: Tz) -> Calendar {
    Calendar { zone, week_starts: Weekday::Mon }
}

fn named(zone: &str) -> Calendar {
    calendar(zone.parse().unwrap())
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span { from: at(from), to: at(to) }
}

/// Starts of the parts of a range, as minutes of UTC.
fn starts(calendar: Calendar, bucket: Bucket, range: Span) -> Vec<String> {
    let show = |part: Part| part.span.from.format("%dT%H:%M").to_string();
    calendar.parts(bucket, range).map(show).collect()
}

/// Lengths of the parts of a range in minutes.
fn minutes(calendar: Calendar, bucket: Bucket, range: Span) -> Vec<i64> {
    let length = |part: Part| (part.span.to - part.span.from).num_minutes();
    calendar.parts(bucket, range).map(length).collect()
}

/// Buckets of the reference implementation.
const WALKED: [Bucket; 5] =
    [Bucket::QuarterHour, Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month];

/// Returns the starts of buckets: minutes at which the local clock shows another one, or at which a
/// repeated hour or quarter starts again.
fn walk(calendar: Calendar, range: Span) -> [Vec<DateTime<Utc>>; 5] {
    let mut starts: [Vec<DateTime<Utc>>; 5] = Default::default();
    let mut at = range.from - TimeDelta::hours(2);
    // The latest date so far; it never decreases.
    let mut latest = calendar.local(at).date();
    let mut before = None;
    while at < range.to {
        let local = at.with_timezone(&calendar.zone).naive_local();
        latest = latest.max(local.date());
        let hour = (local.date(), local.hour());
        let (quarter, week) = (local.minute() / 15, latest.iso_week());
        let shown = ((hour, quarter), hour, latest, week, (latest.year(), latest.month()));
        let old = before.unwrap_or(shown);
        let begins = [
            shown.0 != old.0 || local.minute().is_multiple_of(15),
            shown.1 != old.1 || local.minute() == 0,
            shown.2 != old.2,
            shown.3 != old.3,
            shown.4 != old.4,
        ];
        for (starts, begins) in starts.iter_mut().zip(begins) {
            starts.extend((begins && at > range.from).then_some(at));
        }
        before = Some(shown);
        at += TimeDelta::minutes(1);
    }
    starts
}

/// Returns the days on which the offset of a zone differs from that of the day before.
fn shifts(calendar: Calendar, from: DateTime<Utc>, days: i64) -> Vec<DateTime<Utc>> {
    let day = |number| from + TimeDelta::days(number);
    let shifted = |number: &i64| calendar.offset(day(*number)) != calendar.offset(day(number + 1));
    (0..days).filter(shifted).map(day).collect()
}

#[test]
fn buckets_match_the_reference_around_shifts_in_every_zone() {
    let mut checked = 0;
    for (number, zone) in TZ_VARIANTS.into_iter().enumerate() {
        let calendar = calendar(zone);
        let first = at("2010-01-01T00:00:00Z") + Days::new(365 * (number as u64 % 16));
        let shifts = shifts(calendar, first, 1_200);
        // A different shift for each zone, or an ordinary day if it has none.
        let some = shifts.get(number % shifts.len().max(1)).copied();
        let from = some.unwrap_or(at("2026-09-30T00:00:00Z")) - TimeDelta::hours(13);
        let range = Span { from, to: from + TimeDelta::hours(40) };
        for (bucket, walked) in WALKED.into_iter().zip(walk(calendar, range)) {
            let inner = calendar.parts(bucket, range).skip(1).map(|part| part.span.from);
            assert_eq!(inner.collect::<Vec<_>>(), walked, "{bucket:?} in {zone} from {from}");
            checked += walked.len();
        }
    }
    assert!(checked > 100_000, "{checked}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn buckets_tile_every_range_and_do_not_depend_on_its_start(
        zone in proptest::sample::select(TZ_VARIANTS.to_vec()),
        bucket in proptest::sample::select(Bucket::ALL.to_vec()),
        from in 1_262_304_000_i64..2_500_000_000,
        micros in 0_i64..MICROS,
        length in 1_i64..400,
        cut in 0.0..1.0_f64,
        week_starts in 0_u8..7,
    ) {
        let week_starts = Weekday::try_from(week_starts).unwrap();
        let calendar = Calendar { zone, week_starts };
        let from = DateTime::from_timestamp_micros(from * MICROS + micros).unwrap();
        let unit = bucket.step().unwrap_or(86_400);
        let to = from + TimeDelta::seconds(length * unit);
        let parts: Vec<_> = calendar.parts(bucket, Span { from, to }).collect();
        prop_assert_eq!(parts[0].span.from, from);
        prop_assert_eq!(parts[parts.len() - 1].span.to, to);
        for pair in parts.windows(2) {
            prop_assert_eq!(pair[0].span.to, pair[1].span.from);
        }
        for part in &parts {
            prop_assert!(part.span.from < part.span.to);
            let starts = calendar.starts(bucket, part.span.from);
            prop_assert!(starts || part.span.from == from);
            let ends = calendar.starts(bucket, part.span.to);
            prop_assert_eq!(part.whole, starts && ends);
        }
        // A later start gives the same bounds.
        #[expect(clippy::cast_possible_truncation, reason = "below the length of the range")]
        #[expect(clippy::cast_precision_loss, reason = "any cut is valid")]
        let seconds = ((length * unit) as f64 * cut) as i64;
        let range = Span { from: from + TimeDelta::seconds(seconds), to };
        let rest: Vec<_> = calendar.parts(bucket, range).map(|part| part.span.to).collect();
        let ends = parts.iter().map(|part| part.span.to).filter(|end| *end > range.from);
        prop_assert_eq!(rest, ends.collect::<Vec<_>>());
    }

    #[test]
    fn first_instant_of_a_local_time_is_found(
        zone in proptest::sample::select(TZ_VARIANTS.to_vec()),
        seconds in 1_262_304_000_i64..2_500_000_000,
    ) {
        let calendar = calendar(zone);
        let local = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        let first = calendar.at(local);
        let second = TimeDelta::seconds(1);
        prop_assert!(calendar.local(first) >= local);
        prop_assert!(calendar.local(first - second) < local);
    }
}

#[test]
fn days_have_23_or_25_hours_when_berlin_shifts() {
    let berlin = named("Europe/Berlin");
    let spring = span("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z");
    assert_eq!(minutes(berlin, Bucket::Day, spring), [24 * 60, 23 * 60, 24 * 60]);
    let autumn = span("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    assert_eq!(minutes(berlin, Bucket::Day, autumn), [25 * 60]);
    assert_eq!(minutes(berlin, Bucket::Hour, autumn), [60; 25], "two o'clock occurs twice");
    assert!(berlin.parts(Bucket::Day, autumn).all(|part| part.whole));
}

#[test]
fn hour_has_30_or_90_minutes_when_lord_howe_shifts() {
    let lord_howe = named("Australia/Lord_Howe");
    // 02:00 becomes 02:30 on 4 October 2026, and 01:30 on 5 April 2026.
    let forward = span("2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z");
    assert_eq!(minutes(lord_howe, Bucket::Hour, forward), [60, 30, 60]);
    let back = span("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z");
    assert_eq!(minutes(lord_howe, Bucket::Hour, back), [90, 60]);
    assert_eq!(minutes(lord_howe, Bucket::QuarterHour, back), [15; 10]);
}

#[test]
fn day_without_midnight_begins_with_the_shift() {
    let cairo = named("Africa/Cairo");
    // 00:00 becomes 01:00 on 24 April 2026, and 23:00 of the day before on 30 October 2026.
    let spring = span("2026-04-22T22:00:00Z", "2026-04-24T21:00:00Z");
    assert_eq!(starts(cairo, Bucket::Day, spring), ["22T22:00", "23T22:00"]);
    assert_eq!(minutes(cairo, Bucket::Day, spring), [24 * 60, 23 * 60]);
    assert_eq!(cairo.local(at("2026-04-23T22:00:00Z")).to_string(), "2026-04-24 01:00:00");
    let autumn = span("2026-10-28T21:00:00Z", "2026-10-30T22:00:00Z");
    assert_eq!(minutes(cairo, Bucket::Day, autumn), [25 * 60, 24 * 60]);
}

#[test]
fn day_that_reappears_for_an_hour_has_ended() {
    // 00:01 of 7 November 2010 became 23:01 of the 6th.
    let newfoundland = named("America/St_Johns");
    let range = span("2010-11-06T02:30:00Z", "2010-11-08T03:30:00Z");
    assert_eq!(minutes(newfoundland, Bucket::Day, range), [24 * 60, 25 * 60]);
    let night = span("2010-11-07T02:30:00Z", "2010-11-07T04:30:00Z");
    assert_eq!(minutes(newfoundland, Bucket::Hour, night), [1, 59, 60]);
    let again = at("2010-11-07T02:45:00Z");
    assert_eq!(newfoundland.local(again).to_string(), "2010-11-06 23:15:00");
    assert_eq!(newfoundland.day(again).to_string(), "2010-11-07");
}

#[test]
fn skipped_day_has_no_bucket() {
    let samoa = named("Pacific/Apia");
    let range = span("2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z");
    assert_eq!(starts(samoa, Bucket::Day, range), ["29T10:00", "30T10:00"]);
    assert_eq!(samoa.day(at("2011-12-30T10:00:00Z")).to_string(), "2011-12-31");
}

#[test]
fn weeks_begin_on_the_configured_day_and_months_on_the_first() {
    let kathmandu = named("Asia/Kathmandu");
    let range = span("2026-09-28T00:00:00Z", "2026-10-12T00:00:00Z");
    assert_eq!(starts(kathmandu, Bucket::Week, range), ["28T00:00", "04T18:15", "11T18:15"]);
    let sunday = Calendar { week_starts: Weekday::Sun, ..kathmandu };
    assert_eq!(starts(sunday, Bucket::Week, range), ["28T00:00", "03T18:15", "10T18:15"]);
    assert_eq!(starts(kathmandu, Bucket::Month, range), ["28T00:00", "30T18:15"]);
    let whole: Vec<_> = kathmandu.parts(Bucket::Week, range).map(|part| part.whole).collect();
    assert_eq!(whole, [false, true, false]);
}

#[test]
fn shortest_fitting_bucket_is_chosen() {
    let utc = named("UTC");
    let of = |to: &str, most| Bucket::fitting(utc, span("2026-01-01T00:00:00Z", to), most);
    assert_eq!(of("2026-01-01T00:05:00Z", 5), Some(Bucket::Minute));
    assert_eq!(of("2026-01-01T00:05:01Z", 5), Some(Bucket::QuarterHour));
    assert_eq!(of("2026-12-31T00:00:00Z", 53), Some(Bucket::Week));
    assert_eq!(of("2026-12-31T00:00:00Z", 11), None);
    for (to, bucket) in [
        ("2026-01-01T03:20:00Z", Bucket::Minute),
        ("2026-01-02T00:00:00Z", Bucket::QuarterHour),
        ("2026-01-08T00:00:00Z", Bucket::Hour),
        ("2026-04-01T00:00:00Z", Bucket::Day),
        ("2027-01-01T00:00:00Z", Bucket::Week),
        ("2090-01-01T00:00:00Z", Bucket::Month),
    ] {
        assert_eq!(Bucket::auto(utc, span("2026-01-01T00:00:00Z", to)), bucket, "{to}");
    }
    let long = span("2010-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    assert_eq!(utc.count(Bucket::Minute, long, 5_000), 5_001, "counting stops there");
}
