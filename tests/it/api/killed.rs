//! The feed and the stream of the real program, which is killed during writes. A reader that
//! continues at its position gets every message once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::stream::Listener;
use crate::support::app::{client, sign};
use crate::support::database::TestDatabase;
use crate::support::process::{KEY, SECRET, Service, verbatim};

const WRITERS: usize = 8;
/// Deliveries of each writer. It sends more if the last restart needs longer.
const AT_LEAST: usize = 40;
const KILLS: usize = 2;
/// Answered deliveries before each kill.
const ANSWERED_BETWEEN: usize = 80;
/// Text of the last message, sent when all readers have the others.
const LAST_MESSAGE: &str = "the last word";
/// Longer than the whole test needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Progress of writers and readers.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    restarts: usize,
    answered: usize,
    /// Messages that the reader of the feed has received.
    polled: usize,
    /// Messages that the listener has received.
    heard: usize,
}

type ProgressSender = watch::Sender<Progress>;

/// Client of a service that is sometimes down.
struct ServiceClient {
    client: Client,
    address: String,
}

fn serve(data: &Path, listen: &str, database: &TestDatabase) -> Command {
    let mut command = verbatim();
    command.args(["serve", "--listen", listen, "--data-dir"]).arg(data);
    // Not its private server, which would end with it and start slowly.
    command.env("DATABASE_URL", database.url());
    command
}

/// Waits between two attempts.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Returns true for the only errors that are allowed: the service does not run, or is not ready.
fn is_down(error: &reqwest::Error) -> bool {
    error.status().is_none_or(|status| status == StatusCode::SERVICE_UNAVAILABLE)
}

impl ServiceClient {
    /// Sends a message, and repeats the same bytes until they are answered 200.
    async fn deliver(&self, session: &str, text: &str) {
        let body = json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_253,
            "data": { "session_id": session, "role": "user", "message": text } })
        .to_string();
        let signature = sign(SECRET, body.as_bytes());
        loop {
            let request = self.client.post(format!("http://{}/webhook", self.address));
            let request = request.header("X-bitHuman-Signature", &signature).body(body.clone());
            match request.send().await.and_then(reqwest::Response::error_for_status) {
                Ok(answer) => return assert_eq!(answer.status(), 200),
                Err(error) => assert!(is_down(&error), "{error}"),
            }
            pause().await;
        }
    }

    /// Writes messages until the last kill is over.
    async fn write(&self, writer: usize, progress: &ProgressSender) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < AT_LEAST || progress.borrow().restarts < KILLS {
            let text = format!("{writer}-{}", texts.len());
            self.deliver(&format!("s{}", (writer + texts.len()) % 5), &text).await;
            progress.send_modify(|progress| progress.answered += 1);
            texts.push(text);
        }
        texts
    }

    /// Reads the feed up to the last message, page by page.
    async fn poll(&self, progress: &ProgressSender) -> Vec<String> {
        let (mut received, mut after) = (Vec::new(), String::new());
        while !received.iter().any(|text| text == LAST_MESSAGE) {
            let target = format!("http://{}/v1/changes?limit=37{after}", self.address);
            let asked = async {
                let answer = self.client.get(target).bearer_auth(KEY).send().await?;
                answer.error_for_status()?.json::<Value>().await
            };
            match asked.await {
                Ok(page) => {
                    let items = page["data"].as_array().unwrap().iter();
                    let texts = items.filter_map(|item| item["message"]["message"].as_str());
                    received.extend(texts.map(str::to_owned));
                    after = format!("&after={}", page["next_cursor"].as_str().unwrap());
                    progress.send_modify(|progress| progress.polled = received.len());
                }
                Err(error) => assert!(is_down(&error), "{error}"),
            }
            pause().await;
        }
        received
    }

    async fn join(&self, last_id: Option<&str>) -> Listener {
        loop {
            match Listener::with(&self.client, &self.address, KEY, "", last_id).await {
                Ok(listening) => return listening,
                Err(error) => assert!(is_down(&error), "{error}"),
            }
            pause().await;
        }
    }

    /// Reads the stream up to the last message.
    async fn listen(&self, mut listening: Listener, progress: &ProgressSender) -> Vec<String> {
        let mut received = Vec::new();
        loop {
            while let Ok(Some(event)) = listening.next_ever().await {
                assert_ne!(event.name, "gap", "{}", event.data);
                if event.name != "message" {
                    continue;
                }
                received.push(event.data["message"].as_str().unwrap().to_owned());
                progress.send_modify(|progress| progress.heard = received.len());
                if received.last().is_some_and(|text| text == LAST_MESSAGE) {
                    return received;
                }
            }
            listening = self.join(Some(&listening.last_id)).await;
        }
    }
}

async fn until(progress: &ProgressSender, reached: impl FnMut(&Progress) -> bool) {
    progress.subscribe().wait_for(reached).await.unwrap();
}

#[tokio::test]
async fn pollers_and_listeners_get_every_message_once_while_the_service_is_killed() {
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let data = folder.path().join("data");
    let mut service = Service::run(serve(&data, "127.0.0.1:0", &database));
    let service_client = ServiceClient { client: client(), address: service.address.clone() };
    let progress = ProgressSender::new(Progress::default());
    let listening = service_client.join(None).await;

    let killing = async {
        for restarts in 1..=KILLS {
            let before = *progress.borrow();
            until(&progress, |now| {
                now.answered >= before.answered + ANSWERED_BETWEEN
                    && now.polled > before.polled
                    && now.heard > before.heard
            })
            .await;
            service.kill();
            let again = serve(&data, &service_client.address, &database);
            service = tokio::task::spawn_blocking(|| Service::run(again)).await.unwrap();
            progress.send_modify(|progress| progress.restarts = restarts);
        }
    };
    let writing = async {
        let writers = (0..WRITERS).map(|writer| service_client.write(writer, &progress));
        let all = join_all(writers).await.concat();
        // The last message ends the readers. No other message may follow it.
        until(&progress, |now| now.polled >= all.len() && now.heard >= all.len()).await;
        service_client.deliver("s0", LAST_MESSAGE).await;
        all
    };
    let all_readers = async {
        let reading = async {
            tokio::join!(
                service_client.poll(&progress),
                service_client.listen(listening, &progress)
            )
        };
        tokio::join!(killing, writing, reading)
    };
    let ((), mut all, received) = timeout(PATIENCE, all_readers)
        .await
        .unwrap_or_else(|_| panic!("timed out: {:?}", progress.borrow()));
    all.push(LAST_MESSAGE.to_owned());
    all.sort_unstable();
    for mut received in [received.0, received.1] {
        assert_eq!(received.last().map(String::as_str), Some(LAST_MESSAGE));
        received.sort_unstable();
        assert_eq!(received, all, "each once, and no other");
    }
    // In another thread, while this one closes the client's connections, so that the stop waits for
    // none.
    drop(service_client);
    tokio::task::spawn_blocking(move || drop(service)).await.unwrap();
}
