//! Exports: each row once, in every format, and continued from every row.

use std::collections::BTreeSet;
use std::io::Read as _;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::http::Answer;
use super::rows::{Row, insert_message};

const TEXTS: usize = 250;

async fn many_sessions() -> TestApi {
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
    let api = many_sessions().await;
    let answer = api.get("/v1/export/messages").await;
    assert_eq!(answer.status, 200);
    let lines = rows(&answer);
    assert_eq!(lines.len(), 3 * TEXTS);
    let ids: BTreeSet<String> =
        lines.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), lines.len(), "each once");

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
    assert!(read.iter().any(|row| row.to_string().contains("\"=s1 7\"")), "without a guard");

    let sessions = rows(&api.get("/v1/export/sessions").await);
    assert_eq!(sessions.len(), 3);
}

#[actix_web::test]
async fn export_continues_after_any_row() {
    let api = many_sessions().await;
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
async fn export_needs_its_scope_and_shows_a_bound_key_only_its_agents() {
    let api = many_sessions().await;
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

/// Returns the texts of an export, sorted.
async fn sorted_texts(api: &TestApi, filter: &str) -> Vec<String> {
    let answer = api.get(&format!("/v1/export/messages?{filter}")).await;
    assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
    column(&rows(&answer), "message")
}

fn column(rows: &[Value], name: &str) -> Vec<String> {
    let mut texts: Vec<_> = rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect();
    texts.sort_unstable();
    texts
}

#[actix_web::test]
async fn each_filter_of_messages_selects_its_rows() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let ours = Row { started: at(-100), ..Row::new("A", "s1") }
        .store_with(pool, &[("user", "a0"), ("assistant", "a1"), ("user", "a2")])
        .await;
    Row { source: "kiosk", started: at(-50), ..Row::new("B", "s2") }
        .store_with(pool, &[("user", "b0")])
        .await;
    let old =
        Row { started: at(-90_000), active: at(-90_000), ..Row::new("C", "s3") }.store(pool).await;
    insert_message(pool, old, at(-90_000), "guest", "c0").await;
    let (from, to) = (at(-100).timestamp(), at(-98).timestamp());
    for (filter, expected) in [
        ("", &["a0", "a1", "a2", "b0", "c0"] as &[_]),
        ("agent_id=A", &["a0", "a1", "a2"]),
        ("agent_id=B&agent_id=C", &["b0", "c0"]),
        ("agent_id=none", &[]),
        ("source=kiosk", &["b0"]),
        ("role=user", &["a0", "a2", "b0"]),
        ("role=guest", &["c0"]),
        (&format!("after={from}"), &["a1", "a2", "b0"]),
        (&format!("before={from}"), &["c0"]),
        (&format!("after={from}&before={to}"), &["a1"]),
        ("session_id=s1", &["a0", "a1", "a2"]),
        (&format!("session_id={ours}"), &["a0", "a1", "a2"]),
        ("session_id=s1&agent_id=B", &[]),
        (&format!("agent_id=A&role=user&after={from}"), &["a2"]),
    ] {
        assert_eq!(sorted_texts(&api, filter).await, expected, "{filter}");
    }
}

#[actix_web::test]
async fn each_filter_of_sessions_selects_its_rows() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row { room: Some("lobby"), ..Row::new("A", "lobby") }.store_with(pool, &[("user", "1")]).await;
    Row { source: "kiosk", active: at(-1), ..Row::new("A", "kiosk") }.store(pool).await;
    Row { joined: false, active: at(-2), ..Row::new("B", "pushed") }
        .store_with(pool, &[("user", "1"), ("user", "2")])
        .await;
    Row { started: at(-900), active: at(-600), ..Row::new("C", "idle") }.store(pool).await;
    Row { started: at(-9000), active: at(-8000), ..Row::new("C", "silent") }.store(pool).await;
    let time = |second| at(second).timestamp();
    for (filter, expected) in [
        ("", &["idle", "kiosk", "lobby", "pushed", "silent"] as &[_]),
        ("agent_id=A", &["kiosk", "lobby"]),
        ("agent_id=A&agent_id=B", &["kiosk", "lobby", "pushed"]),
        ("source=kiosk", &["kiosk"]),
        ("room_name=lobby", &["lobby"]),
        ("status=live", &["kiosk", "lobby", "pushed"]),
        ("status=idle", &["idle"]),
        ("status=ended", &["silent"]),
        ("opened_by=chat.push", &["pushed"]),
        ("opened_by=room.join", &["idle", "kiosk", "lobby", "silent"]),
        (&format!("started_after={}", time(-900)), &["kiosk", "lobby", "pushed"]),
        (&format!("started_before={}", time(-900)), &["silent"]),
        (&format!("active_after={}", time(-600)), &["kiosk", "lobby", "pushed"]),
        (&format!("active_before={}", time(-600)), &["silent"]),
        ("min_messages=1", &["lobby", "pushed"]),
        ("min_messages=2&agent_id=B", &["pushed"]),
    ] {
        let answer = api.get(&format!("/v1/export/sessions?{filter}")).await;
        assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
        assert_eq!(column(&rows(&answer), "session_id"), expected, "{filter}");
    }
    for wrong in ["status=dead", "opened_by=magic", "started_after=noon", "min_messages=-1"] {
        let answer = api.get(&format!("/v1/export/sessions?{wrong}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{wrong}");
    }
}

fn decompressed(how: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match how {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
        _ => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap(),
    };
    out
}

#[actix_web::test]
async fn file_is_compressed_on_request_and_transfer_if_the_client_accepts() {
    let api = many_sessions().await;
    for path in ["/v1/export/messages", "/v1/export/sessions"] {
        for format in ["jsonl", "csv"] {
            let target = format!("{path}?format={format}");
            let plain = api.get(&target).await;
            assert_eq!(plain.header("content-encoding"), None);
            for (how, ending) in [("gzip", "gz"), ("zstd", "zst")] {
                let file = api.get(&format!("{target}&compression={how}")).await;
                assert_eq!(file.header("content-type"), Some(&*format!("application/{how}")));
                assert_eq!(file.header("content-encoding"), None, "the file itself is compressed");
                let name = file.header("content-disposition").unwrap();
                assert!(name.ends_with(&format!(".{format}.{ending}\"")), "{name}");
                assert_eq!(decompressed(how, &file.body), plain.body, "{target} {how}");

                let accept = [("X-API-Key", BOOTSTRAP), ("Accept-Encoding", how)];
                let sent = api.send("GET", &target, &accept).await;
                assert_eq!(sent.header("content-encoding"), Some(how));
                assert_eq!(sent.header("content-type"), plain.header("content-type"));
                assert_eq!(decompressed(how, &sent.body), plain.body, "{target} {how}");
            }
        }
        for query in ["compression=gzip", "compression=zstd", "with_cursor=true"] {
            let refused = api.get(&format!("{path}?format=parquet&{query}")).await;
            assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_parameter"));
        }
        let plain = "format=parquet&compression=none&with_cursor=false";
        assert_eq!(api.get(&format!("{path}?{plain}")).await.status, 200);
    }
}

#[actix_web::test]
async fn head_has_the_headers_of_a_get_and_no_body() {
    let api = many_sessions().await;
    for path in ["/v1/export/messages", "/v1/export/sessions"] {
        for query in ["", "?format=csv", "?format=parquet", "?compression=zstd"] {
            let target = format!("{path}{query}");
            let key = [("X-API-Key", BOOTSTRAP)];
            let (head, get) = (api.send("HEAD", &target, &key).await, api.get(&target).await);
            assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
            for name in ["content-type", "content-disposition", "cache-control", "vary"] {
                assert!(head.header(name).is_some());
                assert_eq!(head.header(name), get.header(name), "{target} {name}");
            }
        }
        assert_eq!(
            api.send("HEAD", &format!("{path}?format=xls"), &[("X-API-Key", BOOTSTRAP)])
                .await
                .status,
            400
        );
    }
}

#[actix_web::test]
async fn sessions_are_the_same_in_every_format() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row { room: Some("@lobby"), participants: Some(2), ..Row::new("A", "=s1") }
        .store_with(pool, &[("user", "1"), ("assistant", "2")])
        .await;
    Row { started: at(-9000), active: at(-8000), ..Row::new("B", "s2") }.store(pool).await;
    let lines = rows(&api.get("/v1/export/sessions").await);
    assert_eq!(lines.len(), 2);

    let csv = api.get("/v1/export/sessions?format=csv").await;
    let mut reader = csv::Reader::from_reader(&csv.body[..]);
    let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    for (row, line) in reader.records().map(Result::unwrap).zip(&lines) {
        assert_eq!(names.len(), line.as_object().unwrap().len());
        for (name, cell) in names.iter().zip(row.iter()) {
            let expected = match &line[name] {
                Value::Null => String::new(),
                Value::String(text) if text.starts_with(['=', '@']) => format!("'{text}"),
                Value::String(text) => text.clone(),
                other => other.to_string().trim_end_matches(".0").to_owned(),
            };
            assert_eq!(cell, expected, "{name}");
        }
    }

    let parquet = api.get("/v1/export/sessions?format=parquet").await;
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(&parquet.body)).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let typed: Vec<_> = schema.columns().iter().map(|column| column.name()).collect();
    assert_eq!(typed, names, "the same columns");
    let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), lines.len());
    for (row, line) in read.iter().zip(&lines) {
        for (name, field) in row.get_column_iter() {
            let as_json = match field {
                Field::Null => Value::Null,
                Field::Str(text) => text.as_str().into(),
                Field::Long(number) => (*number).into(),
                Field::Double(number) => (*number).into(),
                Field::TimestampMicros(micros) => {
                    let at = chrono::DateTime::from_timestamp_micros(*micros).unwrap();
                    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
                }
                other => panic!("{name}: {other}"),
            };
            assert_eq!(as_json, line[name], "{name}");
        }
    }
}

/// Stores more sessions and messages than a page of an export contains, and one session that is
/// longer.
async fn many(api: &TestApi) {
    let sessions = "
        INSERT INTO sessions (id, source, agent_id, sender_session_id, started_at, last_activity_at,
            activity_bucket, message_count, user_message_count, first_delivery_id)
        SELECT gen_random_uuid(), 'default', 'A', 's' || n, $1, $1 + interval '2 hours', $2,
            CASE n WHEN 1 THEN 4500 ELSE 1 END, 0, gen_random_uuid()
        FROM generate_series(1, 4100) AS n";
    let bucket = verbatim::domain::session::activity_bucket(at(0));
    sqlx::query(sessions).bind(at(-7200)).bind(bucket).execute(api.database.pool()).await.unwrap();
    let messages = "
        INSERT INTO messages (session_id, occurred_at, id, delivery_id, role, message, sent_at,
            received_at, altered, undated)
        SELECT s.id, s.started_at + n / 3 * interval '1 second', gen_random_uuid(),
            gen_random_uuid(), 'user', n::text, NULL, s.started_at, false, false
        FROM sessions AS s CROSS JOIN LATERAL generate_series(1, s.message_count) AS n";
    sqlx::query(messages).execute(api.database.pool()).await.unwrap();
}

#[actix_web::test]
async fn rows_of_several_pages_are_exported_once_and_continued_anywhere() {
    let api = TestApi::start().await;
    many(&api).await;
    let cuts_of_messages = [0, 3_998, 3_999, 4_000, 4_777, 8_000, 8_598];
    let cuts_of_sessions = [0, 1_998, 1_999, 2_000, 4_000, 4_098];
    for (kind, count, cuts) in
        [("messages", 8_599, &cuts_of_messages[..]), ("sessions", 4_100, &cuts_of_sessions[..])]
    {
        let target = format!("/v1/export/{kind}?with_cursor=true");
        let all = rows(&api.get(&target).await);
        let ids: Vec<_> = all.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), count);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count, "{kind}: each once");
        for cut in cuts {
            let cursor = all[*cut]["cursor"].as_str().unwrap();
            let rest = api.get(&format!("/v1/export/{kind}?cursor={cursor}&format=csv")).await;
            let mut reader = csv::Reader::from_reader(&rest.body[..]);
            let rest: Vec<_> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
            assert!(rest == ids[cut + 1..], "{kind}: after row {cut} come {}", rest.len());
        }
        let parquet = api.get(&format!("/v1/export/{kind}?format=parquet")).await;
        let reader = SerializedFileReader::new(Bytes::copy_from_slice(&parquet.body)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), i64::try_from(count).unwrap());
    }
}

#[actix_web::test]
async fn no_cell_of_an_export_or_a_transcript_is_a_formula() {
    let api = TestApi::start().await;
    let starts = ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n"];
    let texts = starts.map(|start| format!("{start}1+1"));
    let said: Vec<(&str, &str)> = texts.iter().map(|text| ("user", text.as_str())).collect();
    Row::new("A", "s").store_with(api.database.pool(), &said).await;
    for path in ["/v1/export/messages?format=csv", "/v1/sessions/s/transcript?format=csv"] {
        let csv = api.get(path).await;
        let mut reader = csv::Reader::from_reader(&csv.body[..]);
        let at = reader.headers().unwrap().iter().position(|name| name == "message").unwrap();
        let cells: Vec<_> = reader.records().map(|row| row.unwrap()[at].to_owned()).collect();
        let expected: Vec<_> = texts.iter().map(|text| format!("'{text}")).collect();
        assert_eq!(cells, expected, "{path}");
    }
}

/// Returns the column `message`.
fn messages(csv: &Answer) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(&csv.body[..]);
    let at = reader.headers().unwrap().iter().position(|name| name == "message").unwrap();
    reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

const SHEETS: [&str; 2] =
    ["/v1/export/messages?format=csv", "/v1/sessions/s/transcript?format=csv&tz=Europe/Paris"];

#[actix_web::test]
async fn spreadsheet_that_splits_at_semicolons_finds_no_formula() {
    let api = TestApi::start().await;
    let texts = ["prix;=1+1;x", "a\n-2+3\ttotal", "x; \"@SUM(A1)\"", "fin;bien"];
    let said: Vec<(&str, &str)> = texts.iter().map(|text| ("user", *text)).collect();
    Row::new("A", "s").store_with(api.database.pool(), &said).await;
    for path in SHEETS {
        let guarded = api.get(path).await;
        assert!(guarded.text().contains(",\"prix;'=1+1;x\","), "quoted: {}", guarded.text());
        assert_eq!(
            messages(&guarded),
            ["prix;'=1+1;x", "a\n'-2+3\ttotal", "x;' \"@SUM(A1)\"", "fin;bien"]
        );
        for delimiter in [b';', b'\t', b','] {
            let mut reader = csv::ReaderBuilder::new();
            let reader = reader.delimiter(delimiter).has_headers(false).flexible(true);
            for row in reader.from_reader(&guarded.body[..]).records() {
                for cell in &row.unwrap() {
                    assert!(!cell.trim().starts_with(['=', '+', '-', '@']), "{path} {cell:?}");
                }
            }
        }
        let bare = api.get(&format!("{path}&formula_guard=false")).await;
        assert_eq!(messages(&bare), texts, "without a guard");
    }
}

#[actix_web::test]
async fn excel_file_begins_with_a_bom_and_has_no_cell_that_is_too_long() {
    let api = TestApi::start().await;
    let long = "ä🦊".repeat(20_000);
    Row::new("A", "s").store_with(api.database.pool(), &[("user", &long), ("user", "=1")]).await;
    for path in SHEETS {
        let plain = api.get(path).await;
        assert!(plain.text().starts_with("id,"));
        assert_eq!(messages(&plain), [long.as_str(), "'=1"], "the whole text by default");
        let excel = api.get(&format!("{path}&bom=true&max_cell_chars=32767")).await;
        assert!(excel.text().starts_with("\u{FEFF}id,"), "{path}");
        assert_eq!(excel.text().matches('\u{FEFF}').count(), 1);
        let cells = messages(&excel);
        assert!((32_765..=32_767).contains(&cells[0].encode_utf16().count()));
        assert!(cells[0].starts_with(&"ä🦊".repeat(10_000)));
        assert!(cells[0].ends_with("… [cut off here; 60000 characters in all]"));
        assert_eq!(cells[1], "'=1");
    }
    for (query, name) in [
        ("/v1/export/messages?bom=true", "bom"),
        ("/v1/export/sessions?format=parquet&formula_guard=false", "formula_guard"),
        ("/v1/sessions/s/transcript?format=txt&max_cell_chars=32767", "max_cell_chars"),
        ("/v1/export/messages?format=csv&bom=yes", "bom"),
        ("/v1/export/messages?format=csv&max_cell_chars=99", "max_cell_chars"),
    ] {
        let refused = api.get(query).await;
        assert_eq!(refused.code(), "invalid_parameter", "{query}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("`{name}`")), "{query}: {detail}");
    }
}
