//! What would come of another connection managing the members (e-7): shown, and nothing is changed.

use reqwest::Method;
use scm_connect::domain::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::forge::FakeGitlab;
use crate::harness::inside::Inside;

const ACME: &str = "[[organizations]]\nslug = \"acme\"\nhome = \"gitlab\"\n";

/// Who would be what, as lines.
fn steps(plan: &Value) -> Vec<String> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap_or("-").to_owned();
    let line = |step: &Value| ["what", "login", "from", "to", "why"].map(|key| text(step, key)).join(" ");
    let mut lines: Vec<String> = plan["steps"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

async fn connects(house: &Inside, gitlab: &FakeGitlab, (key, account, group): (&str, &str, u64)) {
    let token = gitlab.group_token(group, 50, &["api"]);
    let wish = json!({
        "kind": "gitlab_self_managed", "url": gitlab.site(), "account": account, "key": key,
        "access_token": token,
    });
    let (status, made) = house.ask(Method::POST, "connections?organization=acme", &wish).await;
    assert_eq!(status, 201, "{made}");
}

async fn previewed(house: &Inside, key: &str) -> Value {
    let body = json!({ "dry_run": true, "authority": key });
    let (status, plan) = house.ask(Method::POST, "members/sync?organization=acme", &body).await;
    assert_eq!(status, 200, "{plan}");
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_the_authority_is_shown_with_who_would_come_go_and_be_something_else() {
    let (gitlab, other) = (FakeGitlab::cloud(), FakeGitlab::old_instance());
    let theirs = std::sync::Arc::clone(&gitlab);
    let clock: Clock = std::sync::Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
    let (group, second, third) = (gitlab.group("acme"), gitlab.group("acme-two"), other.group("acme-three"));
    let (ada, bob, eve) = (gitlab.person("ada"), gitlab.person("bob"), gitlab.person("eve"));
    gitlab.member(group, ada, 50);
    gitlab.member(group, bob, 30);
    gitlab.member(second, ada, 50);
    gitlab.member(second, bob, 50);
    gitlab.member(second, eve, 30);
    let dan = other.person("dan");
    other.member(third, dan, 50);
    let house = Inside::start(clock, ACME).await;
    connects(&house, &gitlab, ("one", "acme", group)).await;
    house.ran("sync_members", 0).await;
    connects(&house, &gitlab, ("two", "acme-two", second)).await;
    connects(&house, &other, ("three", "acme-three", third)).await;
    let before = house.all("members").await;
    // Another group of the same forge: the same people have another place there.
    let plan = previewed(&house, "two").await;
    assert_eq!(steps(&plan), ["change_role bob member admin -", "join eve - member -"]);
    assert_eq!((&plan["connection"], &plan["members"]), (&json!("two"), &json!(2)));
    // Another forge: it knows nobody of those who are here.
    let plan = previewed(&house, "three").await;
    let expected =
        ["join dan - admin -", "remove ada admin - other_forge", "remove bob member - other_forge"];
    assert_eq!(steps(&plan), expected);
    assert_eq!(house.all("members").await, before, "nothing was changed");
    let organization = house.get("organizations/acme").await;
    assert_eq!(organization["authority"], "one");
    for (body, code) in [
        (json!({ "dry_run": true, "authority": "nobody" }), "connection-unknown"),
        (json!({ "authority": "two" }), "body-invalid"),
    ] {
        let (status, refused) = house.ask(Method::POST, "members/sync?organization=acme", &body).await;
        assert_eq!((status, &refused["code"]), (400, &json!(code)));
    }
    let config = house.file("asks.toml");
    std::fs::write(&config, format!("[store]\nurl = \"sled:{}\"\n", house.file("store").display())).unwrap();
    let mut command = crate::harness::program();
    command.args([
        "members",
        "sync",
        "--organization",
        "acme",
        "--dry-run",
        "--authority",
        "two",
        "--config",
    ]);
    command.arg(config);
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && said.contains("eve") && said.contains("change_role"), "{said}");
}
