//! Generates conversations over a year, and writes them with their search documents. Uses COPY, and
//! builds the index at the end, since five million messages over HTTP would need an hour.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

use chrono::{DateTime, Datelike as _, Months, NaiveTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;
use verbatim::domain::session::activity_bucket;
use verbatim::search::Document;

/// Number of agents. The first has the most sessions.
pub(crate) const AGENTS: usize = 200;
/// Words of the languages with spaces, and of Chinese.
const WORDS: usize = 80_000;
const CHINESE_WORDS: usize = 30_000;
/// Days of the conversations.
const DAYS: i64 = 365;
/// Messages in one COPY.
const CHUNK: u64 = 20_000;

/// Returns a rank by Zipf's law: the first of `of` is the most frequent.
fn zipf(random: &mut StdRng, of: usize) -> usize {
    let power = random.random::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rank = ((of + 1) as f64).powf(power) - 1.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
    let rank = rank as usize;
    rank.min(of - 1)
}

/// Returns the word of a rank, made of syllables. Frequent words are short.
pub(crate) fn word(rank: usize) -> String {
    const SYLLABLES: [&str; 40] = [
        "re", "to", "in", "an", "da", "mo", "li", "ka", "se", "nu", "pro", "ster", "ton", "vi",
        "gra", "bel", "fo", "ru", "chi", "lan", "té", "zu", "pan", "dor", "mi", "sol", "qua",
        "ner", "ö", "hal", "ja", "ску", "при", "во", "ge", "sta", "wen", "py", "x", "cam",
    ];
    let (mut word, mut rest) = (String::new(), rank + SYLLABLES.len());
    while rest > 0 {
        word.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
    }
    word
}

/// Returns the Chinese word of a rank: two of the most common characters.
pub(crate) fn chinese(rank: usize) -> String {
    let mut random = StdRng::seed_from_u64(rank as u64);
    let letter = |n: usize| char::from_u32(0x4E00 + u32::try_from(n * 5).unwrap_or(0));
    [zipf(&mut random, 4_000), random.random_range(0..4_000)]
        .into_iter()
        .filter_map(letter)
        .collect()
}

/// Returns the text of a message.
fn text(random: &mut StdRng) -> String {
    let words = 3 + random.random_range(0..10) + random.random_range(0..10);
    let mut text = String::new();
    if random.random_ratio(1, 4) {
        for word in 0..words {
            text.push_str(&chinese(zipf(random, CHINESE_WORDS)));
            if word % 5 == 4 {
                text.push('，');
            }
        }
        text.push('。');
    } else {
        for _ in 0..words {
            text.push_str(&word(zipf(random, WORDS)));
            text.push(' ');
        }
        text.pop();
        text.push('.');
    }
    text
}

/// Rows for COPY.
#[derive(Default)]
struct Rows {
    searched: bool,
    sessions: String,
    messages: String,
    documents: String,
}

/// Fills an empty database with our schema. With `searched`, writes the search documents, too.
pub(crate) async fn load(
    pool: &PgPool,
    messages: u64,
    sessions: u64,
    searched: bool,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let now = verbatim::clock::Clock::system().now();
    let start = now - TimeDelta::days(DAYS);
    run(pool, "DROP INDEX search_parts_by_term").await?;
    make_months(pool, start, now).await?;
    let mut words: HashMap<(String, String), i64> = HashMap::new();
    let mut newest = start;
    let per_session = messages / sessions;
    let mut random = StdRng::seed_from_u64(7);
    let mut rows = Rows { searched, ..Rows::default() };
    let mut written = 0;
    let mut in_hand = 0;
    for session in 0..sessions {
        let at = start + (now - start) * i32::try_from(session)? / i32::try_from(sessions)?;
        let last = converse(&mut rows, &mut words, &mut random, session, at, per_session);
        newest = newest.max(last);
        in_hand += per_session;
        if in_hand >= CHUNK || session + 1 == sessions {
            let full = std::mem::replace(&mut rows, Rows { searched, ..Rows::default() });
            copy(pool, full).await?;
            written += in_hand;
            in_hand = 0;
            if written % (CHUNK * 25) == 0 {
                eprintln!("{written} messages after {:.0?}", began.elapsed());
            }
        }
    }
    finish(pool, words, newest).await?;
    eprintln!("loaded within {:.0?}", began.elapsed());
    Ok(())
}

fn converse(
    rows: &mut Rows,
    words: &mut HashMap<(String, String), i64>,
    random: &mut StdRng,
    session: u64,
    start: DateTime<Utc>,
    messages: u64,
) -> DateTime<Utc> {
    let id = Uuid::from_u128(random.random());
    let agent = format!("agent-{}", zipf(random, AGENTS));
    let mut at = start;
    for number in 0..messages {
        at += TimeDelta::milliseconds(random.random_range(2_000..20_000));
        let (message, said) = (Uuid::from_u128(random.random()), text(random));
        let role = if number % 2 == 0 { "assistant" } else { "user" };
        let documents = if rows.searched { Document::of(&said, &agent, at) } else { vec![] };
        let time = at.to_rfc3339();
        let _ = writeln!(
            rows.messages,
            "{id}\t{time}\t{message}\t{message}\t{role}\t{said}\t{time}\t{time}\tf\tf"
        );
        let parts = documents.len();
        for (part, document) in documents.into_iter().enumerate() {
            let _ = writeln!(
                rows.documents,
                "{id}\t{time}\t{message}\t{part}\t{parts}\t{agent}\tdefault\t{role}\t{}",
                document.vector
            );
            for word in document.words {
                *words.entry((word, agent.clone())).or_default() += 1;
            }
        }
    }
    let (first, last) = (start.to_rfc3339(), at.to_rfc3339());
    let bucket = activity_bucket(at).to_rfc3339();
    let half = messages / 2;
    let _ = writeln!(
        rows.sessions,
        "{id}\tdefault\t{agent}\tsession-{session}\t{first}\t{last}\t{bucket}\t{messages}\t{half}\t{}\t{id}",
        messages - half
    );
    at
}

async fn copy(pool: &PgPool, rows: Rows) -> anyhow::Result<()> {
    let into = async |sql: &'static str, rows: String| {
        let mut connection = pool.acquire().await?;
        let mut copy = connection.copy_in_raw(sql).await?;
        copy.send(rows.into_bytes()).await?;
        copy.finish().await?;
        anyhow::Ok(())
    };
    tokio::try_join!(
        into(
            "COPY sessions (id, source, agent_id, sender_session_id, started_at, last_activity_at,
             activity_bucket, message_count, user_message_count, assistant_message_count,
             first_delivery_id) FROM STDIN",
            rows.sessions
        ),
        into("COPY messages FROM STDIN", rows.messages),
        into("COPY search_parts FROM STDIN", rows.documents),
    )?;
    Ok(())
}

/// Creates the partitions that the service would have created over that time.
async fn make_months(pool: &PgPool, from: DateTime<Utc>, to: DateTime<Utc>) -> anyhow::Result<()> {
    let mut month = from.with_day(1).unwrap_or(from).date_naive();
    while month.and_time(NaiveTime::MIN).and_utc() <= to {
        let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
        for table in ["messages", "search_parts"] {
            let name = month.format("%Y_%m");
            run(
                pool,
                &format!(
                    "CREATE TABLE {table}_{name} PARTITION OF {table}
                     FOR VALUES FROM ('{month} 00:00:00+00') TO ('{next} 00:00:00+00')"
                ),
            )
            .await?;
        }
        month = next;
    }
    Ok(())
}

async fn finish(
    pool: &PgPool,
    words: HashMap<(String, String), i64>,
    newest: DateTime<Utc>,
) -> anyhow::Result<()> {
    let words: Vec<((String, String), i64)> = words.into_iter().collect();
    for words in words.chunks(50_000) {
        let (words, counts): (Vec<_>, Vec<_>) = words.iter().cloned().unzip();
        let (words, agents): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        let sql = "INSERT INTO search_vocabulary (word, agent_id, documents)
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])";
        sqlx::query(sql).bind(words).bind(agents).bind(counts).execute(pool).await?;
    }
    sqlx::query("UPDATE search_progress SET newest_at = $1").bind(newest).execute(pool).await?;
    let start = Instant::now();
    for sql in [
        "INSERT INTO agents
         SELECT agent_id, count(*), sum(message_count), min(started_at), max(last_activity_at)
         FROM sessions GROUP BY agent_id",
        "SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0;
         CREATE INDEX search_parts_by_term ON search_parts USING gin (terms)
         WITH (fastupdate = on, gin_pending_list_limit = 1024)",
        "VACUUM ANALYZE",
    ] {
        run(pool, sql).await?;
        eprintln!("{:.40}… {:.0?}", sql.trim(), start.elapsed());
    }
    Ok(())
}

async fn run(pool: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await?;
    Ok(())
}
