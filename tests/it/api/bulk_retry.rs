//! `POST /v1/deliveries/retry` and `/v1/jobs`: retries of all deliveries that match filters.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;
use verbatim::domain::Arrival;
use verbatim::jobs::bulk_retry::BulkRetry;
use verbatim::store::Position;
use verbatim::store::jobs::Progress;
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::deliveries::{arrival, message, quarantine};
use super::http::Answer;

/// Stores five deliveries in quarantine. All except the third can be read now.
async fn quarantined(api: &TestApi) -> Vec<Arrival> {
    let bodies = [message("0"), message("1"), "no JSON".into(), message("3"), message("4")];
    let arrivals: Vec<_> =
        (0..).zip(bodies).map(|(second, body)| arrival(body, at(second - 60))).collect();
    for arrival in &arrivals {
        quarantine(api, arrival).await;
    }
    arrivals
}

async fn send(api: &TestApi, method: &str, target: &str) -> Answer {
    api.send(method, target, &[("X-API-Key", BOOTSTRAP)]).await
}

async fn begin(api: &TestApi, query: &str) -> String {
    let answer = send(api, "POST", &format!("/v1/deliveries/retry?{query}")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    let id = job["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{id}")));
    assert_eq!(
        (&job["state"], &job["done"], &job["total"]),
        (&json!("waiting"), &json!(0), &Value::Null)
    );
    id.to_owned()
}

async fn job(api: &TestApi, id: &str) -> Value {
    api.get(&format!("/v1/jobs/{id}")).await.json()
}

/// Total, done, stored and still in quarantine.
fn counts(job: &Value) -> [i64; 4] {
    ["total", "done", "stored", "still_quarantined"].map(|name| job[name].as_i64().unwrap())
}

fn worker(api: &TestApi) -> BulkRetry {
    BulkRetry::new(api.store.clone(), api.clock.clone())
}

#[actix_web::test]
async fn job_retries_everything_in_quarantine_and_reports_its_progress() {
    let api = TestApi::start().await;
    quarantined(&api).await;
    let plan = send(&api, "POST", "/v1/deliveries/retry?plan=true").await;
    assert_eq!((plan.status, plan.json()), (200, json!({ "matches": 5 })));
    assert_eq!(api.get("/v1/jobs").await.column("id"), [""; 0], "a plan creates no job");

    let id = begin(&api, "").await;
    assert!(worker(&api).run_once().await.unwrap());
    let done = job(&api, &id).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("finished"), [5, 5, 4, 1]), "{done}");
    assert_eq!(done["kind"], "retry_deliveries");
    assert!(done["last_error"].as_str().unwrap().starts_with("the field "), "{done}");
    assert_eq!(done["finished_at"], "2026-09-28T14:54:13.000000Z");
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["0", "1", "3", "4"]);
    assert!(!worker(&api).run_once().await.unwrap(), "nothing is left to do");

    // Again, for the one that stayed.
    let again = begin(&api, "plan=false&outcome=quarantined").await;
    assert!(worker(&api).run_once().await.unwrap());
    assert_eq!(counts(&job(&api, &again).await), [1, 1, 0, 1]);
    assert_eq!(api.get("/v1/jobs").await.column("id").len(), 2);
    let first = api.get("/v1/jobs?order=asc&limit=1").await;
    assert_eq!(first.json()["has_more"], true);
    assert_eq!(api.walk("/v1/jobs?limit=1", "state").await, ["finished", "finished"]);
}

#[actix_web::test]
async fn filters_choose_what_is_retried() {
    let api = TestApi::start().await;
    quarantined(&api).await;
    for (query, expected) in [
        ("received_after=2026-09-28T14:53:14.5Z", 3),
        ("received_before=2026-09-28T14:53:14.5Z", 2),
        ("received_after=2026-09-28T14:53:14.5Z&received_before=2026-09-28T14:53:15.5Z", 1),
        ("source=default", 5),
        ("source=other", 0),
        ("agent_id=A", 0),
        ("reason=is%20missing", 5),
        ("reason=IS%20MISSING", 0),
        ("session_id=s", 0),
        ("event_type=chat.push", 0),
        ("outcome=quarantined&outcome=stored", 5),
    ] {
        let plan = send(&api, "POST", &format!("/v1/deliveries/retry?plan=true&{query}")).await;
        assert_eq!(plan.json(), json!({ "matches": expected }), "{query}");
        let list = if query.contains("outcome") { "" } else { "&outcome=quarantined" };
        let listed = api.get(&format!("/v1/deliveries?{query}{list}")).await;
        if !query.contains("stored") {
            assert_eq!(listed.column("id").len(), expected, "{query}: as in the list");
        }
    }
    let id = begin(&api, "received_after=2026-09-28T14:53:14.5Z").await;
    assert!(worker(&api).run_once().await.unwrap());
    let done = job(&api, &id).await;
    assert_eq!(counts(&done), [3, 3, 2, 1]);
    assert_eq!(done["filter"]["received_after"], "2026-09-28T14:53:14.500000Z");
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["3", "4"]);

    let listed = api.get("/v1/deliveries?reason=missing").await;
    assert_eq!(
        listed.column("outcome"),
        ["quarantined"; 3],
        "only quarantined deliveries have a reason"
    );
    for (query, says) in [
        ("outcome=stored", "`outcome` is `quarantined`"),
        ("plan=maybe", "`plan` is one of"),
        ("limit=3", "no parameter"),
    ] {
        let answer = send(&api, "POST", &format!("/v1/deliveries/retry?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{query}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{query}");
    }
}

#[actix_web::test]
async fn delivery_that_arrives_after_the_request_stays() {
    let api = TestApi::start().await;
    quarantined(&api).await;
    let id = begin(&api, "").await;
    quarantine(&api, &arrival(message("later"), at(1))).await;
    assert!(worker(&api).run_once().await.unwrap());
    assert_eq!(counts(&job(&api, &id).await), [5, 5, 4, 1]);
}

#[actix_web::test]
async fn cancelled_job_is_not_continued() {
    let api = TestApi::start().await;
    quarantined(&api).await;
    let id = begin(&api, "").await;
    let answer = send(&api, "DELETE", &format!("/v1/jobs/{id}")).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("cancelled")));
    assert!(!worker(&api).run_once().await.unwrap());
    assert_eq!(api.get("/v1/deliveries?outcome=quarantined").await.column("id").len(), 5);
    let again = send(&api, "DELETE", &format!("/v1/jobs/{id}")).await;
    assert_eq!((again.status, again.code().as_str()), (409, "conflict"));
    assert_eq!(send(&api, "DELETE", &format!("/v1/jobs/{}", Uuid::nil())).await.status, 404);
    assert_eq!(send(&api, "DELETE", "/v1/jobs/nonsense").await.status, 404);

    // A running job notices it with its next report. What it did until then counts.
    let id: Uuid = begin(&api, "").await.parse().unwrap();
    let service = Uuid::new_v4();
    assert_eq!(api.store.claim_job(service, now()).await.unwrap().unwrap().id, id);
    assert_eq!(send(&api, "DELETE", &format!("/v1/jobs/{id}")).await.status, 200);
    let progress = Progress { total: Some(5), done: 2, stored: 2, ..Progress::default() };
    assert!(!api.store.report_progress(id, service, &progress, now()).await.unwrap());
    let cancelled = job(&api, &id.to_string()).await;
    assert_eq!((&cancelled["state"], counts(&cancelled)), (&json!("cancelled"), [5, 2, 2, 0]));
    api.store.finish_job(id, service, now()).await.unwrap();
    assert_eq!(job(&api, &id.to_string()).await["state"], "cancelled", "it stays cancelled");
}

#[actix_web::test]
async fn job_of_a_stopped_service_is_continued_by_another() {
    let api = TestApi::start().await;
    let arrivals = quarantined(&api).await;
    let id: Uuid = begin(&api, "").await.parse().unwrap();
    let stopped = Uuid::new_v4();
    let taken = api.store.claim_job(stopped, now()).await.unwrap().unwrap();
    let reached = Position { at: arrivals[2].received_at, key: arrivals[2].id.0 };
    let progress = Progress {
        total: Some(5),
        done: 3,
        stored: 2,
        still_quarantined: 1,
        last_error: None,
        reached: Some(reached),
    };
    assert_eq!(taken.id, id);
    assert!(api.store.report_progress(id, stopped, &progress, now()).await.unwrap());
    assert!(!worker(&api).run_once().await.unwrap(), "that service reported a moment ago");

    api.clock.set(now() + TimeDelta::seconds(61));
    assert!(worker(&api).run_once().await.unwrap());
    let done = job(&api, &id.to_string()).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("finished"), [5, 5, 4, 1]));
    assert_eq!(
        api.walk("/v1/sessions/s/messages", "message").await,
        ["3", "4"],
        "it continued there"
    );
    let late = api.store.report_progress(id, stopped, &progress, now()).await.unwrap();
    assert!(!late, "a service that lost a job does not change it");

    // A service that stops releases its job at once.
    let id: Uuid = begin(&api, "").await.parse().unwrap();
    api.store.claim_job(stopped, api.clock.now()).await.unwrap().unwrap();
    api.store.release_jobs(stopped).await.unwrap();
    assert!(worker(&api).run_once().await.unwrap());
    assert_eq!(job(&api, &id.to_string()).await["state"], "finished");
}

#[actix_web::test]
async fn delivery_retried_after_the_last_report_counts() {
    let api = TestApi::start().await;
    let arrivals = quarantined(&api).await;
    let id: Uuid = begin(&api, "").await.parse().unwrap();
    let stopped = Uuid::new_v4();
    api.store.claim_job(stopped, now()).await.unwrap().unwrap();
    let reached = Position { at: arrivals[0].received_at, key: arrivals[0].id.0 };
    let progress = Progress {
        total: Some(5),
        done: 1,
        stored: 1,
        reached: Some(reached),
        ..Progress::default()
    };
    assert!(api.store.report_progress(id, stopped, &progress, now()).await.unwrap());
    // It has retried this far, and is killed before its next report.
    for arrival in &arrivals[..2] {
        let target = format!("/v1/deliveries/{}/retry", arrival.id.0);
        assert_eq!(send(&api, "POST", &target).await.status, 200);
    }
    api.clock.set(now() + TimeDelta::seconds(61));
    assert!(worker(&api).run_once().await.unwrap());
    let done = job(&api, &id.to_string()).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("finished"), [5, 5, 4, 1]), "{done}");
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["0", "1", "3", "4"]);
}

#[actix_web::test]
async fn open_jobs_are_bounded_and_old_ones_are_deleted() {
    let api = TestApi::start().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(begin(&api, "").await);
    }
    let refused = send(&api, "POST", "/v1/deliveries/retry").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "conflict"));
    // A key that sees none of them does not find them.
    let bound = api.key(&[Scope::Admin], Some(&["A"])).await;
    let own = api.send("POST", "/v1/deliveries/retry", &[("X-API-Key", &bound)]).await;
    assert_eq!(own.status, 202, "{}", own.text());
    let own = format!("/v1/jobs/{}", own.json()["id"].as_str().unwrap());
    assert_eq!(api.send("DELETE", &own, &[("X-API-Key", &bound)]).await.status, 200);
    assert_eq!(send(&api, "DELETE", &format!("/v1/jobs/{}", ids[3])).await.status, 200);
    begin(&api, "").await;

    api.store.prune_jobs(now() + TimeDelta::days(29)).await.unwrap();
    assert_eq!(api.get("/v1/jobs").await.column("id").len(), 12);
    api.store.prune_jobs(now() + TimeDelta::days(31)).await.unwrap();
    let left = api.get("/v1/jobs").await.column("id");
    assert_eq!(left.len(), 10, "open jobs stay");
    assert!(!left.contains(&ids[3]));
}

#[actix_web::test]
async fn jobs_need_admin_and_bound_key_retries_only_its_own() {
    let api = TestApi::start().await;
    quarantined(&api).await;
    // Rejected by the database once, so that its agent is known.
    let known = "UPDATE deliveries SET agent_id = 'A' WHERE id IN (
        SELECT id FROM deliveries ORDER BY received_at LIMIT 1)";
    sqlx::query(known).execute(api.database.pool()).await.unwrap();
    let reader = api.key(&[Scope::Read, Scope::Erase], None).await;
    for (method, target) in
        [("POST", "/v1/deliveries/retry"), ("GET", "/v1/jobs"), ("DELETE", "/v1/jobs/x")]
    {
        let answer = api.send(method, target, &[("X-API-Key", &reader)]).await;
        assert_eq!(answer.status, 403, "{target}");
    }
    let all = begin(&api, "source=nobody").await;
    let bound = api.key(&[Scope::Admin], Some(&["A"])).await;
    let key = [("X-API-Key", bound.as_str())];
    let plan = api.send("POST", "/v1/deliveries/retry?plan=true", &key).await;
    assert_eq!(plan.json(), json!({ "matches": 1 }));
    let own = api.send("POST", "/v1/deliveries/retry", &key).await;
    assert_eq!(own.status, 202);
    let own = own.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get_as(&bound, "/v1/jobs").await.column("id"), std::slice::from_ref(&own));
    for method in ["GET", "DELETE"] {
        let answer = api.send(method, &format!("/v1/jobs/{all}"), &key).await;
        assert_eq!(answer.status, 404, "{method}");
    }
    while worker(&api).run_once().await.unwrap() {}
    assert_eq!(counts(&job(&api, &own).await), [1, 1, 1, 0]);
    assert_eq!(api.walk("/v1/sessions/s/messages", "message").await, ["0"]);
}
