//! `verbatim readers`, and the limits of a reader.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, ValueRef as _};
use verbatim::decode::Received;
use verbatim::domain::visits::VisitGaps;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Roles, SourceName};
use verbatim::store::facts::{FactRules, Followed, follow_next};
use verbatim::store::ingest::{Row, write};
use verbatim::store::search::index_next;

use crate::support::command::{command, stderr, stdout};
use crate::support::database::TestDatabase;
use crate::support::reader::{connect_as_reader, reader, reader_name};

/// Text of every message in the databases of these tests.
const MARKER: &str = "purpurschnecke-4711";

/// Creates a database with the marker in messages, statistics, the search index, the log of
/// deliveries, quarantine and a large object.
async fn marked_database() -> TestDatabase {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    let start: DateTime<Utc> = "2026-10-01T00:00:00Z".parse().unwrap();
    let arrivals: Vec<Arrival> = (0..80)
        .map(|number| {
            let at = start + TimeDelta::seconds(number * 7);
            let role = if number % 2 == 0 { "user" } else { "assistant" };
            let data = json!({ "session_id": format!("s{}", number / 10), "role": role,
                "message": MARKER, "timestamp": at.timestamp() });
            // An unreadable delivery stays in quarantine.
            let event = if number == 79 { json!(7) } else { json!("chat.push") };
            let body = json!({ "event_type": event, "agent_id": "A", "data": data,
                "timestamp": at.timestamp() });
            Arrival {
                id: DeliveryId::new(at),
                received_at: at,
                source: SourceName::default(),
                evidence: Evidence { signed: true, ..Evidence::default() },
                body: body.to_string().into(),
            }
        })
        .collect();
    let received: Vec<Received> = arrivals.into_iter().map(Received::from).collect();
    let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
    write(&mut connection, &rows).await.unwrap();
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    while follow_next(&mut connection, &rules, true).await.unwrap() != Followed::Nothing {}
    while index_next(&mut connection).await.unwrap() != verbatim::store::search::Indexed::Nothing {}
    run(&mut connection, &format!("ANALYZE; SELECT lo_from_bytea(4711, '{MARKER}')"))
        .await
        .unwrap();
    let in_statistics: bool = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_stats WHERE tablename LIKE 'messages%' AND most_common_vals::text LIKE $1
         )",
    )
    .bind(format!("%{MARKER}%"))
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(in_statistics, "the marker is not in the statistics");
    connection.close().await.unwrap();
    database
}

/// Runs statements as psql does, and returns all output as text.
async fn run(connection: &mut PgConnection, sql: &str) -> Result<String, String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut *connection).await;
    match rows {
        Ok(rows) => {
            let mut text = String::new();
            for row in rows {
                for column in 0..row.len() {
                    let value = row.try_get_raw(column).unwrap();
                    if !value.is_null() {
                        writeln!(text, "{}", value.as_str().unwrap()).unwrap();
                    }
                }
            }
            Ok(text)
        }
        // With details, hints and context.
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Returns true if a text contains the marker, as text or as bytes.
fn is_marked(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains(MARKER)
        || text.contains(&hex::encode(MARKER))
        // The search index splits it into two words.
        || text.contains("purpurschnecke")
}

/// Reader that tries to find texts, and the counts of its attempts.
struct Analyst {
    connection: PgConnection,
    failed: usize,
    answered: usize,
}

impl Analyst {
    async fn of(database: &TestDatabase) -> Self {
        let connection = connect_as_reader(database, false).await;
        Self { connection, failed: 0, answered: 0 }
    }

    /// Runs statements, and asserts that their output has no marker.
    async fn attempt(&mut self, sql: &str) -> Result<String, String> {
        let answer = run(&mut self.connection, sql).await;
        // End a failed transaction.
        if answer.is_err() {
            let _ = run(&mut self.connection, "ROLLBACK").await;
        }
        // Errors are checked too: they may quote rows.
        let back = answer.as_ref().unwrap_or_else(|error| error);
        assert!(!is_marked(back), "{sql}: {back}");
        match &answer {
            Ok(_) => self.answered += 1,
            Err(_) => self.failed += 1,
        }
        answer
    }

    async fn assert_refused(&mut self, sql: &str) {
        let answer = self.attempt(sql).await;
        let Err(error) = answer else { panic!("{sql} was not refused: {answer:?}") };
        // A mistake in the test's SQL does not count.
        assert!(!error.contains("syntax error"), "{sql}: {error}");
    }
}

/// Relations of a database: schema and qualified name.
async fn relations(connection: &mut PgConnection) -> Vec<(String, String)> {
    let rows = sqlx::query(
        "SELECT n.nspname::text, format('%I.%I', n.nspname, c.relname)
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't')
         ORDER BY 2",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn analyst_finds_no_text() {
    let database = marked_database().await;
    let mut analyst = Analyst::of(&database).await;
    // Change the role's settings, as any session can.
    for setting in [
        "SET default_transaction_read_only = off",
        "SET statement_timeout = 0",
        "SET search_path = public, analytics_v1",
    ] {
        analyst.attempt(setting).await.unwrap();
    }
    let relations = relations(&mut analyst.connection).await;
    let of_ours = relations.iter().filter(|(schema, _)| schema == "public").count();
    assert!(of_ours > 20, "{relations:?}");
    for (schema, relation) in &relations {
        let whole = format!("SELECT * FROM {relation}");
        let row = format!("SELECT r::text::integer FROM {relation} AS r");
        let plan = format!("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {relation}");
        let xml = format!("SELECT table_to_xml('{relation}', true, false, '')");
        let is_allowed = schema == "analytics_v1" && !relation.ends_with("message_texts");
        let system = schema == "pg_catalog" || schema == "information_schema";
        for sql in [&whole, &plan, &xml] {
            if is_allowed {
                analyst.attempt(sql).await.unwrap();
            } else if system {
                let _ = analyst.attempt(sql).await;
            } else {
                analyst.assert_refused(sql).await;
            }
        }
        // The error shows the row.
        let _ = analyst.attempt(&row).await;
        if !is_allowed && !system {
            for sql in [
                format!("DELETE FROM {relation}"),
                format!("LOCK TABLE {relation}"),
                format!("COPY {relation} TO STDOUT"),
                format!("ANALYZE VERBOSE {relation}"),
            ] {
                let _ = analyst.attempt(&sql).await;
            }
        }
    }
    assert!(analyst.failed > 100 && analyst.answered > 100);
    try_other_ways(&mut analyst).await;
    try_own_functions(&mut analyst, &relations).await;
}

/// Tries files, large objects, functions that run SQL, and other ways around tables.
async fn try_other_ways(analyst: &mut Analyst) {
    for refused in [
        "SELECT message FROM analytics_v1.messages",
        "SELECT message FROM analytics_v1.message_texts",
        "SELECT query_to_xml('SELECT * FROM public.messages', true, false, '')",
        "SELECT cursor_to_xml('c', 10, true, false, '')",
        "SELECT * FROM ts_stat('SELECT to_tsvector(message) FROM public.messages')",
        "SELECT * FROM public.activity_of_facts('-infinity', 'infinity')",
        "SELECT * FROM public.counted_facts",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_read_binary_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT pg_stat_file('PG_VERSION')",
        "SELECT lo_get(4711)",
        "SELECT lo_open(4711, 262144)",
        "SELECT lo_export(4711, '/tmp/stolen')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT * FROM pg_largeobject",
        "SELECT * FROM pg_statistic",
        "SELECT * FROM pg_statistic_ext_data",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT pg_logical_slot_get_changes('s', NULL, NULL)",
        "COPY (SELECT 1) TO PROGRAM 'cat > /tmp/stolen'",
        "COPY public.messages TO PROGRAM 'cat'",
        "COPY public.messages TO '/tmp/stolen'",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION file_fdw",
        "CREATE TABLE public.mine (i integer)",
        "CREATE TABLE analytics_v1.mine (i integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.leak() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW public.leak AS SELECT * FROM public.messages",
        "CREATE OR REPLACE VIEW analytics_v1.messages AS SELECT * FROM public.messages",
        "CREATE TEMPORARY VIEW leak AS SELECT * FROM public.messages; SELECT * FROM leak",
        "CREATE STATISTICS s ON role, message FROM public.messages",
        "CREATE INDEX leak ON public.messages (message)",
        "CREATE RULE leak AS ON SELECT TO analytics_v1.messages DO INSTEAD SELECT 1",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "ALTER TABLE public.messages OWNER TO CURRENT_USER",
        "GRANT SELECT ON public.messages TO CURRENT_USER",
        "GRANT pg_read_all_data TO CURRENT_USER",
        "GRANT postgres TO CURRENT_USER",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER SYSTEM SET log_statement = 'all'",
        "SET session_replication_role = replica",
        "SET temp_file_limit = -1",
        "DO $$ BEGIN RAISE EXCEPTION '%', (SELECT min(message) FROM public.messages); END $$",
        "DO $$ BEGIN EXECUTE 'SELECT * FROM public.deliveries'; END $$",
        "DO LANGUAGE plpython3u $$ pass $$",
        "PREPARE p AS SELECT * FROM public.messages; EXECUTE p",
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM public.messages; FETCH ALL FROM c",
        "SELECT 1 FROM public.messages WHERE message::integer = 1",
        "MERGE INTO public.messages USING public.messages AS m ON false \
         WHEN NOT MATCHED THEN DO NOTHING",
        "INSERT INTO analytics_v1.agents VALUES ('x', 1, 1, now(), now())",
        "UPDATE analytics_v1.agents SET agent_id = 'x'",
        "DELETE FROM analytics_v1.messages",
    ] {
        analyst.assert_refused(refused).await;
    }
    for allowed in [
        "SELECT schema_to_xml('public', true, false, '')",
        "SELECT database_to_xml(true, false, '')",
        "SELECT * FROM pg_stats",
        "SELECT * FROM pg_stats_ext",
        "SELECT * FROM pg_stats_ext_exprs",
        "SELECT * FROM pg_stat_activity",
        "SELECT pg_stat_get_backend_activity(backend) \
         FROM pg_stat_get_backend_idset() AS backend",
        "SELECT * FROM pg_stat_get_activity(NULL)",
        "SELECT * FROM pg_prepared_statements",
        "SELECT * FROM pg_cursors",
        "SELECT * FROM pg_largeobject_metadata",
        "SELECT pg_get_viewdef('analytics_v1.messages'::regclass)",
        "SELECT pg_get_viewdef('analytics_v1.message_texts'::regclass)",
        "SELECT string_agg(pg_get_indexdef(indexrelid), ' ') FROM pg_index",
        "SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint",
        "SELECT string_agg(prosrc, ' ') FROM pg_proc",
    ] {
        analyst.attempt(allowed).await.unwrap();
    }
}

/// Tries functions of the reader that show their argument. They cost nothing, so the planner calls
/// them first.
async fn try_own_functions(analyst: &mut Analyst, relations: &[(String, String)]) {
    analyst
        .attempt(
            "CREATE TEMPORARY TABLE seen (what text);
             CREATE FUNCTION pg_temp.leak(what anyelement) RETURNS boolean
             LANGUAGE plpgsql COST 0.0000001 AS $$
                 BEGIN INSERT INTO seen VALUES (what::text); RETURN true; END
             $$;
             CREATE FUNCTION pg_temp.shout(what anyelement) RETURNS boolean
             LANGUAGE plpgsql COST 0.0000001 AS $$
                 BEGIN RAISE EXCEPTION '%', what; END
             $$",
        )
        .await
        .unwrap();
    for (_, view) in relations.iter().filter(|(schema, _)| schema == "analytics_v1") {
        for function in ["leak", "shout"] {
            let condition = format!("pg_temp.{function}(v)");
            let _ = analyst
                .attempt(&format!("SELECT count(*) FROM {view} AS v WHERE {condition}"))
                .await;
        }
    }
    let seen = analyst.attempt("SELECT what FROM seen").await.unwrap();
    assert!(seen.lines().count() > 100, "the function was called");
}

#[tokio::test]
async fn analyst_sees_no_queries_of_others_and_no_text_of_other_databases() {
    let database = marked_database().await;
    let other = marked_database().await;
    let mut analyst = Analyst::of(&database).await;
    // The statement remains visible as the last query of an idle connection.
    let mut busy = database.options().connect().await.unwrap();
    run(&mut busy, &format!("SELECT '{MARKER}'")).await.unwrap();
    for sql in [
        "SELECT query FROM pg_stat_activity",
        "SELECT pg_stat_get_backend_activity(backend) \
         FROM pg_stat_get_backend_idset() AS backend",
    ] {
        let seen = analyst.attempt(sql).await.unwrap();
        assert!(seen.contains("<insufficient privilege>"), "{seen}");
    }
    // By default, every role of a server may connect to every database.
    let name = analyst.attempt("SELECT current_user").await.unwrap();
    let as_reader = other.options().username(name.trim());
    analyst.connection = as_reader.connect().await.unwrap();
    for sql in [
        "SELECT * FROM analytics_v1.sessions",
        "SELECT * FROM analytics_v1.message_texts",
        "SELECT * FROM analytics_v1.buckets(now() - interval '1 day', now(), 'hour')",
        "SELECT * FROM public.messages",
    ] {
        analyst.assert_refused(sql).await;
    }
    busy.close().await.unwrap();
}

#[tokio::test]
async fn reader_with_text_reads_only_messages() {
    let database = marked_database().await;
    let mut reader = connect_as_reader(&database, true).await;
    let texts = run(&mut reader, "SELECT message FROM message_texts ORDER BY occurred_at").await;
    assert_eq!(texts.unwrap().matches(MARKER).count(), 79);
    let joined = run(
        &mut reader,
        "SELECT count(*) FROM message_texts JOIN messages USING (id, session_uuid, occurred_at)
         JOIN sessions AS s ON s.id = session_uuid",
    );
    assert_eq!(joined.await.unwrap().trim(), "79");
    for (schema, relation) in relations(&mut reader).await {
        if ["pg_catalog", "information_schema", "analytics_v1"].contains(&schema.as_str()) {
            continue;
        }
        let refused = run(&mut reader, &format!("SELECT * FROM {relation}")).await;
        assert!(refused.unwrap_err().contains("permission denied"), "{relation}");
    }
}

#[tokio::test]
async fn reader_starts_with_limits() {
    let database = TestDatabase::create().await;
    let options = reader(&database, false).await;
    let mut connection = options.connect().await.unwrap();
    for (setting, expected) in [
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("lock_timeout", "5s"),
        ("temp_file_limit", "1GB"),
        ("search_path", "analytics_v1"),
    ] {
        let found = run(&mut connection, &format!("SHOW {setting}")).await.unwrap();
        assert_eq!(found.trim(), expected, "{setting}");
    }
    let refused = run(&mut connection, "CREATE TEMPORARY TABLE t (i integer); DELETE FROM t").await;
    assert!(refused.unwrap_err().contains("read-only transaction"));
    let mut connections = vec![connection];
    for _ in 1..5 {
        connections.push(options.connect().await.unwrap());
    }
    let error = options.connect().await.unwrap_err().to_string();
    assert!(error.contains("too many connections for role"), "{error}");
}

async fn readers(url: &str, args: &[&str]) -> std::process::Output {
    let args = [&["readers"], args].concat();
    command(&args).env("DATABASE_URL", url).output().await.unwrap()
}

/// The value of a line `name  value`.
fn shown<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}

#[tokio::test]
async fn reader_is_created_listed_and_dropped() {
    let database = TestDatabase::create().await;
    let name = reader_name();
    let created = readers(&database.url(), &["create", "--name", &name]).await;
    assert!(created.status.success(), "{created:?}");
    let text = stdout(&created);
    let (password, url) = (shown(&text, "password"), shown(&text, "url"));
    assert_eq!(shown(&text, "user"), name);
    assert!(url.contains(&format!("postgres://{name}:{password}@")), "{url}");
    assert!(stderr(&created).contains("REVOKE TEMPORARY"), "{}", stderr(&created));
    let mut connection = PgConnection::connect(url).await.unwrap();
    run(&mut connection, "SELECT * FROM sessions").await.unwrap();

    let listed = stdout(&readers(&database.url(), &["list"]).await);
    let row: Vec<_> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [&name, "no", "1", "of", "5", "verbatim"]);
    assert!(!listed.contains(password));
    let again = readers(&database.url(), &["create", "--name", &name, "--with-text"]).await;
    assert!(stderr(&again).contains("already exists"), "{}", stderr(&again));

    let dropped = readers(&database.url(), &["drop", &name]).await;
    assert!(dropped.status.success(), "{dropped:?}");
    run(&mut connection, "SELECT 1").await.unwrap_err();
    let error = PgConnection::connect(url).await.unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
    assert_eq!(stdout(&readers(&database.url(), &["list"]).await).lines().count(), 1);
    let again = readers(&database.url(), &["drop", &name]).await;
    assert!(stderr(&again).contains("no reader"), "{}", stderr(&again));
    // A reader of the same name can be created again.
    let created = readers(&database.url(), &["create", "--name", &name, "--with-text"]).await;
    assert!(created.status.success(), "{created:?}");
    let listed = stdout(&readers(&database.url(), &["list"]).await);
    assert!(listed.contains(&format!("{name}  yes ")), "{listed}");
}

#[tokio::test]
async fn databases_of_one_server_have_separate_readers() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    let name = reader_name();
    assert!(readers(&one.url(), &["create", "--name", &name]).await.status.success());
    assert!(!stdout(&readers(&other.url(), &["list"]).await).contains(&name));
    let refused = readers(&other.url(), &["create", "--name", &name]).await;
    assert!(stderr(&refused).contains("belong to the whole PostgreSQL server"), "{refused:?}");
    let refused = readers(&other.url(), &["drop", &name]).await;
    assert!(stderr(&refused).contains("no reader"), "{refused:?}");
    assert!(stdout(&readers(&one.url(), &["list"]).await).contains(&name));
    assert!(readers(&one.url(), &["drop", &name]).await.status.success());
}

#[tokio::test]
async fn foreign_role_is_listed_and_not_dropped() {
    let database = TestDatabase::create().await;
    let name = reader_name();
    let by_hand = format!("CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA analytics_v1 TO {name}");
    sqlx::raw_sql(AssertSqlSafe(by_hand)).execute(database.pool()).await.unwrap();
    let listed = stdout(&readers(&database.url(), &["list"]).await);
    assert!(listed.lines().nth(1).unwrap().ends_with("an administrator"), "{listed}");
    let refused = readers(&database.url(), &["drop", &name]).await;
    assert!(stderr(&refused).contains("was not created by verbatim"), "{refused:?}");
}

#[tokio::test]
async fn names_that_need_quotes_are_rejected() {
    for name in ["", "Bob", "a b", "x; DROP ROLE postgres", "pg_monitor"] {
        let refused = readers("postgres://nowhere/x", &["create", "--name", name]).await;
        assert!(!refused.status.success());
        assert!(stderr(&refused).contains("invalid reader name"), "{refused:?}");
    }
}

#[tokio::test]
async fn reader_is_not_created_if_public_has_access() {
    let database = TestDatabase::create().await;
    for (grant, revoke, expected) in [
        (
            "GRANT SELECT ON messages TO PUBLIC",
            "REVOKE SELECT ON messages FROM PUBLIC",
            "access to public.messages",
        ),
        (
            "GRANT SELECT (body) ON deliveries TO PUBLIC",
            "REVOKE SELECT (body) ON deliveries FROM PUBLIC",
            "access to public.deliveries",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "CREATE on schema public",
        ),
    ] {
        sqlx::raw_sql(grant).execute(database.pool()).await.unwrap();
        let name = reader_name();
        let refused = readers(&database.url(), &["create", "--name", &name]).await;
        assert!(stderr(&refused).contains(expected), "{refused:?}");
        sqlx::raw_sql(revoke).execute(database.pool()).await.unwrap();
        let created = readers(&database.url(), &["create", "--name", &name]).await;
        assert!(created.status.success(), "the first attempt left a role: {created:?}");
    }
}

/// Creates a database of a role without superuser rights, as on managed servers.
async fn managed_database(role: &str, rights: &'static str) -> (TestDatabase, String) {
    let database = TestDatabase::empty().await;
    let name = database.options().get_database().unwrap().to_owned();
    let make = format!("CREATE ROLE {role} LOGIN {rights}; ALTER DATABASE {name} OWNER TO {role}");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(database.pool()).await.unwrap();
    let url = database.url().replace("postgres://postgres@", &format!("postgres://{role}@"));
    let migrated = command(&["migrate"]).env("DATABASE_URL", &url).output().await.unwrap();
    assert!(migrated.status.success(), "{migrated:?}");
    (database, url)
}

#[tokio::test]
async fn readers_work_without_superuser() {
    let (_database, url) = managed_database(&reader_name(), "CREATEROLE").await;
    let name = reader_name();
    let created = readers(&url, &["create", "--name", &name, "--with-text"]).await;
    assert!(created.status.success(), "{created:?}");
    let text = stdout(&created);
    let mut connection = PgConnection::connect(shown(&text, "url")).await.unwrap();
    run(&mut connection, "SELECT * FROM message_texts").await.unwrap();
    run(&mut connection, "SELECT * FROM public.messages").await.unwrap_err();
    connection.close().await.unwrap();
    let dropped = readers(&url, &["drop", &name]).await;
    assert!(dropped.status.success(), "{dropped:?}");
}

#[tokio::test]
async fn statements_are_shown_without_the_right_to_create_roles() {
    let (database, url) = managed_database(&reader_name(), "").await;
    let name = reader_name();
    let refused = readers(&url, &["create", "--name", &name]).await;
    assert!(!refused.status.success());
    let error = stderr(&refused);
    let (_, sql) = error.split_once("CREATE ROLE").unwrap_or_else(|| panic!("{error}"));
    // The statements work when an administrator runs them.
    let sql = format!("CREATE ROLE{sql}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(database.pool()).await.unwrap();
    let listed = stdout(&readers(&url, &["list"]).await);
    assert!(listed.contains(&name), "{listed}");
    let mut connection = database.options().username(&name).connect().await.unwrap();
    run(&mut connection, "SELECT * FROM sessions").await.unwrap();
    connection.close().await.unwrap();
    let refused = readers(&url, &["drop", &name]).await;
    assert!(stderr(&refused).contains("DROP ROLE"), "{refused:?}");
}
