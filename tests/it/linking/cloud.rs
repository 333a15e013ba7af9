//! github.com at its own names, where the API has another host than the pages: reached through a proxy that only the
//! operator's file tells of, under an authority that nobody else believes.

use std::sync::Arc;

use serde_json::json;

use super::World;
use super::walk::{Browser, Way};
use crate::forge::{FakeGithub, Names};

/// What tells the way: a connection of another organization at the same forge.
fn way(names: &Names) -> String {
    format!(
        "[[connections]]\nkey = \"elsewhere\"\norganization = \"other\"\nkind = \"github_cloud\"\naccount = \"elsewhere\"\n\
         webhook_secrets = [{{ value = \"a-long-random-secret\" }}]\nca_file = \"{}\"\nproxy = \"{}\"\n",
        names.authority().display(),
        names.proxy()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_at_github_com_is_connected_and_followed() {
    let (forge, names) = FakeGithub::by_name("connect.example.com");
    let pair = |name: &str| names.dir().join(name).display().to_string();
    let tls = format!("tls = {{ cert = \"{}\", key = \"{}\" }}", pair("leaf.pem"), pair("leaf.key"));
    let world = World::at(Arc::clone(&forge), "https://connect.example.com", &tls, &way(&names)).await;
    names.takes("connect.example.com", world.daemon.public.port());
    forge.repo("acme-inc", "site", false);
    let link = world.link("acme", json!({"kind": "github_cloud"})).await;
    let (mut browser, form) = Browser::on_way(Way::to(&names), &link).await;
    let install = browser.create(&form, "acme-inc").await;
    let sign_in = browser.install(&install, "acme-inc").await;
    assert!(sign_in.url.as_str().starts_with("https://github.com/login/oauth/"), "{}", sign_in.url);
    browser.finish(&sign_in).await;
    for kind in ["check_connection", "sync_connection", "sync_members"] {
        world.ran(kind, 0).await;
    }
    let all = world.get("connections?organization=acme").await;
    let connection = &all["items"][0];
    assert_eq!(
        (connection["kind"].as_str(), connection["state"].as_str(), connection["url"].as_str()),
        (Some("github_cloud"), Some("connected"), Some("https://github.com/")),
        "{connection}"
    );
    let projects = world.get("projects?organization=acme").await;
    assert_eq!(projects["items"][0]["full_path"], "acme-inc/site", "{projects}");
    let members = world.get("members?organization=acme").await;
    let logins: Vec<_> =
        members["items"].as_array().unwrap().iter().map(|row| row["login"].clone()).collect();
    assert_eq!(logins.len(), 2, "{members}");

    assert_eq!(forge.violations(), Vec::<String>::new());
}
