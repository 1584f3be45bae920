//! `GET /v1/alerts` and `…/history`, and alerts about figures and what is normal for them.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::watch;
use verbatim::alerts::{Amount, Draft, Rule, SigningKey};
use verbatim::config::{AlertSettings, Receiver};
use verbatim::domain::DeliveryId;
use verbatim::inbox::Depth;
use verbatim::jobs::alerts::{Alerts, Client, Evaluated, OwnState};
use verbatim::store::alerts::{NewEvent, Progress};
use verbatim::store::keys::Scope;
use verbatim::telemetry::Metrics;

use super::app::{TestApi, at};
use super::figures::follow;
use super::talk::Conversation;
use crate::support::database::TestDatabase;

const DAY: i64 = 86_400;
const MINUTE: i64 = 60;

fn rule(name: &str, metric: &str, agents: &[&str], draft: Draft) -> Rule {
    let agents = agents.iter().map(|agent| (*agent).to_owned()).collect();
    Rule::new(&Draft { name: name.into(), metric: metric.into(), agents, ..draft }).unwrap()
}

fn above(limit: f64) -> Draft {
    Draft { above: Some(Amount::Number(limit)), ..Draft::default() }
}

/// Evaluates the rules as a service does, and sends nothing.
struct Service(Alerts);

impl Service {
    fn new(api: &TestApi, rules: &[Rule]) -> Self {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let url: url::Url = "http://127.0.0.1:1/".parse().unwrap();
        let with = |rule: &Rule| AlertSettings {
            rule: rule.clone(),
            receiver: Receiver { url: url.clone(), keys: vec![key.clone()] },
        };
        let alerts: Arc<[AlertSettings]> = rules.iter().map(with).collect();
        let metrics = Metrics::new(&api.clock, []).unwrap();
        let depth = watch::channel(Depth::default()).1;
        let own = OwnState { depth, metrics: metrics.clone(), started_at: api.clock.now() };
        let client = Client::new(alerts.iter().map(|alert| &alert.receiver)).unwrap();
        Self(Alerts::new(alerts, api.store.clone(), api.clock.clone(), client, own, metrics))
    }

    async fn evaluate(&mut self) {
        assert_eq!(self.0.evaluate().await.unwrap(), Evaluated::Here);
    }
}

async fn start(rules: &[Rule]) -> TestApi {
    TestApi::start_with_alerts(TestDatabase::create().await, rules)
}

async fn shown(api: &TestApi, name: &str) -> Value {
    let answer = api.get("/v1/alerts").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = answer.json()["data"].as_array().unwrap().clone();
    all.into_iter().find(|alert| alert["name"] == name).unwrap()
}

#[actix_web::test]
async fn metric_of_the_catalogue_is_compared_over_its_window() {
    let few = Draft { below: Some(Amount::Number(3.0)), ..Draft::default() };
    let slow = Draft { stat: Some("avg".into()), ..above(5.0) };
    let rules = [
        rule("few", "messages", &["A"], few),
        rule("slow", "reply_gap", &[], slow.clone()),
        rule("slow-b", "reply_gap", &["B"], slow),
    ];
    let api = start(&rules).await;
    Conversation::new("A", "before").message(-2 * 3_600, "user", "hi").store(&api).await;
    Conversation::new("A", "now")
        .message(-600, "user", "hello")
        .message(-590, "assistant", "welcome")
        .store(&api)
        .await;
    Conversation::new("B", "now").message(-600, "user", "anybody?").store(&api).await;
    follow(&api).await;
    assert_eq!(shown(&api, "few").await["state"], "unknown", "before the first evaluation");
    let mut service = Service::new(&api, &rules);
    service.evaluate().await;
    let few = shown(&api, "few").await;
    assert_eq!((&few["state"], &few["value"]), (&json!("firing"), &json!(2.0)));
    assert_eq!((&few["threshold"], &few["comparison"]), (&json!(3.0), &json!("below")));
    assert_eq!(
        few["history"][0]["summary"],
        "Messages in the last hour: 2 (agent A); the limit is 3."
    );
    assert_eq!(few["history"][0]["delivery"], "waiting");
    let slow = shown(&api, "slow").await;
    assert_eq!((&slow["state"], &slow["value"]), (&json!("firing"), &json!(10.0)));
    assert_eq!((&slow["stat"], &slow["unit"]), (&json!("avg"), &json!("seconds")));
    let none = shown(&api, "slow-b").await;
    assert_eq!(none["not_evaluated"], "there is nothing to compute the value from");
    assert_eq!((&none["state"], &none["value"]), (&json!("ok"), &Value::Null));
}

#[actix_web::test]
async fn figures_that_are_behind_decide_nothing() {
    let none = Draft { below: Some(Amount::Number(1.0)), ..Draft::default() };
    let rules = [rule("none", "messages", &[], none)];
    let api = start(&rules).await;
    Conversation::new("A", "s").message(-600, "user", "hello").store(&api).await;
    let mut service = Service::new(&api, &rules);
    service.evaluate().await;
    let none = shown(&api, "none").await;
    assert_eq!(none["not_evaluated"], "figures do not yet reflect what has arrived");
    assert_eq!(none["state"], "ok");
    follow(&api).await;
    api.clock.set(at(15));
    service.evaluate().await;
    let none = shown(&api, "none").await;
    assert_eq!((&none["not_evaluated"], &none["value"]), (&Value::Null, &json!(1.0)));
}

/// Messages on Mondays at 14:00 UTC, this one included: now is 14:54:13.
async fn weeks_of_messages(api: &TestApi, messages: &[i64]) {
    for (week, count) in messages.iter().enumerate() {
        let begin = -7 * DAY * i64::try_from(week).unwrap() - 30 * MINUTE;
        let mut talk = Conversation::new("A", "s");
        for number in 0..*count {
            talk = talk.message(begin + number, "user", &format!("{week} {number}"));
        }
        talk.store(api).await;
    }
    follow(api).await;
}

#[actix_web::test]
async fn value_is_compared_with_the_same_hour_of_earlier_weeks() {
    let half = Draft { below_normal: Some(0.5), ..Draft::default() };
    let long = Draft { weeks: Some(6), ..half.clone() };
    let rules = [rule("half", "messages", &["A"], half), rule("long", "messages", &["A"], long)];
    let api = start(&rules).await;
    weeks_of_messages(&api, &[4, 12, 9, 10, 2, 1]).await;
    let mut service = Service::new(&api, &rules);
    service.evaluate().await;
    let half = shown(&api, "half").await;
    assert_eq!((&half["normal"], &half["threshold"]), (&json!(9.5), &json!(4.75)));
    assert_eq!((&half["value"], &half["state"]), (&json!(4.0), &json!("firing")));
    assert_eq!(
        half["history"][0]["summary"],
        "Messages in the last hour: 4 (agent A); normal here on Mondays at 14 is 9.5."
    );
    let long = shown(&api, "long").await;
    assert_eq!(long["not_evaluated"], "4 of 6 earlier weeks have data");
    assert_eq!((&long["state"], &long["history"]), (&json!("ok"), &json!([])));
}

#[actix_web::test]
async fn quiet_agent_is_compared_with_the_longest_silence_that_is_normal_for_the_hour() {
    let three_times = Draft { above_normal: Some(3.0), ..Draft::default() };
    let stranger = Draft { above_normal: Some(3.0), ..Draft::default() };
    let rules =
        [rule("quiet", "quiet", &["A"], three_times), rule("stranger", "quiet", &["X"], stranger)];
    let api = start(&rules).await;
    // The hour from 14:00 on began 54:13 before now.
    let hour = -(54 * MINUTE + 13);
    Conversation::new("A", "first").message(-30 * DAY, "user", "hello").store(&api).await;
    for (week, silence) in [(1, 5), (2, 6), (3, 6), (4, 20)] {
        let mut talk = Conversation::new("A", "s");
        let begin = -7 * DAY * week + hour;
        let mut minute = -2;
        while minute < 60 {
            talk = talk.message(begin + minute * MINUTE, "user", &format!("{week} {minute}"));
            minute += silence;
        }
        talk.store(&api).await;
    }
    Conversation::new("A", "s").message(-17 * MINUTE, "user", "the last word").store(&api).await;
    follow(&api).await;
    let mut service = Service::new(&api, &rules);
    service.evaluate().await;
    let quiet = shown(&api, "quiet").await;
    assert_eq!((&quiet["normal"], &quiet["threshold"]), (&json!(360.0), &json!(1_080.0)));
    assert_eq!((&quiet["state"], &quiet["value"]), (&json!("ok"), &json!(1_020.0)));
    let stranger = shown(&api, "stranger").await;
    assert_eq!(stranger["not_evaluated"], "no event has arrived yet");
    api.clock.set(at(5 * MINUTE));
    service.evaluate().await;
    let quiet = shown(&api, "quiet").await;
    assert_eq!(quiet["state"], "firing");
    assert_eq!(
        quiet["history"][0]["summary"],
        "Quiet for 22 minutes (agent A); normal here on Mondays at 14 is 6."
    );
}

#[actix_web::test]
async fn bound_key_sees_only_alerts_about_its_agents() {
    let rules = [
        rule("of-a", "quiet", &["A"], above(1.0)),
        rule("of-both", "quiet", &["A", "B"], above(1.0)),
        rule("of-b", "quiet", &["B"], above(1.0)),
        rule("of-all", "quiet", &[], above(1.0)),
    ];
    let api = start(&rules).await;
    Conversation::new("A", "s").message(-600, "user", "hello").store(&api).await;
    Conversation::new("B", "s").message(-600, "user", "hello").store(&api).await;
    let mut service = Service::new(&api, &rules);
    service.evaluate().await;
    let names = |answer: Value| {
        let names = answer["data"].as_array().unwrap().iter().map(|one| one["name"].clone());
        names.collect::<Vec<_>>()
    };
    let all = ["of-a", "of-all", "of-b", "of-both"];
    assert_eq!(names(api.get("/v1/alerts").await.json()), all);
    assert_eq!(api.get("/v1/alerts/history").await.json()["data"].as_array().unwrap().len(), 4);
    for (agents, seen) in [(&["A"][..], &["of-a"][..]), (&["A", "B"], &["of-a", "of-b", "of-both"])]
    {
        let key = api.key(&[Scope::Analytics], Some(agents)).await;
        assert_eq!(names(api.get_as(&key, "/v1/alerts").await.json()), seen);
        let mut history = names(api.get_as(&key, "/v1/alerts/history").await.json());
        history.sort_unstable_by_key(ToString::to_string);
        assert_eq!(history, seen);
        let stranger = api.get_as(&key, "/v1/alerts/history?alert=of-all").await;
        assert_eq!(stranger.json()["data"], json!([]));
    }
    let reader = api.key(&[Scope::Read], None).await;
    for path in ["/v1/alerts", "/v1/alerts/history"] {
        assert_eq!(api.get_as(&reader, path).await.status, 403);
    }
    // A rule that was about other agents before shows nothing of that time.
    let narrowed = [rule("of-all", "quiet", &["A"], above(1.0))];
    let narrowed = TestApi::start_with_alerts(api.database.shared(), &narrowed);
    let key = narrowed.key(&[Scope::Analytics], Some(&["A"])).await;
    let alert = narrowed.get_as(&key, "/v1/alerts").await.json()["data"][0].clone();
    assert_eq!((&alert["state"], &alert["history"]), (&json!("unknown"), &json!([])));
}

#[actix_web::test]
async fn history_is_read_page_by_page() {
    let api = start(&[]).await;
    let events: Vec<NewEvent> = (0..7)
        .map(|number| {
            let time = at(0) + TimeDelta::seconds(number);
            NewEvent {
                id: DeliveryId::new(time).0,
                name: ["a", "b"][usize::try_from(number % 2).unwrap()].into(),
                kind: "firing",
                at: time,
                since: time,
                value: 1.0,
                normal: None,
                threshold: 0.0,
                summary: format!("number {number}"),
                agent_ids: None,
                body: "{}".into(),
                progress: Progress::default(),
            }
        })
        .collect();
    api.store.write_offline_alerts(&[], &events).await.unwrap();
    let newest_first: Vec<_> = (0..7).rev().map(|number| format!("number {number}")).collect();
    assert_eq!(api.walk("/v1/alerts/history?limit=3", "summary").await, newest_first);
    let of_b = api.walk("/v1/alerts/history?limit=2&order=asc&alert=b", "summary").await;
    assert_eq!(of_b, ["number 1", "number 3", "number 5"]);
    for query in ["name=a", "limit=0"] {
        let refused = api.get(&format!("/v1/alerts/history?{query}")).await;
        assert_eq!(refused.code(), "invalid_parameter");
    }
    assert_eq!(api.get("/v1/alerts?limit=1").await.code(), "invalid_parameter");
}
