//! The published Semgrep command line, unchanged, as a GitLab job and as a GitHub job.

use std::process::Output;

use serde_json::{Value, json};

use super::office::Office;
use super::scanner::{Checkout, gitlab_job, run};

const RULES: &str = "rules:
  - id: no-eval
    pattern: eval(...)
    message: do not use eval
    languages: [python]
    severity: ERROR
  - id: no-exec
    pattern: exec(...)
    message: do not use exec
    languages: [python]
    severity: WARNING
";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The link to the findings, as it is printed.
fn link(output: &Output) -> String {
    let said = said(output);
    let links = said.split_whitespace().filter(|word| word.starts_with("http") && word.contains("/findings"));
    let [link] = links.collect::<Vec<_>>()[..] else { panic!("not one link:\n{said}") };
    link.to_owned()
}

/// An organization `scanned` with two rules.
pub(super) async fn office() -> (Office, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let rules = folder.path().display();
    let more = format!("\n[[organizations]]\nslug = \"scanned\"\nname = \"Scanned\"\nrules = \"{rules}\"\n");
    (Office::open_with("", &more).await, folder)
}

pub(super) async fn findings(office: &Office, read: &str, project: &str) -> Vec<(String, String)> {
    followed(office, read, &format!("{}/orgs/scanned/findings?repo={project}&ref=main", office.base())).await
}

/// What a link to findings leads to, for whoever brings a token.
pub(super) async fn followed(office: &Office, read: &str, link: &str) -> Vec<(String, String)> {
    let path = link.strip_prefix(&office.base()).unwrap_or_else(|| panic!("{link} leads elsewhere"));
    let answer = office.get(path, read).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = answer.body["items"].as_array().unwrap();
    let mut all: Vec<_> = items.iter().map(|item| (text(item, "rule"), text(item, "state"))).collect();
    all.sort();
    all
}

pub(super) fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(rule, state)| ((*rule).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn semgrep_ci_scans_as_a_gitlab_job() {
    let (office, _rules) = office().await;
    let (ci, read) = (office.token("scanned", "ci"), office.token("scanned", "read"));
    let checkout = Checkout::new("https://gitlab.com/acme/web.git");
    let sha = checkout.commit("eval(input())\nexec(input())\n");
    let scan = |token: &str, sha: &str| run(&office.base(), &checkout, token, &gitlab_job(sha));
    let output = scan(&ci, &sha);
    assert_eq!(output.status.code(), Some(1), "blocking findings:\n{}", said(&output));
    let both = pairs(&[("no-eval", "open"), ("no-exec", "open")]);
    assert_eq!(followed(&office, &read, &link(&output)).await, both);
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!((&projects[0]["full_path"], &projects[0]["proof"]), (&json!("acme/web"), &json!("claimed")));
    // The job proves itself, and scans with the token that it got: the same project, and one finding less.
    let proven = office.prove(Some(&ci), &office.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(proven.body["project"]["id"], projects[0]["id"], "{:?}", proven.body);
    let own = proven.body["token"]["value"].as_str().unwrap();
    let sha = checkout.commit("exec(input())\n");
    let output = scan(own, &sha);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let one = pairs(&[("no-eval", "fixed"), ("no-exec", "open")]);
    assert_eq!(followed(&office, &read, &link(&output)).await, one);
}

#[tokio::test]
async fn semgrep_ci_scans_as_a_github_job() {
    let (office, _rules) = office().await;
    let (ci, read) = (office.token("scanned", "ci"), office.token("scanned", "read"));
    let checkout = Checkout::new("https://github.com/octo/site.git");
    let sha = checkout.commit("print(1)\n");
    let event = checkout.path().join(".git/event.json");
    std::fs::write(&event, "{}").unwrap();
    let event = event.display().to_string();
    let workspace = checkout.path().display().to_string();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
        ("GITHUB_REPOSITORY", "octo/site"),
        ("GITHUB_REPOSITORY_ID", "456"),
        ("GITHUB_REPOSITORY_OWNER_ID", "123"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_API_URL", "http://127.0.0.1:9"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_EVENT_PATH", event.as_str()),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_SHA", sha.as_str()),
        ("GITHUB_RUN_ID", "9"),
        ("GITHUB_WORKSPACE", workspace.as_str()),
    ];
    let output = run(&office.base(), &checkout, &ci, &variables);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(
        (&projects[0]["full_path"], &projects[0]["host"]),
        (&json!("octo/site"), &json!("github.com"))
    );
}
