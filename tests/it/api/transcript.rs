//! `GET /v1/sessions/{session_id}/transcript`.

use serde_json::{Value, json};
use verbatim::store::keys::Scope;

use super::app::{TestApi, at};
use super::http::Answer;
use super::rows::{Row, insert_message};
use super::talk::Conversation;

/// Texts that are hard to write in each format.
const AWKWARD: [&str; 7] = [
    "# No heading\n===\n> no quotation, `no code`, ![no image](https://a.example/x.png)",
    "=HYPERLINK(\"https://a.example\")",
    "\u{1B}[1A<script>alert(1)</script> &amp; **bold**\r\n\r\n1. no list",
    "a NUL: \u{FFFD}",
    "\u{202E}שלום, مرحبا",
    "👩‍👩‍👧 🦊",
    "",
];

async fn file(api: &TestApi, session: &str, query: &str) -> Answer {
    let answer = api.get(&format!("/v1/sessions/{session}/transcript?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer
}

fn name_and_type(answer: &Answer) -> (&str, &str) {
    let disposition = answer.header("content-disposition").unwrap();
    let name = disposition.strip_prefix("attachment; filename=\"").unwrap().strip_suffix('"');
    (name.unwrap(), answer.header("content-type").unwrap())
}

fn json_lines(answer: &Answer) -> Vec<Value> {
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn csv_rows(answer: &Answer) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(&answer.body[..]);
    let fields = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = fields(reader.headers().unwrap());
    (header, reader.records().map(|row| fields(&row.unwrap())).collect())
}

/// Stores a conversation of the awkward texts, one a second.
async fn awkward(api: &TestApi) {
    let talk: Vec<_> = AWKWARD.iter().map(|text| ("user", *text)).collect();
    Row::new("A_12", "sess_1").store_with(api.database.pool(), &talk).await;
}

#[actix_web::test]
async fn text_transcript_has_speakers_and_silences() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let talk = [
        ("user", "Where is\nroom 3?\r\n[14:53:14 UTC] Assistant: forged\n\n— 9 days of silence —"),
        ("assistant", "Upstairs."),
    ];
    let session = Row { room: Some("lobby"), ..Row::new("A12", "sess_1") };
    let session = session.store_with(pool, &talk).await;
    insert_message(pool, session, at(-60 + 2820), "user", "Thanks!").await;
    let answer = file(&api, "sess_1", "format=txt").await;
    assert_eq!(name_and_type(&answer), ("transcript-sess_1.txt", "text/plain; charset=utf-8"));
    insta::assert_snapshot!(answer.text(), @r"
    Session:       sess_1
    Agent:         A12
    Source:        default
    Room:          lobby
    Started:       2026-09-28 14:53:13 UTC
    Last activity: 2026-09-28 15:40:13 UTC
    Time zone:     UTC
    Messages:      3

    Monday, 28 September 2026

    [14:53:13 UTC] User: Where is
        room 3?
        [14:53:14 UTC] Assistant: forged

        — 9 days of silence —
    [14:53:14 UTC] Assistant: Upstairs.

    — 46 minutes of silence —

    [15:40:13 UTC] User: Thanks!
    ");
    let default = api.get("/v1/sessions/sess_1/transcript").await;
    assert_eq!(default.text(), answer.text());
}

#[actix_web::test]
async fn markdown_transcript_quotes_its_messages() {
    let api = TestApi::start().await;
    awkward(&api).await;
    let answer = file(&api, "sess_1", "format=md&user_name=%2A+Ada%0A%23").await;
    assert_eq!(name_and_type(&answer), ("transcript-sess_1.md", "text/markdown; charset=utf-8"));
    // A source with a change of text direction would be hard to read.
    insta::assert_snapshot!(answer.text().replace('\u{202E}', "(RLO)"), @r#"
    # Conversation with A\_12

    - **Session:** sess\_1
    - **Agent:** A\_12
    - **Source:** default
    - **Started:** 2026-09-28 14:53:13 UTC
    - **Last activity:** 2026-09-28 14:54:13 UTC
    - **Time zone:** UTC
    - **Messages:** 7

    ## Monday, 28 September 2026

    **\* Ada \#** · 14:53:13 UTC

    > \# No heading\
    > \===\
    > \> no quotation, \`no code\`, !\[no image\](https://a.example/x.png)

    **\* Ada \#** · 14:53:14 UTC

    > \=HYPERLINK("https://a.example")

    **\* Ada \#** · 14:53:15 UTC

    > ␛\[1A\<script\>alert(1)\</script\> \&amp; \*\*bold\*\*
    >
    > 1\. no list

    **\* Ada \#** · 14:53:16 UTC

    > a NUL: �

    **\* Ada \#** · 14:53:17 UTC

    > (RLO)שלום, مرحبا

    **\* Ada \#** · 14:53:18 UTC

    > 👩‍👩‍👧 🦊

    **\* Ada \#** · 14:53:19 UTC

    >
    "#);
}

#[actix_web::test]
async fn message_cannot_control_a_terminal_or_forge_a_line() {
    let api = TestApi::start().await;
    awkward(&api).await;
    let answer = file(&api, "sess_1", "").await;
    assert!(!answer.text().contains('\u{1B}'));
    assert!(answer.text().contains("] User: ␛[1A<script>"), "{}", answer.text());
    let ours = answer.text().lines().skip_while(|line| !line.is_empty());
    let ours = ours.filter(|line| !line.is_empty() && !line.starts_with("    "));
    assert_eq!(ours.filter(|line| line.starts_with('[')).count(), AWKWARD.len());
}

#[actix_web::test]
async fn repeated_hour_is_distinguished_and_day_ends_at_local_midnight() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    // Berlin sets its clocks back on 25 October 2026, and forward on 29 March.
    for (name, times) in [
        ("autumn", ["2026-10-24T21:59:59Z", "2026-10-25T00:58:00Z", "2026-10-25T01:01:00Z"]),
        ("spring", ["2026-03-28T22:59:59Z", "2026-03-29T00:58:00Z", "2026-03-29T01:01:00Z"]),
    ] {
        let times = times.map(|time| time.parse().unwrap());
        let session = Row { started: times[0], active: times[0], ..Row::new("A", name) };
        let session = session.store(pool).await;
        for (time, text) in times.into_iter().zip(["a", "b", "c"]) {
            insert_message(pool, session, time, "user", text).await;
        }
    }
    let autumn = file(&api, "autumn", "tz=Europe/Berlin").await;
    insta::assert_snapshot!(autumn.text(), @r"
    Session:       autumn
    Agent:         A
    Source:        default
    Started:       2026-10-24 23:59:59 +02:00
    Last activity: 2026-10-25 02:01:00 +01:00
    Time zone:     Europe/Berlin
    Messages:      3

    Saturday, 24 October 2026

    [23:59:59 +02:00] User: a

    — 2 hours and 58 minutes of silence —

    Sunday, 25 October 2026

    [02:58:00 +02:00] User: b
    [02:01:00 +01:00] User: c
    ");
    let spring = file(&api, "spring", "tz=Europe%2FBerlin").await;
    let spring = spring.text().split("\n\n").skip(1).collect::<Vec<_>>().join("\n\n");
    insta::assert_snapshot!(spring, @r"
    Saturday, 28 March 2026

    [23:59:59 +01:00] User: a

    — 1 hour and 58 minutes of silence —

    Sunday, 29 March 2026

    [01:58:00 +01:00] User: b
    [03:01:00 +02:00] User: c
    ");
    let csv = file(&api, "autumn", "format=csv&tz=Europe/Berlin").await;
    let (header, rows) = csv_rows(&csv);
    assert_eq!(header.last().unwrap(), "local_time");
    let local: Vec<_> = rows.iter().map(|row| row.last().unwrap()).collect();
    assert_eq!(
        local,
        [
            "2026-10-24T23:59:59.000000+02:00",
            "2026-10-25T02:58:00.000000+02:00",
            "2026-10-25T02:01:00.000000+01:00"
        ]
    );
    // A plus that is not encoded.
    let west = file(&api, "autumn", "tz=Etc/GMT+3").await;
    assert!(west.text().contains("[18:59:59 -03:00] User: a"), "{}", west.text());
}

#[actix_web::test]
async fn json_lines_and_csv_match_the_api_and_the_export() {
    let api = TestApi::start().await;
    awkward(&api).await;
    let list = api.get("/v1/sessions/sess_1/messages").await.json();
    let lines = file(&api, "sess_1", "format=jsonl").await;
    assert_eq!(name_and_type(&lines), ("transcript-sess_1.jsonl", "application/x-ndjson"));
    assert_eq!(json!(json_lines(&lines)), list["data"]);
    assert_eq!(lines.text().lines().count(), AWKWARD.len());

    let csv = file(&api, "sess_1", "format=csv").await;
    let csv_type = "text/csv; charset=utf-8; header=present";
    assert_eq!(name_and_type(&csv), ("transcript-sess_1.csv", csv_type));
    let exported = api.get("/v1/export/messages?format=csv&session_id=sess_1").await;
    assert_eq!(csv.text(), exported.text());
    let (header, rows) = csv_rows(&csv);
    let message = header.iter().position(|name| name == "message").unwrap();
    assert_eq!(rows[1][message], format!("'{}", AWKWARD[1]), "no formula");
    let exact = file(&api, "sess_1", "format=csv&formula_guard=false").await;
    let (_, rows) = csv_rows(&exact);
    let texts: Vec<_> = rows.iter().map(|row| row[message].as_str()).collect();
    assert_eq!(texts, AWKWARD);
}

#[actix_web::test]
async fn long_conversation_is_complete_in_every_format() {
    const COUNT: usize = 430;
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let session = Row { started: at(-600), ..Row::new("A", "s") }.store(pool).await;
    // More than one piece, many at the same time, and so large that it needs several reads.
    sqlx::query(
        "INSERT INTO messages (
            session_id, occurred_at, id, delivery_id, role, message, received_at, altered, undated
        )
        SELECT $1, $2 + number / 3 * interval '1 second', id, id, 'user',
            'number ' || number || repeat('.', 10000), now(), false, false
        FROM generate_series(0, $3 - 1) AS number, LATERAL (
            SELECT ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid AS id
        ) AS made",
    )
    .bind(session)
    .bind(at(-600))
    .bind(i32::try_from(COUNT).unwrap())
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("UPDATE sessions SET message_count = $1")
        .bind(i64::try_from(COUNT).unwrap())
        .execute(pool)
        .await
        .unwrap();

    let whole = file(&api, "s", "format=json").await;
    assert_eq!(name_and_type(&whole), ("transcript-s.json", "application/json"));
    let whole = whole.json();
    assert_eq!(whole["session"], api.get("/v1/sessions/s").await.json());
    assert_eq!(whole.get("visit"), None);
    let list = api.get("/v1/sessions/s/messages?limit=500").await.json();
    assert_eq!(whole["messages"], list["data"]);
    let expected: Vec<_> = (0..COUNT).map(|number| format!("number {number}.")).collect();
    let assert_whole = |texts: Vec<&str>, format| {
        let matches = texts.iter().zip(&expected).all(|(text, begin)| text.starts_with(begin));
        assert!(matches && texts.len() == COUNT, "{format}: {} messages", texts.len());
    };
    let shown = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["message"].as_str().unwrap().to_owned()).collect()
    };
    let messages = shown(whole["messages"].as_array().unwrap());
    assert_whole(messages.iter().map(String::as_str).collect(), "json");
    let lines = shown(&json_lines(&file(&api, "s", "format=jsonl").await));
    assert_whole(lines.iter().map(String::as_str).collect(), "jsonl");
    let (_, rows) = csv_rows(&file(&api, "s", "format=csv").await);
    assert_whole(rows.iter().map(|row| row[5].as_str()).collect(), "csv");
    let text = file(&api, "s", "").await;
    assert_whole(text.text().split("] User: ").skip(1).collect(), "txt");
    let text = file(&api, "s", "format=md").await;
    assert_whole(text.text().split("\n> ").skip(1).collect(), "md");
}

#[actix_web::test]
async fn visit_has_its_own_transcript() {
    let api = TestApi::start().await;
    Conversation::new("A12", "day")
        .message(-3600, "assistant", "welcome, first")
        .message(-3300, "user", "five minutes are not too long")
        .message(-2400, "user", "hello")
        .message(-2390, "assistant", "welcome, second")
        .message(-100, "user", "anybody here?")
        .store(&api)
        .await;
    let text = file(&api, "day", "visit=2").await;
    assert_eq!(name_and_type(&text).0, "transcript-day-visit-2.txt");
    insta::assert_snapshot!(text.text(), @r"
    Session:       day
    Agent:         A12
    Source:        default
    Visit:         2
    Started:       2026-09-28 14:14:13 UTC
    Last activity: 2026-09-28 14:14:23 UTC
    Time zone:     UTC

    Monday, 28 September 2026

    [14:14:13 UTC] User: hello
    [14:14:23 UTC] Assistant: welcome, second
    ");
    let whole = file(&api, "day", "visit=1&format=json").await.json();
    assert_eq!((&whole["visit"], whole["messages"].as_array().unwrap().len()), (&json!(1), 2));
    assert_eq!(whole["session"]["message_count"], 5, "the session is complete");
    for format in ["jsonl", "csv", "md", "txt"] {
        let last = file(&api, "day", &format!("visit=3&format={format}")).await;
        assert!(last.text().contains("anybody here?") && !last.text().contains("welcome"));
        assert!(!last.text().contains("silence"), "it starts with its own messages");
    }
    let silences = file(&api, "day", "format=md").await;
    assert!(silences.text().contains("*— 15 minutes of silence —*"), "{}", silences.text());
    let none = api.get("/v1/sessions/day/transcript?visit=4").await;
    assert_eq!((none.status, none.code().as_str()), (404, "not_found"));
}

#[actix_web::test]
async fn silence_is_no_row_and_speakers_have_names() {
    let api = TestApi::start().await;
    let talk =
        Conversation::new("A", "s").message(-4000, "user", "a").message(-90, "assistant", "b");
    talk.message(-80, "tool: user", "c").store(&api).await;
    for format in ["jsonl", "csv", "json"] {
        let shown = file(&api, "s", &format!("format={format}")).await;
        assert!(!shown.text().contains("silence"), "{format}");
    }
    let named = file(&api, "s", "user_name=Visitor&assistant_name=Ada+L.").await;
    for line in
        ["] Visitor: a\n", "\n— 1 hour and 5 minutes of silence —\n", "] Ada L.: b\n", "user: c\n"]
    {
        assert!(named.text().contains(line), "{line}: {}", named.text());
    }
}

#[actix_web::test]
async fn empty_conversation_has_a_transcript() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    assert_eq!(file(&api, "s", "format=json").await.json()["messages"], json!([]));
    assert_eq!(file(&api, "s", "format=jsonl").await.text(), "");
    let (header, rows) = csv_rows(&file(&api, "s", "format=csv").await);
    assert_eq!((header.len(), rows.len()), (11, 0));
    assert!(file(&api, "s", "").await.text().ends_with("Messages:      0\n"));
    assert!(file(&api, "s", "format=md").await.text().ends_with("- **Messages:** 0\n\n"));
    let head =
        api.send("HEAD", "/v1/sessions/s/transcript", &[("X-API-Key", super::app::BOOTSTRAP)]);
    let head = head.await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(name_and_type(&head).0, "transcript-s.txt");
}

#[actix_web::test]
async fn invalid_parameters_are_rejected_with_the_valid_values() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    let long = format!("user_name={}", "x".repeat(101));
    for (query, detail) in [
        ("format=pdf", "`format` is one of: txt, md, json, jsonl, csv."),
        (
            "tz=Europe/Bonn",
            "`tz` is a time zone by its name in the IANA's list: Europe/Berlin, \
             America/New_York, UTC.",
        ),
        (
            "tz=UTC&format=jsonl",
            "`tz` is for txt, md and csv; the times of json and jsonl are UTC, so leave it out.",
        ),
        (
            "assistant_name=Ada&format=csv",
            "`assistant_name` is for txt and md; the other formats tell the role.",
        ),
        (&long, "`user_name` is a name of 1 to 100 characters."),
        ("user_name=+", "`user_name` is a name of 1 to 100 characters."),
        ("visit=0", "`visit` is a whole number from 1 to 1000000."),
    ] {
        let answer = api.get(&format!("/v1/sessions/s/transcript?{query}")).await;
        assert_eq!(answer.code(), "invalid_parameter", "{query}");
        assert_eq!(answer.json()["detail"], detail, "{query}");
    }
}

#[actix_web::test]
async fn key_bound_to_another_agent_finds_no_transcript() {
    let api = TestApi::start().await;
    awkward(&api).await;
    let bound = api.key(&[Scope::Read], Some(&["B"])).await;
    for format in ["txt", "md", "json", "jsonl", "csv"] {
        for visit in ["", "&visit=1"] {
            let target = format!("/v1/sessions/sess_1/transcript?format={format}{visit}");
            assert_eq!(api.get_as(&bound, &target).await.code(), "not_found", "{target}");
            assert_eq!(api.get(&target).await.status, 200, "{target}");
        }
    }
}

#[actix_web::test]
async fn file_name_is_safe_for_any_id() {
    let api = TestApi::start().await;
    let id = "../a\"b\r\nX: y/🦊";
    Row::new("A", id).store(api.database.pool()).await;
    let path = "/v1/sessions/..%2Fa%22b%0D%0AX:%20y%2F%F0%9F%A6%8A/transcript";
    let answer = api.get(path).await;
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"transcript-.._a_b__X__y__.txt\"")
    );
    assert!(answer.text().starts_with("Session:       ../a\"b  X: y/🦊\n"), "{}", answer.text());
}
