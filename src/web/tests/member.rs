//! Tokens that stand for a person, and removals that wait.

use serde_json::{Value, json};

use super::api::call;
use super::sample::{hold, member};
use super::{NOW, front, token};
use crate::domain::Timestamp;
use crate::domain::access::TokenRecord;
use crate::domain::organization::{BREAK_GLASS, ConnectionState, Member, MemberState, Role};
use crate::domain::roster::{HeldPerson, Hold, HoldCause, HoldState};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What a token of this kind answers to a look at the projects, when it stands for such a member.
async fn look(kind: &str, state: MemberState, role: Option<Role>, confirmed_at: Option<Timestamp>) -> u16 {
    let (front, store) = front();
    let person = Member { state, role, last_confirmed_at: confirmed_at, ..member("acme") };
    let text = format!("{kind}-of-a-person");
    {
        let mut all = store.state();
        all.tokens.push(TokenRecord { member: Some(person.id()), ..token(&text, "acme") });
        all.members.retain(|known| known.organization != person.organization);
        all.members.push(person);
    }
    let path = if kind == "admin" { "/api/v1/tokens" } else { "/api/v1/projects" };
    call(&front, "GET", path, &text, Value::Null).await.0
}

#[actix_web::test]
async fn s32_a_persons_token_opens_only_what_the_person_may_open_now() {
    use MemberState::{Active, Pending, Removed};
    let (admin, usual, looks) = (Some(Role::Admin), Some(Role::Member), Some(Role::ReadOnly));
    let fresh = Some(NOW.plus_ms(-HOUR_MS));
    for (kind, state, role, confirmed_at, expected) in [
        ("admin", Active, admin, fresh, 200),
        ("admin", Active, usual, fresh, 403),
        ("admin", Active, looks, fresh, 403),
        ("read", Active, usual, fresh, 200),
        ("read", Active, looks, fresh, 200),
        ("read", Active, None, fresh, 403),
        ("read", Pending, usual, fresh, 401),
        ("read", Removed, admin, fresh, 401),
        ("admin", Removed, admin, fresh, 401),
        ("read", Active, usual, Some(NOW.plus_ms(-HOUR_MS - 1)), 401),
        ("read", Active, usual, None, 401),
    ] {
        let status = look(kind, state, role, confirmed_at).await;
        assert_eq!(status, expected, "{kind} of {state:?} {role:?} {confirmed_at:?}");
    }
}

#[actix_web::test]
async fn s33_the_break_glass_admins_token_opens_without_a_forges_word_and_nobody_pins_them() {
    let (front, store) = front();
    let person = Member {
        state: MemberState::Active,
        role: Some(Role::Admin),
        role_source: BREAK_GLASS.into(),
        last_confirmed_at: None,
        ..member("acme")
    };
    let path = format!("/api/v1/members/{}/pin", person.id());
    {
        let mut all = store.state();
        all.tokens.push(TokenRecord { member: Some(person.id()), ..token("admin-of-a-person", "acme") });
        all.members.retain(|known| known.organization != person.organization);
        all.members.push(person);
    }
    assert_eq!(call(&front, "GET", "/api/v1/tokens", "admin-of-a-person", Value::Null).await.0, 200);
    let (status, body) = call(&front, "POST", &path, "admin-acme", json!({ "role": "member" })).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("declared-in-config")));
    store.state().members.iter_mut().for_each(|known| known.state = MemberState::Removed);
    assert_eq!(call(&front, "GET", "/api/v1/tokens", "admin-of-a-person", Value::Null).await.0, 401);
}

#[actix_web::test]
async fn s33_no_yes_lets_the_last_admin_go() {
    let (front, store) = front();
    let last_admin = Some(HeldPerson { id: 5, login: "olga".into(), role: Some(Role::Admin) });
    let alone = Hold { cause: HoldCause::LastAdmin, people: Vec::new(), last_admin, ..hold("acme") };
    let id = alone.id();
    store.state().holds.retain(|known| known.organization != alone.organization);
    store.state().holds.push(alone);
    let (status, body) = call(&front, "GET", "/api/v1/members/held", "admin-acme", Value::Null).await;
    let shown = &body["items"][0];
    assert_eq!(
        (status, shown["cause"].as_str(), shown["last_admin"]["login"].as_str()),
        (200, Some("last_admin"), Some("olga"))
    );
    for verb in ["approve", "refuse"] {
        let path = format!("/api/v1/members/held/{id}/{verb}");
        let (status, body) = call(&front, "POST", &path, "admin-acme", Value::Null).await;
        assert_eq!((status, body["code"].as_str()), (409, Some("last-admin")), "{verb}");
    }
}

#[actix_web::test]
async fn s32_a_list_that_left_a_person_as_they_were_has_confirmed_them() {
    let (front, store) = front();
    let person = Member { state: MemberState::Active, role: Some(Role::Member), ..member("acme") };
    {
        let mut all = store.state();
        all.tokens.push(TokenRecord { member: Some(person.id()), ..token("read-of-a-person", "acme") });
        let source = all.connections.iter_mut().find(|known| known.key == person.source).unwrap();
        source.members_read_at = Some(NOW.plus_ms(-1));
        all.members.retain(|known| known.organization != person.organization);
        all.members.push(person);
    }
    assert_eq!(call(&front, "GET", "/api/v1/projects", "read-of-a-person", Value::Null).await.0, 200);
}

/// `acme` with a connection that is off since then, and an admin's token that stands for a member of it.
fn off(since_ms: i64, confirmed_ms: i64) -> (std::sync::Arc<crate::web::Front>, std::sync::Arc<super::Fake>) {
    let (front, store) = front();
    let person = Member {
        state: MemberState::Active,
        role: Some(Role::Admin),
        last_confirmed_at: Some(NOW.plus_ms(confirmed_ms)),
        ..member("acme")
    };
    let mut all = store.state();
    all.tokens.push(TokenRecord { member: Some(person.id()), ..token("admin-of-a-person", "acme") });
    let source = all.connections.iter_mut().find(|known| known.key == person.source).unwrap();
    source.add_reason(ConnectionState::Uninstalled);
    source.health.note(&[ConnectionState::Uninstalled], NOW.plus_ms(since_ms));
    all.members.retain(|known| known.organization != person.organization);
    all.members.push(person);
    drop(all);
    (front, store)
}

#[actix_web::test]
async fn s32_of_a_connection_that_is_off_members_come_in_for_a_week_and_no_longer() {
    const DAY_MS: i64 = 24 * HOUR_MS;
    for (since_ms, confirmed_ms, expected) in [
        (-DAY_MS, -DAY_MS - HOUR_MS, 200),
        (-7 * DAY_MS + 1, -7 * DAY_MS, 200),
        (-7 * DAY_MS, -7 * DAY_MS, 401),
        // Who was not confirmed when it went off is not let in because of it.
        (-DAY_MS, -DAY_MS - HOUR_MS - 1, 401),
    ] {
        let (front, _) = off(since_ms, confirmed_ms);
        let (status, _) = call(&front, "GET", "/api/v1/tokens", "admin-of-a-person", Value::Null).await;
        assert_eq!(status, expected, "{since_ms} {confirmed_ms}");
    }
}

#[actix_web::test]
async fn s32_whose_own_access_hangs_on_a_connection_does_not_extend_it() {
    let (front, _) = off(-HOUR_MS, -HOUR_MS);
    let path = "/api/v1/connections/acme-github/extend";
    let (status, body) = call(&front, "POST", path, "admin-of-a-person", Value::Null).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("own-access")));
    // And where nothing is off, there is nothing to extend.
    let (front, _) = super::front();
    let (status, body) = call(&front, "POST", path, "admin-acme", Value::Null).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("connection-on")));
}

#[actix_web::test]
async fn s31_an_apps_key_binds_nothing_for_an_admin_of_an_organization() {
    let (front, store) = front();
    let app = json!({ "id": 1, "private_key": "x", "installation_id": 7 });
    let wish = json!({ "kind": "github_cloud", "account": "victim", "app": app });
    for (path, body) in
        [("/api/v1/connections", wish), ("/api/v1/connections/acme-github/promote", json!({ "app": app }))]
    {
        let (status, body) = call(&front, "POST", path, "admin-acme", body).await;
        assert_eq!((status, body["code"].as_str()), (403, Some("proof-needed")), "{path}");
    }
    assert_eq!(store.state().connections.len(), 2);
}

#[actix_web::test]
async fn a_token_is_made_only_for_a_member_whose_role_carries_it() {
    let (front, store) = front();
    let person = Member { state: MemberState::Active, role: Some(Role::Member), ..member("acme") };
    let foreign = member("other").id();
    let id = person.id();
    store.state().members.push(person);
    store.state().members.retain(|known| known.state == MemberState::Active);
    let make = async |kind: &str, member: &str| {
        let body = json!({ "kind": kind, "member": member });
        call(&front, "POST", "/api/v1/tokens", "admin-acme", body).await
    };
    let (status, _) = make("read", &id).await;
    assert_eq!(status, 201);
    for (kind, member) in [("admin", id.as_str()), ("read", foreign.as_str()), ("read", "nobody")] {
        let (status, body) = make(kind, member).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("member-invalid")), "{kind} {member}");
    }
    assert_eq!(store.state().tokens.last().unwrap().member, Some(id));
}

#[actix_web::test]
async fn s33_a_yes_names_exactly_the_people_it_is_about() {
    let (front, store) = front();
    let id = hold("acme").id();
    let path = |verb: &str, id: &str| format!("/api/v1/members/held/{id}/{verb}");
    assert_eq!(
        call(&front, "POST", &path("approve", &hold("other").id()), "admin-acme", Value::Null).await.0,
        404
    );
    let (status, body) = call(&front, "POST", &path("approve", &id), "admin-acme", Value::Null).await;
    assert_eq!(
        (status, body["state"].as_str(), body["people"][0]["login"].as_str()),
        (200, Some("approved"), Some("acme-leaver"))
    );
    assert!(body["decided_by"].as_str().unwrap().starts_with("api_token:"));
    let held = store.state().holds.iter().find(|known| known.id() == id).cloned().unwrap();
    assert_eq!(held.state, HoldState::Approved);
    let line = store.state().audit.last().cloned().unwrap();
    assert_eq!((line.action.as_str(), line.before.as_deref()), ("members.approved", Some("waiting")));
    // Another list of people has another id.
    store.state().holds.iter_mut().for_each(|known| known.people[0].id = 6);
    assert_eq!(call(&front, "POST", &path("refuse", &id), "admin-acme", Value::Null).await.0, 404);
}
