//! The order of a conversation: by time, then as sent, then by arrival.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use verbatim::decode::Received;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::store::ingest::{Row, write};

use super::app::{TestApi, at};

/// A message with its times, in milliseconds after [`at`] 0.
struct TimedMessage<'a> {
    session: &'a str,
    role: &'a str,
    text: &'a str,
    said: i64,
    sent: Option<i64>,
    received: i64,
}

impl TimedMessage<'_> {
    fn arrival(&self) -> Arrival {
        let time = |ms: i64| instant(ms).timestamp_micros();
        let body = json!({
            "event_type": "chat.push", "agent_id": "A", "timestamp": self.sent.map(time),
            "data": {
                "session_id": self.session, "role": self.role, "message": self.text,
                "timestamp": time(self.said),
            },
        });
        Arrival {
            id: DeliveryId::new(instant(self.received)),
            received_at: instant(self.received),
            source: SourceName::default(),
            evidence: Evidence::default(),
            body: body.to_string().into(),
        }
    }
}

fn instant(ms: i64) -> DateTime<Utc> {
    at(0) + chrono::TimeDelta::milliseconds(ms)
}

async fn store(api: &TestApi, spoken: &[TimedMessage<'_>]) {
    let received: Vec<Received> = spoken.iter().map(|one| Received::from(one.arrival())).collect();
    let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
    let mut connection = api.database.options().connect().await.unwrap();
    write(&mut connection, &rows).await.unwrap();
}

/// Stores messages of one instant, so many that no order of IDs is right by chance. They arrive in
/// another order than sent, one in each batch. Returns their texts in the right order.
async fn instant_of(api: &TestApi, session: &str) -> Vec<String> {
    let mut expected = Vec::new();
    for n in 0..12_i64 {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        // 0 and 1 are sent at the same time, and so on. 11 has no time of sending, so it counts as
        // sent when it was said.
        let sent = (n < 11).then_some(10 + n / 2);
        expected.push((sent.unwrap_or(0), 100 + (n * 5) % 12, role, n));
    }
    let mut batches = expected.clone();
    batches.sort_by_key(|(_, _, _, n)| (n * 7) % 12);
    for (sent, received, role, n) in batches {
        let text = format!("{n:02}");
        let sent = (n < 11).then_some(sent);
        store(api, &[TimedMessage { session, role, text: &text, said: 0, sent, received }]).await;
    }
    expected.sort_by_key(|(sent, received, ..)| (*sent, *received));
    expected.into_iter().map(|(.., n)| format!("{n:02}")).collect()
}

#[actix_web::test]
async fn messages_of_one_time_have_the_same_order_on_every_route() {
    let api = TestApi::start().await;
    let expected = instant_of(&api, "s").await;
    let backwards: Vec<String> = expected.iter().rev().cloned().collect();
    for limit in [1, 2, 5, 12, 500] {
        let path = format!("/v1/sessions/s/messages?limit={limit}");
        assert_eq!(api.walk(&path, "message").await, expected, "{limit}");
        assert_eq!(api.walk(&format!("{path}&order=desc"), "message").await, backwards, "{limit}");
        let users: Vec<_> =
            expected.iter().filter(|n| n.parse::<i64>().unwrap() % 2 == 0).cloned().collect();
        assert_eq!(api.walk(&format!("{path}&role=user"), "message").await, users, "{limit}");
    }
    let texts = |lines: &str| -> Vec<String> {
        let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| row["message"].as_str().unwrap().to_owned()).collect()
    };
    let jsonl = api.get("/v1/sessions/s/transcript?format=jsonl").await;
    assert_eq!(texts(jsonl.text()), expected);
    let visit = api.get("/v1/sessions/s/transcript?format=jsonl&visit=1").await;
    assert_eq!(texts(visit.text()), expected);
    let txt = api.get("/v1/sessions/s/transcript?format=txt").await;
    let places: Vec<_> = expected.iter().map(|text| txt.text().find(&format!(" {text}"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}", txt.text());
    let included = api.get("/v1/sessions?include=messages").await.json();
    let included = included["data"][0]["messages"].as_array().unwrap();
    let included: Vec<_> = included.iter().map(|one| one["message"].as_str().unwrap()).collect();
    assert_eq!(included, expected);

    let export = api.get("/v1/export/messages?with_cursor=true").await;
    assert_eq!(texts(export.text()), expected);
    for (n, line) in export.text().lines().enumerate() {
        let row: Value = serde_json::from_str(line).unwrap();
        let target = format!("/v1/export/messages?cursor={}", row["cursor"].as_str().unwrap());
        assert_eq!(texts(api.get(&target).await.text()), expected[n + 1..], "after {n}");
    }
    let visits = api.get("/v1/sessions/s/visits").await.json();
    assert_eq!(visits["data"].as_array().unwrap().len(), 1);
    assert_eq!(visits["data"][0]["message_count"], 12);
}

#[actix_web::test]
async fn feed_has_messages_of_one_transaction_in_the_order_of_the_conversation() {
    let api = TestApi::start().await;
    let texts = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let spoken = texts.iter().zip(0..).map(|(text, n)| TimedMessage {
        session: "s",
        role: "user",
        text,
        said: 0,
        sent: Some(n),
        received: 20 - n,
    });
    let mut spoken: Vec<_> = spoken.collect();
    spoken.reverse();
    store(&api, &spoken).await;
    let changes = api.get("/v1/changes").await.json();
    let received: Vec<&str> = changes["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["message"]["message"].as_str())
        .collect();
    assert_eq!(received, texts);
}

#[actix_web::test]
async fn later_arrival_of_the_same_time_follows_an_earlier_cursor() {
    let api = TestApi::start().await;
    // So many sessions that no order of IDs is right by chance.
    for n in 0..12 {
        let session = format!("s{n}");
        let one = |text, received| TimedMessage {
            session: &session,
            role: "user",
            text,
            said: 0,
            sent: None,
            received,
        };
        store(&api, &[one("first", 1), one("second", 2)]).await;
        let export =
            api.get(&format!("/v1/export/messages?session_id={session}&with_cursor=true")).await;
        let last: Value = serde_json::from_str(export.text().lines().last().unwrap()).unwrap();
        let first = api.get(&format!("/v1/sessions/{session}/messages?limit=1")).await.json();

        store(&api, &[one("third", 3)]).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = api
            .get(&format!("/v1/sessions/{session}/messages?limit=1&cursor={cursor}"))
            .await
            .json();
        assert_eq!(rest["data"][0]["message"], "second");
        let cursor = rest["next_cursor"].as_str().unwrap();
        let rest =
            api.get(&format!("/v1/sessions/{session}/messages?limit=1&cursor={cursor}")).await;
        assert_eq!(rest.column("message"), ["third"]);
        let cursor = last["cursor"].as_str().unwrap();
        let rest =
            api.get(&format!("/v1/export/messages?session_id={session}&cursor={cursor}")).await;
        let rest: Value = serde_json::from_str(rest.text()).unwrap();
        assert_eq!(rest["message"], "third");
    }
}

#[actix_web::test]
async fn question_and_answer_in_one_second_are_no_repeated_turn() {
    let api = TestApi::start().await;
    for n in 0..8 {
        let session = format!("s{n}");
        let turns = ["user", "assistant", "user", "assistant"];
        let spoken = turns.iter().zip(0_i64..).map(|(role, n)| TimedMessage {
            session: &session,
            role,
            text: role,
            said: 0,
            sent: None,
            received: n,
        });
        store(&api, &spoken.collect::<Vec<_>>()).await;
        let path = format!("/v1/sessions/{session}?include=completeness");
        let completeness = api.get(&path).await.json()["completeness"].take();
        let flags: Vec<_> = completeness["flags"].as_array().unwrap().iter().collect();
        assert_eq!(flags.len(), 1, "{flags:?}");
        assert_eq!(flags[0]["flag"], "no_join");
    }
    // Two questions one after the other are a repeated turn.
    let twice = |text, sent| TimedMessage {
        session: "twice",
        role: "user",
        text,
        said: 0,
        sent: Some(sent),
        received: sent,
    };
    store(&api, &[twice("one", 1), twice("two", 2)]).await;
    let path = "/v1/sessions/twice?include=completeness";
    let flags = api.get(path).await.json()["completeness"]["flags"].take();
    let repeated: Vec<_> = flags
        .as_array()
        .unwrap()
        .iter()
        .filter(|flag| flag["flag"] == "repeated_user_turn")
        .collect();
    assert_eq!(repeated.len(), 1);
    let second = api.get("/v1/sessions/twice/messages").await.json()["data"][1]["id"].take();
    assert_eq!(repeated[0]["first"]["id"], second);
}

#[actix_web::test]
async fn first_copy_to_arrive_decides_the_place_of_a_message() {
    let api = TestApi::start().await;
    let one = |text, received| TimedMessage {
        session: "s",
        role: "user",
        text,
        said: 0,
        sent: None,
        received,
    };
    store(&api, &[one("two", 20)]).await;
    store(&api, &[one("one", 30)]).await;
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["two", "one"]);
    // A copy that another process accepted earlier, and writes now.
    store(&api, &[one("one", 40), one("one", 10)]).await;
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["one", "two"]);
    let received = api.walk("/v1/sessions/s/messages", "received_at").await;
    assert_eq!(received, ["2026-09-28T14:54:13.010000Z", "2026-09-28T14:54:13.020000Z"]);
    let session = api.get("/v1/sessions/s").await.json();
    assert_eq!(session["message_count"], 2);
}
