//! Receiver of notifications that answers as the test sets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::support::command::serve;

/// Longest wait for a notification.
const DEADLINE: Duration = Duration::from_secs(30);

/// Answer to one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Answers with this status at once.
    Status(u16),
    /// Never answers.
    Never,
}

/// Received request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) body: String,
}

#[derive(Clone, Default)]
struct Shared {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// Receiver that runs until the test ends. It answers 200 by default.
pub(super) struct Receiver {
    pub(super) url: String,
    shared: Shared,
}

impl Receiver {
    pub(super) fn start() -> Self {
        let shared = Shared::default();
        let state = shared.clone();
        let (url, _) = serve(move |config| {
            config.app_data(web::Data::new(state)).route("/hook", web::post().to(receive));
        });
        Self { url: format!("{url}/hook"), shared }
    }

    /// Sets the answers to the next requests.
    pub(super) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(super) fn bodies(&self) -> Vec<Value> {
        let parse = |request: &Request| serde_json::from_str(&request.body).unwrap();
        self.requests().iter().map(parse).collect()
    }

    /// Types of the received notifications, in order.
    pub(super) fn types(&self) -> Vec<String> {
        self.bodies().iter().map(|body| body["type"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.id).collect()
    }

    /// Waits for `count` notifications.
    pub(super) async fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.requests().len() < count {
            assert!(start.elapsed() < DEADLINE, "fewer than {count} notifications");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn receive(req: HttpRequest, body: String, shared: web::Data<Shared>) -> HttpResponse {
    let header = |name| req.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert!(header("webhook-signature").starts_with("v1,"));
    shared.requests.lock().unwrap().push(Request { id: header("webhook-id"), body });
    let answer = shared.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(200));
    match answer {
        Answer::Status(status) => HttpResponse::build(StatusCode::from_u16(status).unwrap())
            .insert_header(("Location", "/hook"))
            .finish(),
        Answer::Never => std::future::pending().await,
    }
}
