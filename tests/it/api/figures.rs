//! `GET /v1/analytics/summary` and `…/timeseries`.

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use uuid::Uuid;
use verbatim::domain::Roles;
use verbatim::domain::visits::VisitGaps;
use verbatim::store::erase::{NewErasure, Target};
use verbatim::store::facts::{FactRules, Followed, follow_next};
use verbatim::store::keys::Scope;

use super::app::{TestApi, at, now};
use super::talk::Conversation;

/// Computes the facts of everything that is stored.
pub(super) async fn follow(api: &TestApi) {
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    let mut connection = api.database.options().connect().await.unwrap();
    while follow_next(&mut connection, &rules, true).await.unwrap() != Followed::Nothing {}
}

/// [`now`] is 2026-09-28T14:54:13Z.
pub(super) const TODAY: &str = "from=2026-09-28&to=2026-09-29";

/// Stores a conversation with two turns, one without an answer, a silent one, and one of the day
/// before.
pub(super) async fn some_conversations(api: &TestApi) {
    Conversation::new("A", "engaged")
        .join(-3_600)
        .message(-3_590, "assistant", "welcome")
        .message(-3_580, "user", "hours?")
        .message(-3_577, "assistant", "nine to five")
        .message(-3_560, "user", "thanks")
        .message(-3_558, "bot", "bye")
        .store(api)
        .await;
    Conversation::new("A", "unanswered")
        .message(-3_585, "user", "hello")
        .message(-3_000, "user", "hm")
        .store(api)
        .await;
    Conversation::new("B", "silent")
        .join(-60)
        .message(-50, "assistant", "anybody?")
        .store(api)
        .await;
    Conversation::new("B", "yesterday")
        .join(-86_460)
        .message(-86_450, "user", "hi")
        .store(api)
        .await;
    follow(api).await;
}

pub(super) async fn summary(api: &TestApi, query: &str) -> Value {
    let answer = api.get(&format!("/v1/analytics/summary?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn rows(api: &TestApi, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/v1/analytics/timeseries?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

/// Value of a metric's statistic in a summary.
fn value<'a>(summary: &'a Value, metric: &str, stat: &str) -> &'a Value {
    let all = summary["data"].as_array().unwrap();
    let found = all.iter().find(|one| one["metric"] == metric && one["stat"] == stat);
    &found.unwrap_or_else(|| panic!("{metric} {stat} in {summary}"))["value"]
}

#[actix_web::test]
async fn summary_has_every_statistic_of_every_metric() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let today = summary(&api, TODAY).await;
    for (metric, stat, expected) in [
        ("sessions", "count", json!(3)),
        ("visits", "count", json!(4)),
        ("active_sessions", "distinct", json!(3)),
        ("agents", "distinct", json!(2)),
        ("concurrent_sessions", "max", json!(2)),
        ("engaged_sessions", "count", json!(2)),
        ("engagement_rate", "ratio", json!(2.0 / 3.0)),
        ("silent_sessions", "count", json!(1)),
        ("single_turn_sessions", "count", json!(0)),
        ("messages", "count", json!(8)),
        ("user_messages", "count", json!(4)),
        ("assistant_messages", "count", json!(4)),
        ("turns", "count", json!(4)),
        ("session_duration", "max", json!(585.0)),
        ("session_duration", "p50", json!(42.0)),
        ("messages_per_session", "avg", json!(8.0 / 3.0)),
        ("messages_per_session", "max", json!(5)),
        ("turns_per_session", "p50", json!(2.0)),
        ("reply_gap", "avg", json!(2.5)),
        ("first_reply_gap", "max", json!(3.0)),
        ("longest_silence", "max", json!(17.0)),
        ("incomplete_sessions", "count", json!(2)),
    ] {
        assert_eq!(*value(&today, metric, stat), expected, "{metric} {stat}");
    }
    let p90 = value(&today, "reply_gap", "p90").as_f64().unwrap();
    assert!((p90 - 2.9).abs() <= 0.01 * 2.9, "within the error bound of the catalogue: {p90}");
    let rate =
        today["data"].as_array().unwrap().iter().find(|one| one["metric"] == "engagement_rate");
    let rate = rate.unwrap();
    assert_eq!((&rate["numerator"], &rate["denominator"]), (&json!(2), &json!(3)));
    assert_eq!(today["from"], "2026-09-28T00:00:00.000000Z");
    assert_eq!((&today["tz"], &today["compare"]), (&json!("UTC"), &Value::Null));
    assert_eq!(today["complete_until"], today["as_of"]);

    let nothing = summary(&api, "from=2026-01-01&to=2026-01-02").await;
    assert_eq!(*value(&nothing, "messages", "count"), json!(0));
    for (metric, stat) in
        [("engagement_rate", "ratio"), ("reply_gap", "p99"), ("session_duration", "avg")]
    {
        assert_eq!(*value(&nothing, metric, stat), Value::Null, "{metric}");
    }
}

#[actix_web::test]
async fn comparison_has_the_change_since_the_elapsed_part_of_the_previous_range() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let today = summary(&api, "period=today&compare=previous&metric=sessions&metric=turns").await;
    assert_eq!(today["compare"]["from"], "2026-09-27T00:00:00.000000Z");
    assert_eq!(today["compare"]["to"], "2026-09-27T14:54:13.000000Z");
    let sessions = &today["data"][0];
    assert_eq!((&sessions["value"], &sessions["previous"]), (&json!(3), &json!(1)));
    assert_eq!(sessions["change"], 2.0);
    let earlier = summary(&api, "period=yesterday&compare=previous&metric=sessions").await;
    assert_eq!(earlier["data"][0]["previous"], 0);
    assert_eq!(earlier["data"][0]["change"], Value::Null, "no change from 0");
}

#[actix_web::test]
async fn time_series_has_each_bucket_of_each_group() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let query = "from=2026-09-27&to=2026-09-29&bucket=day&group_by=agent&metric=sessions&\
                 metric=engagement_rate&tz=Europe/Berlin";
    let rows = rows(&api, query).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            json!([row["local_start"], row["agent_id"], row["sessions"], row["engagement_rate"]])
        })
        .collect();
    assert_eq!(
        found,
        [
            json!(["2026-09-27T00:00:00+02:00", "A", 0, null]),
            json!(["2026-09-27T00:00:00+02:00", "B", 1, 1.0]),
            json!(["2026-09-28T00:00:00+02:00", "A", 2, 1.0]),
            json!(["2026-09-28T00:00:00+02:00", "B", 1, 0.0]),
        ]
    );
    assert_eq!(rows[0]["start"], "2026-09-26T22:00:00.000000Z");
    assert_eq!(rows[0]["end"], rows[2]["start"]);
    let complete: Vec<_> = rows.iter().map(|row| row["complete"].clone()).collect();
    assert_eq!(complete, [true, true, false, false]);
    assert_eq!(rows[2]["engagement_rate_denominator"], 2);

    let sheet = api.get(&format!("/v1/analytics/timeseries?{query}&format=csv")).await;
    let lines: Vec<_> = sheet.text().split("\r\n").map(str::to_owned).collect();
    assert_eq!(
        lines[..2],
        [
            "start,end,local_start,complete,agent_id,sessions,engagement_rate,\
             engagement_rate_numerator,engagement_rate_denominator",
            "\"2026-09-26T22:00:00.000000Z\",\"2026-09-27T22:00:00.000000Z\",\
             \"2026-09-27T00:00:00+02:00\",true,\"A\",0,,0,0",
        ]
    );
    assert_eq!(lines.len(), 6);
}

#[actix_web::test]
async fn summary_is_the_sum_of_the_time_series_for_additive_metrics() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    for metric in verbatim::analytics::catalog::METRICS.iter().filter(|metric| metric.additive) {
        let range = format!("from=2026-09-27&to=2026-09-29&metric={}", metric.name);
        let whole = summary(&api, &range).await["data"][0]["value"].as_i64().unwrap();
        for split in [
            "bucket=15m",
            "bucket=hour",
            "bucket=week&group_by=agent",
            "bucket=day&group_by=source",
        ] {
            let rows = rows(&api, &format!("{range}&{split}")).await;
            let sum: i64 = rows.iter().map(|row| row[metric.name].as_i64().unwrap()).sum();
            assert_eq!(sum, whole, "{} by {split}", metric.name);
        }
    }
    let flags =
        rows(&api, &format!("{TODAY}&bucket=day&metric=incomplete_sessions&group_by=flag")).await;
    let found: Vec<_> = flags
        .iter()
        .map(|row| (row["flag"].as_str().unwrap(), row["incomplete_sessions"].as_i64().unwrap()))
        .collect();
    assert_eq!(found[..3], [("no_join", 1), ("one_sided", 2), ("repeated_user_turn", 0)]);
    let roles = rows(&api, &format!("{TODAY}&bucket=day&metric=messages&group_by=role")).await;
    let found: Vec<_> = roles
        .iter()
        .map(|row| (row["role"].as_str().unwrap(), row["messages"].as_i64().unwrap()))
        .collect();
    assert_eq!(found, [("assistant", 4), ("user", 4)]);
}

#[actix_web::test]
async fn filters_and_bound_keys_exclude_other_rows() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let only_b = summary(&api, &format!("{TODAY}&metric=messages&agent_id=B")).await;
    assert_eq!(only_b["data"][0]["value"], 1);
    let neither = summary(&api, &format!("{TODAY}&metric=messages&source=other")).await;
    assert_eq!(neither["data"][0]["value"], 0);
    let room = summary(&api, &format!("{TODAY}&metric=messages&room_name=hall")).await;
    assert_eq!(room["data"][0]["value"], 0);
    let bound = api.key(&[Scope::Analytics], Some(&["B"])).await;
    let target =
        format!("/v1/analytics/timeseries?{TODAY}&bucket=day&group_by=agent&metric=messages");
    let answer = api.get_as(&bound, &target).await;
    let data = answer.json()["data"].clone();
    assert_eq!((data[0]["agent_id"].as_str(), data[0]["messages"].as_i64()), (Some("B"), Some(1)));
    assert_eq!(data.as_array().unwrap().len(), 1);
    let stranger = api.get_as(&bound, &format!("{target}&agent_id=A")).await;
    assert_eq!(stranger.json()["data"], json!([]));
    let reader = api.key(&[Scope::Read], None).await;
    assert_eq!(api.get_as(&reader, &target).await.status, 403);
}

#[actix_web::test]
async fn invalid_parameters_are_rejected_with_the_valid_values() {
    let api = TestApi::start().await;
    for (path, query, hint) in [
        ("summary", "metric=mesages", "`metric` is one of: sessions, visits"),
        ("summary", "metric=sessions&stat=p50", "`stat` of `sessions` is one of: count"),
        ("summary", "stat=p51", "`stat` is one of: count, distinct"),
        ("summary", "from=2026-09-28&to=2026-09-28", "`to` is later than `from`"),
        ("summary", "to=2026-09-28", "`from` is needed"),
        ("summary", "from=2026-09-28&period=today", "`period` goes without"),
        ("summary", "period=last_8d", "`period` is one of: today, yesterday"),
        ("summary", "from=2009-12-31", "`from` is a local date"),
        ("summary", "from=yesterday", "`from` is a local date"),
        ("summary", "tz=Berlin", "`tz` is a time zone"),
        ("summary", "compare=last", "`compare` is one of: none, previous, same_weekdays"),
        ("summary", "week_starts=sun", "`week_starts` is one of: monday"),
        ("summary", "tz=UTC&tz=UTC", "`tz` comes too often"),
        ("timeseries", "bucket=year", "`bucket` is one of: auto, minute, 15m"),
        ("timeseries", "group_by=role", "`group_by` of `sessions` is one of: agent, source"),
        ("timeseries", "group_by=agent&metric=agents", "`group_by` of `agents` is one of: source"),
    ] {
        let answer = api.get(&format!("/v1/analytics/{path}?{query}")).await;
        assert_eq!(answer.code(), "invalid_parameter", "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(hint), "{query}: {detail}");
    }
    let long =
        api.get("/v1/analytics/timeseries?from=2026-01-01&to=2026-06-01&bucket=minute").await;
    assert_eq!((long.status, long.code().as_str()), (400, "too_many_buckets"));
    assert!(long.text().contains("`bucket=hour` fits"), "{}", long.text());
}

#[actix_web::test]
async fn etag_depends_on_figures_and_not_on_time() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let target = format!("/v1/analytics/summary?{TODAY}");
    let tag = api.get(&target).await.header("etag").unwrap().to_owned();
    api.clock.set(at(30));
    let bearer = format!("Bearer {}", super::app::BOOTSTRAP);
    let headers = [("Authorization", &*bearer), ("If-None-Match", &*tag)];
    assert_eq!(api.send("GET", &target, &headers).await.status, 304);
    Conversation::new("A", "new").join(1).store(&api).await;
    let pending = api.get(&target).await.json();
    let before = (at(1) - chrono::TimeDelta::microseconds(1))
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    assert_eq!(pending["complete_until"], before, "the arrival is not reflected yet");
    follow(&api).await;
    assert_eq!(api.send("GET", &target, &headers).await.status, 200);
    assert!(now() < at(30));
}

#[actix_web::test]
async fn figures_of_too_many_facts_are_rejected_before_they_are_read() {
    let api = TestApi::start().await;
    sqlx::raw_sql(
        "INSERT INTO activity VALUES (3, '', '2026-09-28T08:00Z', 'default',
             20000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20000000, 0, 0, 0, 0, 0, 0)",
    )
    .execute(api.database.pool())
    .await
    .unwrap();
    let range = "from=2026-09-28&to=2026-09-29";
    for dear in [
        format!("timeseries?metric=active_sessions&{range}"),
        format!("timeseries?metric=messages&bucket=minute&{range}"),
        format!("timeseries?metric=messages&room_name=r&{range}"),
        format!("distribution?metric=reply_gap&{range}"),
        format!("summary?{range}"),
    ] {
        let refused = api.get(&format!("/v1/analytics/{dear}")).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_parameter"), "{dear}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("20000000") && detail.contains("shorter range"), "{detail}");
    }
    for cheap in [
        format!("timeseries?metric=messages&bucket=hour&{range}"),
        format!("timeseries?metric=reply_gap&stat=p90&{range}"),
        format!("timeseries?metric=session_duration&stat=avg&{range}"),
        "timeseries?metric=active_sessions&from=2026-09-29&to=2026-09-30".to_owned(),
    ] {
        let answer = api.get(&format!("/v1/analytics/{cheap}")).await;
        assert_eq!(answer.status, 200, "{cheap}: {}", answer.text());
    }
}

#[actix_web::test]
async fn figures_of_past_days_change_with_late_messages_new_sessions_and_erasures() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let range = "from=2026-09-26&to=2026-09-29";
    let mut before = summary(&api, range).await["data"].clone();
    for change in ["late message", "new session", "erasure"] {
        match change {
            "late message" => {
                Conversation::new("A", "engaged").message(-3_500, "user", "wait").store(&api).await;
            }
            "new session" => {
                Conversation::new("C", "another")
                    .join(-80_000)
                    .message(-79_990, "user", "hi")
                    .store(&api)
                    .await;
            }
            _ => {
                let (id, at) = (Uuid::from_u128(7), now());
                let target = Target::Agent("A");
                let erasure = NewErasure { id, target, at, key_id: None, bound: false };
                api.store.begin_erasure(&erasure).await.unwrap();
                api.store.run_erasure(id, &api.clock).await.unwrap().unwrap();
            }
        }
        follow(&api).await;
        let after = summary(&api, range).await["data"].clone();
        assert_ne!(after, before, "{change}");
        // A new service has nothing in memory.
        assert_eq!(after, summary(&api.beside(now()), range).await["data"], "{change}");
        before = after;
    }
}
