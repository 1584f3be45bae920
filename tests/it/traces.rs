//! Traces of the real program, sent to a fake collector.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::app::{KEY, SECRET, client, sign};
use crate::support::captured::Process;
use crate::support::database::TestDatabase;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const MESSAGE: &str = r#"{"event_type":"chat.push","agent_id":"AGENT-7f3a","timestamp":1790607253,
    "data":{"session_id":"SESSION-91c2","role":"user","message":"hello there"}}"#;

/// Receives requests on any number of connections, and passes them on.
fn collect(listener: TcpListener, sent: mpsc::Sender<(String, Vec<u8>)>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sent = sent.clone();
            std::thread::spawn(move || while receive(stream.as_ref().unwrap(), &sent).is_some() {});
        }
    });
}

fn receive(stream: &TcpStream, sent: &mpsc::Sender<(String, Vec<u8>)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    sent.send((head, body)).ok()?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key == name);
    format!("{:?}", found.and_then(|it| it.value.clone()?.value))
}

#[actix_web::test]
async fn requests_and_batches_are_traced_and_sent_before_the_end() {
    let (listener, database) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TestDatabase::create().await);
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, sent) = mpsc::channel();
    collect(listener, sender);
    let service = Process::start(&[
        ("DATABASE_URL", &database.url()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ]);
    let client = client();
    let delivered = client
        .post(format!("{}/webhook", service.address))
        .header("traceparent", CALLER)
        .header("X-bitHuman-Signature", sign(SECRET, MESSAGE.as_bytes()))
        .body(MESSAGE)
        .send();
    assert_eq!(delivered.await.unwrap().status(), 200);
    // A readable message has been drained.
    let path = "v1/sessions/SESSION-91c2/messages?role=user";
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let read = client.get(format!("{}/{path}", service.address)).bearer_auth(KEY).send();
        if read.await.unwrap().status() == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "the delivery is not drained");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::task::spawn_blocking(|| service.stop()).await.unwrap();

    let requests: Vec<_> = sent.try_iter().collect();
    assert!(!requests.is_empty(), "the last spans are not sent at the stop");
    let mut spans = Vec::new();
    for (head, body) in &requests {
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        for word in ["SESSION-91c2", "AGENT-7f3a", "hello", "role=user"] {
            let found = body.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found, "{word} is in a span");
        }
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        for part in request.resource_spans {
            let resource = format!("{:?}", part.resource);
            assert!(resource.contains("\"verbatim\""), "the service's name: {resource}");
            assert!(resource.contains("deployment.environment.name"), "{resource}");
            spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let named = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
    };
    let delivery = named("POST /webhook");
    assert_eq!(hex::encode(&delivery.trace_id), &CALLER[3..35], "the caller's trace");
    assert_eq!(hex::encode(&delivery.parent_span_id), &CALLER[36..52], "below the caller's span");
    assert!(attribute(delivery, "http.response.status_code").contains("IntValue(200)"));
    let read = named("GET /v1/sessions/{session_id}/messages");
    assert!(read.parent_span_id.is_empty(), "the caller sent no trace");
    let batch = named("batch to Postgres");
    assert!(attribute(batch, "deliveries").contains("IntValue(1)"), "{batch:?}");
    assert!(attribute(batch, "way").contains("inbox"), "{batch:?}");
}

#[test]
fn unsupported_protocol_prevents_the_start() {
    let data = tempfile::TempDir::new().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("http/protobuf"), "{stderr}");
}
