//! Dates and local times as bounds, on every route that has time parameters.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::app::TestApi;
use super::rows::{Row, insert_message};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Times of messages: shortly before, at and after the midnight at which the 28th begins in Berlin,
/// and the one at which it ends. Each also has a session alone.
const MOMENTS: [&str; 6] = [
    "2026-09-27T21:59:59.999999Z",
    "2026-09-27T22:00:00Z",
    "2026-09-27T22:00:00.000001Z",
    "2026-09-28T21:59:59.999999Z",
    "2026-09-28T22:00:00Z",
    "2026-09-28T22:00:00.000001Z",
];

async fn messages_at_midnights() -> TestApi {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let all = Row::new("all", "all").store(pool).await;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        insert_message(pool, all, utc(moment), "user", &format!("word {number}")).await;
        let name = format!("s{number}");
        let row = Row { started: utc(moment), active: utc(moment), ..Row::new("A", &name) };
        row.store(pool).await;
        deliver(pool, utc(moment), number).await;
    }
    widen(pool, all).await;
    api
}

/// Extends the session's bounds to its messages.
async fn widen(pool: &PgPool, session: Uuid) {
    sqlx::query("UPDATE sessions SET started_at = $2, last_activity_at = $3 WHERE id = $1")
        .bind(session)
        .bind(utc(MOMENTS[0]))
        .bind(utc(MOMENTS[5]))
        .execute(pool)
        .await
        .unwrap();
}

async fn deliver(pool: &PgPool, at: DateTime<Utc>, number: usize) {
    sqlx::query(
        "INSERT INTO deliveries
             (id, received_at, source, outcome, agent_id, signed, stale, test, body)
         VALUES ($1, $2, 'default', 'stored', $3, true, false, false, '')",
    )
    .bind(Uuid::new_v4())
    .bind(at)
    .bind(format!("{number}"))
    .execute(pool)
    .await
    .unwrap();
}

/// Returns the numbers of the rows that a route shows.
async fn shown(api: &TestApi, path: &str, bounds: &str) -> Vec<usize> {
    let (path, column) = path.split_once(' ').unwrap();
    let separator = if path.contains('?') { '&' } else { '?' };
    let answer = api.get(&format!("{path}{separator}{bounds}")).await;
    assert_eq!(answer.status, 200, "{path} {bounds}: {}", answer.text());
    let rows: Vec<serde_json::Value> = if path.starts_with("/v1/export") {
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    } else {
        answer.json()["data"].as_array().unwrap().clone()
    };
    let mut numbers: Vec<usize> = rows
        .iter()
        .filter_map(|row| {
            row[column]
                .as_str()
                .unwrap()
                .trim_start_matches("word ")
                .trim_start_matches('s')
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

#[actix_web::test]
async fn day_lasts_from_its_date_to_the_next() {
    let api = messages_at_midnights().await;
    for (path, prefix) in [
        ("/v1/sessions/all/messages message", ""),
        ("/v1/export/messages?session_id=all message", ""),
        ("/v1/sessions?agent_id=A session_id", "started_"),
        ("/v1/sessions?agent_id=A session_id", "active_"),
        ("/v1/agents/A/sessions session_id", "started_"),
        ("/v1/export/sessions?agent_id=A session_id", "active_"),
        ("/v1/deliveries agent_id", "received_"),
    ] {
        for (after, before, tz, expected) in [
            ("2026-09-28", "2026-09-29", "Europe/Berlin", &[1_usize, 2, 3] as &[usize]),
            ("2026-09-28", "2026-09-29", "EUROPE/berlin", &[1, 2, 3]),
            ("2026-09-27", "2026-09-28", "Europe/Berlin", &[0]),
            ("2026-09-29", "2026-09-30", "Europe/Berlin", &[4, 5]),
            ("2026-09-27", "2026-09-28", "UTC", &[0, 1, 2]),
            // An exclusive bound excludes its instant, also without an offset.
            ("2026-09-28T00:00", "2026-09-29T00:00:00", "Europe/Berlin", &[2, 3]),
            ("2026-09-27T22:00:00Z", "2026-09-28T22:00:00Z", "Europe/Berlin", &[2, 3]),
            ("2026-09-27T22:00", "2026-09-28T22:00", "UTC", &[2, 3]),
        ] {
            let bounds = format!("{prefix}after={after}&{prefix}before={before}&tz={tz}");
            assert_eq!(shown(&api, path, &bounds).await, expected, "{path} {bounds}");
        }
        let utc = format!("{prefix}after=2026-09-28");
        assert_eq!(shown(&api, path, &utc).await, [3, 4, 5], "{path}: UTC by default");
    }
}

#[actix_web::test]
async fn search_accepts_dates() {
    let api = TestApi::start().await;
    for (query, status) in [
        ("after=2026-09-28&before=2026-09-29&tz=Europe/Berlin", 200),
        ("after=2026-09-28&tz=Nowhere", 400),
    ] {
        let answer = api.get(&format!("/v1/search?q=word&{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
}

#[actix_web::test]
async fn invalid_date_or_zone_is_rejected_by_name() {
    let api = TestApi::start().await;
    for (query, name) in [
        ("started_after=2026-02-29", "started_after"),
        ("active_before=2026-9-1", "active_before"),
        ("started_after=2026-09-28&tz=Europe/Atlantis", "tz"),
        ("tz=CEST%2B1", "tz"),
    ] {
        let answer = api.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter".into()), "{query}");
        let body = answer.json();
        assert!(body["detail"].as_str().unwrap().starts_with(&format!("`{name}`")), "{body}");
    }
}

#[actix_web::test]
async fn transcript_uses_the_zone_of_the_list() {
    let api = TestApi::start().await;
    Row::new("A", "s").store_with(api.database.pool(), &[("user", "hello")]).await;
    let text = api.get("/v1/sessions/s/transcript?tz=europe/berlin").await;
    assert!(text.text().contains("Time zone:     Europe/Berlin"), "{}", text.text());
}
