//! `GET /v1/changes`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;
use verbatim::store::ingest::journal::append_erasures;
use verbatim::store::journal::{ErasedSession, Erasure, ErasureKind};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::rows::Row;
use super::writers::{join_delivery, message_delivery, of_agent, put, start};

/// A reader that continues from its last position.
struct Reader<'a> {
    api: &'a TestApi,
    key: String,
    query: &'a str,
    after: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(api: &'a TestApi, query: &'a str) -> Self {
        Self { api, key: BOOTSTRAP.into(), query, after: None }
    }

    /// Returns the next page, and whether there is another.
    async fn page(&mut self) -> (Vec<Value>, bool) {
        let after = self.after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let target = format!("/v1/changes?{}{after}", self.query);
        let answer = self.api.get_as(&self.key, &target).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut body = answer.json();
        let after =
            body["next_cursor"].as_str().expect("a feed always has a next cursor").to_owned();
        let more = body["has_more"].as_bool().unwrap();
        assert_eq!(answer.header("link").is_some(), more);
        if let Some(link) = answer.header("link") {
            assert!(link.contains(&format!("after={after}>")), "{link}");
        }
        assert!(!more || self.after.as_ref() != Some(&after), "it makes progress");
        self.after = Some(after);
        let Value::Array(items) = body["data"].take() else { panic!("no list") };
        (items, more)
    }

    /// Returns all remaining items.
    async fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let (items, more) = self.page().await;
            all.extend(items);
            if !more {
                return all;
            }
        }
    }
}

fn texts(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["message"]["message"].as_str()).collect()
}

fn kinds(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn changes_have_the_form_of_the_other_endpoints() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[join_delivery("A", "s"), message_delivery("A", "s", "hello")])
        .await;
    put(&api.database.options(), &[message_delivery("A", "s", "again")]).await;

    let answer = api.get("/v1/changes").await.json();
    let session = api.get("/v1/sessions/s").await.json();
    let mut messages = api.get("/v1/sessions/s/messages").await.json()["data"].clone();
    for message in messages.as_array_mut().unwrap() {
        // Here each message also has our ID of its session.
        message["session"] = session["id"].clone();
    }
    let hello = messages.as_array().unwrap().iter().find(|m| m["message"] == "hello").unwrap();
    let again = messages.as_array().unwrap().iter().find(|m| m["message"] == "again").unwrap();
    assert_eq!(
        answer["data"],
        json!([
            { "type": "session", "seq": 1, "session": session },
            { "type": "message", "seq": 1, "message": hello },
            { "type": "session", "seq": 2, "session": session },
            { "type": "message", "seq": 2, "message": again },
        ])
    );
    assert_eq!(answer["has_more"], false);
}

#[actix_web::test]
async fn feed_continues_at_its_cursor_with_pages_of_any_size() {
    let api = TestApi::start().await;
    let options = api.database.options();
    let mut idle = Reader::new(&api, "");
    assert_eq!(idle.page().await, (vec![], false), "nothing yet, and a cursor to continue from");

    for batch in 0..4 {
        let batch: Vec<_> =
            (0..5).map(|n| message_delivery("A", "s", &format!("{batch}{n}"))).collect();
        put(&options, &batch).await;
    }
    let mut whole = Reader::new(&api, "limit=500");
    let all = whole.rest().await;
    assert_eq!(all.len(), 4 * 6);
    assert_eq!(idle.rest().await, all);
    for limit in ["limit=1", "limit=5", "limit=6", "limit=7", "limit=23", "limit=24"] {
        let mut reader = Reader::new(&api, limit);
        assert_eq!(reader.rest().await, all, "{limit}");
        assert_eq!(reader.page().await, (vec![], false));
    }
    put(&options, &[message_delivery("A", "s", "late")]).await;
    assert_eq!(texts(&whole.rest().await), ["late"]);
    put(&options, &[message_delivery("A", "s", "late")]).await;
    assert_eq!(whole.rest().await, [] as [Value; 0], "a duplicate changes nothing");
}

#[actix_web::test]
async fn reader_that_polls_during_eight_writers_gets_every_row_once() {
    let api = TestApi::start().await;
    let (mut writers, all) = start(&api.database.options(), 8, 40);
    let mut reader = Reader::new(&api, "limit=37");
    let mut odd = Reader::new(&api, "limit=37&agent_id=odd");
    let (mut items, mut odd_items, mut pages_meanwhile) = (Vec::new(), Vec::new(), 0);
    while !writers.is_empty() {
        items.extend(reader.page().await.0);
        odd_items.extend(odd.page().await.0);
        pages_meanwhile += 1;
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
    }
    let behind = all.len() - texts(&items).len();
    items.extend(reader.rest().await);
    odd_items.extend(odd.rest().await);

    assert!(pages_meanwhile > 1 && behind < all.len(), "{pages_meanwhile} pages, {behind} left");
    let received = texts(&items);
    assert_eq!(received.len(), all.len(), "none is returned twice");
    assert_eq!(received.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), all);
    let received = texts(&odd_items);
    let expected = of_agent(&all, "odd");
    assert_eq!(received.len(), expected.len());
    assert_eq!(received.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), expected);

    let seqs: Vec<_> = items.iter().map(|item| item["seq"].as_i64().unwrap()).collect();
    assert!(seqs.is_sorted());
    let mut last = BTreeMap::new();
    for session in items.iter().map(|item| &item["session"]).filter(|session| !session.is_null()) {
        last.insert(session["id"].as_str().unwrap(), session);
    }
    let mut sessions = api.get("/v1/sessions?limit=500").await.json()["data"].take();
    for session in sessions.as_array_mut().unwrap() {
        let received = last.remove(session["id"].as_str().unwrap());
        assert_eq!(received, Some(&*session), "the last item is the present state");
    }
    assert!(last.is_empty());
}

#[actix_web::test]
async fn feed_is_filtered_and_bound_key_sees_only_its_agents() {
    let api = TestApi::start().await;
    put(
        &api.database.options(),
        &[message_delivery("mine", "s", "m1"), message_delivery("theirs", "s", "t1")],
    )
    .await;
    put(
        &api.database.options(),
        &[message_delivery("theirs", "s", "t2"), message_delivery("third", "s", "x")],
    )
    .await;
    for (query, expected) in [
        ("agent_id=theirs", &["t1", "t2"] as &[_]),
        ("agent_id=third&agent_id=mine", &["m1", "x"]),
        ("agent_id=nobody", &[]),
        ("source=default&limit=3&agent_id=mine", &["m1"]),
        ("source=elsewhere", &[]),
    ] {
        assert_eq!(texts(&Reader::new(&api, query).rest().await), expected, "{query}");
    }
    let key = api.key(&[Scope::Export], Some(&["mine"])).await;
    for query in ["", "limit=1", "agent_id=mine&agent_id=theirs"] {
        let mut reader = Reader { key: key.clone(), ..Reader::new(&api, query) };
        let all = reader.rest().await;
        assert_eq!(texts(&all), ["m1"], "{query}");
        assert!(!json!(all).to_string().contains("theirs"));
    }
    let mut reader = Reader { key: key.clone(), ..Reader::new(&api, "agent_id=theirs") };
    assert_eq!(reader.rest().await, [] as [Value; 0]);
    for (scope, status) in
        [(Scope::Read, 200), (Scope::Export, 200), (Scope::Analytics, 403), (Scope::Erase, 403)]
    {
        let key = api.key(&[scope], None).await;
        assert_eq!(api.get_as(&key, "/v1/changes").await.status, status, "{scope:?}");
    }
}

#[actix_web::test]
async fn empty_page_moves_the_cursor() {
    let api = TestApi::start().await;
    // Keys of deleted rows, more than one request examines; then one of an existing row.
    sqlx::raw_sql(
        "INSERT INTO journal
         SELECT n, now(), array_agg(gen_random_uuid()), array_agg(now()),
             array_agg(gen_random_uuid()), array_agg(gen_random_uuid())
         FROM generate_series(1, 30) AS n, generate_series(1, 400)
         GROUP BY n;
         UPDATE journal_head SET seq = 30",
    )
    .execute(api.database.pool())
    .await
    .unwrap();
    put(&api.database.options(), &[message_delivery("A", "s", "there")]).await;
    let mut reader = Reader::new(&api, "agent_id=A");
    assert_eq!(reader.page().await, (vec![], true), "one request examines a limited number");
    assert_eq!(texts(&reader.rest().await), ["there"]);
    let mut reader = Reader::new(&api, "limit=500");
    assert_eq!(reader.page().await, (vec![], true));
    assert_eq!(texts(&reader.rest().await), ["there"]);
}

#[actix_web::test]
async fn page_with_long_texts_is_shorter() {
    let api = TestApi::start().await;
    let long = |n: usize| message_delivery("A", "s", &format!("{n}{}", "x".repeat(900_000)));
    put(&api.database.options(), &(0..12).map(long).collect::<Vec<_>>()).await;
    let mut reader = Reader::new(&api, "limit=500");
    let (items, more) = reader.page().await;
    assert!(more && items.len() < 13, "{}", items.len());
    let rest = reader.rest().await;
    let mut received: Vec<_> = [texts(&items), texts(&rest)]
        .concat()
        .iter()
        .map(|text| text.trim_end_matches('x'))
        .collect();
    received.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(received, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]);
}

fn erasure(number: u128, agent: &str, session: Option<(&str, Uuid)>) -> Erasure {
    Erasure {
        id: Uuid::from_u128(number),
        kind: if session.is_some() { ErasureKind::Session } else { ErasureKind::Agent },
        agent_id: agent.into(),
        session: session.map(|(session_id, id)| ErasedSession {
            id,
            session_id: session_id.into(),
            source: "default".into(),
        }),
        at: at(5),
        before: None,
    }
}

#[actix_web::test]
async fn erasure_is_reported_and_its_rows_are_skipped() {
    let api = TestApi::start().await;
    put(
        &api.database.options(),
        &[message_delivery("A", "gone", "hush"), message_delivery("A", "stays", "hello")],
    )
    .await;
    let id = Row::new("A", "gone").id();
    let mut early = Reader::new(&api, "limit=1");
    early.page().await;

    let mut erasing = api.database.pool().begin().await.unwrap();
    for table in
        ["DELETE FROM messages WHERE session_id = $1", "DELETE FROM sessions WHERE id = $1"]
    {
        sqlx::query(table).bind(id).execute(&mut *erasing).await.unwrap();
    }
    append_erasures(&mut erasing, &[erasure(7, "A", Some(("gone", id)))], &[]).await.unwrap();
    erasing.commit().await.unwrap();
    let mut connection = api.database.pool().acquire().await.unwrap();
    append_erasures(&mut connection, &[erasure(8, "B", None)], &[]).await.unwrap();

    let all = Reader::new(&api, "").rest().await;
    assert_eq!(kinds(&all), ["session", "message", "erasure", "erasure"]);
    assert_eq!(texts(&all), ["hello"]);
    assert_eq!(
        all[2],
        json!({ "type": "erasure", "seq": 2, "erasure": {
            "id": Uuid::from_u128(7), "kind": "session", "agent_id": "A",
            "session": { "id": id, "session_id": "gone", "source": "default" },
            "at": "2026-09-28T14:54:18.000000Z",
        } })
    );
    assert_eq!(all[3]["erasure"]["session"], Value::Null);
    assert_eq!(all[3]["erasure"]["kind"], "agent");
    assert!(kinds(&early.rest().await).ends_with(&["erasure", "erasure"]));
    for (query, expected) in [
        ("agent_id=A", &["session", "message", "erasure"] as &[_]),
        ("agent_id=B", &["erasure"]),
        ("agent_id=C", &[]),
        // Everything of an agent is erased: whatever part of it a reader follows.
        ("source=elsewhere", &["erasure"]),
        ("source=default&agent_id=A", &["session", "message", "erasure"]),
    ] {
        assert_eq!(kinds(&Reader::new(&api, query).rest().await), expected, "{query}");
    }
    let key = api.key(&[Scope::Read], Some(&["C"])).await;
    let mut reader = Reader { key, ..Reader::new(&api, "limit=1") };
    assert_eq!(reader.rest().await, [] as [Value; 0]);
}

#[actix_web::test]
async fn position_without_a_continuation_is_rejected() {
    let api = TestApi::start().await;
    let empty = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    for text in ["1", "2", "3"] {
        put(&api.database.options(), &[message_delivery("A", "s", text)]).await;
    }
    let mut reader = Reader::new(&api, "limit=2");
    reader.page().await;
    let old = reader.after.clone().unwrap();
    reader.rest().await;
    let new = reader.after.clone().unwrap();
    let refused = async |after: &str| {
        let answer = api.get(&format!("/v1/changes?after={after}")).await;
        (answer.status == 400).then(|| answer.code())
    };
    let code = Some("invalid_cursor".to_owned());
    assert_eq!(refused("made-up").await, code);
    assert_eq!(refused(&old[1..]).await, code);
    assert_eq!(refused(&old).await, None);

    // From a journal that continues after a restore, with other rows.
    let pool = api.database.pool();
    sqlx::query("UPDATE journal SET received_at = received_at - interval '1 hour' WHERE seq = 1")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(refused(&old).await, code);
    assert_eq!(refused(&new).await, None);

    // Truncated at its beginning.
    sqlx::query("DELETE FROM journal WHERE seq < 3").execute(pool).await.unwrap();
    assert_eq!(refused(&old).await, code);
    assert_eq!(refused(&empty).await, code, "it has read nothing, and two rows are missing");
    assert_eq!(refused(&new).await, None);
    assert_eq!(texts(&Reader::new(&api, "").rest().await), ["3"], "the first row that is left");

    // From a database with fewer entries.
    sqlx::raw_sql("DELETE FROM journal; UPDATE journal_head SET seq = 0")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(refused(&new).await, code);
}
