//! The feed and the stream of the real program, which is killed while many write: whoever goes on
//! from where it was is told every message, and none twice.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::stream::Listening;
use crate::support::app::{client, sign};
use crate::support::database::TestDatabase;
use crate::support::process::{KEY, SECRET, Service, verbatim};

const WRITERS: usize = 8;
/// Deliveries of each writer; more, where the last restart takes longer.
const AT_LEAST: usize = 40;
const KILLS: usize = 2;
/// How many deliveries are answered before it is killed.
const ANSWERED_BETWEEN: usize = 80;
/// What is said when everybody has been told all the rest.
const LAST: &str = "the last word";
/// Longer than all of it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far everybody is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    restarts: usize,
    answered: usize,
    /// Messages that the reader of the feed has been told.
    polled: usize,
    /// Messages that the listener has been told.
    heard: usize,
}

type Seen = watch::Sender<Progress>;

/// A service that is there or comes back, and who asks it.
struct Asking {
    client: Client,
    address: String,
}

fn serve(data: &Path, listen: &str, database: &TestDatabase) -> Command {
    let mut command = verbatim();
    command.args(["serve", "--listen", listen, "--data-dir"]).arg(data);
    // Not its private one, which would fall with it and take longest to come back.
    command.env("DATABASE_URL", database.url());
    command
}

/// Between two attempts.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// The only faults that there may be: nobody is there, or not yet everything behind it.
fn is_down(error: &reqwest::Error) -> bool {
    error.status().is_none_or(|status| status == StatusCode::SERVICE_UNAVAILABLE)
}

impl Asking {
    /// Sends a message, the same bytes again until they are answered 200.
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

    /// What a writer says, which is in the middle of it whenever the service is killed.
    async fn write(&self, writer: usize, seen: &Seen) -> Vec<String> {
        let mut said = Vec::new();
        while said.len() < AT_LEAST || seen.borrow().restarts < KILLS {
            let text = format!("{writer}-{}", said.len());
            self.deliver(&format!("s{}", (writer + said.len()) % 5), &text).await;
            seen.send_modify(|seen| seen.answered += 1);
            said.push(text);
        }
        said
    }

    /// What the feed tells up to the last word, a page at a time.
    async fn poll(&self, seen: &Seen) -> Vec<String> {
        let (mut told, mut after) = (Vec::new(), String::new());
        while !told.iter().any(|text| text == LAST) {
            let target = format!("http://{}/v1/changes?limit=37{after}", self.address);
            let asked = async {
                let answer = self.client.get(target).bearer_auth(KEY).send().await?;
                answer.error_for_status()?.json::<Value>().await
            };
            match asked.await {
                Ok(page) => {
                    let items = page["data"].as_array().unwrap().iter();
                    let texts = items.filter_map(|item| item["message"]["message"].as_str());
                    told.extend(texts.map(str::to_owned));
                    after = format!("&after={}", page["next_cursor"].as_str().unwrap());
                    seen.send_modify(|seen| seen.polled = told.len());
                }
                Err(error) => assert!(is_down(&error), "{error}"),
            }
            pause().await;
        }
        told
    }

    async fn join(&self, last_id: Option<&str>) -> Listening {
        loop {
            match Listening::with(&self.client, &self.address, KEY, "", last_id).await {
                Ok(listening) => return listening,
                Err(error) => assert!(is_down(&error), "{error}"),
            }
            pause().await;
        }
    }

    /// What the stream tells up to the last word.
    async fn listen(&self, mut listening: Listening, seen: &Seen) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            while let Ok(Some(event)) = listening.next_ever().await {
                assert_ne!(event.name, "gap", "{}", event.data);
                if event.name != "message" {
                    continue;
                }
                told.push(event.data["message"].as_str().unwrap().to_owned());
                seen.send_modify(|seen| seen.heard = told.len());
                if told.last().is_some_and(|text| text == LAST) {
                    return told;
                }
            }
            listening = self.join(Some(&listening.last_id)).await;
        }
    }
}

async fn until(seen: &Seen, come: impl FnMut(&Progress) -> bool) {
    seen.subscribe().wait_for(come).await.unwrap();
}

#[tokio::test]
async fn whoever_polls_or_listens_while_it_is_killed_under_eight_writers_gets_every_message_once() {
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let data = folder.path().join("data");
    let mut service = Service::run(serve(&data, "127.0.0.1:0", &database));
    let asking = Asking { client: client(), address: service.address.clone() };
    let seen = Seen::new(Progress::default());
    let listening = asking.join(None).await;

    let killing = async {
        for restarts in 1..=KILLS {
            let before = *seen.borrow();
            until(&seen, |now| {
                now.answered >= before.answered + ANSWERED_BETWEEN
                    && now.polled > before.polled
                    && now.heard > before.heard
            })
            .await;
            service.kill();
            let again = serve(&data, &asking.address, &database);
            service = tokio::task::spawn_blocking(|| Service::run(again)).await.unwrap();
            seen.send_modify(|seen| seen.restarts = restarts);
        }
    };
    let writing = async {
        let writers = (0..WRITERS).map(|writer| asking.write(writer, &seen));
        let all = join_all(writers).await.concat();
        // What comes after all the rest tells the readers' end, so they have heard nothing else.
        until(&seen, |now| now.polled >= all.len() && now.heard >= all.len()).await;
        asking.deliver("s0", LAST).await;
        all
    };
    let everybody = async {
        let reading = async { tokio::join!(asking.poll(&seen), asking.listen(listening, &seen)) };
        tokio::join!(killing, writing, reading)
    };
    let ((), mut all, told) = timeout(PATIENCE, everybody)
        .await
        .unwrap_or_else(|_| panic!("it did not end: {:?}", seen.borrow()));
    all.push(LAST.to_owned());
    all.sort_unstable();
    for mut told in [told.0, told.1] {
        assert_eq!(told.last().map(String::as_str), Some(LAST));
        told.sort_unstable();
        assert_eq!(told, all, "each once, and nothing else");
    }
    // Beside this thread, which closes the client's connections, so that the stop has none to wait for.
    drop(asking);
    tokio::task::spawn_blocking(move || drop(service)).await.unwrap();
}
