//! S25: every way to bring a `state`, a code or a session that is not this browser's own, here, now and for this. None of
//! them keeps an App or binds an installation.

use super::World;
use super::hijack::shared;
use super::walk::{Browser, Page};

/// A new browser, and the forge's answer to its manifest, not opened yet.
async fn created(world: &World, organization: &str) -> (Browser, String) {
    let (mut browser, form) = world.begun(organization).await;
    let review = browser.review(&form, "acme-inc").await;
    let confirm = browser.press_on(review.form("Create GitHub App")).await;
    let answer = browser.press(confirm.form("Create it")).await.location.unwrap().to_string();
    (browser, answer)
}

/// The forge's answer to an installation from this page, not opened yet.
async fn answered(browser: &mut Browser, install: &Page) -> String {
    let choose = browser.press_on(install.form("Install")).await;
    browser.press(choose.form("Install on acme-inc")).await.location.unwrap().to_string()
}

/// The forge's answer to an installation, not opened yet.
async fn installed(browser: &mut Browser, answer: &str) -> String {
    let page = browser.open(answer).await;
    let install = browser.follow(page).await;
    answered(browser, &install).await
}

/// The forge's answer to a sign-in, not opened yet.
async fn signed_in(browser: &mut Browser, answer: &str) -> String {
    let page = browser.open(answer).await;
    let sign_in = browser.follow(page).await;
    browser.press(sign_in.form("Authorize")).await.location.unwrap().to_string()
}

/// The same address with another value of one name.
fn with(address: &str, name: &str, value: &str) -> String {
    let mut url = url::Url::parse(address).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    url.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    url.to_string()
}

fn value(address: &str, name: &str) -> String {
    let url = url::Url::parse(address).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap()
}

async fn nothing_kept(world: &World) {
    let all = world.connections().await;
    assert!(all.iter().all(|it| it["account"]["external_id"].is_null()), "{all:?}");
}

fn is_refused(page: &Page, what: &str) {
    assert_eq!(page.status, 403, "{what}: {}", page.text);
    assert!(page.location.is_none(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_state_that_is_missing_wrong_or_of_another_kind_is_refused() {
    let world = World::new().await;
    let (mut browser, answer) = created(&world, "acme").await;
    let link = world.link_to_server("acme").await;
    let wrong = [
        ("no state", answer.split("&state=").next().unwrap().to_owned()),
        ("an empty one", with(&answer, "state", "")),
        (
            "a made-up one",
            with(&answer, "state", "scmc_st_0000000000000000000000000000000000000000000000000"),
        ),
        ("a link's code", with(&answer, "state", &value(&link, "code"))),
        ("a long one", with(&answer, "state", &"x".repeat(4000))),
        ("two of them", format!("{answer}&state={}", value(&answer, "state"))),
        ("a line break", with(&answer, "state", "a\r\nset-cookie: b=c")),
    ];
    for (what, address) in wrong {
        is_refused(&browser.open(&address).await, what);
    }
    assert!(world.connections().await.is_empty());
    // None of that has used the right one up.
    let page = browser.open(&answer).await;
    assert_eq!(page.status, 303, "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_state_works_once_and_for_ten_minutes() {
    let world = World::new().await;
    let (mut browser, answer) = created(&world, "acme").await;
    let both = futures_util::future::join_all([browser.clone(), browser.clone()].map(|mut browser| {
        let answer = answer.clone();
        async move { browser.open(&answer).await }
    }))
    .await;
    let went_on = both.iter().filter(|page| page.status == 303).count();
    assert_eq!(
        went_on,
        1,
        "of two at once, one: {:?}",
        both.iter().map(|page| page.status).collect::<Vec<_>>()
    );
    is_refused(&browser.open(&answer).await, "a second time");
    assert_eq!(world.connections().await.len(), 1);
    let (mut late, answer) = created(&world, "other").await;
    world.forge.book.pass_s(600);
    is_refused(&late.open(&answer).await, "after ten minutes");
    assert_eq!(world.connections().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_state_belongs_to_the_browser_that_began() {
    let world = World::new().await;
    let (mut victim, answer) = created(&world, "acme").await;
    let mut nobody = Browser::default();
    is_refused(&nobody.open(&answer).await, "no session");
    let (mut mallory, theirs) = created(&world, "other").await;
    is_refused(&mallory.open(&answer).await, "another's state in my session");
    is_refused(&victim.open(&theirs).await, "my state planted in another's session");
    assert!(world.connections().await.is_empty(), "{:?}", world.connections().await);
    // Neither was used up by the other.
    assert_eq!(victim.open(&answer).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_state_is_good_for_its_own_step_and_source_only() {
    let world = World::new().await;
    let (mut browser, made) = created(&world, "acme").await;
    let came = installed(&mut browser, &made).await;
    for step in ["created", "authorized"] {
        let address = came.replace("/installed", &format!("/{step}"));
        is_refused(&browser.open(&format!("{address}&code=1")).await, step);
    }
    is_refused(&browser.open(&came.replace("/github/", "/github/x")).await, "another path");
    let back = signed_in(&mut browser, &came).await;
    is_refused(&browser.open(&back.replace("/authorized", "/created")).await, "a sign-in's as a manifest's");
    is_refused(
        &browser.open(&back.replace("/authorized", "/installed")).await,
        "a sign-in's as an installation's",
    );
    let source = back.split("/github/").nth(1).unwrap().split('/').next().unwrap();
    let elsewhere = back.replace(&format!("/{source}/"), "/another-source/");
    is_refused(&browser.open(&elsewhere).await, "another source");
    let none = back.replace(&format!("/{source}/"), "/%2e%2e/");
    assert_eq!(browser.open(&none).await.status, 404, "no source at all");
    nothing_kept(&world).await;
    assert_eq!(browser.open(&back).await.status, 200, "and it still works where it belongs");
}

/// A new browser, and the forge's answer to its installation of the shared App, not opened yet.
async fn installed_shared(world: &World, organization: &str) -> (Browser, String) {
    let (mut browser, install) = world.up_to_install(organization, "acme-inc").await;
    let came = answered(&mut browser, &install).await;
    (browser, came)
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_code_of_another_session_proves_nothing_there() {
    let world = shared().await;
    world.forge.signs_in("alice");
    let (mut owner, came) = installed_shared(&world, "acme").await;
    let back = signed_in(&mut owner, &came).await;
    // The owner's code, brought by a thief of another organization who has everything but the owner's cookie: the
    // verifier is made of it.
    let (mut thief, came) = installed_shared(&world, "other").await;
    world.forge.signs_in("mallory");
    let own = signed_in(&mut thief, &came).await;
    let stolen = with(&own, "code", &value(&back, "code"));
    is_refused(&thief.open(&stolen).await, "a stolen code");
    nothing_kept(&world).await;
    is_refused(&thief.open(&own).await, "its state has been used");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_what_a_forge_says_in_an_error_is_never_shown() {
    let world = World::new().await;
    let (mut browser, made) = created(&world, "acme").await;
    let script = "<script>alert(1)</script>";
    let address = with(&with(&made, "error", script), "error_description", script);
    let page = browser.open(&address).await;
    is_refused(&page, "an error beside a code");
    assert!(!page.text.contains("<script") && !page.text.contains("alert(1)"), "{}", page.text);
    assert!(world.connections().await.is_empty(), "a code beside an error counts for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_does_not_go_on_can_try_again() {
    let world = World::new().await;
    let (mut browser, made) = created(&world, "acme").await;
    let came = installed(&mut browser, &made).await;
    let page = browser.open(&came).await;
    let sign_in = browser.follow(page).await;
    let denied = browser.press_on(sign_in.form("Cancel")).await;
    is_refused(&denied, "cancelled");
    let step = browser.open(&world.step()).await;
    let sign_in = browser.install(&step, "acme-inc").await;
    browser.finish(&sign_in).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_a_form_is_taken_from_a_page_of_this_very_session_only() {
    let world = World::new().await;
    let (mut browser, form) = world.begun("acme").await;
    let (_, foreign) = world.begun("other").await;
    let filled = form.form("Review permissions").with("login", "acme-inc");
    let token = foreign.form("Review permissions").field("token").to_owned();
    is_refused(&browser.press(filled.clone().with("token", "")).await, "no token");
    is_refused(&browser.press(filled.clone().with("token", &token)).await, "another session's token");
    is_refused(&Browser::default().press(filled.clone()).await, "no session");
    for origin in ["https://evil.example.com", "http://127.0.0.1:1"] {
        assert_eq!(browser.press_from(filled.clone(), origin).await.status, 403, "{origin}");
    }
    let page = browser.press(filled).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let mut thief = Browser::default();
    thief.steals(&browser);
    assert!(thief.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_a_link_begins_one_session_within_ten_minutes() {
    let world = World::new().await;
    let link = world.link_to_server("acme").await;
    let (mut first, mut second) = (Browser::default(), Browser::default());
    // Looking at it uses nothing up.
    assert_eq!(second.open(&link).await.status, 200);
    first.begin(&link).await;
    let landing = second.open(&link).await;
    assert_eq!(second.press(landing.form("Begin")).await.status, 403, "used");
    assert!(first.has_session() && !second.has_session());
    let late = world.link_to_server("acme").await;
    world.forge.book.pass_s(600);
    let landing = second.open(&late).await;
    assert_eq!(second.press(landing.form("Begin")).await.status, 403, "too late");
    world.forge.book.pass_s(3000);
    assert_eq!(first.open(&world.step()).await.status, 403, "a session ends with its hour");
}
