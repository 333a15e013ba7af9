//! S31: whoever is not an owner, or brings somebody else's installation, binds nothing. Each attack is tried whole, from
//! a genuine session of the attacker's own, and afterwards nothing is bound and somebody can read why.

use reqwest::Method;
use serde_json::json;

use super::World;
use super::walk::{Browser, Page};
use crate::forge::{APP_KEY, Fault, Planted};

/// What is bound: keys with the account's number.
async fn bound(world: &World) -> Vec<String> {
    let all = world.connections().await;
    let holds = all.iter().filter(|it| !it["account"]["external_id"].is_null());
    holds
        .map(|it| {
            format!("{} {}", it["organization"].as_str().unwrap(), it["account"]["login"].as_str().unwrap())
        })
        .collect()
}

/// Whether the audit log says that a binding was refused, and why.
fn tells(audit: &[(String, String)], why: &str) -> bool {
    audit.iter().any(|(action, detail)| action == "connection.bind-refused" && detail.ends_with(why))
}

async fn refused(world: &World, page: &Page, why: &str) {
    assert!((400..=503).contains(&page.status), "{}", page.text);
    assert!(bound(world).await.is_empty(), "{:?}", bound(world).await);
    let audit = world.audit().await;
    assert!(tells(&audit, why), "{why}: {audit:?}");
}

/// Two tenants share one declared App: the attacker belongs to `other` and owns `evil-inc`.
pub(super) async fn shared() -> World {
    let world = World::with_app().await;
    world.forge.org("evil-inc");
    world.forge.member("evil-inc", "mallory", "admin");
    world
}

/// The attacker's browser, in a session of `other` for this account, installed on `evil-inc`.
async fn attacker(world: &World, names: &str) -> (Browser, Page) {
    world.forge.signs_in("mallory");
    let (mut browser, install) = world.up_to_install("other", names).await;
    let choose = browser.press_on(install.form("Install")).await;
    (browser, choose)
}

/// The address that the forge would send the browser back to, with another installation in it.
async fn with_installation(browser: &mut Browser, choose: &Page, number: &str) -> Page {
    let came = browser.press(choose.form("Install on evil-inc")).await;
    let mut back = came.location.unwrap();
    let kept: Vec<_> =
        back.query_pairs().into_owned().filter(|(name, _)| name != "installation_id").collect();
    back.query_pairs_mut().clear().extend_pairs(kept).append_pair("installation_id", number);
    let next = browser.open(back.as_str()).await;
    browser.follow(next).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_an_installation_of_somebody_elses_account_is_not_bound_by_its_number() {
    for (names, why, claimed) in [
        ("evil-inc", "other-account", true),
        ("acme-inc", "out-of-reach", true),
        ("acme-inc", "out-of-reach", false),
    ] {
        let world = shared().await;
        let (mut victim, install) = world.up_to_install("acme", "acme-inc").await;
        let sign_in = victim.install(&install, "acme-inc").await;
        if claimed {
            victim.finish(&sign_in).await;
        }
        let before = bound(&world).await;
        let number = world.forge.installation_at("acme-inc").to_string();
        // In `acme-inc` the attacker is nobody.
        world.forge.demotes("acme-inc", "mallory", "member", "pending");
        let (mut browser, choose) = attacker(&world, names).await;
        let sign_in = with_installation(&mut browser, &choose, &number).await;
        let answer = browser.press_on(sign_in.form("Authorize")).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert_eq!(bound(&world).await, before, "{names} {claimed}");
        assert!(tells(&world.audit().await, why));
        assert_eq!(world.forge.user_tokens(), 0, "refused or not, the person's token has ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_a_member_who_is_no_owner_and_one_who_is_only_invited_bind_nothing() {
    for (role, place, why) in [
        ("member", "active", "no-owner"),
        ("admin", "pending", "out-of-reach"),
        ("billing_manager", "active", "no-owner"),
    ] {
        let world = World::new().await;
        let (mut browser, sign_in) = world.up_to_sign_in().await;
        world.forge.demotes("acme-inc", "mallory", role, place);
        world.forge.signs_in("mallory");
        let answer = browser.press_on(sign_in.form("Authorize")).await;
        refused(&world, &answer, why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_an_installation_of_another_app_or_of_none_binds_nothing() {
    let world = shared().await;
    let other = world.forge.app("another");
    let foreign = world.forge.installs(other, "evil-inc", &[("members", "read")]);
    for number in [foreign.to_string(), "4294967296000".into()] {
        let (mut browser, choose) = attacker(&world, "evil-inc").await;
        let sign_in = with_installation(&mut browser, &choose, &number).await;
        let answer = browser.press_on(sign_in.form("Authorize")).await;
        refused(&world, &answer, "other-app").await;
    }
    for number in ["0", "-1", "", "1e3", "99999999999999999999999", "7;drop"] {
        let (mut browser, choose) = attacker(&world, "evil-inc").await;
        let answer = with_installation(&mut browser, &choose, number).await;
        assert_eq!(answer.status, 400, "{number}: {}", answer.text);
    }
    assert!(bound(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_an_organization_that_was_renamed_between_is_known_by_its_number() {
    let world = World::new().await;
    let (mut browser, sign_in) = world.up_to_sign_in().await;
    // The same organization, under another name: its number still counts.
    world.forge.renames_org("acme-inc", "acme-new");
    world.forge.org("acme-inc");
    world.forge.member("acme-inc", "mallory", "admin");
    browser.finish(&sign_in).await;
    assert_eq!(bound(&world).await, ["acme acme-new"]);
    // Another organization under the old name is another account.
    let world = shared().await;
    world.forge.signs_in("alice");
    let (mut browser, install) = world.up_to_install("acme", "acme-inc").await;
    world.forge.renames_org("acme-inc", "acme-old");
    world.forge.renames_org("evil-inc", "acme-inc");
    world.forge.signs_in("mallory");
    let sign_in = browser.install(&install, "acme-inc").await;
    let answer = browser.press_on(sign_in.form("Authorize")).await;
    refused(&world, &answer, "other-account").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_a_forge_that_fails_in_the_middle_binds_nothing() {
    let world = World::new().await;
    let (mut browser, mut sign_in) = world.up_to_sign_in().await;
    let number = world.forge.installation_at("acme-inc");
    let about: &'static str = format!("/app/installations/{number}").leak();
    let paths = [
        "/login/oauth/access_token",
        "/api/v3/user",
        "/user/installations",
        "/user/memberships/orgs/acme-inc",
        about,
    ];
    let mut tried = 0;
    for path in paths {
        for fault in [
            Fault::Status(500),
            Fault::Html,
            Fault::Cut,
            Fault::Json("{}"),
            Fault::Json("null"),
            Fault::Status(403),
            Fault::Status(404),
        ] {
            if path == about && matches!(fault, Fault::Json(_)) {
                // Asked with the tag of what is known: the answer is 304, and its body counts for nothing.
                continue;
            }
            world.forge.plants(Planted::at(path, fault.clone()).times(2));
            let answer = browser.press_on(sign_in.form("Authorize")).await;
            assert!(matches!(answer.status, 403 | 409 | 503), "{path} {fault:?}: {}", answer.text);
            assert!(bound(&world).await.is_empty(), "{path} {fault:?}");
            world.forge.heals();
            let step = browser.open(&world.step()).await;
            sign_in = browser.install(&step, "acme-inc").await;
            tried += 1;
        }
    }
    assert_eq!(tried, 33);
    let done = browser.press_on(sign_in.form("Authorize")).await;
    assert_eq!(done.status, 200, "and afterwards it works: {}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_of_two_tenants_at_once_one_gets_the_account_and_the_other_learns_nothing() {
    let world = shared().await;
    world.forge.signs_in("alice");
    let mut ready = Vec::new();
    for organization in ["acme", "other"] {
        let (mut browser, install) = world.up_to_install(organization, "acme-inc").await;
        let sign_in = browser.install(&install, "acme-inc").await;
        ready.push((browser, sign_in));
    }
    let press =
        |(mut browser, page): (Browser, Page)| async move { browser.press_on(page.form("Authorize")).await };
    let answers = futures_util::future::join_all(ready.into_iter().map(press)).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let lost = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!((won.len(), lost.status), (1, 409), "{}", lost.text);
    assert_eq!(bound(&world).await.len(), 1);
    let winner = if won[0].text.contains("organization <strong>acme</strong>") { "acme" } else { "other" };
    let told = lost.text.split("<p role").nth(1).unwrap();
    assert!(!told.contains(winner), "whose it is, is told to nobody: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_an_app_that_was_made_for_another_account_is_not_kept() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    let review = browser.review(&form, "acme-inc").await;
    // Sent to the person's own settings instead of the organization's.
    let manifest = review.form("Create GitHub App").at_path("/settings/apps/new");
    let confirm = browser.press_on(manifest).await;
    let answer = browser.press_on(confirm.form("Create it")).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(world.connections().await.is_empty());
    assert!(!world.audit().await.iter().any(|(action, _)| action == "connection.app-created"));
}

/// What is sent to have an installation bound by its App's own key, without anybody's proof.
fn by_key(world: &World, account: &str, app: u64, installation: Option<u64>) -> serde_json::Value {
    json!({
        "kind": "github_enterprise_server", "url": world.forge.site(), "account": account,
        "app": { "id": app, "private_key": APP_KEY, "installation_id": installation },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_an_apps_key_binds_for_the_operator_alone_and_only_its_own_installations() {
    let world = World::new().await;
    world.forge.org("evil-inc");
    let granted = [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];
    let (ours, others) = (world.forge.app("ours-by-hand"), world.forge.app("others"));
    let own = world.forge.installs(ours, "acme-inc", &granted);
    let foreign = world.forge.installs(others, "evil-inc", &granted);
    // An admin of a tenant has the key of an App of their own, which others have installed.
    let admin = world.token("admin", None).await;
    let wish = by_key(&world, "acme-inc", ours, Some(own));
    let (status, refused) = world.ask_with(&admin, Method::POST, "connections", &wish).await;
    assert_eq!((status, &refused["code"]), (403, &json!("proof-needed")), "{refused}");
    // The operator reads everything here anyway; but a number that is guessed or mixed up binds nothing either.
    for (account, app, installation, code) in [
        ("acme-inc", ours, Some(foreign), "account-unknown"),
        ("evil-inc", ours, Some(own), "account-spelling"),
        ("evil-inc", ours, None, "not-installed"),
        ("acme-inc", ours, Some(4_294_967_296_000), "account-unknown"),
    ] {
        let wish = by_key(&world, account, app, installation);
        let (status, refused) = world.ask(Method::POST, "connections?organization=acme", &wish).await;
        assert_eq!((status, &refused["code"]), (400, &json!(code)), "{account} {installation:?} {refused}");
        assert!(bound(&world).await.is_empty());
    }
    let wish = by_key(&world, "acme-inc", ours, Some(own));
    assert_eq!(world.ask(Method::POST, "connections?organization=other", &wish).await.0, 201);
    let (status, refused) = world.ask(Method::POST, "connections?organization=acme", &wish).await;
    assert_eq!((status, &refused["code"]), (409, &json!("account-unavailable")), "{refused}");
    assert_eq!(bound(&world).await, ["other acme-inc"]);
}
