//! The first job of a group, and all that come after it.

use serde_json::json;

use super::office::Office;

#[tokio::test]
async fn the_first_gitlab_job_makes_its_own_connection() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let first = office.issuer.gitlab("acme/web", 20, 72, 1);
    let made = office.prove(Some(&ci), &first).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    assert_eq!(made.body["connection"]["kind"], "gitlab_cloud");
    assert_eq!(made.body["connection"]["created"], true);
    assert_eq!(made.body["project"]["full_path"], "acme/web");
    // The same token of the same job gets the same answer.
    let again = office.prove(Some(&ci), &first).await;
    assert_eq!(again.body["run"], made.body["run"]);
    assert_eq!(again.body["token"]["expires_at"], made.body["token"]["expires_at"]);
    // The next job needs no secret any more.
    let next = office.prove(None, &office.issuer.gitlab("acme/web", 20, 72, 2)).await;
    assert_eq!((next.status, &next.body["connection"]["created"]), (200, &json!(false)), "{:?}", next.body);
    assert!(next.body["token"]["value"].as_str().unwrap().starts_with("scmc_ci_"));
    // Nor does another project of the group.
    let other = office.prove(None, &office.issuer.gitlab("acme/api", 21, 72, 3)).await;
    assert_eq!((other.status, &other.body["project"]["created"]), (201, &json!(true)), "{:?}", other.body);
    let connections = office.list("/api/v1/connections", &read).await;
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0]["state"], "limited");
    let projects = office.list("/api/v1/projects", &read).await;
    let mut seen: Vec<_> =
        projects.iter().map(|it| (it["full_path"].as_str(), it["proof"].as_str())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(Some("acme/api"), Some("proven")), (Some("acme/web"), Some("proven"))]);
    let audit = office.list("/api/v1/audit", &read).await;
    let of = |action: &str| audit.iter().filter(|line| line["action"] == action).count();
    assert_eq!((of("connection.created"), of("project.created")), (1, 2));
}

/// Jobs of one fleet of runners share an address, and more of them come than a stranger may have open.
#[tokio::test]
async fn six_hundred_first_jobs_at_one_address_make_one_connection() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let job = |n: u64| (format!("acme/project-{}", n % 50), 1000 + n % 50, n + 1);
    let tokens: Vec<String> = (0..600)
        .map(|n| {
            let (path, number, job) = job(n);
            office.issuer.gitlab(&path, number, 72, job)
        })
        .collect();
    let all = tokens.iter().map(|token| office.prove(Some(&ci), token));
    let answers = futures_util::future::join_all(all).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    let made = |what: &str| answers.iter().filter(|answer| answer.body[what]["created"] == true).count();
    assert_eq!((made("connection"), made("project")), (1, 50));
    assert_eq!(office.list("/api/v1/connections", &read).await.len(), 1);
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(projects.len(), 50);
    for (n, answer) in (0_u64..).zip(&answers) {
        assert_eq!(answer.body["project"]["full_path"], job(n).0);
    }
}

#[tokio::test]
async fn a_github_job_is_known_by_its_numbers_whatever_its_subject_says() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let made = office.prove(Some(&ci), &office.issuer.github("octo/site", 456, 123, 9, json!({}))).await;
    assert_eq!(
        (made.status, &made.body["connection"]["kind"]),
        (201, &json!("github_cloud")),
        "{:?}",
        made.body
    );
    let renamed = json!({"sub": "repo:octo-org@123/www@456:ref:refs/heads/main"});
    let next = office.prove(None, &office.issuer.github("octo-org/www", 456, 123, 10, renamed)).await;
    assert_eq!(
        (next.status, &next.body["project"]["id"]),
        (200, &made.body["project"]["id"]),
        "{:?}",
        next.body
    );
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(projects[0]["full_path"], "octo-org/www");
    assert_eq!(projects[0]["previous_paths"], json!(["octo/site"]));
}

#[tokio::test]
async fn a_claim_is_shown_as_one_until_a_token_proves_it() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let said = json!({"ci": {"repo_url": "https://gitlab.com/acme/web", "repository": "acme/web", "branch": "main"}});
    let claim = office.check_in(Some(&ci), said).await;
    assert_eq!((claim.status, &claim.body["token"]), (201, &json!(null)), "{:?}", claim.body);
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(
        (&projects[0]["proof"], &projects[0]["id"]),
        (&json!("claimed"), &claim.body["project"]["id"])
    );
    let proven = office.prove(Some(&ci), &office.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(proven.status, 200, "{:?}", proven.body);
    let same = [&proven.body["project"]["id"], &proven.body["connection"]["key"]];
    assert_eq!(same, [&claim.body["project"]["id"], &claim.body["connection"]["key"]]);
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(projects.len(), 1);
    assert_eq!((&projects[0]["proof"], &projects[0]["external_id"]), (&json!("proven"), &json!("20")));
}

#[tokio::test]
async fn every_refusal_has_a_code_of_its_own_and_changes_nothing() {
    let office = Office::open("auto_connect_accounts = [\"acme\"]").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let issuer = &office.issuer;
    let unknown = json!({"ci": {"repo_url": "https://git.example.com/acme/web", "repository": "acme/web"}});
    let smuggled = json!({"ci": {"repo_url": "https://gitlab.com/acme/web", "job_token": "glcbt-64_secret"}});
    let fork = json!({
        "job_project_id": "20", "job_project_path": "acme/web", "job_namespace_id": "72",
        "job_namespace_path": "acme", "project_id": "99",
    });
    let table = [
        (401, "token-missing", office.check_in(None, json!({})).await),
        (401, "token-invalid", office.check_in(Some("scmc_ci_x"), json!({})).await),
        (403, "forbidden", office.check_in(Some(&read), json!({})).await),
        (400, "ci-invalid", office.check_in(Some(&ci), json!({})).await),
        (400, "body-invalid", office.check_in(Some(&ci), json!({"tenant": "other"})).await),
        (400, "scm-token-refused", office.check_in(Some(&ci), smuggled).await),
        (400, "scm-token-refused", office.check_in(Some(&ci), json!({"gitlab_token": "x"})).await),
        (409, "unknown-forge", office.check_in(Some(&ci), unknown).await),
        (401, "id-token-invalid", office.prove(Some(&ci), "eyJ.eyJ.x").await),
        (403, "project-unknown", office.prove(None, &issuer.gitlab("acme/web", 20, 72, 1)).await),
        (403, "account-not-allowed", office.prove(Some(&ci), &issuer.gitlab("beta/web", 5, 6, 2)).await),
        (
            403,
            "fork-pipeline",
            office.prove(Some(&ci), &issuer.gitlab_with("acme/web", 20, 72, 3, fork)).await,
        ),
    ];
    for (status, code, answer) in table {
        assert_eq!((answer.status, answer.code()), (status, code), "{:?}", answer.body);
        assert!(!answer.body.to_string().contains("secret"), "{:?}", answer.body);
    }
    assert_eq!(office.list("/api/v1/connections", &read).await.len(), 0);
    assert_eq!(office.list("/api/v1/projects", &read).await.len(), 0);
}

#[tokio::test]
async fn a_group_of_another_organization_is_refused_without_a_word_about_it() {
    let office = Office::open("").await;
    let (acme, other) = (office.token("acme", "ci"), office.token("other", "ci"));
    let made = office.prove(Some(&acme), &office.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let refused = office.prove(Some(&other), &office.issuer.gitlab("acme/web", 20, 72, 2)).await;
    assert_eq!((refused.status, refused.code()), (409, "account-unavailable"));
    let told = refused.body.to_string();
    assert!(!told.contains("acme") && !told.contains("Acme") && !told.contains("gitlab-"), "{told}");
    // A job that is used by two is in two hands.
    let token = office.issuer.gitlab("acme/web", 20, 72, 3);
    let with_job = |job: &str| json!({"id_token": token, "ci": {"job_id": job}});
    assert_eq!(office.check_in(Some(&acme), with_job("3")).await.status, 200);
    let used = office.check_in(Some(&acme), with_job("4")).await;
    assert_eq!((used.status, used.code()), (409, "id-token-used"));
}

#[tokio::test]
async fn a_rejected_group_is_blocked_until_an_admin_allows_it() {
    let office = Office::open("").await;
    let (ci, admin) = (office.token("acme", "ci"), office.token("acme", "admin"));
    let job = |n| office.issuer.gitlab("acme/web", 20, 72, n);
    let made = office.prove(Some(&ci), &job(1)).await;
    let key = made.body["connection"]["key"].as_str().unwrap().to_owned();
    let judge = async |verdict: &str| {
        office.post(&format!("/api/v1/connections/{key}/{verdict}"), Some(&admin), json!({})).await
    };
    assert_eq!(judge("reject").await.status, 200);
    let refused = office.prove(Some(&ci), &job(2)).await;
    assert_eq!((refused.status, refused.code()), (403, "account-rejected"));
    assert_eq!(judge("allow").await.status, 200);
    assert_eq!(office.prove(Some(&ci), &job(3)).await.status, 200);
}

#[tokio::test]
async fn a_server_that_requires_proof_takes_no_claim() {
    let office = Office::open("require_proof = true").await;
    let ci = office.token("acme", "ci");
    let said = json!({"ci": {"repo_url": "https://gitlab.com/acme/web", "repository": "acme/web"}});
    let refused = office.check_in(Some(&ci), said).await;
    assert_eq!((refused.status, refused.code()), (403, "proof-required"));
    assert_eq!(office.prove(Some(&ci), &office.issuer.gitlab("acme/web", 20, 72, 1)).await.status, 201);
}
