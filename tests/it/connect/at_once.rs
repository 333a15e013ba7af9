//! What a forge refuses is looked into at once, and another token has everything read: the daemon at work at a GitLab.

use std::sync::Arc;

use reqwest::Method;
use scm_connect::connect::How;
use scm_connect::domain::change::Change;
use scm_connect::domain::organization::Kind;
use scm_connect::domain::task::TaskKind;
use scm_connect::domain::{Clock, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::bench::{Bench, connection, key};
use crate::forge::FakeGitlab;
use crate::harness::inside::Inside;

const ACME: &str = "[[organizations]]\nslug = \"acme\"\nhome = \"gitlab\"\n";

/// A daemon with a connection to the group `acme`, whose members are read.
async fn connected() -> (Inside, Arc<FakeGitlab>, u64, String) {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let ada = gitlab.person("ada");
    gitlab.member(group, ada, 50);
    let token = gitlab.group_token(group, 50, &["api"]);
    let theirs = Arc::clone(&gitlab);
    let clock: Clock = Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
    let house = Inside::start(clock, ACME).await;
    let wish = json!({
        "kind": "gitlab_self_managed", "url": gitlab.site(), "account": "acme", "key": "lab", "access_token": token,
    });
    let (status, made) = house.ask(Method::POST, "connections?organization=acme", &wish).await;
    assert_eq!((status, &made["connection"]["authority"]), (201, &json!(true)), "{made}");
    for kind in ["check_connection", "sync_connection", "sync_members"] {
        house.ran(kind, 0).await;
    }
    (house, gitlab, group, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reading_has_the_connection_looked_at_at_once_and_another_token_has_all_read() {
    let (house, gitlab, group, token) = connected().await;
    let shown = house.comes_to("connected", |it| it["state"] == "connected").await;
    let end: String = token.chars().skip(token.len() - 4).collect();
    assert_eq!(shown["credential_last4"], json!(end));
    gitlab.revokes(&token);
    let checks = house.runs("check_connection").await;
    house.ask(Method::POST, "members/sync?organization=acme", &json!({ "dry_run": false })).await;
    house.ran("check_connection", checks).await;
    let refused =
        |it: &Value| it["health"]["last_error"].as_str().is_some_and(|it| it.contains("credential"));
    house.comes_to("refused", refused).await;
    gitlab.book.pass_s(61);
    house.comes_to("token_invalid", |it| it["state"] == "token_invalid").await;
    // Somebody enters another one; a member who came meanwhile is there without anybody asking.
    let bob = gitlab.person("bob");
    gitlab.member(group, bob, 30);
    gitlab.project(group, "web");
    let (syncs, members) = (house.runs("sync_connection").await, house.runs("sync_members").await);
    let other = gitlab.group_token(group, 50, &["api"]);
    let body = json!({ "access_token": other });
    let (status, made) = house.ask(Method::POST, "connections/lab/promote", &body).await;
    assert_eq!((status, &made["connection"]["key"]), (201, &json!("lab")), "{made}");
    house.ran("sync_connection", syncs).await;
    house.ran("sync_members", members).await;
    house.comes_to("connected", |it| it["state"] == "connected").await;
    let logins: Vec<Value> = house.all("members").await.iter().map(|it| it["login"].clone()).collect();
    assert_eq!((logins, house.all("projects").await.len()), (vec![json!("ada"), json!("bob")], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_in_the_config_has_everything_read_when_it_is_read_again() {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let theirs = Arc::clone(&gitlab);
    let clock: Clock = Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
    let config = |token: &str| {
        format!(
            "[[organizations]]\nslug = \"acme\"\nhome = \"gitlab\"\nauthority = \"lab\"\n\
             [[connections]]\nkey = \"lab\"\norganization = \"acme\"\nkind = \"gitlab_self_managed\"\n\
             url = \"{}\"\naccount = \"acme\"\naccess_token = {{ value = \"{token}\" }}\n\
             webhook_secrets = [{{ value = \"a-long-random-secret\" }}]\n",
            gitlab.site()
        )
    };
    let token = gitlab.group_token(group, 50, &["api"]);
    let house = Inside::start(clock, &config("glpat-wrong-from-the-start")).await;
    house.reads_again(&config(&token)).await;
    for kind in ["check_connection", "sync_connection", "sync_members"] {
        house.ran(kind, 0).await;
    }
    house
        .comes_to("well", |it| it["health"]["checked_at"].is_string() && it["health"]["last_error"].is_null())
        .await;
}

#[tokio::test]
async fn another_token_in_the_config_is_noticed_at_the_next_start() {
    let bench = Bench::of_acme(None).await;
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let (one, two) = (gitlab.group_token(group, 50, &["api"]), gitlab.group_token(group, 50, &["api"]));
    let declared = connection(Kind::GitlabSelfManaged, &gitlab.site(), "access_token");
    bench.writes(vec![Change::PutConnection(Box::new(declared.clone()))]).await;
    let starts = async |token: &str, mark: &'static str| {
        bench.declares(&declared, How::Token(token.into()));
        let name = move |bytes: &[u8]| hex::encode(Sha256::digest([mark.as_bytes(), bytes].concat()));
        bench.connections.notice_declared(&name).await.unwrap()
    };
    assert_eq!(starts(&one, "").await, [], "nothing is known of what was before");
    assert_eq!(starts(&one, "").await, []);
    assert_eq!(starts(&two, "").await, [key("acme")]);
    let kinds: Vec<TaskKind> = bench.works().await.into_iter().map(|task| task.kind).collect();
    assert!(
        kinds.contains(&TaskKind::CheckConnection) && kinds.contains(&TaskKind::SyncConnection),
        "{kinds:?}"
    );
    assert_eq!(starts(&two, "").await, []);
    assert_eq!(starts(&two, "another key of the store").await, [], "all names are other ones then");
    let mark = bench.store.mark("declared-credentials").await.unwrap().unwrap();
    assert!([one, two].iter().all(|token| !mark.value.contains(token)));
}

/// What a plan says when there is something to do.
const DOING: [&str; 3] = ["\"make\"", "\"change\"", "\"end\""];

/// The daemon's config, and a file to be applied, each with these lines at its end.
async fn apply(house: &Inside, file: &str, words: &[&str]) -> (Option<i32>, String) {
    let (config, path) = (house.file("asks.toml"), house.file("team.toml"));
    let asks = format!("[store]\nurl = \"sled:{}\"\n", house.file("store").display());
    std::fs::write(&config, asks).unwrap();
    std::fs::write(&path, file).unwrap();
    let mut command = crate::harness::program();
    command.arg("apply").arg(&path).args(words).arg("--config").arg(&config);
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (ended.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_changed_and_taken_back_and_a_second_run_has_nothing_to_do() {
    let gitlab = FakeGitlab::cloud();
    let (group, second) = (gitlab.group("acme"), gitlab.group("acme-two"));
    let theirs = Arc::clone(&gitlab);
    let clock: Clock = Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
    let house = Inside::start(clock, "").await;
    let organization = |more: &str| format!("[[organizations]]\nslug = \"team\"\n{more}\n");
    let declared = |key: &str, account: &str, token: &str| {
        format!(
            "[[connections]]\nkey = \"{key}\"\norganization = \"team\"\nkind = \"gitlab_self_managed\"\n\
             url = \"{}\"\naccount = \"{account}\"\naccess_token = {{ value = \"{token}\" }}\n\
             webhook_secrets = [{{ value = \"a-long-random-secret\" }}]\n",
            gitlab.site()
        )
    };
    let limits = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n";
    let token = gitlab.group_token(group, 50, &["api"]);
    let two = gitlab.group_token(second, 50, &["api"]);
    let begin = [
        limits,
        &organization("home = \"gitlab\""),
        &declared("one", "acme", &token),
        &declared("two", "acme-two", &two),
    ]
    .concat();
    let (code, said) = apply(&house, &begin, &["--dry-run", "--json"]).await;
    assert!(code == Some(0) && said.contains("\"make\"") && !said.contains(&token), "{code:?} {said}");
    assert!(house.all("organizations").await.is_empty(), "a dry run makes nothing");
    assert_eq!(apply(&house, &begin, &[]).await.0, Some(0));
    let made = house.all("connections").await;
    let keys: Vec<&Value> = made.iter().map(|it| &it["key"]).collect();
    assert_eq!(keys, ["one", "two"]);
    assert!(made.iter().all(|it| it["created_by"] == "apply"), "{made:?}");
    let (code, said) = apply(&house, &begin, &["--json"]).await;
    assert!(code == Some(0) && DOING.iter().all(|it| !said.contains(it)), "{said}");
    // Another token, another role map, and one connection less.
    let other = gitlab.group_token(group, 50, &["api"]);
    let end = [
        limits,
        &organization("name = \"The Team\"\nhome = \"gitlab\"\nmembers = { levels = [\"30 = read_only\"] }"),
        &declared("one", "acme", &other),
    ]
    .concat();
    let (code, said) = apply(&house, &end, &[]).await;
    assert!(code == Some(0) && said.contains("connection two is ended"), "{code:?} {said}");
    house.ran("disconnect_connection", 0).await;
    let after = house.all("connections").await;
    assert_eq!((&after[1]["state"], &after[1]["credential"]), (&json!("uninstalled"), &json!("none")));
    let last4: String = other.chars().skip(other.len() - 4).collect();
    assert_eq!((&after[0]["credential_last4"], &after[0]["state"]), (&json!(last4), &after[0]["state"]));
    let team = house.get("organizations/team").await;
    assert_eq!(
        (&team["name"], &team["members"]["roles"]["levels"]["30"]),
        (&json!("The Team"), &json!("read_only"))
    );
    let (code, said) = apply(&house, &end, &["--json"]).await;
    assert!(code == Some(0) && DOING.iter().all(|it| !said.contains(it)), "{said}");
    // And back again, under the same key.
    assert_eq!(apply(&house, &begin.replace(&token, &other), &[]).await.0, Some(0));
    house.ran("check_connection", house.runs("check_connection").await.saturating_sub(1)).await;
    assert_eq!(house.all("connections").await[1]["credential"], "access_token");
}
