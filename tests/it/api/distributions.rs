//! `GET /v1/analytics/distribution`, `…/heatmap` and `…/top`.

use serde_json::{Value, json};
use verbatim::analytics::catalog::{Attribution, METRICS};
use verbatim::store::keys::Scope;

use super::app::{TestApi, at};
use super::figures::{TODAY, follow, some_conversations, summary};
use super::http::Answer;
use super::talk::Conversation;

async fn get(api: &TestApi, target: &str) -> Value {
    let answer = api.get(&format!("/v1/analytics/{target}")).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

/// Returns columns of the rows.
fn columns(answer: &Value, names: &[&str]) -> Vec<Value> {
    let rows = answer["data"].as_array().unwrap().iter();
    rows.map(|row| names.iter().map(|name| row[name].clone()).collect()).collect()
}

/// Stores sessions of two agents, with and without rooms. Some begin with the same words.
async fn some_rooms(api: &TestApi) {
    for (number, agent, room, first) in [
        (1, "A", Some("hall"), Some("Hours?")),
        (2, "A", Some("hall"), Some("Hours?")),
        (3, "B", Some("lobby"), Some("hours?")),
        (4, "B", None, None),
        (5, "A", Some("garden"), Some("Hours?")),
        (6, "B", Some("garden"), None),
        (7, "B", Some("garden"), None),
    ] {
        let (name, begin) = (format!("session {number}"), -7_000 + number * 400);
        let mut talk = Conversation::new(agent, &name).join_room(begin, room);
        talk = talk.message(begin + 1, "assistant", "welcome");
        if let Some(first) = first {
            talk = talk.message(begin + number, "user", first).message(begin + 20, "bot", "nine");
        }
        talk.store(api).await;
    }
    follow(api).await;
}

#[actix_web::test]
async fn distribution_counts_values_between_the_edges_of_the_catalogue() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let target = format!("distribution?{TODAY}&metric=messages_per_session");
    let answer = get(&api, &target).await;
    let bins = columns(&answer, &["lower", "upper", "count"]);
    assert_eq!(bins[0], json!([0.0, 1.0, 0]));
    assert_eq!(bins[1..3], [json!([1.0, 2.0, 1]), json!([2.0, 3.0, 1])]);
    assert_eq!(bins[4], json!([5.0, 10.0, 1]));
    assert_eq!(bins.last().unwrap(), &json!([100.0, null, 0]));
    assert_eq!(
        (&answer["metric"], &answer["unit"]),
        (&json!("messages_per_session"), &json!("count"))
    );
    let all = &answer["statistics"][0];
    assert_eq!(
        (&all["count"], &all["avg"], &all["max"]),
        (&json!(3), &json!(8.0 / 3.0), &json!(5))
    );
    assert_eq!(answer["tz"], "UTC");
    assert_eq!(answer["complete_until"], answer["as_of"]);

    let by_agent = get(&api, &format!("{target}&group_by=agent&edges=0,2")).await;
    let bins = columns(&by_agent, &["agent_id", "lower", "upper", "count"]);
    assert_eq!(
        bins,
        [
            json!(["A", 0.0, 2.0, 0]),
            json!(["A", 2.0, null, 2]),
            json!(["B", 0.0, 2.0, 1]),
            json!(["B", 2.0, null, 0]),
        ]
    );
    assert_eq!(by_agent["statistics"][1]["agent_id"], "B");
}

#[actix_web::test]
async fn value_on_an_edge_is_above_it_and_values_below_the_first_edge_are_counted() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    // Its gaps are two and three seconds.
    let gaps = get(&api, &format!("distribution?{TODAY}&metric=reply_gap&edges=2,2.5,3")).await;
    let bins = columns(&gaps, &["lower", "upper", "count"]);
    assert_eq!(
        bins,
        [json!([null, 2.0, 0]), json!([2.0, 2.5, 1]), json!([2.5, 3.0, 0]), json!([3.0, null, 1])]
    );
    let target = format!("distribution?{TODAY}&metric=reply_gap&edges=2.5");
    let bins = columns(&get(&api, &target).await, &["lower", "upper", "count"]);
    assert_eq!(bins, [json!([null, 2.5, 1]), json!([2.5, null, 1])]);
    let sheet = api.get(&format!("/v1/analytics/{target}&format=csv&group_by=source")).await;
    assert_eq!(
        sheet.text(),
        "source,lower,upper,count\r\n\"default\",,2.5,1\r\n\"default\",2.5,,1\r\n"
    );
    assert_eq!(sheet.header("content-type"), Some("text/csv; charset=utf-8; header=present"));

    let nothing = get(&api, "distribution?from=2026-01-01&to=2026-01-02&metric=reply_gap").await;
    assert!(columns(&nothing, &["count"]).iter().all(|row| row == &json!([0])));
    assert_eq!(nothing["statistics"][0]["p50"], Value::Null);
}

#[actix_web::test]
async fn heatmap_has_the_total_of_each_hour_of_the_week() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let answer = get(&api, &format!("heatmap?{TODAY}")).await;
    let rows = columns(&answer, &["weekday", "hour", "sessions", "hours"]);
    assert_eq!(rows.len(), 168);
    assert_eq!(rows[13..15], [json!(["monday", 13, 2, 1.0]), json!(["monday", 14, 1, 1.0])]);
    assert_eq!(rows[24], json!(["tuesday", 0, 0, 0.0]), "it is outside the range");
    let hours: f64 = rows.iter().map(|row| row[3].as_f64().unwrap()).sum();
    assert!((hours - 24.0).abs() < 1e-9);

    let query = "heatmap?from=2026-09-14T13:30:00Z&to=2026-09-28T13:40:00Z&metric=engagement_rate";
    let answer = get(&api, &format!("{query}&week_starts=sunday&tz=Asia/Kathmandu")).await;
    let of_ratio = ["weekday", "hour", "engagement_rate", "engagement_rate_denominator", "hours"];
    let rows = columns(&answer, &of_ratio);
    assert_eq!(rows[0][0], "sunday");
    // 19:15 is 13:30 UTC: the end of an hour, a whole hour, and the beginning of one.
    assert_eq!(rows[24 + 19], json!(["monday", 19, null, 0, 130.0 / 60.0]));
    let rates = get(&api, &format!("heatmap?{TODAY}&metric=engagement_rate")).await;
    let rates = columns(&rates, &["engagement_rate", "engagement_rate_denominator"]);
    assert_eq!(rates[13..16], [json!([1.0, 2]), json!([0.0, 1]), json!([null, 0])]);

    let sheet = api.get(&format!("/v1/analytics/heatmap?{TODAY}&metric=turns&format=csv")).await;
    let text = sheet.text();
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(lines[..2], ["weekday,hour,turns,hours", "\"monday\",0,0,1.0"]);
}

#[actix_web::test]
async fn hour_that_a_shift_lengthens_or_shortens_is_that_of_its_local_start() {
    let api = TestApi::start().await;
    let hours = async |range: &str, tz: &str| {
        let answer = get(&api, &format!("heatmap?{range}&tz={tz}&week_starts=sunday")).await;
        let sunday = &columns(&answer, &["hours"])[..4];
        sunday.iter().map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    // The clock is set back by half an hour at 02:00, and in October forward at 02:00.
    let (april, october) = ("from=2026-04-05&to=2026-04-06", "from=2026-10-04&to=2026-10-05");
    assert_eq!(hours(april, "Australia/Lord_Howe").await, [1.0, 1.5, 1.0, 1.0]);
    assert_eq!(hours(october, "Australia/Lord_Howe").await, [1.0, 1.0, 0.5, 1.0]);
    // An hour that occurs twice, and one that never occurs.
    let (march, autumn) = ("from=2026-03-29&to=2026-03-30", "from=2026-10-25&to=2026-10-26");
    assert_eq!(hours(autumn, "Europe/Berlin").await, [1.0, 1.0, 2.0, 1.0]);
    assert_eq!(hours(march, "Europe/Berlin").await, [1.0, 1.0, 0.0, 1.0]);
}

#[actix_web::test]
async fn heatmap_covers_a_year() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let year = get(&api, "heatmap?period=this_year&tz=Australia/Lord_Howe&metric=messages").await;
    let total: i64 = columns(&year, &["messages"]).iter().map(|row| row[0].as_i64().unwrap()).sum();
    assert_eq!(total, 9);
    let long = api.get("/v1/analytics/heatmap?from=2024-01-01&to=2025-06-01").await;
    assert_eq!((long.status, long.code().as_str()), (400, "too_many_buckets"));
    assert!(long.text().contains("400 days"), "{}", long.text());
}

#[actix_web::test]
async fn largest_groups_are_ordered_and_the_others_are_added_up() {
    let api = TestApi::start().await;
    some_rooms(&api).await;
    let rooms = get(&api, "top?by=room&limit=2").await;
    assert_eq!(
        columns(&rooms, &["room_name", "sessions"]),
        [json!(["garden", 3]), json!(["hall", 2])]
    );
    assert_eq!(rooms["other"], json!({ "groups": 2, "sessions": 2 }));
    let all = get(&api, "top?by=room").await;
    let names = columns(&all, &["room_name"]);
    assert_eq!(
        names,
        ["garden", "hall", "lobby"]
            .map(|name| json!([name]))
            .into_iter()
            .chain([json!([null])])
            .collect::<Vec<_>>()
    );
    assert_eq!(all["other"], json!({ "groups": 0, "sessions": 0 }));

    let agents = get(&api, "top?metric=messages&limit=1").await;
    assert_eq!(columns(&agents, &["agent_id", "messages"]), [json!(["A", 9])]);
    assert_eq!(agents["other"], json!({ "groups": 1, "messages": 6 }));
    let rates = get(&api, "top?by=room&metric=engagement_rate&limit=3").await;
    assert_eq!(
        columns(&rates, &["room_name", "engagement_rate"]),
        [json!(["hall", 1.0]), json!(["lobby", 1.0]), json!(["garden", 1.0 / 3.0])]
    );
    assert_eq!(rates["other"]["engagement_rate_denominator"], 1);
    let longest = get(&api, "top?by=agent&metric=session_duration&stat=max&limit=1").await;
    assert_eq!(longest["other"], json!({ "groups": 1, "session_duration": null }));
    let gaps = get(&api, "top?by=room&metric=first_reply_gap&stat=p50").await;
    assert_eq!(columns(&gaps, &["room_name"]).len(), 3, "rooms without any reply have no gap");

    let sheet = api.get("/v1/analytics/top?by=room&limit=1&format=csv").await;
    assert_eq!(sheet.text(), "room_name,sessions\r\n\"garden\",3\r\n");
    let nothing = get(&api, "top?by=room&from=2026-01-01&to=2026-01-02").await;
    assert_eq!((&nothing["data"], &nothing["other"]["sessions"]), (&json!([]), &json!(0)));
}

#[actix_web::test]
async fn largest_group_has_the_figure_of_a_summary_of_it() {
    let api = TestApi::start().await;
    some_rooms(&api).await;
    let mut compared = 0;
    for metric in METRICS.iter().filter(|one| one.attribution == Attribution::SessionStart) {
        for stat in metric.statistics {
            let wanted = format!("{TODAY}&metric={}&stat={}", metric.name, stat.as_str());
            for (by, filter) in [("room", "room_name"), ("agent", "agent_id")] {
                let top = get(&api, &format!("top?{wanted}&by={by}")).await;
                for row in top["data"].as_array().unwrap() {
                    let Some(name) = row[filter].as_str() else { continue };
                    let whole = summary(&api, &format!("{wanted}&{filter}={name}")).await;
                    assert_eq!(row[metric.name], whole["data"][0]["value"], "{wanted} {name}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[actix_web::test]
async fn sessions_are_grouped_by_the_text_of_their_first_user_message() {
    let api = TestApi::start().await;
    some_rooms(&api).await;
    let long = "ä".repeat(200);
    for (number, end) in [(1, "x"), (2, "y")] {
        let name = format!("long {number}");
        Conversation::new("C", &name)
            .message(-100, "user", &format!("{long}{end}"))
            .store(&api)
            .await;
    }
    // The message that was said first arrives last.
    Conversation::new("C", "late").message(-100, "user", "second").store(&api).await;
    Conversation::new("C", "late").arrive(-110, -50, "user", "first").store(&api).await;
    follow(&api).await;
    let answer = get(&api, "top?by=first_message").await;
    assert_eq!(answer["by"], "first_message");
    assert_eq!(
        columns(&answer, &["first_message", "sessions"]),
        [
            json!(["Hours?", 3]),
            json!([null, 3]),
            json!([long, 2]),
            json!(["first", 1]),
            json!(["hours?", 1])
        ]
    );
    let erased = [("X-API-Key", super::app::BOOTSTRAP)];
    let status = api.send("DELETE", "/v1/sessions/late", &erased).await.status;
    assert_eq!(status, 200);
    let answer = get(&api, "top?by=first_message&agent_id=C").await;
    assert_eq!(columns(&answer, &["first_message"]), [json!([long])]);

    let figures = api.key(&[Scope::Analytics], None).await;
    let refused = api.get_as(&figures, "/v1/analytics/top?by=first_message").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    assert_eq!(api.get_as(&figures, "/v1/analytics/top?by=room").await.status, 200);
    let both = api.key(&[Scope::Analytics, Scope::Read], Some(&["B"])).await;
    let bound = api.get_as(&both, "/v1/analytics/top?by=first_message&limit=1").await.json();
    assert_eq!(columns(&bound, &["first_message", "sessions"]), [json!([null, 3])]);
    assert_eq!(bound["other"], json!({ "groups": 1, "sessions": 1 }));
    let bound = api.get_as(&both, "/v1/analytics/top").await.json();
    assert_eq!(columns(&bound, &["agent_id", "sessions"]), [json!(["B", 4])]);
}

#[actix_web::test]
async fn first_messages_of_too_many_sessions_are_rejected() {
    let api = TestApi::start().await;
    let insert = "INSERT INTO session_facts
         SELECT gen_random_uuid(), 'A', 'default', NULL, $1, $1, 0, 0, 0, 0, NULL, NULL,
             false, false, false, false, false, false
         FROM generate_series(1, $2)";
    for (count, status) in [(100_000, 200), (1, 400)] {
        let insert = sqlx::query(insert).bind(at(-60)).bind(count);
        insert.execute(api.database.pool()).await.unwrap();
        let sums = "DELETE FROM activity;
             INSERT INTO activity SELECT * FROM activity_of_facts('-infinity', 'infinity')";
        sqlx::raw_sql(sums).execute(api.database.pool()).await.unwrap();
        let answer = api.get("/v1/analytics/top?by=first_message").await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let rooms = get(&api, "top?by=room").await;
    assert_eq!(columns(&rooms, &["room_name", "sessions"]), [json!([null, 100_001])]);
}

#[actix_web::test]
async fn invalid_combinations_are_rejected_with_the_valid_values() {
    let api = TestApi::start().await;
    for (query, hint) in [
        ("distribution?", "`metric` of a distribution is one of: session_duration, messages_per"),
        ("distribution?metric=sessions", "`metric` of a distribution is one of: session_duration"),
        ("distribution?metric=reply_gap&edges=2,1", "`edges` is up to 100 ascending numbers"),
        ("distribution?metric=reply_gap&edges=1,NaN", "`edges` is up to 100 ascending numbers"),
        (
            "distribution?metric=reply_gap&group_by=role",
            "`group_by` of `reply_gap` is one of: agent",
        ),
        ("heatmap?metric=agents", "`metric` of a heatmap is one of: sessions, visits, engaged"),
        ("heatmap?metric=reply_gap", "`metric` of a heatmap is one of: sessions"),
        ("top?by=colour", "`by` is one of: agent, source, room, first_message"),
        ("top?metric=agents", "`metric` by agent is one of: sessions"),
        ("top?by=room&metric=messages", "`metric` by room is one of: sessions, engaged"),
        ("top?by=first_message&metric=visits", "`metric` by first_message is one of: sessions"),
        ("top?metric=reply_gap&stat=count", "`stat` of `reply_gap` is one of: avg, p50"),
        ("top?limit=0", "`limit` is a whole number from 1 to 100"),
        ("top?limit=101", "`limit` is a whole number from 1 to 100"),
    ] {
        let answer = api.get(&format!("/v1/analytics/{query}")).await;
        assert_eq!(answer.code(), "invalid_parameter", "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(hint), "{query}: {detail}");
    }
}

#[actix_web::test]
async fn etag_changes_only_with_the_figures() {
    let api = TestApi::start().await;
    some_conversations(&api).await;
    let targets = ["distribution?metric=reply_gap&", "heatmap?", "top?", "top?by=room&format=csv&"];
    let targets = targets.map(|target| format!("/v1/analytics/{target}{TODAY}"));
    let send = async |target: &str, tag: &str| -> Answer {
        let bearer = format!("Bearer {}", super::app::BOOTSTRAP);
        let headers = [("Authorization", &*bearer), ("If-None-Match", tag)];
        api.send("GET", target, &headers).await
    };
    let mut tags = Vec::new();
    for target in &targets {
        tags.push(api.get(target).await.header("etag").unwrap().to_owned());
    }
    api.clock.set(at(30));
    for (target, tag) in targets.iter().zip(&tags) {
        assert!(tag.starts_with("W/"), "{tag}");
        assert_eq!(send(target, tag).await.status, 304, "{target}");
    }
    Conversation::new("A", "new")
        .message(1, "user", "hi")
        .message(3, "assistant", "yes")
        .store(&api)
        .await;
    follow(&api).await;
    for (target, tag) in targets.iter().zip(&tags) {
        assert_eq!(send(target, tag).await.status, 200, "{target}");
    }
}
