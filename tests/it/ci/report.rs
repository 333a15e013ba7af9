//! A scanner's report is taken whole, or not at all.

use serde_json::{Value, json};

use super::office::Office;

/// The report of a scan with one more finding than is handed on at once, and this in the client's field for a token.
fn report(token: Value) -> Value {
    let finding =
        |n: usize| json!({"check_id": "rule", "path": format!("a{n}.py"), "line": 1, "message": "m"});
    json!({"findings": (0..257).map(finding).collect::<Vec<_>>(), "rule_ids": ["rule"], "token": token})
}

#[tokio::test]
async fn nothing_is_kept_of_a_report_that_holds_a_forges_token() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let job = json!({"repo_url": "https://gitlab.com/acme/web", "repository": "acme/web", "branch": "main"});
    let wish = json!({"scan_metadata": {"unique_id": "one"}, "project_metadata": job});
    let scan = office.post("/api/cli/v2/scans", Some(&ci), wish).await;
    let number = scan.body["info"]["id"].as_u64().unwrap_or_else(|| panic!("{scan:?}"));
    let results = format!("/api/agent/scans/{number}/results");
    let refused = office.post(&results, Some(&ci), report(json!("glpat-canary"))).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(!refused.body.to_string().contains("canary"), "{refused:?}");
    assert_eq!(office.list("/api/v1/findings", &read).await, [Value::Null; 0]);
    let taken = office.post(&results, Some(&ci), report(Value::Null)).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert!(!office.list("/api/v1/findings", &read).await.is_empty());
    office.daemon.stop().await;
}
