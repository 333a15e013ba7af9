//! Tokens made by another library, and the matrix of subjects.

use serde_json::{Value, json};

use super::vector::{CONFUSED, GITHUB, GITLAB};
use super::{NOW, Rejected, check_at, github, gitlab, mint, part, refusal, with};
use crate::ci::id_token::Unproven;
use crate::domain::ci::{Facts, Stranger};

fn rejected(found: Result<Facts, Unproven>) -> Rejected {
    match found.unwrap_err() {
        Unproven::Rejected(rejected) => rejected,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn s52_a_published_gitlab_token_is_read() {
    let token = GITLAB.concat();
    let facts = check_at(&token, 1_681_395_200).await.unwrap();
    assert_eq!((facts.project, facts.namespace, facts.is_top), (20, 72, true));
    assert_eq!(
        (facts.job.full_path.as_str(), facts.job.host.as_str()),
        ("my-group/my-project", "gitlab.example.com")
    );
    assert_eq!(
        (facts.job.name.as_deref(), facts.job.git_ref.as_deref()),
        (Some("302"), Some("feature-branch-1"))
    );
    assert_eq!((facts.is_personal, facts.stranger), (false, None));
    assert_eq!(rejected(check_at(&token, 1_681_398_854).await), Rejected::Expired);
    assert_eq!(rejected(check_at(&token, 1_681_395_127).await), Rejected::NotYet);
}

#[tokio::test]
async fn a_published_github_token_is_read() {
    let facts = check_at(&GITHUB.concat(), 1_755_351_300).await.unwrap();
    assert_eq!((facts.project, facts.namespace, facts.is_top), (456_789, 123_456, true));
    assert_eq!((facts.job.full_path.as_str(), facts.job.host.as_str()), ("octo-org/octo-repo", "github.com"));
    assert_eq!(facts.subject, "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main");
}

#[tokio::test]
async fn s41_a_public_key_is_no_shared_secret() {
    let claims = GITLAB.concat();
    let claims = claims.split('.').nth(1).unwrap();
    let header = part(r#"{"alg":"HS256","typ":"JWT","kid":"IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8"}"#);
    assert_eq!(refusal("HS256", &format!("{header}.{claims}.{CONFUSED}")).await, Rejected::Algorithm);
}

#[tokio::test]
async fn s42_numbers_decide_whatever_the_subject_says() {
    let decided = |facts: &Facts| (facts.project, facts.namespace, facts.is_top, facts.job.full_path.clone());
    let first = check_at(&mint(&github()), NOW).await.unwrap();
    let subjects = [
        "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main",
        "repo:octo-org/octo-repo:environment:prod%3Aeu",
        "repository_owner:someone-else:job_workflow_ref:x",
        "repo:victim/secret:ref:refs/heads/main",
    ];
    for subject in subjects {
        let facts = check_at(&mint(&with(github(), json!({"sub": subject}))), NOW).await.unwrap();
        assert_eq!(decided(&facts), decided(&first), "{subject}");
        assert_eq!(facts.subject, subject);
    }
    let ghes = with(github(), json!({"iss": "https://ghes.example.com/_services/token"}));
    let facts = check_at(&mint(&ghes), NOW).await.unwrap();
    assert_eq!(facts.job.host.as_str(), "ghes.example.com");
    let gitlab_first = check_at(&mint(&gitlab()), NOW).await.unwrap();
    let custom = with(gitlab(), json!({"sub": "project_path:other/thing:ref:x"}));
    assert_eq!(decided(&check_at(&mint(&custom), NOW).await.unwrap()), decided(&gitlab_first));
    for id in ["repository_id", "repository_owner_id", "run_id"] {
        let found = refusal(id, &mint(&with(github(), json!({id: null})))).await;
        assert_eq!(found, Rejected::Claim(id));
    }
    for id in ["project_id", "namespace_id", "job_id", "pipeline_id"] {
        let found = refusal(id, &mint(&with(gitlab(), json!({id: null})))).await;
        assert_eq!(found, Rejected::Claim(id));
    }
}

#[tokio::test]
async fn s43_a_strangers_hand_is_seen() {
    let seen = |claims: Value| async move { check_at(&mint(&claims), NOW).await.unwrap() };
    for (event, stranger) in [
        ("push", None),
        ("schedule", None),
        ("pull_request", None),
        ("workflow_dispatch", None),
        ("pull_request_target", Some(Stranger::Trigger)),
        ("issue_comment", Some(Stranger::Trigger)),
        ("workflow_run", Some(Stranger::Trigger)),
    ] {
        assert_eq!(seen(with(github(), json!({"event_name": event}))).await.stranger, stranger, "{event}");
    }
    // A fork's merge request runs in the parent project, and the old claims name the fork.
    let fork = json!({
        "project_id": "99", "project_path": "someone/my-project", "namespace_id": "7", "namespace_path": "someone",
        "job_project_id": "20", "job_project_path": "my-group/my-project", "job_namespace_id": "72",
        "job_namespace_path": "my-group", "pipeline_source": "merge_request_event",
        "ref_path": "refs/merge-requests/5/head",
    });
    let facts = seen(with(gitlab(), fork)).await;
    assert_eq!((facts.project, facts.namespace, facts.stranger), (20, 72, Some(Stranger::Fork)));
    assert_eq!(facts.job.change, Some(5));
    let own = json!({
        "job_project_id": "20", "job_project_path": "my-group/my-project", "job_namespace_id": "72",
        "job_namespace_path": "my-group",
    });
    assert_eq!(seen(with(gitlab(), own)).await.stranger, None);
    let person = json!({"namespace_path": "sample-user", "project_path": "sample-user/x"});
    assert!(seen(with(gitlab(), person)).await.is_personal);
    assert!(seen(with(github(), json!({"actor_id": "123456"}))).await.is_personal);
}
