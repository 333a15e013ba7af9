//! Story 10 of the rules, as the App tells it: each event has the forge asked at once, what is off is left alone, and what
//! comes back is read whole. The forge's clock stands still unless the test moves it, so that nothing is done by a timer.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::World;

const DAY_S: i64 = 24 * 60 * 60;
/// Lists are read so long after an event, when they have come to know of it.
const SETTLED_S: i64 = 11;
const GRANTED: [(&str, &str); 3] = [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];

/// The App tells what has happened; the daemon takes it.
async fn tells(world: &World, event: &str, (source, secret, body): (String, String, Value)) {
    static SENT: AtomicU32 = AtomicU32::new(100);
    let id = SENT.fetch_add(1, Ordering::Relaxed);
    assert_eq!(world.sends(&source, secret, id, event, body.to_string()).await, 202);
}

async fn happens(world: &World, action: &str) {
    tells(world, "installation", world.forge.tells("acme-inc", action)).await;
}

/// The connection is asked about once more because of this, and its lists are read after their wait.
async fn reads_all(world: &World, act: impl AsyncFnOnce()) {
    let (checks, syncs) = (world.runs("check_connection").await, world.runs("sync_connection").await);
    let members = world.runs("sync_members").await;
    act().await;
    world.ran("check_connection", checks).await;
    world.forge.book.pass_s(SETTLED_S);
    world.ran("sync_connection", syncs).await;
    world.ran("sync_members", members).await;
}

async fn states(world: &World) -> Vec<String> {
    let projects = world.all("projects").await;
    let state =
        |it: &Value| format!("{} {}", it["full_path"].as_str().unwrap(), it["state"].as_str().unwrap());
    projects.iter().map(state).collect()
}

async fn members(world: &World) -> Vec<(String, String)> {
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("none").to_owned();
    let line = |it: &Value| {
        let words = ["login", "role", "state"].map(|key| text(it, key));
        (words.join(" "), text(it, "id"))
    };
    world.all("members").await.iter().map(line).collect()
}

/// What a look with a token is answered.
async fn opens(world: &World, token: &str) -> u16 {
    world.ask_with(token, Method::GET, "projects", &json!({})).await.0
}

/// A token that stands for mallory, a member.
async fn token_of_a_member(world: &World) -> String {
    let all = members(world).await;
    let found = all.iter().find(|(line, _)| line == "mallory member active");
    let token = world.token("read", Some(&found.unwrap_or_else(|| panic!("{all:?}")).1)).await;
    assert_eq!(opens(world, &token).await, 200);
    token
}

/// The account takes the App off, and tells it.
async fn uninstalls(world: &World) -> u64 {
    let told = world.forge.tells("acme-inc", "deleted");
    let installation = world.forge.installation_at("acme-inc");
    world.forge.uninstalls(installation);
    tells(world, "installation", told).await;
    world.comes_to("uninstalled", |it| it["state"] == "uninstalled").await;
    installation
}

/// And installs it again.
async fn reinstalls(world: &World, app: u64) {
    world.forge.installs(app, "acme-inc", &GRANTED);
    happens(world, "created").await;
}

fn app_of(told: &(String, String, Value)) -> u64 {
    told.2["installation"]["app_id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_founds_an_organization_at_github_has_its_members_managed_there() {
    let world = World::connected().await;
    let organization = world.get("organizations/acme").await;
    let key = world.connections().await[0]["key"].clone();
    assert_eq!((&organization["home"], &organization["authority"]), (&json!("github"), &key));
    let lines: Vec<String> = members(&world).await.into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["alice admin active", "mallory member active"]);
    // A second account is for its repositories only.
    world.forge.org("acme-two");
    world.forge.member("acme-two", "alice", "admin");
    let (mut browser, form) = world.begun("acme").await;
    let install = browser.create(&form, "acme-two").await;
    let sign_in = browser.install(&install, "acme-two").await;
    browser.finish(&sign_in).await;
    let all = world.connections().await;
    let authorities: Vec<&Value> = all.iter().map(|it| &it["authority"]).collect();
    assert_eq!((authorities, all.len()), (vec![&json!(true), &json!(false)], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_founder_signs_in_at_gitlab_a_github_account_manages_nobody() {
    let world = World::new().await;
    let (status, changed) =
        world.ask(Method::PATCH, "organizations/other", &json!({ "home": "gitlab" })).await;
    assert_eq!((status, &changed["code"]), (409, &json!("declared-in-config")));
    let founded = json!({ "slug": "lab", "name": "Lab", "home": "gitlab" });
    assert_eq!(world.ask(Method::POST, "organizations", &founded).await.0, 201);
    let (mut browser, form) = world.begun("lab").await;
    let install = browser.create(&form, "acme-inc").await;
    let sign_in = browser.install(&install, "acme-inc").await;
    browser.finish(&sign_in).await;
    assert_eq!(world.connections().await[0]["authority"], json!(false));
    assert_eq!(world.get("organizations/lab").await["authority"], json!(null));
    // A person's own account has no members to manage.
    let (mut browser, form) = world.begun("acme").await;
    let filled = form.form("Review permissions").with("login", "alice").with("account", "personal");
    let review = browser.press_on(filled).await;
    let install = browser.agree(&review).await;
    let sign_in = browser.install(&install, "alice").await;
    browser.finish(&sign_in).await;
    assert_eq!(world.get("organizations/acme").await["authority"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_suspension_stops_everything_with_its_event_and_its_end_has_everything_read() {
    let world = World::connected().await;
    assert_eq!(states(&world).await, ["acme-inc/site not_set_up"]);
    let token = token_of_a_member(&world).await;
    let checks = world.runs("check_connection").await;
    let installation = world.forge.installation_at("acme-inc");
    world.forge.suspends(installation);
    happens(&world, "suspend").await;
    world.ran("check_connection", checks).await;
    let shown = world.comes_to("suspended", |it| it["state"] == "suspended").await;
    assert!(shown["access_ends_at"].is_string(), "{shown}");
    assert_eq!(states(&world).await, ["acme-inc/site paused"]);
    // Members are frozen: who left meanwhile is still in, whoever came is not, and they come in.
    world.forge.leaves("acme-inc", "mallory");
    world.forge.member("acme-inc", "carol", "member");
    world.forge.repo("acme-inc", "web", false);
    world.forge.book.pass_s(2 * DAY_S);
    assert_eq!((members(&world).await.len(), opens(&world, &token).await), (2, 200));
    world.forge.unsuspends(installation);
    reads_all(&world, async || happens(&world, "unsuspend").await).await;
    world.comes_to("connected", |it| it["state"] == "connected").await;
    assert_eq!(states(&world).await, ["acme-inc/site not_set_up", "acme-inc/web not_set_up"]);
    let lines: Vec<String> = members(&world).await.into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["alice admin active", "carol member active", "mallory member removed"]);
    assert_eq!(opens(&world, &token).await, 401);
    assert_eq!(world.forge.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_permissions_and_other_repositories_are_looked_at_with_their_event() {
    let world = World::connected().await;
    let installation = world.forge.installation_at("acme-inc");
    world.forge.grants(installation, &[("metadata", "read"), ("members", "read")]);
    reads_all(&world, async || happens(&world, "new_permissions_accepted").await).await;
    let shown = world.comes_to("limited", |it| it["state"] == "limited").await;
    let lacks = |it: &Value| it["needs"] == "pull_requests:write" && it["ok"] == false;
    assert!(shown["capabilities"].as_array().unwrap().iter().any(lacks), "{shown}");
    let (checks, syncs) = (world.runs("check_connection").await, world.runs("sync_connection").await);
    world.forge.repo("acme-inc", "web", true);
    let (source, secret, mut body) = world.forge.tells("acme-inc", "added");
    let web = json!({"id": 4243, "name": "other", "full_name": "acme-inc/other", "private": true});
    body["repository_selection"] = json!("selected");
    body["repositories_added"] = json!([web]);
    body["repositories_removed"] = json!([]);
    tells(&world, "installation_repositories", (source, secret, body)).await;
    world.ran("check_connection", checks).await;
    world.forge.book.pass_s(SETTLED_S);
    world.ran("sync_connection", syncs).await;
    // What the event named and the forge does not list was a hint, and is gone again.
    let expected = ["acme-inc/other removed", "acme-inc/site not_set_up", "acme-inc/web not_set_up"];
    assert_eq!(states(&world).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_an_app_that_comes_back_in_three_days_finds_everything_and_nobody_was_put_out() {
    let world = World::connected().await;
    let app = app_of(&world.forge.tells("acme-inc", "x"));
    let token = token_of_a_member(&world).await;
    let key = world.connections().await[0]["key"].clone();
    uninstalls(&world).await;
    assert_eq!(states(&world).await, ["acme-inc/site paused"]);
    let asked = world.forge.book.seen().len();
    world.forge.book.pass_s(3 * DAY_S);
    assert_eq!(opens(&world, &token).await, 200, "nobody can be confirmed, and a week is let go");
    assert_eq!(world.forge.book.seen().len(), asked, "nothing is asked of an account that is gone");
    reads_all(&world, async || reinstalls(&world, app).await).await;
    let shown = world.comes_to("connected", |it| it["state"] == "connected").await;
    assert_eq!((&shown["key"], &shown["access_ends_at"]), (&key, &json!(null)));
    assert_eq!(states(&world).await, ["acme-inc/site not_set_up"]);
    assert_eq!((members(&world).await.len(), opens(&world, &token).await), (2, 200));
    assert_eq!(world.forge.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_after_a_week_members_of_a_gone_account_are_out_until_an_admin_or_the_app_lets_them_in() {
    let world = World::connected().await;
    let app = app_of(&world.forge.tells("acme-inc", "x"));
    let token = token_of_a_member(&world).await;
    let program = world.token("admin", None).await;
    let key = world.connections().await[0]["key"].as_str().unwrap().to_owned();
    uninstalls(&world).await;
    world.forge.book.pass_s(8 * DAY_S);
    assert_eq!(opens(&world, &token).await, 401);
    assert_eq!(opens(&world, &program).await, 200, "who does not hang on the forge stays");
    assert_eq!(members(&world).await.len(), 2, "the memberships are kept");
    let extend = format!("connections/{key}/extend");
    assert_eq!(world.ask_with(&program, Method::POST, &extend, &json!({})).await.0, 202);
    assert_eq!(opens(&world, &token).await, 200);
    world.forge.book.pass_s(8 * DAY_S);
    assert_eq!(opens(&world, &token).await, 401);
    let actions: Vec<String> = world.audit().await.into_iter().map(|(action, _)| action).collect();
    assert!(actions.contains(&"connection.access-extended".into()), "{actions:?}");
    // Sixteen days later the same account installs the App again, and all of it is there.
    reads_all(&world, async || reinstalls(&world, app).await).await;
    world.comes_to("connected", |it| it["state"] == "connected").await;
    assert_eq!(opens(&world, &token).await, 200);
    assert_eq!(states(&world).await, ["acme-inc/site not_set_up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_an_apps_secrets_are_erased_a_month_after_its_end_and_its_door_is_closed() {
    let world = World::connected().await;
    let told = world.forge.tells("acme-inc", "created");
    let key = world.connections().await[0]["key"].as_str().unwrap().to_owned();
    uninstalls(&world).await;
    let checks = world.runs("check_connection").await;
    let test = format!("connections/{key}/test");
    world.forge.book.pass_s(29 * DAY_S);
    world.ask(Method::POST, &test, &json!({})).await;
    world.ran("check_connection", checks).await;
    assert_eq!(world.connections().await[0]["credential"], "app");
    world.forge.book.pass_s(DAY_S);
    world.ask(Method::POST, &test, &json!({})).await;
    world.comes_to("erased", |it| it["credential"] == "none").await;
    let sends = || world.sends(&told.0, told.1.clone(), 7, "installation", told.2.to_string());
    let mut answered = 0;
    for _ in 0..400 {
        answered = sends().await;
        if answered == 401 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!(
        "its door is still open: {answered} {} {}",
        world.get("connections").await,
        world.get("tasks").await
    );
}
