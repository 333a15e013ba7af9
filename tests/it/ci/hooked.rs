//! Connections that a hook's pipeline event makes (e-28), and a job that comes in the same instant.

use std::time::Duration;

use serde_json::{Value, json};

use super::office::Office;

const PIPELINE: &str = include_str!("../../fixture/gitlab/gogitlab.pipeline.json");
const SECRET: &str = "a group hook's secret";

/// A daemon with a hook's source for `acme`.
async fn open() -> Office {
    let source = format!(
        r#"
[[sources]]
key = "group-hook"
organizations = ["acme"]
provider = "gitlab"
webhook_secrets = [{{ value = "{SECRET}" }}]
"#
    );
    Office::open_with("", &source).await
}

/// A pipeline of this project, as GitLab sends it.
fn pipeline(path: &str, project: u64) -> Value {
    let mut body: Value = serde_json::from_str(PIPELINE).unwrap();
    body["project"]["id"] = json!(project);
    body["project"]["path_with_namespace"] = json!(path);
    body["project"]["web_url"] = json!(format!("https://gitlab.com/{path}"));
    body
}

/// Sends it under an id of its own; gives the status.
async fn send(office: &Office, secret: &str, id: &str, body: &Value) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http
        .post(format!("http://{}/hooks/group-hook", office.daemon.public))
        .header("content-type", "application/json")
        .header("x-gitlab-event", "Pipeline Hook")
        .header("x-gitlab-event-uuid", id)
        .header("x-gitlab-webhook-uuid", "hook-1")
        .header("idempotency-key", id)
        .header("x-gitlab-token", secret);
    request.body(body.to_string()).send().await.unwrap().status().as_u16()
}

/// The connections, once so many deliveries have come to rest.
async fn settled(office: &Office, read: &str, sent: usize) -> Vec<Value> {
    for _ in 0..600 {
        let all = office.list("/api/v1/deliveries", read).await;
        let rests = |one: &&Value| one["state"] == "done" || one["state"] == "ignored";
        let done = all.iter().filter(rests).count();
        if done == sent {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    office.list("/api/v1/connections", read).await
}

#[tokio::test]
async fn a_proven_pipeline_event_makes_the_connection_and_an_unproven_one_does_not() {
    let office = open().await;
    let read = office.token("acme", "read");
    let body = pipeline("acme/web", 20);
    assert_eq!(send(&office, "another secret", "p1", &body).await, 401);
    assert!(office.list("/api/v1/connections", &read).await.is_empty());
    assert_eq!(send(&office, SECRET, "p2", &body).await, 202);
    let made = settled(&office, &read, 1).await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!((&made[0]["kind"], &made[0]["created_by"]), (&json!("gitlab_cloud"), &json!("webhook")));
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!((projects.len(), &projects[0]["full_path"]), (1, &json!("acme/web")));
}

#[tokio::test]
async fn an_event_and_a_first_job_in_the_same_instant_make_one_connection() {
    for round in 0..8_u64 {
        let office = open().await;
        let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
        let events = (0..4).map(|n| {
            let (office, body) = (&office, pipeline(&format!("acme/web-{n}"), 20 + n));
            async move { send(office, SECRET, &format!("{round}-{n}"), &body).await }
        });
        let jobs = (0..4).map(|n| {
            let token = office.issuer.gitlab(&format!("acme/api-{n}"), 40 + n, 72, n + 1);
            let (office, ci) = (&office, &ci);
            async move { office.prove(Some(ci), &token).await }
        });
        let all = futures_util::future::join(
            futures_util::future::join_all(events),
            futures_util::future::join_all(jobs),
        );
        let (events, jobs) = all.await;
        assert!(events.iter().all(|status| *status == 202), "{events:?}");
        assert!(jobs.iter().all(|answer| matches!(answer.status, 200 | 201)), "{jobs:?}");
        let made = settled(&office, &read, 4).await;
        assert_eq!(made.len(), 1, "round {round}: {made:?}");
        assert_eq!(office.list("/api/v1/projects", &read).await.len(), 8);
    }
}

/// Rejects the only connection; gives its key.
async fn reject(office: &Office, admin: &str) -> String {
    let all = office.list("/api/v1/connections", admin).await;
    let key = all[0]["key"].as_str().unwrap().to_owned();
    let answer = office.post(&format!("/api/v1/connections/{key}/reject"), Some(admin), json!({})).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    key
}

#[tokio::test]
async fn a_rejected_group_is_not_made_again_by_an_event_and_none_of_its_jobs_comes_in() {
    let office = open().await;
    let (ci, admin) = (office.token("acme", "ci"), office.token("acme", "admin"));
    let first = office.issuer.gitlab("acme/web", 20, 72, 1);
    assert_eq!(office.prove(Some(&ci), &first).await.status, 201);
    let key = reject(&office, &admin).await;
    for (n, (path, project)) in [("acme/web", 20), ("acme/api", 21)].into_iter().enumerate() {
        assert_eq!(send(&office, SECRET, &format!("r{n}"), &pipeline(path, project)).await, 202);
    }
    let left = settled(&office, &admin, 2).await;
    assert_eq!((left.len(), &left[0]["key"]), (1, &json!(key)), "{left:?}");
    for told in office.list("/api/v1/deliveries", &admin).await {
        assert_eq!(
            (&told["state"], &told["reason"]),
            (&json!("ignored"), &json!("account-rejected")),
            "{told}"
        );
    }
    let projects = office.list("/api/v1/projects", &admin).await;
    assert_eq!((projects.len(), &projects[0]["state"]), (1, &json!("paused")), "{projects:?}");
    // Neither a new token nor the one that was answered before opens anything.
    let next = office.issuer.gitlab("acme/api", 21, 72, 2);
    for token in [&first, &next] {
        let alone = office.prove(None, token).await;
        assert_eq!((alone.status, alone.code()), (403, "project-unknown"), "{:?}", alone.body);
        let named = office.prove(Some(&ci), token).await;
        assert_eq!((named.status, named.code()), (403, "account-rejected"), "{:?}", named.body);
    }
}

#[tokio::test]
async fn a_rejected_claim_is_not_made_again_by_an_event_nor_repeated_by_its_job() {
    let office = open().await;
    let (ci, admin) = (office.token("acme", "ci"), office.token("acme", "admin"));
    let job = json!({"repo_url": "https://gitlab.com/acme/web", "repository": "acme/web", "job_id": "9"});
    let said = json!({"ci": job});
    let claim = office.check_in(Some(&ci), said.clone()).await;
    assert_eq!(claim.status, 201, "{:?}", claim.body);
    assert_eq!(office.check_in(Some(&ci), said.clone()).await.body["run"], claim.body["run"]);
    reject(&office, &admin).await;
    let again = office.check_in(Some(&ci), said).await;
    assert_eq!((again.status, again.code()), (403, "account-rejected"), "{:?}", again.body);
    assert_eq!(send(&office, SECRET, "c1", &pipeline("acme/web", 20)).await, 202);
    let left = settled(&office, &admin, 1).await;
    assert_eq!((left.len(), &left[0]["created_by"]), (1, &json!("ci")), "{left:?}");
    let projects = office.list("/api/v1/projects", &admin).await;
    let told = (projects.len(), &projects[0]["state"], &projects[0]["proof"]);
    assert_eq!(told, (1, &json!("paused"), &json!("claimed")), "{projects:?}");
}
