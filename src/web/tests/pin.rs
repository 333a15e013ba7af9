//! Roles set by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::call;
use super::front;
use super::sample::member;
use crate::domain::organization::{Member, MemberState, Role};
use crate::web::Front;

fn active(id: u64, role: Role) -> Member {
    let login = format!("person-{id}");
    Member { external_id: id, login, state: MemberState::Active, role: Some(role), ..member("acme") }
}

async fn pin(front: &Arc<Front>, id: &str, verb: &str, body: Value) -> (u16, Value) {
    call(front, "POST", &format!("/api/v1/members/{id}/{verb}"), "admin-acme", body).await
}

#[actix_web::test]
async fn a_role_set_by_hand_holds_until_it_is_let_go_of_and_both_are_written_down() {
    let (front, store) = front();
    let ada = active(41, Role::Member);
    store.state().members.push(ada.clone());
    let (status, body) = pin(&front, &ada.id(), "pin", json!({ "role": "read_only" })).await;
    assert_eq!(
        (status, body["role"].as_str(), body["role_source"].as_str()),
        (200, Some("read_only"), Some("pinned"))
    );
    let line = store.state().audit.last().cloned().unwrap();
    assert_eq!(
        (line.action.as_str(), line.before.as_deref(), line.after.as_deref()),
        ("member.pinned", Some("member (forge)"), Some("read_only (pinned)"))
    );
    let (status, body) = pin(&front, &ada.id(), "unpin", json!({})).await;
    assert_eq!(
        (status, body["role"].as_str(), body["role_source"].as_str()),
        (200, Some("read_only"), Some("forge"))
    );
    let wished: Vec<String> = store.state().tasks.iter().map(|task| task.subject.clone()).collect();
    assert!(wished.contains(&"41".to_owned()), "the role is read from the forge: {wished:?}");
}

#[actix_web::test]
async fn s33_the_last_admin_is_demoted_by_nobody() {
    let (front, store) = front();
    let ada = active(41, Role::Admin);
    store.state().members.retain(|known| known.organization.as_str() != "acme");
    store.state().members.push(ada.clone());
    let (status, body) = pin(&front, &ada.id(), "pin", json!({ "role": "member" })).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("last-admin")));
    assert_eq!(pin(&front, &ada.id(), "pin", json!({ "role": "admin" })).await.0, 200);
    store.state().members.push(active(42, Role::Admin));
    assert_eq!(pin(&front, &ada.id(), "pin", json!({ "role": "member" })).await.0, 200);
}

#[actix_web::test]
async fn s33_of_two_admins_who_are_demoted_at_once_one_stays() {
    let (front, store) = front();
    let (ada, bob) = (active(41, Role::Admin), active(42, Role::Admin));
    store.state().members.retain(|known| known.organization.as_str() != "acme");
    store.state().members.extend([ada.clone(), bob.clone()]);
    let (ada, bob) = (ada.id(), bob.id());
    let demote = |id| pin(&front, id, "pin", json!({ "role": "member" }));
    let (first, second) = tokio::join!(demote(&ada), demote(&bob));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    assert!(store.state().members.iter().any(Member::is_admin));
}

#[actix_web::test]
async fn nobody_gets_in_by_a_role_and_nobody_of_another_organization_is_touched() {
    let (front, store) = front();
    for state in [MemberState::Pending, MemberState::Removed] {
        let person = Member { state, ..active(50, Role::Member) };
        store.state().members.retain(|known| known.external_id != 50);
        store.state().members.push(person.clone());
        let (status, body) = pin(&front, &person.id(), "pin", json!({ "role": "admin" })).await;
        assert_eq!((status, body["code"].as_str()), (409, Some("member-inactive")), "{state:?}");
    }
    let foreign = Member { state: MemberState::Active, ..member("other") };
    assert_eq!(pin(&front, &foreign.id(), "pin", json!({ "role": "admin" })).await.0, 404);
    let ada = active(41, Role::Member);
    store.state().members.push(ada.clone());
    let (status, body) = pin(&front, &ada.id(), "pin", json!({ "role": "owner" })).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("body-invalid")));
    let read = call(
        &front,
        "POST",
        &format!("/api/v1/members/{}/pin", ada.id()),
        "read-acme",
        json!({"role": "admin"}),
    )
    .await;
    assert_eq!(read.0, 403);
}
