//! Commands against a stand-in daemon.

use clap::Parser;
use secrecy::SecretString;

use super::daemon::Daemon;
use crate::cli::arguments::{Command, StoreCommand};
use crate::cli::ask::ask;
use crate::cli::health::{Question, healthcheck};
use crate::cli::long::verify;
use crate::cli::terminal::tests::paper;
use crate::cli::{Arguments, Client, Environment, Exit, Failure};
use crate::domain::Timestamp;

/// What a command came to: how it ended, what it printed, what it said besides.
struct Came {
    end: Result<Exit, Failure>,
    out: String,
    err: String,
}

async fn type_to(client: &Client, line: &str, is_terminal: bool) -> Came {
    let arguments =
        Arguments::try_parse_from(std::iter::once("scm-connect").chain(line.split_whitespace())).unwrap();
    let (mut terminal, out, err) = paper(is_terminal);
    let now = Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap();
    let end = match arguments.command {
        Command::Ask(what) => ask(what, client, &mut terminal, now).await,
        Command::Store(StoreCommand::Verify(how)) => verify(how.json.json, client, &mut terminal).await,
        _ => panic!("{line} asks nothing"),
    };
    Came { end, out: out.text(), err: err.text() }
}

/// Types a line to a daemon with these answers.
async fn came(line: &str, answers: &[(u16, &str)]) -> (Came, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::answering(answers).at(&folder.path().join("control.sock"));
    let client = Client::local(folder.path()).await.unwrap().expect("a daemon");
    (type_to(&client, line, false).await, daemon)
}

#[tokio::test]
async fn a_list_is_read_page_by_page_up_to_its_limit() {
    let (first, second) =
        (r#"{"items":[{"slug":"a"},{"slug":"b"}],"next_cursor":"c 1"}"#, r#"{"items":[{"slug":"d"}]}"#);
    let (it, daemon) = came("organizations list --limit 250", &[(200, first), (200, second)]).await;
    assert_eq!(it.end, Ok(Exit::Done));
    assert_eq!(it.out, "SLUG\tNAME\tHOME\tAUTHORITY\na\t\t\t\nb\t\t\t\nd\t\t\t\n");
    assert_eq!(
        daemon.lines(),
        ["GET /api/v1/organizations?limit=200", "GET /api/v1/organizations?limit=200&cursor=c+1"]
    );
    let (it, daemon) = came("organizations list --limit 2", &[(200, first)]).await;
    assert_eq!(daemon.lines(), ["GET /api/v1/organizations?limit=2"]);
    assert_eq!(it.err, "there are more: --cursor c 1, or --all\n");
}

#[tokio::test]
async fn a_daemon_that_repeats_its_cursor_is_not_asked_for_ever() {
    let page = r#"{"items":[{"slug":"a"}],"next_cursor":"same"}"#;
    let (it, daemon) = came("organizations list --all", &[(200, page), (200, page), (200, page)]).await;
    assert_eq!((it.end, daemon.lines().len()), (Ok(Exit::Done), 2));
}

#[tokio::test]
async fn json_has_the_form_of_the_api() {
    let (it, _) =
        came("projects list --json", &[(200, r#"{"items":[{"id":"1"}],"next_cursor":null}"#)]).await;
    let value: serde_json::Value = serde_json::from_str(&it.out).unwrap();
    assert_eq!(value, serde_json::json!({ "items": [{ "id": "1" }], "next_cursor": null }));
}

#[tokio::test]
async fn filters_are_sent_and_a_length_of_time_is_counted_back_from_now() {
    let empty = r#"{"items":[],"next_cursor":null}"#;
    let (_, daemon) = came("deliveries list --state dead --source lab --since 2h", &[(200, empty)]).await;
    assert_eq!(
        daemon.lines(),
        ["GET /api/v1/deliveries?source=lab&state=dead&since=2026-01-31T06%3A00%3A00.000Z&limit=200"]
    );
    let (it, _) = came("deliveries list --since yesterday", &[]).await;
    assert_eq!(it.end.unwrap_err().exit, Exit::Usage);
}

#[tokio::test]
async fn a_new_token_is_printed_alone_so_that_it_can_be_piped() {
    let made = r#"{"id":"7","token":"scmc_ci_x","kind":"ci","organization":"acme","expires_at":"2026-05-01T00:00:00Z"}"#;
    let line = "token create --organization acme --kind ci --name main --expires 90d";
    let (it, daemon) = came(line, &[(201, made)]).await;
    assert_eq!(it.out, "scmc_ci_x\n");
    assert!(!it.err.contains("scmc_ci_x"), "{}", it.err);
    let body: serde_json::Value = serde_json::from_str(&daemon.asked()[0].body).unwrap();
    let until = "2026-05-01T08:00:00.000Z";
    assert_eq!(body, serde_json::json!({ "kind": "ci", "name": "main", "expires_at": until }));
    assert_eq!(daemon.lines(), ["POST /api/v1/tokens?organization=acme"]);
    let (it, _) = came(&format!("{line} --json"), &[(201, made)]).await;
    let printed: serde_json::Value = serde_json::from_str(&it.out).unwrap();
    assert_eq!(printed, serde_json::from_str::<serde_json::Value>(made).unwrap());
}

#[tokio::test]
async fn a_refusal_is_a_sentence_and_an_exit_code() {
    for (status, body, exit, message) in [
        (
            404,
            r#"{"code":"not-found","message":"there is no delivery 1"}"#,
            Exit::NotFound,
            "there is no delivery 1",
        ),
        (409, r#"{"code":"x","message":"no","help":"do y"}"#, Exit::Failed, "no; do y"),
        (
            503,
            r#"{"code":"store-failed","message":"the store has stopped"}"#,
            Exit::Store,
            "the store has stopped",
        ),
        (502, r#"{"code":"forge-refused","message":"the forge refused"}"#, Exit::Forge, "the forge refused"),
        (422, r#"{"code":"invalid","message":"bad"}"#, Exit::Usage, "bad"),
        (401, "", Exit::Failed, "the daemon does not take this token; is SCM_CONNECT_TOKEN right?"),
        (500, "<html>", Exit::Failed, "the daemon answered 500"),
        (200, "<html>", Exit::Failed, "the answer is not one of scm-connect; is the URL right?"),
    ] {
        let (it, _) = came("deliveries show 1", &[(status, body)]).await;
        assert_eq!(it.end, Err(Failure { exit, message: message.into() }), "{status} {body}");
    }
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_address() {
    let (_, daemon) = came("token revoke ../organizations/acme?x=1#y", &[(204, "")]).await;
    assert_eq!(daemon.lines(), ["DELETE /api/v1/tokens/..%2Forganizations%2Facme%3Fx=1%23y"]);
    let (it, daemon) = came("token revoke ..", &[]).await;
    assert_eq!((it.end.unwrap_err().exit, daemon.lines().len()), (Exit::Usage, 0));
}

#[tokio::test]
async fn all_is_never_meant_by_forgetting_an_option() {
    for line in ["deliveries replay", "dead-letters replay", "dead-letters discard"] {
        let (it, daemon) = came(line, &[]).await;
        assert_eq!((it.end.unwrap_err().exit, daemon.lines().len()), (Exit::Usage, 0), "{line}");
    }
}

#[tokio::test]
async fn many_are_replayed_by_a_filter_and_a_dry_run_says_so() {
    let (it, daemon) =
        came("dead-letters replay --reason unreadable --dry-run", &[(202, r#"{"matched":3,"queued":0}"#)])
            .await;
    assert_eq!(it.out, "3 deliveries would be queued again\n");
    let asked = &daemon.asked()[0];
    assert_eq!(asked.line(), "POST /api/v1/deliveries/replay");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body, serde_json::json!({ "state": "dead", "reason": "unreadable", "dry_run": true }));
}

#[tokio::test]
async fn a_replay_of_many_is_followed_to_its_end_or_only_asked_for() {
    let begun =
        r#"{"id":"t1","state":"queued","note":null,"progress":{"matched":null,"queued":0,"skipped":0}}"#;
    let done = r#"{"id":"t1","state":"done","note":"3 of 3 deliveries are queued again"}"#;
    let line = "deliveries replay --state dead --provider github --action opened";
    let (it, daemon) = came(line, &[(202, begun), (200, done)]).await;
    assert_eq!((it.end, it.out.as_str()), (Ok(Exit::Done), "3 of 3 deliveries are queued again\n"));
    assert_eq!(daemon.lines(), ["POST /api/v1/deliveries/replay", "GET /api/v1/tasks/t1"]);
    let body: serde_json::Value = serde_json::from_str(&daemon.asked()[0].body).unwrap();
    let wanted =
        serde_json::json!({ "state": "dead", "provider": "github", "action": "opened", "dry_run": false });
    assert_eq!(body, wanted);
    let (it, daemon) = came(&format!("{line} --no-wait"), &[(202, begun)]).await;
    assert_eq!((it.end, it.out.as_str(), daemon.lines().len()), (Ok(Exit::Done), "t1\n", 1));
    let (it, _) = came("dead-letters replay --all --json", &[(202, begun), (200, done)]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&it.out).unwrap()["state"], "done");
    for (state, message) in [("cancelled", "1 was queued"), ("failed", "it cannot be read")] {
        let ended = format!(
            r#"{{"id":"t1","state":"{state}","note":"1 was queued","last_error":"it cannot be read"}}"#
        );
        let (it, _) = came(line, &[(202, begun), (200, &ended)]).await;
        assert_eq!(it.end, Err(Failure { exit: Exit::Failed, message: message.into() }), "{state}");
    }
}

#[tokio::test]
async fn a_replay_is_not_waited_for_where_nobody_works() {
    let folder = tempfile::tempdir().unwrap();
    let begun = r#"{"id":"t1","state":"queued"}"#;
    let daemon = Daemon::answering(&[(202, begun)]).at(&folder.path().join("control.sock"));
    let client = Client::local(folder.path()).await.unwrap().expect("a daemon").idle();
    let it = type_to(&client, "dead-letters replay --all", false).await;
    assert_eq!((it.end, it.out.as_str(), daemon.lines().len()), (Ok(Exit::Done), "t1\n", 1));
    assert!(it.err.contains("once the daemon runs"), "{}", it.err);
}

#[tokio::test]
async fn tasks_are_listed_shown_and_cancelled() {
    let listed = r#"{"items":[{"id":"t1","kind":"replay_deliveries","state":"working"}],"next_cursor":null}"#;
    let (it, daemon) = came("tasks list --kind replay_deliveries --state working", &[(200, listed)]).await;
    assert!(it.out.contains("t1\treplay_deliveries"), "{}", it.out);
    assert_eq!(daemon.lines(), ["GET /api/v1/tasks?state=working&kind=replay_deliveries&limit=200"]);
    let ended = r#"{"id":"t1","state":"cancelled","note":"cancelled: nothing was queued"}"#;
    let (it, daemon) = came("tasks cancel t1", &[(200, ended)]).await;
    assert_eq!((it.end, it.err.as_str()), (Ok(Exit::Done), "task t1: cancelled: nothing was queued\n"));
    assert_eq!(daemon.lines(), ["POST /api/v1/tasks/t1/cancel"]);
    let (_, daemon) = came("tasks show t1", &[(200, ended)]).await;
    assert_eq!(daemon.lines(), ["GET /api/v1/tasks/t1"]);
}

#[tokio::test]
async fn a_page_without_items_is_not_the_end_of_a_list() {
    let far = r#"{"items":[],"next_cursor":"c"}"#;
    let (it, daemon) =
        came("members list --role admin", &[(200, far), (200, r#"{"items":[{"login":"ada"}]}"#)]).await;
    assert!(it.out.contains("\nada\t"), "{}", it.out);
    assert_eq!(daemon.lines().len(), 2);
}

#[tokio::test]
async fn every_field_of_a_list_can_be_asked_for() {
    let empty = r#"{"items":[],"next_cursor":null}"#;
    for (line, path) in [
        (
            "connections list --organization acme --state limited --kind gitlab_cloud --authority true",
            "connections?organization=acme&state=limited&kind=gitlab_cloud&authority=true",
        ),
        (
            "projects list --provider gitlab --host git.example.com --visibility private --archived false --ci-state failing --proof claimed",
            "projects?provider=gitlab&host=git.example.com&visibility=private&archived=false&ci_state=failing&proof=claimed",
        ),
        (
            "members list --state active --role admin --host github.com --login ada",
            "members?state=active&role=admin&host=github.com&login=ada",
        ),
        (
            "audit list --actor cli --action token.created --since 2h --until 1h",
            "audit?actor=cli&action=token.created&since=2026-01-31T06%3A00%3A00.000Z&until=2026-01-31T07%3A00%3A00.000Z",
        ),
        ("deliveries list --provider github --action opened", "deliveries?provider=github&action=opened"),
        (
            "findings list --organization acme --project p --repo acme/site --ref main --state open",
            "findings?organization=acme&project=p&repo=acme%2Fsite&ref=main&state=open",
        ),
    ] {
        let (_, daemon) = came(line, &[(200, empty)]).await;
        assert_eq!(daemon.lines(), [format!("GET /api/v1/{path}&limit=200")], "{line}");
    }
}

#[tokio::test]
async fn discarding_names_each_delivery_and_a_dry_run_touches_none() {
    let found = r#"{"items":[{"id":"1"},{"id":"2"}],"next_cursor":null}"#;
    let answers = [(200, found), (202, "{}"), (202, "{}")];
    let (it, daemon) = came("dead-letters discard --all", &answers).await;
    assert_eq!(it.out, "2 deliveries are discarded\n");
    assert_eq!(
        daemon.lines(),
        [
            "GET /api/v1/deliveries?state=dead&limit=200",
            "POST /api/v1/deliveries/1/discard",
            "POST /api/v1/deliveries/2/discard"
        ]
    );
    let (it, daemon) = came("dead-letters discard --all --dry-run", &answers).await;
    assert_eq!((it.out.as_str(), daemon.lines().len()), ("2 deliveries would be discarded\n", 1));
    let (_, daemon) = came("dead-letters replay 5 --dry-run", &[(200, "{}")]).await;
    assert_eq!(daemon.lines(), ["GET /api/v1/deliveries/5"]);
}

#[tokio::test]
async fn a_damaged_store_ends_with_three() {
    let found = "{\"done\":1,\"all\":9}\n{\"done\":9,\"all\":9}\n{\"problems\":[\"frame 7 differs\"]}\n";
    let (it, daemon) = came("store verify", &[(200, found)]).await;
    assert_eq!((it.end, it.out.as_str()), (Ok(Exit::Store), "frame 7 differs\n"));
    assert_eq!(daemon.lines(), ["POST /api/v1/store/verify"]);
    let (it, _) = came("store verify", &[(200, r#"{"problems":[]}"#)]).await;
    assert_eq!((it.end, it.out.as_str()), (Ok(Exit::Done), ""));
    let (it, _) = came("store verify", &[(200, r#"{"error":"the store has stopped: sync"}"#)]).await;
    assert_eq!(it.end.unwrap_err().exit, Exit::Store);
    let (it, _) = came("store verify", &[(200, "{\"done\":1,\"all\":9}\n")]).await;
    assert_eq!(it.end.unwrap_err().message, "the daemon did not say what it found");
}

#[tokio::test]
async fn a_stale_or_missing_socket_means_that_no_daemon_runs() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Client::local(folder.path()).await.unwrap().is_none());
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("control.sock")).unwrap());
    assert!(Client::local(folder.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn the_socket_may_be_elsewhere() {
    let (store, runtime) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let socket = runtime.path().join("c.sock");
    std::fs::write(store.path().join("control.addr"), format!("{}\n", socket.display())).unwrap();
    let daemon = Daemon::answering(&[(200, r#"{"items":[]}"#)]).at(&socket);
    let client = Client::local(store.path()).await.unwrap().expect("a daemon");
    let it = type_to(&client, "members list", true).await;
    assert_eq!((it.end, it.err.as_str(), daemon.lines().len()), (Ok(Exit::Done), "nothing found\n", 1));
}

#[tokio::test]
async fn a_remote_daemon_gets_the_token_of_the_environment_and_a_redirect_does_not() {
    let (daemon, address) = Daemon::answering(&[(200, r#"{"items":[]}"#), (302, "")]).on_tcp().await;
    let url = url::Url::parse(&format!("http://{address}/")).unwrap();
    let missing = Client::find(Some(&url), None, &Environment::new()).await.unwrap_err();
    assert_eq!(missing.exit, Exit::Usage);
    let environment = Environment::from([("SCM_CONNECT_TOKEN".into(), "scmc_rd_x\n".into())]);
    let client = Client::find(Some(&url), None, &environment).await.unwrap().unwrap();
    assert!(!client.is_exposed() && !format!("{client:?}").contains("scmc_rd_x"));
    type_to(&client, "members list", false).await.end.unwrap();
    assert_eq!(daemon.asked()[0].header("authorization"), Some("Bearer scmc_rd_x"));
    assert!(type_to(&client, "members list", false).await.end.is_err());
    assert_eq!(daemon.lines().len(), 2);
}

#[test]
fn a_token_over_plain_http_is_warned_about() {
    let exposed = |url: &str| {
        Client::remote(url::Url::parse(url).unwrap(), SecretString::from("t")).unwrap().is_exposed()
    };
    assert!(exposed("http://scm.example.com") && exposed("http://10.0.0.1:8080"));
    assert!(
        !exposed("https://scm.example.com")
            && !exposed("http://127.0.0.1:8080")
            && !exposed("http://[::1]:1")
    );
}

#[tokio::test]
async fn health_is_the_answer_of_the_ops_listener() {
    let (daemon, mut address) = Daemon::answering(&[(200, "ok"), (503, "no"), (200, "ok")]).on_tcp().await;
    address.set_ip([0, 0, 0, 0].into());
    let (mut terminal, _, _) = paper(false);
    assert_eq!(healthcheck(address, Question::Ready, &mut terminal).await, Ok(Exit::Done));
    assert_eq!(healthcheck(address, Question::Ready, &mut terminal).await, Ok(Exit::Failed));
    assert_eq!(healthcheck(address, Question::Alive, &mut terminal).await, Ok(Exit::Done));
    assert_eq!(daemon.lines(), ["GET /readyz", "GET /readyz", "GET /livez"]);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(healthcheck(free, Question::Ready, &mut terminal).await.unwrap_err().exit, Exit::Failed);
}
