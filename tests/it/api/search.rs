//! `GET /v1/search`, from a delivery in Postgres to an answer.

use std::borrow::Cow;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::inbox::Depth;
use verbatim::jobs::indexer::Indexer;
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::Scope;
use verbatim::store::search::{Indexed, forget_messages, forget_sessions, index_next, standing};

use super::app::{TestApi, at};
use super::http::Answer;

/// A message.
pub(super) struct Message<'a> {
    pub(super) second: i64,
    pub(super) agent: &'a str,
    pub(super) session: &'a str,
    pub(super) role: &'a str,
    pub(super) text: &'a str,
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self { second: 0, agent: "a", session: "s", role: "user", text: "" }
    }
}

pub(super) async fn connection(api: &TestApi) -> PgConnection {
    api.database.options().connect().await.unwrap()
}

/// Stores messages as the drain does.
pub(super) async fn store(api: &TestApi, said: &[Message<'_>]) {
    let arrival = |said: &Message<'_>| Arrival {
        id: DeliveryId::new(at(said.second)),
        received_at: at(said.second),
        source: SourceName::default(),
        evidence: Evidence::default(),
        body: json!({
            "event_type": "chat.push", "agent_id": said.agent,
            "timestamp": at(said.second).timestamp(),
            "data": { "session_id": said.session, "role": said.role, "message": said.text },
        })
        .to_string()
        .into(),
    };
    let arrivals: Vec<Arrival> = said.iter().map(arrival).collect();
    let rows: Vec<_> =
        arrivals.iter().map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) }).collect();
    write(&mut connection(api).await, &rows).await.unwrap();
}

/// Indexes everything that is stored, and returns the number of documents.
pub(super) async fn index(api: &TestApi) -> usize {
    let mut connection = connection(api).await;
    let mut indexed = 0;
    loop {
        match index_next(&mut connection).await.unwrap() {
            Indexed::Messages(messages) => indexed += messages,
            Indexed::Nothing => return indexed,
            Indexed::Elsewhere => panic!("no other process indexes"),
        }
    }
}

/// Starts a service with these texts, one a second.
pub(super) async fn with_texts(texts: &[&str]) -> TestApi {
    let api = TestApi::start().await;
    let said: Vec<_> = (0..)
        .zip(texts)
        .map(|(second, text)| Message { second, text, ..Message::default() })
        .collect();
    store(&api, &said).await;
    assert_eq!(index(&api).await, texts.len());
    api
}

pub(super) async fn search(api: &TestApi, q: &str) -> Answer {
    let q = percent_encoding::utf8_percent_encode(q, percent_encoding::NON_ALPHANUMERIC);
    api.get(&format!("/v1/search?limit=500&q={q}")).await
}

pub(super) fn texts(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let rows = body["data"].as_array().unwrap_or_else(|| panic!("{body}"));
    rows.iter().map(|row| row["message"]["message"].as_str().unwrap().to_owned()).collect()
}

/// Returns the texts that a search finds, sorted.
pub(super) async fn found(api: &TestApi, q: &str) -> Vec<String> {
    let mut found = texts(&search(api, q).await);
    found.sort_unstable();
    found
}

#[actix_web::test]
async fn words_phrases_exclusions_and_prefixes_find_their_matches() {
    let api = with_texts(&[
        "Our refund policy is simple.",
        "A policy for refunds",
        "Refund? No policy.",
        "delivery and deliveries",
    ])
    .await;
    for (q, expected) in [
        ("refund policy", vec!["Our refund policy is simple.", "Refund? No policy."]),
        ("\"refund policy\"", vec!["Our refund policy is simple."]),
        ("policy -refund", vec!["A policy for refunds"]),
        ("policy -\"refund policy\" -refunds", vec!["Refund? No policy."]),
        ("REFUND* simple", vec!["Our refund policy is simple."]),
        ("refund* for", vec!["A policy for refunds"]),
        ("deliv*", vec!["delivery and deliveries"]),
        ("nothing", vec![]),
    ] {
        assert_eq!(found(&api, q).await, expected, "{q}");
    }
}

#[actix_web::test]
async fn every_script_can_be_searched() {
    let api = with_texts(&[
        "请问退款政策是什么？",
        "我要退货",
        "返金ポリシーを教えてください",
        "ﾃﾞｰﾀが消えた",
        "환불정책을 알려주세요",
        "นโยบายการคืนเงิน",
        "Wo ist die Straße nach Łódź?",
        "CAFÉ İstanbul",
        "ＦＵＬＬ ｗｉｄｔｈ",
        "سياسة الإرجاعِ",
        "मेरी वापसी",
        "Ёлка стоит",
        "well done 🦊",
    ])
    .await;
    for (q, expected) in [
        ("退款", "请问退款政策是什么？"),
        ("退款政策", "请问退款政策是什么？"),
        ("什么", "请问退款政策是什么？"),
        ("货", "我要退货"),
        ("退货", "我要退货"),
        ("ポリシー", "返金ポリシーを教えてください"),
        ("返金", "返金ポリシーを教えてください"),
        ("データ", "ﾃﾞｰﾀが消えた"),
        ("정책", "환불정책을 알려주세요"),
        ("คืนเงิน", "นโยบายการคืนเงิน"),
        ("STRASSE", "Wo ist die Straße nach Łódź?"),
        ("lodz", "Wo ist die Straße nach Łódź?"),
        ("cafe", "CAFÉ İstanbul"),
        ("istanbul", "CAFÉ İstanbul"),
        ("full WIDTH", "ＦＵＬＬ ｗｉｄｔｈ"),
        ("الإرجاع", "سياسة الإرجاعِ"),
        ("वापसी", "मेरी वापसी"),
        ("елка", "Ёлка стоит"),
        ("🦊", "well done 🦊"),
    ] {
        assert_eq!(found(&api, q).await, [expected], "{q}");
    }
    assert!(found(&api, "退策").await.is_empty(), "characters that are not adjacent");
}

#[actix_web::test]
async fn parts_of_words_are_found_where_no_word_matches() {
    let api =
        with_texts(&["an unbelievable story", "believe me", "50% off_", "die Rückerstattung"])
            .await;
    assert_eq!(found(&api, "believ").await, ["an unbelievable story", "believe me"]);
    assert_eq!(found(&api, "lieva story").await, ["an unbelievable story"]);
    assert_eq!(found(&api, "believe").await, ["believe me"], "a whole word is preferred");
    assert_eq!(found(&api, "erstattung -geld").await, ["die Rückerstattung"]);
    assert!(found(&api, "zz%").await.is_empty());
    let answer = search(&api, "erstattung").await.json();
    assert_eq!(
        answer["data"][0]["highlights"],
        json!([
            { "text": "die Rück", "hit": false, "start": 0, "end": 8 },
            { "text": "erstattung", "hit": true, "start": 8, "end": 18 },
        ])
    );
    assert_eq!(answer["query"]["parts_of_words"], true);
    assert_eq!(search(&api, "believe").await.json()["query"]["parts_of_words"], false);
}

#[actix_web::test]
async fn rare_word_is_found_among_many_candidates() {
    let api = TestApi::start().await;
    let holders: Vec<String> =
        (0..60).map(|n| format!("marigold{n:02} marigold{n:02} silver")).collect();
    let mut said: Vec<_> = (0..)
        .zip(&holders)
        .map(|(second, text)| Message { second, text, ..Message::default() })
        .collect();
    said.push(Message { second: 99, text: "gold quicksilver", ..Message::default() });
    store(&api, &said).await;
    index(&api).await;
    // There is no word `lver`, so parts of words are searched, and many words contain `gold`.
    assert!(found(&api, "gold lver").await.contains(&"gold quicksilver".to_owned()));
    assert!(found(&api, "gold* lver").await.contains(&"gold quicksilver".to_owned()));
}

#[actix_web::test]
async fn pages_of_word_parts_have_each_match_once_while_the_vocabulary_changes() {
    let api = TestApi::start().await;
    let text = |n: i64| format!("marigold{n:03}");
    let all: Vec<String> = (0..80).map(text).collect();
    let said: Vec<_> = (0..)
        .zip(&all)
        .map(|(second, text)| Message { second, text, ..Message::default() })
        .collect();
    store(&api, &said).await;
    index(&api).await;
    let expected = texts(&api.get("/v1/search?q=rigol&limit=500").await);
    assert_eq!(expected.len(), 80, "however many words contain it");
    let mut seen = Vec::new();
    let mut target = "/v1/search?q=rigol&limit=7".to_owned();
    for page in 0_i64.. {
        let answer = api.get(&target).await;
        seen.extend(texts(&answer));
        let body = answer.json();
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        target = format!("/v1/search?q=rigol&limit=7&cursor={cursor}");
        // Some words become more frequent, and others are new.
        sqlx::query("UPDATE search_vocabulary SET documents = 9 + $1 WHERE word > 'marigold04'")
            .bind(page)
            .execute(api.database.pool())
            .await
            .unwrap();
        let new = format!("aarigold{page}");
        store(&api, &[Message { second: 1_000 + page, text: &new, ..Message::default() }]).await;
        index(&api).await;
    }
    assert_eq!(seen, expected);
}

#[actix_web::test]
async fn page_of_long_matches_is_shorter_than_its_limit_and_none_is_skipped() {
    let api = TestApi::start().await;
    let long: Vec<String> = (0..20).map(|n| format!("gold {n} {}", ". ".repeat(1 << 19))).collect();
    let said: Vec<_> = (0..)
        .zip(&long)
        .map(|(second, text)| Message { second, text, ..Message::default() })
        .collect();
    store(&api, &said).await;
    index(&api).await;
    let (mut seen, mut pages) = (Vec::new(), 0);
    let mut target = "/v1/search?q=gold&limit=500".to_owned();
    loop {
        let answer = api.get(&target).await;
        assert!(answer.body.len() < 11 << 20, "{} bytes", answer.body.len());
        seen.extend(texts(&answer));
        pages += 1;
        let body = answer.json();
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        target = format!("/v1/search?q=gold&limit=500&cursor={cursor}");
    }
    assert!(pages >= 3, "{pages}");
    seen.reverse();
    assert!(seen == long, "each once, newest first");
}

#[actix_web::test]
async fn match_has_its_session_score_and_hits() {
    let api = with_texts(&["<b>Gold</b> & silver"]).await;
    let body = search(&api, "gold").await.json();
    let messages = api.get("/v1/sessions/s/messages").await.json();
    assert_eq!(body["data"][0]["message"], messages["data"][0]);
    assert_eq!(body["data"][0]["session"], api.get("/v1/sessions/s").await.json());
    assert!(body["data"][0]["score"].as_f64().unwrap() > 0.0);
    assert_eq!(
        body["data"][0]["highlights"],
        json!([
            { "text": "<b>", "hit": false, "start": 0, "end": 3 },
            { "text": "Gold", "hit": true, "start": 3, "end": 7 },
            { "text": "</b> & silver", "hit": false, "start": 7, "end": 20 },
        ])
    );
    assert_eq!(body["data"][0]["excerpt"], false);
    assert_eq!((&body["next_cursor"], &body["has_more"]), (&Value::Null, &json!(false)));
    assert_eq!((&body["complete"], &body["incomplete"]), (&json!(true), &json!([])));
    assert_eq!(
        body["query"],
        json!({ "read_as": "gold", "forgiven": [], "parts_of_words": false })
    );
}

#[actix_web::test]
async fn filters_narrow_a_search() {
    let api = TestApi::start().await;
    let message = |second, agent, role, text| Message { second, agent, role, text, session: agent };
    store(
        &api,
        &[
            message(0, "a", "user", "gold zero"),
            message(1, "a", "Agent", "gold one"),
            message(2, "b", "User", "gold two"),
            message(86_400 * 60, "c", "user", "gold later"),
        ],
    )
    .await;
    index(&api).await;
    let (first, last) = (at(0).timestamp(), at(86_400 * 60).timestamp());
    for (filter, mut expected) in [
        ("", vec!["gold zero", "gold one", "gold two", "gold later"]),
        ("&agent_id=a", vec!["gold zero", "gold one"]),
        ("&agent_id=a&agent_id=b", vec!["gold zero", "gold one", "gold two"]),
        ("&agent_id=none", vec![]),
        ("&source=default", vec!["gold zero", "gold one", "gold two", "gold later"]),
        ("&source=other", vec![]),
        ("&role=user", vec!["gold zero", "gold two", "gold later"]),
        ("&role=assistant", vec!["gold one"]),
        ("&role=agent", vec!["gold one"]),
        (&format!("&after={first}"), vec!["gold one", "gold two", "gold later"]),
        (&format!("&before={last}&role=user"), vec!["gold zero", "gold two"]),
        (&format!("&after={first}&before={}", first + 2), vec!["gold one"]),
    ] {
        let mut found = texts(&api.get(&format!("/v1/search?q=gold{filter}")).await);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
}

#[actix_web::test]
async fn best_match_is_first_and_pages_have_each_match_once_during_writes() {
    let api = TestApi::start().await;
    let filler = "and then something else was said about it ".repeat(5);
    let long = format!("gold {filler}");
    let mut said: Vec<_> =
        (0..25).map(|second| Message { second, text: &long, ..Message::default() }).collect();
    said.push(Message { second: 3, text: "gold gold gold", ..Message::default() });
    store(&api, &said).await;
    index(&api).await;
    let first = api.get("/v1/search?q=gold&limit=10").await;
    assert_eq!(texts(&first)[0], "gold gold gold");

    let ids = |answer: &Answer| -> Vec<String> {
        let body = answer.json();
        let rows = body["data"].as_array().unwrap().clone();
        rows.iter().map(|row| row["message"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = ids(&first);
    let mut page = first;
    for second in 100.. {
        let body = page.json();
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        let late = Message { second, text: "gold gold gold gold", ..Message::default() };
        store(&api, &[late]).await;
        index(&api).await;
        page = api.get(&format!("/v1/search?q=gold&limit=10&cursor={cursor}")).await;
        seen.extend(ids(&page));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((count, seen.len()), (26, 26), "later messages are not part of this walk");

    let cursor = api.get("/v1/search?q=gold&limit=1").await.json();
    let cursor = cursor["next_cursor"].as_str().unwrap();
    for other in ["q=silver", "q=gold&role=user", "q=gold&agent_id=a"] {
        let answer = api.get(&format!("/v1/search?{other}&cursor={cursor}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_cursor"));
    }
}

#[actix_web::test]
async fn matches_beyond_the_ranked_ones_are_paged_to_the_last() {
    let api = TestApi::start().await;
    let texts: Vec<String> = (0..2_345).map(|n| format!("gold number{n}")).collect();
    let said: Vec<_> = (0..)
        .zip(&texts)
        // Ten of the same second, and some of half a year ago.
        .map(|(n, text)| Message {
            second: n / 10 - (n % 2) * 15_000_000,
            text,
            ..Message::default()
        })
        .collect();
    for said in said.chunks(500) {
        store(&api, said).await;
    }
    assert_eq!(index(&api).await, texts.len());
    // So many documents that the search reads one time bucket after the other.
    sqlx::query("UPDATE search_vocabulary SET documents = 1000000 WHERE word = 'gold'")
        .execute(api.database.pool())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut target = "/v1/search?q=gold&limit=500".to_owned();
    loop {
        let body = api.get(&target).await.json();
        for row in body["data"].as_array().unwrap() {
            seen.push(row["message"]["message"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        target = format!("/v1/search?q=gold&limit=500&cursor={cursor}");
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((count, seen.len()), (texts.len(), texts.len()));
}

#[actix_web::test]
async fn invalid_query_is_rejected_with_a_hint() {
    let api = TestApi::start().await;
    for (query, says) in [
        ("", "`q` is missing"),
        ("q=", "`q` is empty"),
        ("q=-x", "add a word to search"),
        ("q=...", "add a word"),
        ("q=*", "add a word"),
        ("q=x&order=asc", "There is no parameter"),
    ] {
        let answer = api.get(&format!("/v1/search?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{detail}");
    }
    let key = api.key(&[Scope::Export], None).await;
    assert_eq!(api.get_as(&key, "/v1/search?q=x").await.code(), "forbidden");
}

#[actix_web::test]
async fn special_characters_of_the_query_language_are_harmless() {
    let api = with_texts(&["it's a 'quote' & a \\ back|slash !now :* <-> (x)"]).await;
    for q in ["'", "it's", "a & b | !c", "back|slash", "<->", "x:*", "\\", "(x)", "'); --", "@#"] {
        let answer = search(&api, q).await;
        assert!([200, 400].contains(&answer.status), "{q}: {}", answer.text());
    }
    assert_eq!(found(&api, "back|slash").await.len(), 1);
}

#[actix_web::test]
async fn largest_message_and_longest_word_are_indexed() {
    let long = "x".repeat(100_000);
    let many: String =
        (0..200_000_u32).filter_map(|n| char::from_u32(0x4E00 + n * 7 % 20_000)).collect();
    let words = "gold silver ".repeat(30_000);
    let api = with_texts(&[&long, &many, &words]).await;
    assert_eq!(found(&api, &long[..500]).await.len(), 1);
    assert_eq!(found(&api, "\"gold silver\"").await.len(), 1);
}

#[actix_web::test]
async fn two_indexers_index_everything_once() {
    let api = TestApi::start().await;
    for batch in 0..20 {
        let texts: Vec<String> = (0..20).map(|n| format!("gold {batch} {n}")).collect();
        let said: Vec<_> = (0..)
            .zip(&texts)
            .map(|(n, text)| Message { second: batch * 20 + n, text, ..Message::default() })
            .collect();
        store(&api, &said).await;
    }
    let work = async || {
        let mut connection = connection(&api).await;
        let mut indexed = 0;
        while indexed < 400 {
            match index_next(&mut connection).await.unwrap() {
                Indexed::Messages(messages) => indexed += messages,
                Indexed::Elsewhere => tokio::task::yield_now().await,
                Indexed::Nothing => break,
            }
        }
        indexed
    };
    let (one, other) = tokio::join!(work(), work());
    assert_eq!(one + other, 400);
    let words: i64 =
        sqlx::query_scalar("SELECT documents FROM search_vocabulary WHERE word = 'gold'")
            .fetch_one(api.database.pool())
            .await
            .unwrap();
    assert_eq!(words, 400);
    let standing = standing(&mut connection(&api).await).await.unwrap();
    assert_eq!((standing.entries, standing.waiting_since), (0, None));
}

#[actix_web::test]
async fn search_lag_is_reported_while_no_batch_succeeds() {
    let api = TestApi::start().await;
    let (_depth, depth) = watch::channel(Depth::default());
    let (tell, told) = watch::channel(None);
    let mut indexer = Indexer::new(api.database.options(), depth, tell);
    indexer.run_once().await.unwrap();
    assert_eq!(told.borrow().unwrap().entries, 0);

    store(&api, &[Message { text: "gold", ..Message::default() }]).await;
    sqlx::raw_sql("ALTER TABLE search_vocabulary RENAME TO lost")
        .execute(api.database.pool())
        .await
        .unwrap();
    indexer.run_once().await.unwrap_err();
    let standing = told.borrow().unwrap();
    assert_eq!((standing.entries, standing.waiting_since), (1, Some(at(0))));
}

#[actix_web::test]
async fn erased_messages_leave_no_word_in_the_vocabulary() {
    let api = TestApi::start().await;
    store(
        &api,
        &[
            Message { session: "kept", text: "gold silver", ..Message::default() },
            Message {
                session: "gone",
                text: "gold platinum 秘密",
                second: 1,
                ..Message::default()
            },
            Message { session: "late", text: "gold rhodium", second: 2, ..Message::default() },
        ],
    )
    .await;
    index(&api).await;
    let id = |session| {
        let source = SourceName::default();
        verbatim::domain::SessionId::of(&source, "a", session).0
    };
    let mut connection = connection(&api).await;
    assert_eq!(forget_sessions(&mut connection, &[id("gone")]).await.unwrap(), 1);
    let late = api.store.journal_after(0, 10).await.unwrap().remove(0).messages;
    let late: Vec<_> = late.into_iter().filter(|key| key.session_id == id("late")).collect();
    assert_eq!(forget_messages(&mut connection, &late).await.unwrap(), 1);
    let words: Vec<(String, i64)> =
        sqlx::query_as("SELECT word, documents FROM search_vocabulary ORDER BY word")
            .fetch_all(api.database.pool())
            .await
            .unwrap();
    assert_eq!(words, [("gold".to_owned(), 1), ("silver".to_owned(), 1)]);
    assert_eq!(found(&api, "gold").await, ["gold silver"]);
    assert!(found(&api, "platinum").await.is_empty());
}

#[actix_web::test]
async fn malformed_query_is_corrected() {
    let api = with_texts(&["our refund policy", "a policy", "refunding"]).await;
    for (q, read_as, forgiven, expected) in [
        (
            "\"refund policy",
            "\"refund policy\"",
            json!(["unclosed_quote"]),
            vec!["our refund policy"],
        ),
        ("refund* *", "refund*", json!(["stray_star"]), vec!["our refund policy", "refunding"]),
        ("*policy -re*", "policy -re*", json!(["stray_star"]), vec!["a policy"]),
        ("re*funding \"", "re funding", json!(["unclosed_quote", "stray_star"]), vec![]),
    ] {
        let body = search(&api, q).await.json();
        assert_eq!(
            (&body["query"]["read_as"], &body["query"]["forgiven"]),
            (&json!(read_as), &forgiven)
        );
        assert_eq!(found(&api, q).await, expected, "{q}");
    }
}

#[actix_web::test]
async fn search_in_one_session_finds_its_messages() {
    let api = TestApi::start().await;
    let message =
        |second, agent, session, text| Message { second, agent, session, text, role: "user" };
    store(
        &api,
        &[
            message(0, "a", "one", "gold one"),
            message(1, "a", "two", "gold two"),
            message(2, "b", "one", "gold three"),
            message(3, "a", "one", "silver"),
        ],
    )
    .await;
    index(&api).await;
    let ours = api.get("/v1/sessions?agent_id=b").await.json()["data"][0]["id"].clone();
    let ours = ours.as_str().unwrap();
    let key = api.key(&[Scope::Read], Some(&["b"])).await;
    for (filter, key, expected) in [
        ("session_id=one", None, vec!["gold one", "gold three"]),
        ("session_id=one&agent_id=a", None, vec!["gold one"]),
        ("session_id=one", Some(&key), vec!["gold three"]),
        ("session_id=two", Some(&key), vec![]),
        (&format!("session_id={ours}"), None, vec!["gold three"]),
        ("session_id=none", None, vec![]),
    ] {
        let target = format!("/v1/search?q=gold&{filter}");
        let answer = match key {
            Some(key) => api.get_as(key, &target).await,
            None => api.get(&target).await,
        };
        let mut found = texts(&answer);
        found.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
    let one = api.get("/v1/search?q=gold&session_id=one&limit=1").await.json();
    let cursor = one["next_cursor"].as_str().unwrap();
    let rest = api.get(&format!("/v1/search?q=gold&session_id=one&limit=1&cursor={cursor}")).await;
    assert_eq!(texts(&rest).len(), 1);
}

#[actix_web::test]
async fn word_parts_are_found_without_pg_trgm() {
    let api = with_texts(&["an unbelievable story"]).await;
    sqlx::raw_sql("DROP EXTENSION pg_trgm CASCADE").execute(api.database.pool()).await.unwrap();
    assert_eq!(found(&api, "lieva").await.len(), 1);
}
