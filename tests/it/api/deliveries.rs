//! The log of deliveries, and retries out of quarantine.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::ConnectOptions as _;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SessionId, SourceName, Unreadable};
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;

/// Returns a message of agent `A` in session `s`.
pub(super) fn message(text: &str) -> String {
    event("chat.push", "A", &format!(r#","role":"user","message":"{text}","timestamp":1790607200"#))
}

pub(super) fn event(event_type: &str, agent: &str, data: &str) -> String {
    format!(
        r#"{{"event_type":"{event_type}","agent_id":"{agent}","data":{{"session_id":"s"{data}}}}}"#
    )
}

pub(super) fn arrival(body: impl Into<Vec<u8>>, received_at: DateTime<Utc>) -> Arrival {
    Arrival {
        id: DeliveryId::new(received_at),
        received_at,
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: body.into().into(),
    }
}

/// Writes arrivals as the drain does.
pub(super) async fn drain(api: &TestApi, arrivals: &[Arrival]) {
    let rows: Vec<_> =
        arrivals.iter().map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) }).collect();
    store(api, &rows).await;
}

/// Stores an arrival in quarantine, as a drain that cannot read it.
pub(super) async fn quarantine(api: &TestApi, arrival: &Arrival) {
    let read = Err(Unreadable::new("data.message", "it is missing"));
    store(api, &[Row { arrival, read: Cow::Owned(read) }]).await;
}

async fn store(api: &TestApi, rows: &[Row<'_>]) {
    let mut connection = api.database.options().connect().await.unwrap();
    write(&mut connection, rows).await.unwrap();
}

async fn retry(api: &TestApi, arrival: &Arrival) -> Answer {
    let path = format!("/v1/deliveries/{}/retry", arrival.id.0);
    api.send("POST", &path, &[("X-API-Key", BOOTSTRAP)]).await
}

async fn show(api: &TestApi, arrival: &Arrival) -> Answer {
    api.get(&format!("/v1/deliveries/{}", arrival.id.0)).await
}

#[actix_web::test]
async fn deliveries_are_listed_latest_first_with_their_outcomes() {
    let api = TestApi::start().await;
    let said = message("hello");
    let mut numbered = arrival(&*said, at(5));
    numbered.evidence =
        Evidence { sender_delivery_id: Some("dlv_1".into()), stale: true, ..Evidence::default() };
    drain(
        &api,
        &[
            arrival(&*said, at(0)),
            arrival(&*said, at(1)),
            arrival(event("new.kind", "B", ""), at(2)),
            arrival(event("test", "A", ""), at(3)),
            arrival("no JSON", at(4)),
            numbered.clone(),
        ],
    )
    .await;
    let page = api.get("/v1/deliveries").await;
    assert_eq!(
        page.column("outcome"),
        ["duplicate", "quarantined", "test", "unhandled", "duplicate", "stored"]
    );
    let body = page.json();
    assert_eq!(
        body["data"][0],
        json!({
            "id": numbered.id.0,
            "received_at": "2026-09-28T14:54:18.000000Z",
            "source": "default",
            "generation": "d",
            "event_type": "chat.push",
            "outcome": "duplicate",
            "reason": null,
            "agent_id": "A",
            "session_id": "s",
            "size_bytes": said.len(),
            "sender_delivery_id": "dlv_1",
            "signed": false,
            "stale": true,
            "test": false,
        })
    );
    let lost = &body["data"][1];
    assert!(lost["reason"].as_str().unwrap().starts_with("body: it is not JSON"), "{lost}");
    for field in ["generation", "event_type", "agent_id", "session_id"] {
        assert_eq!(lost[field], json!(null), "{field}");
    }
}

#[actix_web::test]
async fn deliveries_are_found_by_outcome_source_type_and_time() {
    let api = TestApi::start().await;
    let mut kiosk = arrival(event("room.join", "A", ""), at(3));
    kiosk.source = SourceName::parse("kiosk").unwrap();
    drain(
        &api,
        &[
            arrival(message("hello"), at(0)),
            arrival("no JSON", at(1)),
            arrival(message("hello"), at(2)),
            kiosk,
            arrival(event("test", "A", ""), at(4)),
        ],
    )
    .await;
    for (query, seconds) in [
        ("outcome=stored", &[3_i64, 0] as &[i64]),
        ("outcome=quarantined", &[1]),
        ("outcome=quarantined&outcome=test&outcome=duplicate", &[4, 2, 1]),
        ("outcome=quarantined,test&outcome=duplicate", &[4, 2, 1]),
        ("outcome=quarantined&outcome=test&order=asc", &[1, 4]),
        ("outcome=quarantined&outcome=stored&order=asc", &[0, 1, 3]),
        ("outcome=unhandled", &[]),
        ("source=kiosk", &[3]),
        ("event_type=chat.push", &[2, 0]),
        ("event_type=chat.push&outcome=duplicate", &[2]),
        ("received_after=1790607254", &[4, 3, 2]),
        ("received_before=1790607254", &[0]),
        ("received_after=1790607253&received_before=1790607256&order=asc", &[1, 2]),
        ("received_after=1790607253&received_before=1790607257&outcome=test", &[]),
    ] {
        let expected: Vec<_> = seconds
            .iter()
            .map(|second| at(*second).to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
            .collect();
        let page = api.get(&format!("/v1/deliveries?{query}")).await;
        assert_eq!(page.column("received_at"), expected, "{query}");
    }
    let wrong = api.get("/v1/deliveries?outcome=test&outcome=lost").await;
    assert_eq!(
        wrong.json()["detail"],
        "`outcome` is one of: stored, duplicate, test, unhandled, quarantined."
    );
}

/// Returns a message of this agent and session.
fn message_of(agent: &str, session: &str, text: &str) -> String {
    message(text)
        .replace(r#""agent_id":"A""#, &format!(r#""agent_id":"{agent}""#))
        .replace(r#""session_id":"s""#, &format!(r#""session_id":"{session}""#))
}

#[actix_web::test]
async fn deliveries_are_found_by_agent_and_session() {
    let api = TestApi::start().await;
    drain(
        &api,
        &[
            arrival(message_of("A", "s", "one"), at(0)),
            arrival(message_of("A", "t", "two"), at(1)),
            arrival(message_of("B", "s", "three"), at(2)),
            arrival(message_of("A", "s", "one"), at(3)),
            arrival("no JSON", at(4)),
            arrival(message_of("A", "s", "four"), at(5)),
        ],
    )
    .await;
    let id = |agent: &str, session: &str| {
        SessionId::of(&SourceName::default(), agent, session).0.to_string()
    };
    let bound = api.key(&[Scope::Admin], Some(&["B"])).await;
    for (query, seconds) in [
        ("agent_id=A", &[5_i64, 3, 1, 0] as &[i64]),
        ("agent_id=A&agent_id=B&order=asc", &[0, 1, 2, 3, 5]),
        ("agent_id=C", &[]),
        ("session_id=s", &[5, 3, 2, 0]),
        ("session_id=s&agent_id=A", &[5, 3, 0]),
        ("session_id=s&agent_id=A&outcome=duplicate", &[3]),
        ("session_id=s&outcome=stored&order=asc", &[0, 2, 5]),
        ("session_id=nobody", &[]),
        (&format!("session_id={}", id("A", "s")), &[5, 3, 0]),
        (&format!("session_id={}&agent_id=B", id("A", "s")), &[]),
        ("session_id=t&event_type=chat.push&received_after=1790607253", &[1]),
    ] {
        let expected: Vec<_> = seconds
            .iter()
            .map(|second| at(*second).to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
            .collect();
        let page = api.get(&format!("/v1/deliveries?{query}")).await;
        assert_eq!(page.column("received_at"), expected, "{query}");
        let theirs = page.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["agent_id"] == "B")
            .count();
        let page = api.get_as(&bound, &format!("/v1/deliveries?{query}")).await;
        assert_eq!(page.column("received_at").len(), theirs, "{query}");
    }
    let repeat = api.get("/v1/deliveries?outcome=duplicate").await.json();
    let repeat = &repeat["data"][0];
    assert_eq!((&repeat["agent_id"], &repeat["session_id"]), (&json!("A"), &json!("s")));
    // The log outlives its conversation. It then has no name any more.
    sqlx::query("DELETE FROM sessions WHERE sender_session_id = 't'")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert!(api.get("/v1/deliveries?session_id=t").await.column("id").is_empty());
    let erased = api.get(&format!("/v1/deliveries?session_id={}", id("A", "t"))).await;
    assert_eq!(erased.column("agent_id"), ["A"]);
}

#[actix_web::test]
async fn search_for_rare_deliveries_reads_a_part_of_the_log_at_a_time() {
    let api = TestApi::start().await;
    let rare = [
        arrival(message_of("rare", "s", "first"), at(-200_000)),
        arrival(message_of("rare", "s", "last"), at(1)),
    ];
    drain(&api, &rare).await;
    let many = "INSERT INTO deliveries
             (id, received_at, source, outcome, agent_id, signed, stale, test, body)
         SELECT
             uuid_generate(number), $1::timestamptz - number * interval '1 second', 'default', 'stored',
             'frequent', true, false, false, ''
         FROM generate_series(1, 100500) AS number";
    let many = many.replace("uuid_generate(number)", "md5(number::text)::uuid");
    sqlx::query(sqlx::AssertSqlSafe(many)).bind(at(0)).execute(api.database.pool()).await.unwrap();

    for order in ["desc", "asc"] {
        let list = format!("/v1/deliveries?agent_id=rare&order={order}");
        let first = api.get(&list).await;
        assert_eq!(first.column("id").len(), 1, "{order}: the page ends before its limit");
        assert_eq!(first.json()["has_more"], true);
        assert!(first.header("link").is_some());
        assert_eq!(api.walk(&list, "id").await.len(), 2, "{order}");
        // Rows that an index finds are returned at once.
        let list = format!("/v1/deliveries?session_id=s&order={order}");
        assert_eq!(api.get(&list).await.column("id").len(), 2, "{order}");
        let list = format!("/v1/deliveries?agent_id=frequent&order={order}");
        assert_eq!(api.get(&list).await.column("id").len(), 50, "{order}");
        // The end of a page must not show how many deliveries others have.
        let bound = api.key(&[Scope::Admin], Some(&["rare"])).await;
        let page = api.get_as(&bound, &format!("/v1/deliveries?order={order}")).await;
        assert_eq!((page.column("id").len(), &page.json()["has_more"]), (2, &json!(false)));
    }
}

#[actix_web::test]
async fn session_is_found_in_the_log_by_index() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    verbatim::jobs::partitions::run_once(pool, now()).await.unwrap();
    let many: Vec<_> = (0..1_500)
        .map(|number| {
            let session = format!("s{}", number / 50);
            arrival(
                message_of("A", &session, &format!("{number} {}", "x".repeat(1_500))),
                now() + TimeDelta::milliseconds(number),
            )
        })
        .collect();
    drain(&api, &many).await;
    verbatim::jobs::partitions::run_once(pool, now()).await.unwrap();
    assert_eq!(api.get("/v1/deliveries?session_id=s7&limit=499").await.column("id").len(), 50);

    let id = SessionId::of(&SourceName::default(), "A", "s7").0;
    sqlx::query("ANALYZE deliveries").execute(pool).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("SET enable_seqscan = off").execute(&mut *connection).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)
         SELECT id FROM deliveries_2026_09_28 WHERE session_id = '{id}'"
    )))
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("Bitmap Index Scan on deliveries_2026_09_28_session_id_idx"), "{plan}");
    let removed = plan
        .split("Rows Removed by Index Recheck: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse::<u32>().unwrap());
    assert!(removed < 700, "most pages were skipped: {plan}");
}

#[actix_web::test]
async fn walk_over_the_log_returns_every_delivery_once() {
    let api = TestApi::start().await;
    verbatim::jobs::partitions::run_once(api.database.pool(), now() - TimeDelta::days(2))
        .await
        .unwrap();
    // On days with and without a partition, and many at the same moment.
    let arrivals: Vec<_> = (0..40)
        .map(|number| {
            let when = now() + TimeDelta::days(number / 7 - 4);
            let body =
                if number % 3 == 0 { "no JSON".into() } else { message(&number.to_string()) };
            arrival(body, when)
        })
        .collect();
    drain(&api, &arrivals).await;
    let odd = "outcome=quarantined&outcome=duplicate";
    for (filter, count) in [("limit=500", 40), (odd, 14), ("outcome=stored", 26)] {
        for order in ["asc", "desc"] {
            let list = format!("/v1/deliveries?{filter}&order={order}");
            let whole = api.get(&list.replace("limit=500", "limit=499")).await.column("id");
            assert_eq!(whole.iter().collect::<HashSet<_>>().len(), count, "{list}");
            if filter != "limit=500" {
                for limit in [1, 3, count - 1, count] {
                    assert_eq!(api.walk(&format!("{list}&limit={limit}"), "id").await, whole);
                }
            }
        }
    }
    assert_eq!(api.walk("/v1/deliveries?limit=7", "id").await.len(), 40);
}

#[actix_web::test]
async fn delivery_is_shown_with_its_exact_bytes() {
    let api = TestApi::start().await;
    let noise = arrival(b"\xFF\x00 no text".to_vec(), at(0));
    let said = arrival(message("gr\u{fc}\u{df}e"), at(1));
    drain(&api, &[noise.clone(), said.clone()]).await;
    let shown = show(&api, &noise).await.json();
    assert_eq!((&shown["body_base64"], &shown["body"]), (&json!("/wAgbm8gdGV4dA=="), &json!(null)));
    let answer = show(&api, &said).await;
    let shown = answer.json();
    assert_eq!(shown["body"].as_str().unwrap().as_bytes(), &*said.body);
    assert_eq!(shown["outcome"], "stored");

    let path = format!("/v1/deliveries/{}", said.id.0);
    let tag = answer.header("etag").expect("a tag");
    let headers = [("X-API-Key", BOOTSTRAP), ("If-None-Match", tag)];
    assert_eq!(api.send("GET", &path, &headers).await.status, 304);

    let (absent, foreign) = (DeliveryId::new(at(0)).0, uuid::Uuid::new_v4());
    for id in [absent.to_string(), foreign.to_string(), "x".into(), "%FF".into()] {
        let answer = api.get(&format!("/v1/deliveries/{id}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{id}");
    }
}

#[actix_web::test]
async fn delivery_that_can_be_read_now_is_retried_once() {
    let api = TestApi::start().await;
    // It has no time, so its time is that of its arrival, not of the retry.
    let undated = event("chat.push", "A", r#","role":"user","message":"when?""#);
    let arrived = arrival(undated, at(-600));
    quarantine(&api, &arrived).await;
    let before = show(&api, &arrived).await;
    assert_eq!(before.json()["reason"], "data.message: it is missing");

    let answer = retry(&api, &arrived).await;
    let released = answer.json();
    assert_eq!(answer.status, 200, "{released}");
    let known = [("X-API-Key", BOOTSTRAP), ("If-None-Match", before.header("etag").unwrap())];
    let path = format!("/v1/deliveries/{}", arrived.id.0);
    assert_eq!(api.send("GET", &path, &known).await.status, 200, "its outcome has changed");
    for (field, value) in [
        ("outcome", json!("stored")),
        ("reason", json!(null)),
        ("event_type", json!("chat.push")),
        ("generation", json!("b")),
        ("agent_id", json!("A")),
        ("session_id", json!("s")),
        ("received_at", json!("2026-09-28T14:44:13.000000Z")),
    ] {
        assert_eq!(released[field], value, "{field}");
    }
    for _ in 0..2 {
        let again = retry(&api, &arrived).await;
        assert_eq!((again.status, again.code().as_str()), (409, "conflict"));
        assert_eq!(again.json()["outcome"], "stored");
    }
    let said = api.get("/v1/sessions/s/messages").await.json();
    assert_eq!(said["data"].as_array().unwrap().len(), 1);
    assert_eq!(said["data"][0]["timestamp"], "2026-09-28T14:44:13.000000Z");
    assert_eq!(said["data"][0]["received_at"], "2026-09-28T14:44:13.000000Z");
    assert_eq!(api.get("/v1/agents/A").await.json()["message_count"], 1);
}

#[actix_web::test]
async fn retries_at_the_same_time_store_it_once() {
    let api = TestApi::start().await;
    let arrived = arrival(message("hello"), at(0));
    quarantine(&api, &arrived).await;
    let answers = join_all((0..8).map(|_| retry(&api, &arrived))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(api.get("/v1/sessions/s").await.json()["message_count"], 1);
    assert_eq!(api.get("/v1/agents/A").await.json()["message_count"], 1);
}

#[actix_web::test]
async fn retry_has_the_outcome_that_the_first_attempt_would_have_had() {
    let api = TestApi::start().await;
    let (said, odd) = (message("hello"), event("new.kind", "A", ""));
    let mut test = arrival(event("room.join", "A", ""), at(2));
    test.evidence.test = true;
    drain(&api, &[arrival(&*said, at(0))]).await;
    for (arrived, outcome) in [
        (arrival(&*said, at(1)), "duplicate"),
        (test, "test"),
        (arrival(odd, at(3)), "unhandled"),
        (arrival(event("session_end", "A", ""), at(4)), "stored"),
    ] {
        quarantine(&api, &arrived).await;
        assert_eq!(retry(&api, &arrived).await.json()["outcome"], outcome);
    }
    let session = api.get("/v1/sessions/s").await.json();
    assert_eq!((&session["message_count"], &session["status"]), (&json!(1), &json!("ended")));
}

#[actix_web::test]
async fn conversation_does_not_depend_on_which_delivery_was_in_quarantine() {
    let bodies = [
        event("room.join", "A", r#","room_name":"hall","timestamp":1790607100"#),
        message("first"),
        event("chat.push", "A", r#","role":"assistant","message":"second","timestamp":1790607210"#),
    ];
    let mut seen = HashSet::new();
    for left_out in 0..bodies.len() {
        let api = TestApi::start().await;
        let arrivals: Vec<_> =
            (0..).zip(&bodies).map(|(second, body)| arrival(&**body, at(second))).collect();
        for (number, arrived) in arrivals.iter().enumerate() {
            if number == left_out {
                quarantine(&api, arrived).await;
            } else {
                drain(&api, std::slice::from_ref(arrived)).await;
            }
        }
        assert_eq!(retry(&api, &arrivals[left_out]).await.status, 200);
        let mut state = String::new();
        for path in ["/v1/sessions/s", "/v1/sessions/s/messages", "/v1/agents"] {
            state.push_str(api.get(path).await.text());
        }
        seen.insert(state);
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

#[actix_web::test]
async fn unreadable_delivery_stays_unchanged() {
    let api = TestApi::start().await;
    let arrived = arrival(event("chat.push", "A", r#","role":"user""#), at(0));
    drain(&api, std::slice::from_ref(&arrived)).await;
    let before = show(&api, &arrived).await;
    for _ in 0..2 {
        let answer = retry(&api, &arrived).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "unreadable_delivery"));
        assert_eq!(answer.json()["field"], "data.message");
    }
    assert_eq!(show(&api, &arrived).await.text(), before.text());
}

#[actix_web::test]
async fn delivery_that_postgres_rejected_is_stored_once_accepted() {
    let api = TestApi::start().await;
    // An error of class 22, so the delivery is at fault.
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN RAISE 'too odd' USING ERRCODE = '22000'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .execute(api.database.pool())
    .await
    .unwrap();
    let arrived = arrival(message("hello"), at(0));
    quarantine(&api, &arrived).await;
    let refused = retry(&api, &arrived).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "unreadable_delivery"));
    assert_eq!(refused.json()["field"], "body");
    assert!(refused.text().contains("SQLSTATE 22000"), "{}", refused.text());
    assert_eq!(show(&api, &arrived).await.json()["outcome"], "quarantined");
    assert_eq!(api.get("/v1/sessions/s").await.status, 404, "nothing of it is stored");

    sqlx::raw_sql("DROP TRIGGER refuse ON agents").execute(api.database.pool()).await.unwrap();
    assert_eq!(retry(&api, &arrived).await.json()["outcome"], "stored");
    assert_eq!(api.get("/v1/sessions/s").await.json()["message_count"], 1);
}

#[actix_web::test]
async fn log_needs_admin_and_quarantine_needs_an_unbound_key() {
    let api = TestApi::start().await;
    let (mine, theirs) =
        (arrival(event("room.join", "A", ""), at(0)), arrival(event("room.join", "B", ""), at(1)));
    let unread = arrival(message("of A, as it will turn out"), at(2));
    drain(&api, &[mine.clone(), theirs.clone()]).await;
    quarantine(&api, &unread).await;
    let path = |arrival: &Arrival| format!("/v1/deliveries/{}", arrival.id.0);

    let reader = api.key(&[Scope::Read, Scope::Export], None).await;
    for path in ["/v1/deliveries".to_owned(), path(&mine)] {
        assert_eq!(api.get_as(&reader, &path).await.code(), "forbidden");
    }
    let bound = api.key(&[Scope::Admin], Some(&["A"])).await;
    assert_eq!(api.get_as(&bound, "/v1/deliveries").await.column("agent_id"), ["A"]);
    assert!(api.get_as(&bound, "/v1/deliveries?outcome=quarantined").await.column("id").is_empty());
    assert_eq!(api.get_as(&bound, &path(&mine)).await.status, 200);
    for hidden in [&theirs, &unread] {
        assert_eq!(api.get_as(&bound, &path(hidden)).await.code(), "not_found");
        let retry = format!("{}/retry", path(hidden));
        let answer = api.send("POST", &retry, &[("X-API-Key", &bound)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    }
    assert_eq!(show(&api, &unread).await.json()["outcome"], "quarantined");
}

#[actix_web::test]
async fn delivery_names_the_message_that_it_became() {
    let api = TestApi::start().await;
    let said = arrival(message("hello"), at(0));
    let again = arrival(message("hello"), at(1));
    let joined = arrival(event("room.join", "A", ""), at(2));
    let test = arrival(event("test", "A", ""), at(3));
    drain(&api, &[said.clone(), again.clone(), joined.clone(), test.clone()]).await;
    let message = api.get("/v1/sessions/s/messages").await.json()["data"][0]["id"].clone();
    let session = api.get("/v1/sessions/s").await.json()["id"].clone();
    for (arrived, expected) in [
        (&said, (&session, &message)),
        (&again, (&session, &message)),
        (&joined, (&session, &json!(null))),
        (&test, (&json!(null), &json!(null))),
    ] {
        let shown = show(&api, arrived).await.json();
        assert_eq!((&shown["session"], &shown["message_id"]), expected, "{shown}");
    }
    assert_eq!(api.send("DELETE", "/v1/sessions/s", &[("X-API-Key", BOOTSTRAP)]).await.status, 200);
    let erased = show(&api, &said).await;
    assert!(erased.status == 404 || erased.json()["message_id"].is_null(), "{}", erased.text());
}
