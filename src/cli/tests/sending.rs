//! `send` against a stand-in daemon.

use clap::Parser;
use secrecy::ExposeSecret;

use super::daemon::{Asked, Daemon};
use crate::cli::arguments::Command;
use crate::cli::send::{Fixture, Fixtures, Signers, send};
use crate::cli::terminal::tests::paper;
use crate::cli::{Arguments, Environment, Exit, Failure};
use crate::domain::Timestamp;
use crate::domain::organization::Forge;

struct Shelf;

impl Fixtures for Shelf {
    fn find(&self, forge: Option<Forge>, event: &str) -> Option<Fixture> {
        let (forge, header) = match (forge, event) {
            (None | Some(Forge::Github), "push") => (Forge::Github, "push"),
            (Some(Forge::Gitlab), "push") => (Forge::Gitlab, "Push Hook"),
            _ => return None,
        };
        Some(Fixture { forge, event: header.into(), body: b"{\"ref\":\"x\"}".to_vec() })
    }
    fn names(&self) -> Vec<String> {
        vec!["push".into()]
    }
}

const SIGNERS: Signers = Signers {
    github: |secret, body| format!("sha256={}:{}", secret.expose_secret(), body.len()),
    gitlab: |token, id, at, body| {
        let key = token.strip_prefix("whsec_").ok_or("is not whsec_")?;
        Ok(format!("v1,{key}:{id}:{at}:{}", body.len()))
    },
};

async fn sent(options: &str, answers: &[(u16, &str)]) -> (Result<Exit, Failure>, String, Vec<Asked>) {
    let (daemon, address) = Daemon::answering(answers).on_tcp().await;
    let line = format!("scm-connect send {options} --to http://{address}/hooks/acme");
    let Command::Send(what) = Arguments::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("{line}")
    };
    let environment = Environment::from([("S".into(), "from-env".into()), ("EMPTY".into(), String::new())]);
    let (mut terminal, out, _) = paper(false);
    let now = Timestamp::from_ms(1_780_000_000_123);
    let end = send(&what, &Shelf, &SIGNERS, &environment, now, &mut terminal).await;
    (end, out.text(), daemon.asked())
}

#[tokio::test]
async fn github_is_played_with_its_headers_and_signature() {
    let (end, out, asked) = sent("push --secret env:S", &[(202, r#"{"id":"our-id"}"#)]).await;
    assert_eq!((end, out.as_str()), (Ok(Exit::Done), "202 our-id\n"));
    let asked = &asked[0];
    assert_eq!(asked.line(), "POST /hooks/acme");
    assert_eq!(asked.header("x-github-event"), Some("push"));
    assert_eq!(asked.header("x-hub-signature-256"), Some("sha256=from-env:11"));
    assert_eq!(asked.header("x-github-delivery").unwrap().len(), 36);
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.body, "{\"ref\":\"x\"}");
}

#[tokio::test]
async fn gitlab_is_played_with_a_token_or_a_signature() {
    let (_, _, asked) = sent("push --provider gitlab --secret plain", &[(202, "{}")]).await;
    assert_eq!(asked[0].header("x-gitlab-event"), Some("Push Hook"));
    assert_eq!(asked[0].header("x-gitlab-token"), Some("plain"));
    assert!(asked[0].header("webhook-signature").is_none());
    let (_, _, asked) =
        sent("push --provider gitlab --signing-token whsec_k --delivery-id d1", &[(202, "{}")]).await;
    assert_eq!(asked[0].header("webhook-signature"), Some("v1,k:d1:1780000000:11"));
    assert_eq!(asked[0].header("webhook-timestamp"), Some("1780000000"));
    assert_eq!((asked[0].header("webhook-id"), asked[0].header("idempotency-key")), (Some("d1"), Some("d1")));
    assert!(asked[0].header("x-gitlab-token").is_none());
}

#[tokio::test]
async fn each_repeat_is_a_new_delivery_unless_an_id_is_given() {
    let yes = (202, "{}");
    let ids = |asked: &[Asked]| -> Vec<String> {
        asked.iter().map(|it| it.header("x-github-delivery").unwrap().to_owned()).collect()
    };
    let (_, _, asked) = sent("push --secret s --repeat 2", &[yes, yes]).await;
    assert_ne!(ids(&asked)[0], ids(&asked)[1]);
    let (_, _, asked) = sent("push --secret s --repeat 2 --delivery-id d", &[yes, yes]).await;
    assert_eq!(ids(&asked), ["d", "d"]);
}

#[tokio::test]
async fn a_refused_delivery_ends_with_one_and_says_why() {
    let answers = [(202, r#"{"id":"a"}"#), (401, r#"{"code":"x","message":"the proof does not match"}"#)];
    let (end, out, _) = sent("push --secret s --repeat 2", &answers).await;
    assert_eq!((end, out.as_str()), (Ok(Exit::Failed), "202 a\n401 the proof does not match\n"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none").display().to_string();
    for (options, exit) in [
        ("pull --secret s".to_owned(), Exit::NotFound),
        ("push --secret env:GONE".into(), Exit::Usage),
        ("push --secret env:EMPTY".into(), Exit::Usage),
        (format!("push --secret file:{none}"), Exit::NotFound),
        (format!("push --secret s --fixture {none}"), Exit::NotFound),
        ("push --signing-token whsec_k --provider github".into(), Exit::Usage),
        ("push --signing-token k --provider gitlab".into(), Exit::Usage),
    ] {
        let (end, _, asked) = sent(&options, &[]).await;
        assert_eq!((end.unwrap_err().exit, asked.len()), (exit, 0), "{options}");
    }
}

#[tokio::test]
async fn a_body_and_a_secret_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let (body, secret) = (folder.path().join("body.json"), folder.path().join("secret"));
    std::fs::write(&body, "{\"own\":1}").unwrap();
    std::fs::write(&secret, "from-file\r\n").unwrap();
    let files = format!("--fixture {} --secret file:{}", body.display(), secret.display());
    let (_, _, asked) = sent(&format!("merge_request --provider gitlab {files}"), &[(202, "{}")]).await;
    assert_eq!(asked[0].header("x-gitlab-event"), Some("Merge Request Hook"));
    assert_eq!(
        (asked[0].header("x-gitlab-token"), asked[0].body.as_str()),
        (Some("from-file"), "{\"own\":1}")
    );
}
