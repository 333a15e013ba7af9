//! The way as it is meant, and what becomes of it.

use std::time::Duration;

use serde_json::json;

use super::World;
use super::walk::Browser;
use crate::forge::{Fault, Planted};

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_connects_an_organization_from_the_link_to_the_end() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    assert!(form.text.contains("Install on") && form.text.contains("<strong>acme</strong>"), "{}", form.text);
    let review = browser.review(&form, "acme-inc").await;
    assert!(review.text.contains("Members (organization)") && review.text.contains("Contents (repository)"));
    let manifest: serde_json::Value =
        serde_json::from_str(review.form("Create GitHub App").field("manifest")).unwrap();
    assert_eq!(manifest["public"], false);
    let install = browser.agree(&review).await;
    assert!(install.text.contains("its keys are sealed"), "{}", install.text);
    let waiting = &world.connections().await[0];
    assert_eq!(
        (waiting["state"].as_str(), &waiting["organization"]),
        (Some("awaiting_approval"), &json!("acme"))
    );
    let sign_in = browser.install(&install, "acme-inc").await;
    let done = browser.finish(&sign_in).await;
    assert!(done.text.contains("<strong>acme-inc</strong>") && done.text.contains("alice"), "{}", done.text);
    assert!(!browser.has_session(), "who has linked an account is signed out");
    let all = world.connections().await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0]["state"].as_str(), all[0]["account"]["login"].as_str()),
        (Some("connected"), Some("acme-inc"))
    );
    assert_eq!(all[0]["repository_selection"], "all");
    assert_eq!(world.forge.user_tokens(), 0, "the person's token was needed for the proof alone");
    let actions: Vec<_> = world.audit().await.into_iter().map(|(action, _)| action).collect();
    assert!(
        actions.contains(&"connection.app-created".into()) && actions.contains(&"connection.bound".into())
    );
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_whoever_signs_in_while_the_client_secret_is_replaced_comes_in() {
    let world = World::new().await;
    let (mut browser, sign_in) = world.up_to_sign_in().await;
    let connection = world.connections().await[0]["key"].as_str().unwrap().to_owned();
    let path = format!("connections/{connection}/app-key");
    let replaces = async |body: serde_json::Value| world.ask(reqwest::Method::POST, &path, &body).await;
    let new = "a-second-client-secret";
    let (status, said) = replaces(json!({ "client_secret": new })).await;
    assert_eq!((status, &said["code"]), (400, &json!("credential-refused")), "{said}");
    for none in [json!({}), json!({ "client_secret": " " })] {
        assert_eq!(replaces(none).await.1["code"], "credential-invalid");
    }
    let app = world.forge.newest_app();
    world.forge.adds_client_secret(app, new);
    let (status, said) = replaces(json!({ "client_secret": format!("{new}\n") })).await;
    assert_eq!(status, 200, "{said}");
    world.forge.drops_client_secret(app);
    let done = browser.finish(&sign_in).await;
    assert!(done.text.contains("<strong>acme-inc</strong>"), "{}", done.text);
    assert_eq!(world.connections().await[0]["state"], "connected");
    let audit = world.audit().await;
    assert_eq!(audit.iter().filter(|(action, _)| action == "secret.replaced").count(), 1, "{audit:?}");
    assert!(!format!("{audit:?}").contains(new));
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_their_own_account() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    let filled = form
        .form("Review permissions")
        .with("login", "alice")
        .with("account", "personal")
        .with("purpose", "comments");
    let review = browser.press_on(filled).await;
    assert!(!review.text.contains("Contents (repository)"), "comments alone read no code");
    let install = browser.agree(&review).await;
    let sign_in = browser.install(&install, "alice").await;
    browser.finish(&sign_in).await;
    assert_eq!(world.connections().await[0]["account"]["login"], "alice");
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_exact_is_offered_as_the_forge_spells_it() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    for typed in ["Acme-Inc", " @acme-inc", "acme inc", "https://git.example.com/acme-inc/"] {
        let again = browser
            .press_on(form.form("Review permissions").with("login", typed).with("purpose", "comments"))
            .await;
        assert_eq!(again.status, 400, "{typed}");
        let review = browser.press_on(again.form("Use “acme-inc”")).await;
        assert!(review.text.contains("Create GitHub App"), "{typed}: {}", review.text);
        assert!(!review.text.contains("Contents"), "what was chosen stays chosen");
    }
    let kind = browser.review(&form, "alice").await;
    assert_eq!(kind.status, 400);
    assert!(
        browser
            .press_on(kind.form("Install on the personal account"))
            .await
            .text
            .contains("Create GitHub App")
    );
    let nobody = browser.review(&form, "<script>x</script>").await;
    assert_eq!(nobody.status, 400);
    assert!(nobody.text.contains("&lt;script&gt;") && !nobody.text.contains("<script"), "{}", nobody.text);
    let empty = browser.review(&form, "  ").await;
    assert!(empty.status == 400 && empty.text.contains("Give the name"), "{}", empty.text);
    assert!(world.connections().await.is_empty(), "nothing was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_new_app_sends_waits_for_the_proof_and_is_handled_then() {
    let world = World::new().await;
    let (mut browser, sign_in) = world.up_to_sign_in().await;
    let (source, secret, event) = world.forge.tells_of_installation("acme-inc");
    let deliver = |secret: String| world.sends(&source, secret, 0, "installation", event.clone());
    assert_eq!(deliver("another".into()).await, 401);
    assert_eq!(deliver(secret.clone()).await, 202, "the App's secret counts from the first moment");
    let state = |wanted: &'static str| {
        let world = &world;
        async move {
            for _ in 0..400 {
                let listed = world.get("deliveries").await;
                if listed["items"][0]["state"] == wanted {
                    return listed["items"][0].clone();
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            panic!("not {wanted}: {}", world.get("deliveries").await);
        }
    };
    let waiting = state("waiting").await;
    assert_eq!(waiting["reason"], "unbound", "{waiting}");
    assert_eq!(
        world.connections().await[0]["account"]["external_id"],
        json!(null),
        "an event alone binds nothing"
    );
    browser.finish(&sign_in).await;
    state("done").await;
    let projects = world.get("projects").await;
    assert_eq!(projects["items"][0]["full_path"], "acme-inc/site");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_owns_nothing_asks_an_owner_and_an_owner_goes_on_with_a_new_link() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    let install = browser.create(&form, "acme-inc").await;
    world.forge.signs_in("mallory");
    let choose = browser.press_on(install.form("Install")).await;
    let waiting = browser.press_on(choose.form("Request on acme-inc")).await;
    assert!(
        waiting.text.contains("was asked to approve") && waiting.text.contains("github-apps/"),
        "{}",
        waiting.text
    );
    let all = world.connections().await;
    assert_eq!(all[0]["state"], "awaiting_approval");
    assert!(world.audit().await.iter().any(|(action, _)| action == "connection.approval-asked"));
    // The owner, in another browser.
    world.forge.signs_in("alice");
    let link = world.link("acme", json!({"connection": all[0]["key"]})).await;
    let (mut owner, form) = Browser::at(&link).await;
    assert!(form.text.contains("value=\"acme-inc\""), "the name is known");
    let install = owner.press_on(form.form("Continue")).await;
    let sign_in = owner.install(&install, "acme-inc").await;
    owner.finish(&sign_in).await;
    assert_eq!(world.connections().await[0]["state"], "connected");
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_app_is_installed_on_an_account_more() {
    let world = World::with_app().await;
    let link = world.link("acme", json!({"source": "our-app"})).await;
    let (mut browser, form) = Browser::at(&link).await;
    assert!(!form.text.contains("Assistant"), "its permissions are given");
    let install = browser.press_on(form.form("Continue").with("login", "acme-inc")).await;
    let sign_in = browser.install(&install, "acme-inc").await;
    browser.finish(&sign_in).await;
    let all = world.connections().await;
    assert_eq!(
        (all[0]["source"].as_str(), all[0]["account"]["login"].as_str()),
        (Some("our-app"), Some("acme-inc"))
    );
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_decides_and_not_what_was_asked() {
    let world = World::new().await;
    let (mut browser, sign_in) = world.up_to_sign_in().await;
    world.forge.withdraws("acme-inc", "pull_requests");
    let done = browser.press_on(sign_in.form("Authorize")).await;
    assert!(done.text.contains("<code>pull_requests</code>"), "{}", done.text);
    let all = world.connections().await;
    assert_eq!(all[0]["state"], "permission_missing");
    assert!(all[0]["capabilities"].as_array().unwrap().iter().any(|it| it["ok"] == false), "{}", all[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s46_a_new_apps_secrets_are_nowhere_in_the_clear() {
    let world = World::new().await;
    let (mut browser, sign_in) = world.up_to_sign_in().await;
    browser.finish(&sign_in).await;
    let shown = format!("{:?}{}", world.audit().await, world.get("connections").await);
    assert!(!shown.contains("canary") && !shown.contains("PRIVATE KEY"));
    let mut looked = 0;
    let mut open = vec![world.file("store")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
                continue;
            }
            let Ok(bytes) = std::fs::read(entry.path()) else { continue };
            looked += 1;
            let text = String::from_utf8_lossy(&bytes);
            for canary in ["canary-client-secret", "canary-webhook-secret", "PRIVATE KEY", "ghu_"] {
                assert!(!text.contains(canary), "{canary} in {}", entry.path().display());
            }
        }
    }
    assert!(looked > 3, "{looked} files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_is_away_is_named_and_nothing_is_lost() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    world.forge.plants(Planted::at("/users/acme-inc", Fault::Status(502)));
    let away = browser.review(&form, "acme-inc").await;
    assert_eq!(away.status, 503, "{}", away.text);
    let install = browser.create(&form, "acme-inc").await;
    assert!(install.text.contains("its keys are sealed"), "{}", install.text);
}
