//! Everything as a file: each row once, in every format, and on from where it was cut.

use std::collections::BTreeSet;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;
use verbatim::store::keys::Scope;

use super::app::TestApi;
use super::http::Answer;
use super::rows::Row;

const TEXTS: usize = 250;

async fn talk() -> TestApi {
    let api = TestApi::start().await;
    for (agent, session) in [("A", "s1"), ("A", "s2"), ("B", "s3")] {
        let texts: Vec<String> = (0..TEXTS).map(|number| format!("={session} {number}")).collect();
        let said: Vec<(&str, &str)> = texts.iter().map(|text| ("user", text.as_str())).collect();
        Row::new(agent, session).store_with(api.database.pool(), &said).await;
    }
    api
}

fn rows(answer: &Answer) -> Vec<Value> {
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn every_message_is_exported_once_in_every_format() {
    let api = talk().await;
    let answer = api.get("/v1/export/messages").await;
    assert_eq!(answer.status, 200);
    let lines = rows(&answer);
    assert_eq!(lines.len(), 3 * TEXTS);
    let ids: BTreeSet<String> =
        lines.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), lines.len(), "none twice");

    let csv = api.get("/v1/export/messages?format=csv").await;
    let mut reader = csv::Reader::from_reader(&csv.body[..]);
    let at = reader.headers().unwrap().iter().position(|name| name == "message").unwrap();
    let texts: Vec<String> =
        reader.records().map(|row| row.unwrap().get(at).unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 3 * TEXTS);
    assert!(texts.iter().all(|text| text.starts_with("'=s")), "no cell is a formula");

    let parquet = api.get("/v1/export/messages?format=parquet").await;
    let bytes = Bytes::copy_from_slice(&parquet.body[..]);
    let reader = SerializedFileReader::new(bytes).unwrap();
    let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 3 * TEXTS);
    assert!(read.iter().any(|row| row.to_string().contains("\"=s1 7\"")), "as it was said");

    let sessions = rows(&api.get("/v1/export/sessions").await);
    assert_eq!(sessions.len(), 3);
}

#[actix_web::test]
async fn an_export_goes_on_from_any_row() {
    let api = talk().await;
    let all = rows(&api.get("/v1/export/messages?with_cursor=true").await);
    for cut in [0, 1, TEXTS - 1, TEXTS, 2 * TEXTS + 7] {
        let cursor = all[cut]["cursor"].as_str().expect("each row has one");
        let target = format!("/v1/export/messages?with_cursor=true&cursor={cursor}");
        let rest = rows(&api.get(&target).await);
        let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&rest), ids(&all[cut + 1..]), "after row {cut}");
        let other = format!("{target}&role=user");
        assert_eq!(api.get(&other).await.code(), "invalid_cursor", "it belongs to its filters");
    }
}

#[actix_web::test]
async fn an_export_asks_for_its_scope_and_shows_a_bound_key_its_agents_alone() {
    let api = talk().await;
    let reader = api.key(&[Scope::Read], None).await;
    let refused = api.send("GET", "/v1/export/messages", &[("X-API-Key", &reader)]).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    let bound = api.key(&[Scope::Export], Some(&["B"])).await;
    for (kind, expected) in [("messages", TEXTS), ("sessions", 1)] {
        let target = format!("/v1/export/{kind}");
        let seen = rows(&api.send("GET", &target, &[("X-API-Key", &bound)]).await);
        assert_eq!(seen.len(), expected, "{kind}");
        assert!(seen.iter().all(|row| row["agent_id"] == "B"));
    }
}
