//! `semgrep login` in a terminal: the published command line, a person with a browser, and the page between them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::json;

use super::office::Office;
use super::scanner::{prepared, program};

/// Runs a program in a terminal of its own, and passes on what it prints.
const IN_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Presses the page's button; gives the status.
async fn sends(office: &Office, request: &str, token: &str) -> u16 {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("request", request)
        .append_pair("token", token)
        .finish();
    let sent = browser().post(format!("{}/login", office.base()));
    let sent = sent.header("content-type", "application/x-www-form-urlencoded").body(form);
    sent.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn semgrep_login_gets_a_token_when_an_admin_lets_it_in() {
    let office = Office::open("").await;
    let (admin, ci) = (office.token("acme", "admin"), office.token("acme", "ci"));
    let home = tempfile::tempdir().unwrap();
    let mut child = prepared("python3", home.path())
        .args(["-c", IN_A_TERMINAL, "python3"])
        .arg(program())
        .arg("login")
        .env("SEMGREP_URL", office.base())
        // It opens the link itself, with what stands here.
        .env("BROWSER", "true")
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    let link = loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it has ended: {said}");
        said.push_str(&line);
        if let Some(link) = line.trim().strip_prefix("Opening login at: ") {
            break link.to_owned();
        }
    };
    // The page shows the request that the terminal shows, and asks for an admin's token.
    let page = browser().get(&link).send().await.unwrap().text().await.unwrap();
    let (_, request) = link.split_once("cli-token=").unwrap();
    let request = request.split('&').next().unwrap();
    assert!(page.contains(&format!("name=\"request\" value=\"{request}\"")), "{page}");
    assert_eq!(sends(&office, request, &ci).await, 403, "a CI token lets nobody in");
    assert_eq!(sends(&office, request, &admin).await, 200);
    output.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.contains("Saved login token"), "{said}");
    let token = said.split_whitespace().find(|word| word.starts_with("scmc_ci_")).unwrap();
    let settings = std::fs::read_to_string(home.path().join(".semgrep/settings.yml")).unwrap();
    assert!(settings.contains(token), "{settings}");
    // It is a token of that organization's like any other, once.
    let said = json!({"ci": {"repo_url": "https://gitlab.com/acme/web", "repository": "acme/web"}});
    assert_eq!(office.check_in(Some(token), said).await.status, 201);
    let again = json!({"token_request_key": request});
    assert_eq!(office.post("/api/agent/tokens/requests", None, again).await.code(), "approval-missing");
    let audit = office.list("/api/v1/audit", &office.token("acme", "read")).await;
    assert!(audit.iter().any(|line| line["action"] == "login.approved"), "{audit:?}");
}
