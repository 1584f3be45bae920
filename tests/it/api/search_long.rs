//! Searches of long messages, and of repetitive messages and queries.

use std::time::{Duration, Instant};

use super::app::TestApi;
use super::search::{Message, found, index, search, store, texts, with_texts};

#[actix_web::test]
async fn every_part_of_a_long_message_is_found() {
    let filler = |word: &str| format!("{word} and the other thing, ").repeat(2_000);
    let long = format!(
        "First saffron {} turmeric root powder {} 退款好{}退款单 last cardamom",
        filler("one"),
        filler("two"),
        "退款好".repeat(400)
    );
    let other = format!("saffron {} cardamom", filler("one"));
    let api = with_texts(&[&long, &other, "saffron"]).await;
    let long_alone = vec![long.clone()];
    for q in [
        "turmeric",
        "\"turmeric root powder\"",
        "saffron powder",
        "saffron \"last cardamom\"",
        "\"other thing\" \"turmeric root\" cardamom",
        "退款单",
        "退款好退款好退款好退款单 saffron",
        "\"the other thing two and the\"",
        "turmer* cardam* -nothing",
    ] {
        assert!(found(&api, q).await == long_alone, "{q}");
    }
    let mut both = vec![long.clone(), other.clone()];
    both.sort_unstable();
    assert!(found(&api, "cardamom saffron").await == both);
    assert!(
        found(&api, "saffron cardamom -turmeric").await == [other.clone()],
        "in another document"
    );
    assert!(found(&api, "saffron -cardamom").await == ["saffron"]);
    assert!(found(&api, "saffron -\"root powder\" cardamom").await == [other]);
    assert!(found(&api, "\"powder root\"").await.is_empty());
    assert!(found(&api, "\"saffron turmeric\"").await.is_empty());
    let body = search(&api, "turmeric").await.json();
    let first = &body["data"][0];
    let hit = first["highlights"].as_array().unwrap().iter().find(|piece| piece["hit"] == true);
    let (start, end) =
        (hit.unwrap()["start"].as_u64().unwrap(), hit.unwrap()["end"].as_u64().unwrap());
    let marked: String = long
        .chars()
        .skip(start.try_into().unwrap())
        .take((end - start).try_into().unwrap())
        .collect();
    assert_eq!((marked.as_str(), &first["excerpt"]), ("turmeric", &true.into()));
}

#[actix_web::test]
async fn phrase_longer_than_postgres_compares_is_compared_to_its_end() {
    let words: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
    let (all, cut) = (words.join(" "), words[..99].join(" "));
    let api = with_texts(&[&all, &format!("{cut} other"), &format!("{cut} w100")]).await;
    assert_eq!(found(&api, &format!("\"{all}\"")).await, std::slice::from_ref(&all));
    assert_eq!(found(&api, &format!("w1 -\"{all}\"")).await.len(), 2);
    assert_eq!(found(&api, &format!("\"{cut}\"")).await.len(), 3);
}

#[actix_web::test]
async fn pages_of_matches_checked_in_the_text_have_each_once() {
    let api = TestApi::start().await;
    let filler = "the same words again ".repeat(300);
    let all: Vec<String> = (0..40)
        .map(|n| format!("saffron {n} {filler} {}", if n % 4 == 0 { "root" } else { "leaf" }))
        .collect();
    let said: Vec<_> = (0..)
        .zip(&all)
        .map(|(second, text)| Message { second, text, ..Message::default() })
        .collect();
    store(&api, &said).await;
    index(&api).await;
    let (mut seen, mut target) = (Vec::new(), "/v1/search?q=saffron+root&limit=3".to_owned());
    loop {
        let answer = api.get(&target).await;
        let page = texts(&answer);
        assert!(page.len() <= 3);
        seen.extend(page);
        let body = answer.json();
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        target = format!("/v1/search?q=saffron+root&limit=3&cursor={cursor}");
    }
    seen.sort_unstable();
    let mut expected: Vec<String> = all.into_iter().step_by(4).collect();
    expected.sort_unstable();
    assert!(seen == expected, "{}", seen.len());
}

/// Returns the shortest of several times of a search.
async fn time(api: &TestApi, q: &str) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..2 {
        let began = Instant::now();
        let answer = search(api, q).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        shortest = shortest.min(began.elapsed());
    }
    shortest
}

/// Repetitive texts must cost no more than their length: sixteen times the length takes sixteen
/// times as long. The square would be 256 times; the limit between them allows for the noise of a
/// busy machine.
#[actix_web::test]
async fn time_of_a_search_grows_no_faster_than_text_and_query() {
    const MOST: u32 = 8 * 16;
    // So short that only noise exceeds it.
    const UNMEASURABLE: Duration = Duration::from_millis(150);
    for (said, query) in
        [("退款", "退款"), ("no no yes ", "\"no no\" "), ("l'a'b'c'd ", "a'b "), ("1,000 ", "1,00")]
    {
        let short = with_texts(&[said.repeat(400).as_str(); 2]).await;
        let long = with_texts(&[said.repeat(6_400).as_str(); 2]).await;
        let long_query = query.repeat(960 / query.len());
        let quoted = format!("\"{}\"", long_query.replace('"', ""));
        for q in [&long_query, &quoted, &query.repeat(3)] {
            let (one, sixteen) = (time(&short, q).await, time(&long, q).await);
            assert!(
                sixteen < (one * MOST).max(UNMEASURABLE),
                "{said:?} {q:?}: {one:?} and {sixteen:?}"
            );
            assert!(sixteen < Duration::from_secs(3), "{said:?} {q:?}: {sixteen:?}");
        }
        let short_query = query.repeat(60 / query.len());
        let (one, sixteen) = (time(&long, &short_query).await, time(&long, &long_query).await);
        assert!(sixteen < (one * MOST).max(UNMEASURABLE), "{said:?}: {one:?} and {sixteen:?}");
    }
}
