//! An App for an account that is connected already: nothing is taken down before it is bound, and one that is never
//! installed stands in nobody's way.

use reqwest::Method;
use serde_json::{Value, json};

use super::World;
use crate::forge::FakeGithub as Github;

const SCOPES: &str = "repo, user, read:org, workflow, admin:org_hook";

/// With `acme-inc` connected by alice's token, which manages the members; gives the connection.
async fn by_token(world: &World) -> Value {
    world.forge.repo("acme-inc", "site", false);
    let wish = json!({
        "kind": "github_enterprise_server", "url": world.forge.site().as_str(), "account": "acme-inc",
        "access_token": world.forge.token("alice", Some(SCOPES)), "authority": true,
    });
    let (status, made) = world.ask(Method::POST, "connections?organization=acme", &wish).await;
    assert_eq!(status, 201, "{made}");
    for kind in ["check_connection", "sync_connection", "sync_members"] {
        world.ran(kind, 0).await;
    }
    world.comes_to("connected", |it| it["state"] == "connected").await
}

/// What must not change before an App is bound.
fn works_by(connection: &Value) -> [&Value; 5] {
    ["key", "credential", "state", "authority", "reasons"].map(|field| &connection[field])
}

async fn promotes(world: &World, key: &Value) -> (u16, Value) {
    let token = json!({ "access_token": world.forge.token("alice", Some(SCOPES)) });
    let path = format!("connections/{}/promote", key.as_str().unwrap());
    world.ask(Method::POST, &path, &token).await
}

/// How many tokens of connections are kept.
async fn tokens(world: &World) -> usize {
    let told = world.exported().await;
    assert!(told.contains("\"webhook_secret\""), "credentials are in it: {told}");
    told.matches("\"kind\":\"access_token\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_made_and_left_takes_nothing_from_a_connection_that_works() {
    let world = World::new().await;
    let before = by_token(&world).await;
    let source = before["source"].clone();
    let (mut browser, form) = world.begun("acme").await;
    let install = browser.create(&form, "acme-inc").await;
    assert!(install.text.contains("its keys are sealed"), "{}", install.text);
    let all = world.connections().await;
    assert_eq!((all.len(), works_by(&all[0]), &all[0]["source"]), (1, works_by(&before), &source));
    // Nor does the request to an owner.
    world.forge.signs_in("mallory");
    let choose = browser.press_on(install.form("Install")).await;
    let waiting = browser.press_on(choose.form("Request on acme-inc")).await;
    assert!(waiting.text.contains("was asked to approve"), "{}", waiting.text);
    assert_eq!(works_by(&world.connections().await[0]), works_by(&before));
    // All goes on: it is checked, its members are read, its token can be replaced.
    let key = before["key"].as_str().unwrap();
    for (verb, kind) in [("test", "check_connection"), ("sync", "sync_connection")] {
        let runs = world.runs(kind).await;
        world.ask(Method::POST, &format!("connections/{key}/{verb}"), &json!({})).await;
        world.ran(kind, runs).await;
    }
    let (status, promoted) = promotes(&world, &before["key"]).await;
    assert_eq!((status, &promoted["connection"]["credential"]), (201, &json!("access_token")), "{promoted}");
    assert_eq!(works_by(&world.connections().await[0]), works_by(&before));
    // The App that was left is no longer known; whoever goes on with it is told so.
    assert_eq!(browser.press_on(waiting.form("Install")).await.status, 409);
    assert_eq!(world.forge.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_app_takes_the_place_of_the_token_which_is_destroyed() {
    let world = World::new().await;
    let before = by_token(&world).await;
    let kept = tokens(&world).await;
    let (mut browser, form) = world.begun("acme").await;
    let install = browser.create(&form, "acme-inc").await;
    assert_eq!(tokens(&world).await, kept, "until then it is needed");
    // The owner goes on with a link of the connection's own.
    let link = world.link("acme", json!({ "connection": before["key"] })).await;
    drop((browser, install));
    let (mut owner, form) = super::walk::Browser::at(&link).await;
    let install = owner.press_on(form.form("Continue")).await;
    let sign_in = owner.install(&install, "acme-inc").await;
    owner.finish(&sign_in).await;
    let bound = world.comes_to("connected by the App", |it| it["credential"] == "app").await;
    assert_eq!((&bound["key"], &bound["authority"]), (&before["key"], &json!(true)));
    assert_ne!(bound["source"], before["source"]);
    assert!(tokens(&world).await < kept);
    let actions: Vec<String> = world.audit().await.into_iter().map(|(action, _)| action).collect();
    assert!(actions.contains(&"secret.erased".into()), "{actions:?}");
    assert_eq!(world.forge.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_takes_the_place_of_an_app_that_was_never_installed() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    let install = browser.create(&form, "acme-inc").await;
    let left = world.connections().await[0].clone();
    assert_eq!((&left["credential"], &left["state"]), (&json!("app"), &json!("awaiting_approval")));
    assert!(world.exported().await.contains("\"app_key\""));
    let (status, promoted) = promotes(&world, &left["key"]).await;
    assert_eq!(status, 201, "{promoted}");
    let shown = world.comes_to("connected", |it| it["state"] == "connected").await;
    assert_eq!((&shown["key"], &shown["credential"]), (&left["key"], &json!("access_token")));
    assert!(!world.exported().await.contains("\"app_key\""), "the App's key is destroyed");
    assert_eq!(browser.press_on(install.form("Install")).await.status, 409);
    assert_eq!(world.forge.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_declares_is_not_connected_in_a_browser() {
    let forge = Github::server("3.17.0");
    let token = forge.token("alice", Some(SCOPES));
    let declared = format!(
        r#"
        [[connections]]
        key = "declared"
        organization = "acme"
        kind = "github_enterprise_server"
        account = "acme-inc"
        url = "FORGE"
        webhook_secrets = [{{ value = "a-long-random-secret" }}]
        access_token = {{ value = "{token}" }}
        "#
    );
    let world = World::of(forge, &declared).await;
    let (mut browser, form) = world.begun("acme").await;
    let refused = browser.review(&form, "acme-inc").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("config declares") && refused.text.contains("<code>declared</code>"));
    assert_eq!(world.connections().await.len(), 1);
}
