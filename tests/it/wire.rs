//! Requests of slow, broken and hostile clients: their answers, and that incomplete deliveries are
//! not stored.

use serde_json::json;

use crate::support::app::{App, KEY};
use crate::support::wire::{Wire, delivery, head};

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// Texts of all stored messages, sorted.
async fn stored(app: &App) -> Vec<String> {
    app.drained().await;
    sqlx::query_scalar("SELECT message FROM messages ORDER BY message")
        .fetch_all(app.database.pool())
        .await
        .unwrap()
}

/// Asserts that the service accepts deliveries, and has stored no other than this one.
async fn assert_healthy_and_nothing_else_stored(app: &App) {
    assert_eq!(app.deliver(chat_push("fine")).await.status, 200);
    assert_eq!(stored(app).await, ["fine"]);
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn body_sent_byte_by_byte_is_stored() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    for byte in delivery(&chat_push("slowly")) {
        wire.write([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(stored(&app).await, ["slowly"]);
}

#[actix_web::test]
async fn incomplete_body_is_not_stored_although_its_part_is_signed() {
    let app = App::start().await;
    let body = chat_push("whole");
    // Closed abruptly, or with the sending side shut down.
    for hangs_up in [true, false] {
        let mut wire = Wire::open(&app).await;
        let length = format!("Content-Length: {}", body.len() + 100);
        wire.write(head(body.as_bytes(), &length)).await;
        wire.write(&body).await;
        if !hangs_up {
            wire.finish().await;
            if let Some(reply) = wire.try_reply().await {
                assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_parameter"));
            }
        }
    }
    assert_healthy_and_nothing_else_stored(&app).await;
}

#[actix_web::test]
async fn body_longer_than_its_length_is_cut_at_its_length() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let body = chat_push("longer");
    wire.write(head(body.as_bytes(), &format!("Content-Length: {}", body.len() - 10))).await;
    wire.write(&body).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_signature"));
    let rest = wire.reply().await;
    assert_eq!(rest.status, 400, "the rest is not a request");
    assert!(wire.try_reply().await.is_none(), "the connection ends");
    assert_healthy_and_nothing_else_stored(&app).await;
}

#[actix_web::test]
async fn ambiguous_length_is_rejected() {
    let app = App::start().await;
    let body = chat_push("ambiguous");
    let length = body.len();
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: {}", length - 1),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Content-Length: +{length}"),
        "Content-Length: -1".to_owned(),
        "Content-Length: many".to_owned(),
        "Content-Length: 99999999999999999999999".to_owned(),
        "Transfer-Encoding: gzip".to_owned(),
    ] {
        let mut wire = Wire::open(&app).await;
        wire.write(head(body.as_bytes(), &lines)).await;
        wire.write_some(&body).await;
        assert_eq!(wire.reply().await.status, 400, "{lines}");
        assert!(wire.try_reply().await.is_none(), "the connection ends");
    }
    assert_healthy_and_nothing_else_stored(&app).await;
}

#[actix_web::test]
async fn chunked_body_is_stored_and_a_broken_chunk_is_not() {
    let app = App::start().await;
    let body = chat_push("in chunks");
    let chunked = |size: &str| {
        let (one, other) = body.split_at(20);
        format!("14\r\n{one}\r\n{size}\r\n{other}\r\n0\r\n\r\n")
    };
    let head = head(body.as_bytes(), "Transfer-Encoding: chunked");
    let mut wire = Wire::open(&app).await;
    wire.write(&head).await;
    wire.write(chunked(&format!("{:x}", body.len() - 20))).await;
    assert_eq!(wire.reply().await.status, 200);
    wire.write(&head).await;
    wire.write_some(chunked("zz")).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_parameter"));
    assert_eq!(stored(&app).await, ["in chunks"]);
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn pipelined_deliveries_are_answered_in_order() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let mut wrong = delivery(&chat_push("wrong"));
    let last = wrong.len() - 3;
    wrong[last] ^= 1;
    let mut all = Vec::new();
    let mut expected = Vec::new();
    for n in 0..12 {
        if n % 5 == 2 {
            all.extend_from_slice(&wrong);
            expected.push(401);
        }
        all.extend(delivery(&chat_push(&format!("message {n:02}"))));
        expected.push(200);
    }
    wire.write(all).await;
    let mut statuses = Vec::new();
    while statuses.len() < expected.len() {
        statuses.push(wire.reply().await.status);
    }
    assert_eq!(statuses, expected);
    let texts: Vec<_> = (0..12).map(|n| format!("message {n:02}")).collect();
    assert_eq!(stored(&app).await, texts);
}

#[actix_web::test]
async fn many_pipelined_deliveries_are_all_answered() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let all: Vec<u8> =
        (0..64).flat_map(|n| delivery(&chat_push(&format!("message {n:02}")))).collect();
    wire.write(all).await;
    for n in 0..64 {
        assert_eq!(wire.reply().await.status, 200, "{n}");
    }
    assert_eq!(stored(&app).await.len(), 64);
}

/// actix-web stops reading while sixteen requests wait, and resumes when one of them waits for
/// something.
#[actix_web::test]
async fn requests_pipelined_beyond_the_queue_are_answered() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let mut lock = app.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE agents").execute(&mut *lock).await.unwrap();
    let slow = format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let quick = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    wire.write(slow + &quick.repeat(20)).await;
    for round in 0..3 {
        // After an answer of each worker, each has read the previous requests.
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            let mut other = Wire::open(&app).await;
            other.write(quick).await;
            assert_eq!(other.reply().await.status, 404);
        }
        wire.write(quick.repeat(10 + round)).await;
    }
    lock.rollback().await.unwrap();
    assert_eq!(wire.reply().await.status, 200);
    for n in 0..53 {
        assert_eq!(wire.reply().await.status, 404, "{n}");
    }
}

#[actix_web::test]
async fn deliveries_of_clients_that_disconnect_early_are_stored() {
    let app = App::start().await;
    for n in 0..20 {
        let mut wire = Wire::open(&app).await;
        wire.write(delivery(&chat_push(&format!("message {n:02}")))).await;
    }
    let mut depth = app.backlog.watch_depth();
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while stored(&app).await.len() < 20 {
            depth.changed().await.unwrap();
        }
    })
    .await
    .expect("all of them are stored");
    assert_eq!(app.log().await.len(), 20, "a delivery is doubled");
}

#[actix_web::test]
async fn oversized_head_ends_the_connection() {
    let app = App::start().await;
    let many = "X-One: 1\r\n".repeat(100);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX-Large: {}\r\n\r\n", "x".repeat(140_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(66_000)), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("\0\0\0\r\n\r\n".to_owned(), 400),
    ] {
        let mut wire = Wire::open(&app).await;
        wire.write_some(&request).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, status, "{request:.60}");
        assert!(reply.body.is_empty(), "the framework's answer has no body");
        assert!(wire.try_reply().await.is_none(), "the connection ends");
    }
    // A long head within the limit is answered normally.
    let mut wire = Wire::open(&app).await;
    wire.write(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(60_000))).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    assert_healthy_and_nothing_else_stored(&app).await;
}

#[actix_web::test]
async fn stalled_large_bodies_make_room_for_others() {
    const LARGEST: usize = 1 << 20;
    let app = App::start().await;
    // As many bodies as the budget allows, each without its last byte, with plausible credentials.
    let head = head(b"", &format!("Content-Length: {LARGEST}"));
    let unfinished = "x".repeat(LARGEST - 1);
    let mut holders = Vec::new();
    for _ in 0..64 {
        let mut wire = Wire::open(&app).await;
        wire.write(&head).await;
        wire.write(&unfinished).await;
        holders.push(wire);
    }
    assert_eq!(app.deliver(chat_push("small")).await.status, 200, "a small body needs no budget");
    // Until one of them is ended for others, or rejected since the budget is used.
    let replies = holders.iter_mut().map(|holder| Box::pin(holder.reply()));
    let mut first = futures_util::future::select_all(replies);
    let mut delivered = 0;
    let (ended, _, _) = loop {
        let large = chat_push(&format!("{delivered}{}", "y".repeat(60_000)));
        assert_eq!(app.deliver(large).await.status, 200, "{delivered}");
        delivered += 1;
        tokio::select! {
            biased;
            ended = &mut first => break ended,
            () = std::future::ready(()) => {}
        }
    };
    let code = ended.code();
    assert!([(408, "request_timeout"), (503, "unavailable")].contains(&(ended.status, &*code)));
    drop(first);
    for n in 0..5 {
        let large = chat_push(&format!("after {n}{}", "y".repeat(60_000)));
        assert_eq!(app.deliver(large).await.status, 200, "{n}");
    }
    assert_eq!(stored(&app).await.len(), 6 + delivered);
}

#[actix_web::test]
async fn body_without_credentials_is_not_read() {
    let app = App::start().await;
    let large = "Content-Length: 1048576";
    let malformed = "X-bitHuman-Signature: sha256=12345";
    for (lines, code) in [
        (large.to_owned(), "missing_credentials"),
        (format!("{malformed}\r\n{large}"), "invalid_signature"),
        (format!("{malformed}\r\nTransfer-Encoding: chunked"), "invalid_signature"),
    ] {
        let mut wire = Wire::open(&app).await;
        wire.write(format!("POST /webhook HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.code().as_str()), (401, code), "{lines}");
        // A chunked body can be skipped; the next head of the connection has a deadline.
        let closes = reply.header("connection") == Some("close");
        assert_eq!(closes, !lines.contains("chunked"), "{lines}: the rest is not read");
    }
    // A body with credentials is rejected by its length alone.
    let mut wire = Wire::open(&app).await;
    wire.write(head(b"", "Content-Length: 1048577")).await;
    assert_eq!(wire.reply().await.status, 413);
    assert_healthy_and_nothing_else_stored(&app).await;
}

#[actix_web::test]
async fn connection_continues_after_a_small_delivery_is_rejected() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let unsigned = "POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    wire.write([unsigned.as_bytes(), &delivery(&chat_push("good"))].concat()).await;
    assert_eq!(wire.reply().await.status, 401);
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(stored(&app).await, ["good"]);
}

#[actix_web::test]
async fn key_without_the_scope_is_rejected_before_its_body_is_read() {
    let app = App::start().await;
    let made = json!({ "name": "reader", "scopes": ["read"] }).to_string();
    let made = app.post("/v1/keys", made, &[("X-API-Key", KEY)]).await;
    let reader = made.json()["key"].as_str().unwrap().to_owned();
    for (key, length, status) in
        [(reader.as_str(), 9_999, 403), ("wrong", 9_999, 401), (KEY, (1 << 20) + 1, 413)]
    {
        let mut wire = Wire::open(&app).await;
        let head = format!(
            "POST /v1/keys HTTP/1.1\r\nHost: h\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n\r\n"
        );
        wire.write(head).await;
        assert_eq!(wire.reply().await.status, status, "{key}");
    }
}
