//! A key that is bound to an agent learns nothing of other agents' messages from searches.

use serde_json::Value;
use verbatim::store::keys::Scope;

use super::app::TestApi;
use super::search::{Message, index, store};

/// Searches that would reveal something if they read the words of other agents.
const QUERIES: [&str; 11] = [
    "q=plum&limit=1",
    "q=plum&limit=500",
    "q=pear&limit=7",
    "q=lumb&limit=500",
    "q=lumb&limit=3",
    "q=lum&limit=500",
    "q=%22plum+pear%22",
    "q=plum+-pear",
    "q=pl*&limit=5",
    "q=secret",
    "q=plum&agent_id=hidden",
];

/// Returns every page of every search with a bound key, without cursors.
async fn everything(api: &TestApi, key: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    for query in QUERIES {
        let mut target = format!("/v1/search?{query}");
        loop {
            let answer = api.get_as(key, &target).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text());
            let mut body = answer.json();
            let cursor = body.as_object_mut().unwrap().insert("next_cursor".into(), Value::Null);
            answers.push(body);
            let Some(cursor) = cursor.unwrap().as_str().map(str::to_owned) else { break };
            target = format!("/v1/search?{query}&cursor={cursor}");
        }
    }
    answers
}

fn of<'a>(agent: &'a str, said: &'a [(i64, String)]) -> Vec<Message<'a>> {
    let said = said.iter();
    said.map(|(second, text)| Message {
        second: *second,
        agent,
        session: agent,
        role: "user",
        text,
    })
    .collect()
}

#[actix_web::test]
async fn bound_key_finds_the_same_whatever_other_agents_have() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], Some(&["mine"])).await;
    let fruit = |n: i64| if n % 2 == 0 { "pear" } else { "fig" };
    let mine: Vec<(i64, String)> = (0..160)
        .map(|n| (n * 7_000 - 900_000, format!("plum {} plumber{n:03} words", fruit(n))))
        .collect();
    store(&api, &of("mine", &mine)).await;
    index(&api).await;
    let before = everything(&api, &key).await;
    assert!(before.iter().any(|body| body["data"].as_array().is_some_and(|rows| rows.len() > 100)));

    // Many of the same words, some earlier and some far later; more words with a part than a search
    // examines; and a word that equals a part, which would prevent a search for parts.
    let words = |n: i64| format!("plum pear lumb secret columbine{n:04} slumber{n:04}");
    let theirs: Vec<(i64, String)> = (0..1_500)
        .map(|n| (n * 900 - 2_000_000, words(n)))
        .chain((0..20).map(|n| (90_000_000 + n, "plum lumb".to_owned())))
        .collect();
    for said in theirs.chunks(500) {
        store(&api, &of("hidden", said)).await;
    }
    index(&api).await;
    let after = everything(&api, &key).await;
    assert_eq!(before.len(), after.len(), "the same number of pages");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    // A key that may see both agents does learn of it.
    let all = api.get("/v1/search?q=lumb&limit=500").await.json();
    assert_eq!(all["query"]["parts_of_words"], false);
    let all = api.get("/v1/search?q=olumb&limit=5").await.json();
    assert_eq!(
        (&all["complete"], &all["incomplete"]),
        (&false.into(), &serde_json::json!(["many_words"]))
    );
}

#[actix_web::test]
async fn word_part_is_searched_in_all_words_of_an_agent() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], Some(&["mine"])).await;
    let texts: Vec<String> = (0..70).map(|n| format!("applesauce{n}")).collect();
    let theirs: Vec<_> = (0..)
        .zip(&texts)
        .map(|(second, text)| Message { second, text, agent: "hidden", ..Message::default() })
        .collect();
    store(&api, &theirs).await;
    let texts: Vec<String> = (0..70).map(|n| format!("pineapples{n}")).collect();
    let mine: Vec<_> = (0..)
        .zip(&texts)
        .map(|(second, text)| Message {
            second,
            text,
            agent: "mine",
            session: "m",
            ..Message::default()
        })
        .collect();
    store(&api, &mine).await;
    index(&api).await;
    let body = api.get_as(&key, "/v1/search?q=apples&limit=500").await.json();
    assert_eq!(body["data"].as_array().unwrap().len(), 70);
    assert_eq!(body["complete"], true);
}
