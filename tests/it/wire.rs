//! What comes over the wire when a client is slow, broken or hostile: how it is answered, and that
//! nothing is stored of what was not sent whole.

use serde_json::json;

use crate::support::app::{App, KEY};
use crate::support::wire::{Wire, delivery, head};

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// What is stored, sorted.
async fn stored(app: &App) -> Vec<String> {
    app.drained().await;
    sqlx::query_scalar("SELECT message FROM messages ORDER BY message")
        .fetch_all(app.database.pool())
        .await
        .unwrap()
}

/// The service takes deliveries as ever, and has stored this one alone.
async fn is_well_and_has_stored_nothing_else(app: &App) {
    assert_eq!(app.deliver(said("fine")).await.status, 200);
    assert_eq!(stored(app).await, ["fine"]);
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn a_body_that_comes_byte_by_byte_is_stored() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    for byte in delivery(&said("slowly")) {
        wire.write([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(stored(&app).await, ["slowly"]);
}

#[actix_web::test]
async fn half_a_body_is_not_stored_though_its_half_was_signed() {
    let app = App::start().await;
    let body = said("whole");
    // Hung up without a word, or with the sending side closed in good order.
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
    is_well_and_has_stored_nothing_else(&app).await;
}

#[actix_web::test]
async fn a_body_longer_than_it_says_is_judged_by_what_it_says() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let body = said("longer");
    wire.write(head(body.as_bytes(), &format!("Content-Length: {}", body.len() - 10))).await;
    wire.write(&body).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_signature"));
    let rest = wire.reply().await;
    assert_eq!(rest.status, 400, "what is left is no request");
    assert!(wire.try_reply().await.is_none(), "and nothing after it is believed");
    is_well_and_has_stored_nothing_else(&app).await;
}

#[actix_web::test]
async fn a_length_that_can_be_read_in_two_ways_is_refused() {
    let app = App::start().await;
    let body = said("ambiguous");
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
    is_well_and_has_stored_nothing_else(&app).await;
}

#[actix_web::test]
async fn a_body_in_chunks_is_stored_and_a_broken_chunk_is_not() {
    let app = App::start().await;
    let body = said("in chunks");
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
async fn pipelined_deliveries_are_answered_in_order_each_by_itself() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let mut wrong = delivery(&said("wrong"));
    let last = wrong.len() - 3;
    wrong[last] ^= 1;
    let mut all = Vec::new();
    let mut expected = Vec::new();
    for n in 0..12 {
        if n % 5 == 2 {
            all.extend_from_slice(&wrong);
            expected.push(401);
        }
        all.extend(delivery(&said(&format!("message {n:02}"))));
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
    let all: Vec<u8> = (0..64).flat_map(|n| delivery(&said(&format!("message {n:02}")))).collect();
    wire.write(all).await;
    for n in 0..64 {
        assert_eq!(wire.reply().await.status, 200, "{n}");
    }
    assert_eq!(stored(&app).await.len(), 64);
}

/// actix-web reads no further while sixteen requests wait, and goes on where one of them has to
/// wait for something itself.
#[actix_web::test]
async fn what_is_pipelined_behind_more_than_are_queued_is_answered() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let mut lock = app.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE agents").execute(&mut *lock).await.unwrap();
    let slow = format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let quick = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    wire.write(slow + &quick.repeat(20)).await;
    for round in 0..3 {
        // An answer of each worker: by then each has seen what came before.
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
async fn whoever_goes_away_before_the_answer_has_delivered() {
    let app = App::start().await;
    for n in 0..20 {
        let mut wire = Wire::open(&app).await;
        wire.write(delivery(&said(&format!("message {n:02}")))).await;
    }
    let mut depth = app.backlog.watch_depth();
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while stored(&app).await.len() < 20 {
            depth.changed().await.unwrap();
        }
    })
    .await
    .expect("all of them are stored");
    assert_eq!(app.log().await.len(), 20, "each of them once");
}

#[actix_web::test]
async fn a_head_that_is_too_large_ends_the_connection() {
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
        assert!(reply.body.is_empty(), "the framework's own answer has no body");
        assert!(wire.try_reply().await.is_none(), "the connection ends");
    }
    // One that is merely long is answered like any other.
    let mut wire = Wire::open(&app).await;
    wire.write(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(60_000))).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    is_well_and_has_stored_nothing_else(&app).await;
}

#[actix_web::test]
async fn large_bodies_that_fill_the_room_and_stall_make_way_for_others() {
    const LARGEST: usize = 1 << 20;
    let app = App::start().await;
    // All but a byte of as many as there is room for. By their heads they could be signed.
    let head = head(b"", &format!("Content-Length: {LARGEST}"));
    let unfinished = "x".repeat(LARGEST - 1);
    let mut holders = Vec::new();
    for _ in 0..64 {
        let mut wire = Wire::open(&app).await;
        wire.write(&head).await;
        wire.write(&unfinished).await;
        holders.push(wire);
    }
    assert_eq!(app.deliver(said("small")).await.status, 200, "a usual one needs no room");
    // Until one of them has made way, or was refused since the others had the room.
    let replies = holders.iter_mut().map(|holder| Box::pin(holder.reply()));
    let mut first = futures_util::future::select_all(replies);
    let mut delivered = 0;
    let (ended, _, _) = loop {
        let large = said(&format!("{delivered}{}", "y".repeat(60_000)));
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
        let large = said(&format!("after {n}{}", "y".repeat(60_000)));
        assert_eq!(app.deliver(large).await.status, 200, "{n}");
    }
    assert_eq!(stored(&app).await.len(), 6 + delivered);
}

#[actix_web::test]
async fn of_a_delivery_without_credentials_no_body_is_read() {
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
        // What comes in chunks can be passed over; the connection's next head has its deadline.
        let closes = reply.header("connection") == Some("close");
        assert_eq!(closes, !lines.contains("chunked"), "{lines}: what is left is not read");
    }
    // By its length alone one that could be signed is too large.
    let mut wire = Wire::open(&app).await;
    wire.write(head(b"", "Content-Length: 1048577")).await;
    assert_eq!(wire.reply().await.status, 413);
    is_well_and_has_stored_nothing_else(&app).await;
}

#[actix_web::test]
async fn a_connection_goes_on_after_a_small_delivery_that_is_refused_by_its_head() {
    let app = App::start().await;
    let mut wire = Wire::open(&app).await;
    let unsigned = "POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    wire.write([unsigned.as_bytes(), &delivery(&said("good"))].concat()).await;
    assert_eq!(wire.reply().await.status, 401);
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(stored(&app).await, ["good"]);
}

#[actix_web::test]
async fn a_key_that_may_make_none_is_refused_before_its_body_is_read() {
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
