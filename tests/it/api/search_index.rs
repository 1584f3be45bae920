//! The search index: folding of words, and rebuilds.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::watch;
use verbatim::inbox::Depth;
use verbatim::jobs::indexer::Indexer;
use verbatim::search::INDEX_VERSION;
use verbatim::store::search::{Indexed, rebuild_next, standing};

use super::app::TestApi;
use super::search::{Message, connection, found, index, search, store, with_texts};

#[actix_web::test]
async fn word_is_found_in_every_spelling() {
    let api = with_texts(&[
        "علي يلعب",
        "کیک شکلاتی",
        "مكتبة الجامعة",
        "نمی‌دانم چرا",
        "شماره ۴۵۶",
        "ہم لوگ",
        "カレーライスがすき",
        "一ケ月まえ",
        "我們還沒發貨",
        "这里有说明书",
        "It costs 2,500,000 yen",
        "et 1\u{202F}000\u{202F}000 d'euros",
        "l’hôtel d’Anne",
        "we don’t ship",
        "O'Brien called",
    ])
    .await;
    for (q, expected) in [
        ("على", "علي يلعب"),
        ("علی", "علي يلعب"),
        ("كيك", "کیک شکلاتی"),
        ("شكلاتي", "کیک شکلاتی"),
        ("مکتبه", "مكتبة الجامعة"),
        ("نميدانم", "نمی‌دانم چرا"),
        ("نمی دانم", "نمی‌دانم چرا"),
        ("دانم", "نمی‌دانم چرا"),
        ("456", "شماره ۴۵۶"),
        ("٤٥٦", "شماره ۴۵۶"),
        ("هم", "ہم لوگ"),
        ("かれーらいす", "カレーライスがすき"),
        ("スキ", "カレーライスがすき"),
        ("一ヶ月", "一ケ月まえ"),
        ("我们还没发货", "我們還沒發貨"),
        ("說明書", "这里有说明书"),
        ("2500000", "It costs 2,500,000 yen"),
        ("2.500.000", "It costs 2,500,000 yen"),
        ("500", "It costs 2,500,000 yen"),
        ("hotel", "l’hôtel d’Anne"),
        ("l'hotel", "l’hôtel d’Anne"),
        ("\"d'anne\"", "l’hôtel d’Anne"),
        ("dont", "we don’t ship"),
        ("don't", "we don’t ship"),
        ("obrien", "O'Brien called"),
        ("o’brien", "O'Brien called"),
    ] {
        assert_eq!(found(&api, q).await, [expected], "{q}");
    }
    assert_eq!(found(&api, "1,000,000").await.len(), 1, "also with spaces that do not break");
}

/// Returns the vocabulary, and the expected one.
async fn vocabulary(api: &TestApi) -> [BTreeMap<(String, String), i64>; 2] {
    let rows = async |sql| -> BTreeMap<(String, String), i64> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as(sql).fetch_all(api.database.pool()).await.unwrap();
        rows.into_iter().map(|(word, agent, count)| ((word, agent), count)).collect()
    };
    [
        rows("SELECT word, agent_id, documents FROM search_vocabulary").await,
        rows(
            "SELECT word, agent_id, count(*)
             FROM search_parts, unnest(tsvector_to_array(terms)) AS word
             WHERE word !~ '^[@#%]'
             GROUP BY 1, 2",
        )
        .await,
    ]
}

async fn run(api: &TestApi, sql: &'static str) {
    sqlx::raw_sql(sql).execute(api.database.pool()).await.unwrap();
}

#[actix_web::test]
async fn index_of_an_older_program_is_rebuilt_newest_first_during_searches() {
    let api = TestApi::start().await;
    let long = "gold and silver, ".repeat(400);
    for batch in 0..9 {
        let texts: Vec<String> = (0..3).map(|n| format!("gold {batch} {n} don't")).collect();
        let mut said: Vec<_> = (0..)
            .zip(&texts)
            .map(|(n, text)| Message { second: batch * 10 + n, text, ..Message::default() })
            .collect();
        said.push(Message {
            second: batch * 10 + 5,
            text: &long,
            agent: "b",
            ..Message::default()
        });
        store(&api, &said).await;
    }
    assert_eq!(index(&api).await, 36);
    let whole = found(&api, "gold").await;
    let [counted, expected] = vocabulary(&api).await;
    assert_eq!(counted, expected);

    // As an older program left it: other tokens, and one document for each message.
    run(
        &api,
        "UPDATE search_progress SET version = 0;
        DELETE FROM search_parts WHERE part > 0;
        UPDATE search_parts SET parts = 1, terms = '''@0'' ''old'':1' WHERE agent_id = 'a';
        DELETE FROM search_vocabulary;
        INSERT INTO search_vocabulary
        SELECT word, agent_id, count(*)
        FROM search_parts, unnest(tsvector_to_array(terms)) AS word
        WHERE word !~ '^[@#%]'
        GROUP BY 1, 2",
    )
    .await;
    let body = search(&api, "silver").await.json();
    assert_eq!(
        (&body["complete"], &body["incomplete"]),
        (&json!(false), &json!(["index_rebuild"]))
    );

    let mut connection = connection(&api).await;
    assert!(matches!(rebuild_next(&mut connection).await.unwrap(), Indexed::Messages(16)));
    let rebuild = standing(&mut connection).await.unwrap().rebuild.unwrap();
    assert_eq!((rebuild.done, rebuild.of), (4, 9));
    let newest = found(&api, "dont").await;
    assert_eq!(newest.len(), 12, "the newest first: {newest:?}");
    // New messages are found during the rebuild, too.
    store(&api, &[Message { second: 200, text: "gold at last", ..Message::default() }]).await;
    assert_eq!(index(&api).await, 1);
    while rebuild_next(&mut connection).await.unwrap() != Indexed::Nothing {}
    assert_eq!(standing(&mut connection).await.unwrap().rebuild, None);

    let mut expected = [whole, vec!["gold at last".to_owned()]].concat();
    expected.sort_unstable();
    assert!(found(&api, "gold").await == expected);
    assert_eq!(search(&api, "gold").await.json()["complete"], true);
    let [counted, expected] = vocabulary(&api).await;
    assert_eq!(counted, expected);
    // A second rebuild changes nothing.
    run(&api, "UPDATE search_progress SET stale_to = seq, stale_from = seq").await;
    loop {
        match rebuild_next(&mut connection).await.unwrap() {
            Indexed::Messages(messages) => assert_eq!(messages, 0),
            Indexed::Nothing => break,
            Indexed::Elsewhere => panic!("no other process indexes"),
        }
    }
}

#[actix_web::test]
async fn documents_of_another_generation_are_indexed_again() {
    let api = with_texts(&["gold"]).await;
    let mut connection = connection(&api).await;
    assert_eq!(rebuild_next(&mut connection).await.unwrap(), Indexed::Nothing);
    store(&api, &[Message { second: 1, text: "silver don't", ..Message::default() }]).await;
    index(&api).await;
    // An older program does not move `made_to`, and wrote other tokens.
    run(&api, "UPDATE search_progress SET made_to = seq - 1").await;
    run(&api, "DELETE FROM search_parts; DELETE FROM search_vocabulary").await;
    assert_eq!(rebuild_next(&mut connection).await.unwrap(), Indexed::Messages(2));
    assert_eq!(found(&api, "dont").await, ["silver don't"]);
    // For a later generation this program is the older one, and leaves its documents alone.
    run(&api, "UPDATE search_progress SET version = version + 1, stale_to = seq").await;
    assert_eq!(rebuild_next(&mut connection).await.unwrap(), Indexed::Nothing);
    store(&api, &[Message { second: 2, text: "tin", ..Message::default() }]).await;
    assert_eq!(index(&api).await, 1, "but indexes new messages");
    let (version, ahead): (i32, bool) =
        sqlx::query_as("SELECT version, made_to < seq FROM search_progress")
            .fetch_one(api.database.pool())
            .await
            .unwrap();
    assert_eq!((version, ahead), (INDEX_VERSION + 1, true));
}

#[actix_web::test]
async fn rebuild_removes_deleted_messages() {
    let api = with_texts(&["gold", "silver"]).await;
    run(
        &api,
        "DELETE FROM messages WHERE message = 'gold';
        UPDATE search_progress SET stale_to = seq, stale_from = seq",
    )
    .await;
    let mut connection = connection(&api).await;
    while rebuild_next(&mut connection).await.unwrap() != Indexed::Nothing {}
    let [counted, expected] = vocabulary(&api).await;
    assert_eq!(counted, expected);
    assert_eq!(counted.keys().map(|key| key.0.as_str()).collect::<Vec<_>>(), ["silver"]);
}

#[actix_web::test]
async fn indexer_rebuilds_documents_of_an_earlier_version() {
    let api = TestApi::start().await;
    store(&api, &[Message { text: "gold", ..Message::default() }]).await;
    run(&api, "UPDATE search_progress SET seq = 1, stale_to = 1, stale_from = 1, made_to = 1")
        .await;
    let (_depth, depth) = watch::channel(Depth::default());
    let (tell, told) = watch::channel(None);
    let mut indexer = Indexer::new(api.database.options(), depth, tell);
    assert_eq!(indexer.run_once().await.unwrap(), Indexed::Messages(1));
    assert_eq!(told.borrow().unwrap().rebuild, None);
    assert_eq!(found(&api, "gold").await, ["gold"]);
}
