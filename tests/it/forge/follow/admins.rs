//! S33: who may decide. The last admin stays whatever an event says, and goes when there is another.

use std::sync::Arc;

use scm_connect::domain::organization::{MemberState, PINNED, Role};
use scm_connect::domain::roster::{HoldCause, HoldState};
use scm_connect::follow::PersonSynced;
use scm_connect::provider::Directory;

use super::super::github::Github;
use super::super::gitlab::Gitlab;
use super::super::story::pass;
use super::{Desk, at_github, at_gitlab, slug};

/// The event comes, the person is read, and what follows of that; as the tasks do it.
async fn leaves_by_event(desk: &Desk, directory: &dyn Directory, id: u64, login: &str) {
    desk.hears_of_leaving(id, login).await;
    assert!(desk.member(id).await.is_frozen(), "{login} is out until the forge is asked");
    if desk.reads(directory, id).await.unwrap() == PersonSynced::Held {
        desk.syncs(directory).await.unwrap();
    }
}

/// The last admin stays, is shown, keeps what they come in with, and goes with the reading that finds another one.
async fn is_kept(desk: &Desk, directory: &dyn Directory, olga: u64, ada_rises: impl AsyncFn()) {
    desk.gives_token(&desk.member(olga).await, 1).await;
    leaves_by_event(desk, directory, olga, "olga").await;
    assert_eq!(desk.active().await, ["ada member", "olga admin"]);
    assert!(desk.opens(1).await);
    let hold = desk.store.hold(&slug()).await.unwrap().unwrap().value;
    let shown = hold.last_admin.map(|person| (person.id, person.login));
    assert_eq!((hold.cause, hold.state, hold.people.len()), (HoldCause::LastAdmin, HoldState::Waiting, 0));
    assert_eq!(shown, Some((olga, "olga".into())));
    leaves_by_event(desk, directory, olga, "olga").await;
    assert_eq!(desk.active().await, ["ada member", "olga admin"], "saying it again changes nothing");
    ada_rises().await;
    desk.syncs(directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada admin"]);
    assert!(!desk.opens(1).await);
    assert!(desk.store.hold(&slug()).await.unwrap().is_none());
    let lines = desk.store.chained(Some(&slug()), 0, 100).await.unwrap();
    let of_olga =
        lines.iter().filter(|line| line.subject.starts_with("olga (")).map(|line| line.action.as_str());
    let told =
        ["member.joined", "member.frozen", "member.kept", "member.frozen", "member.kept", "member.removed"];
    assert_eq!(of_olga.collect::<Vec<_>>(), told);
}

#[tokio::test]
async fn s33_one_event_does_not_put_out_githubs_last_admin() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    // The forge always has an owner; here somebody has decided that they are no admin.
    forge.member("acme", "ada", "admin");
    desk.syncs(&directory).await.unwrap();
    let (ada, olga) = (forge.person("ada"), forge.person("olga"));
    desk.is_set(ada, Some(Role::Member), PINNED).await;
    forge.leaves("acme", "olga");
    let installed = super::installed(&forge);
    is_kept(&desk, &installed, olga, async || desk.is_set(ada, Some(Role::Member), "forge").await).await;
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_one_event_does_not_put_out_gitlabs_last_admin() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let (ada, olga) = (forge.person("ada"), forge.person("olga"));
    forge.member(group, ada, 30);
    forge.member(group, olga, 50);
    desk.syncs(&directory).await.unwrap();
    forge.leaves(group, olga);
    is_kept(&desk, &directory, olga, async || forge.member(group, ada, 50)).await;
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s32_an_admin_by_event_is_out_while_another_one_is_there() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let (ada, olga) = (forge.person("ada"), forge.person("olga"));
    forge.member(group, ada, 50);
    forge.member(group, olga, 50);
    desk.syncs(&directory).await.unwrap();
    desk.gives_token(&desk.member(olga).await, 1).await;
    // A lie: they are as they were once the forge was asked.
    leaves_by_event(&desk, &directory, olga, "olga").await;
    assert_eq!(desk.active().await, ["ada admin", "olga admin"]);
    assert!(desk.opens(1).await);
    forge.leaves(group, olga);
    leaves_by_event(&desk, &directory, olga, "olga").await;
    assert_eq!(desk.active().await, ["ada admin"]);
    assert!(!desk.opens(1).await);
    assert!(desk.store.hold(&slug()).await.unwrap().is_none());
}

#[tokio::test]
async fn s33_of_two_admins_who_leave_by_events_at_once_one_stays() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let (ada, olga) = (forge.person("ada"), forge.person("olga"));
    for person in [ada, olga] {
        forge.member(group, person, 50);
    }
    forge.member(group, forge.person("bob"), 30);
    desk.syncs(&directory).await.unwrap();
    for (person, login) in [(ada, "ada"), (olga, "olga")] {
        forge.leaves(group, person);
        desk.hears_of_leaving(person, login).await;
    }
    for person in [ada, olga] {
        assert_eq!(desk.reads(&directory, person).await.unwrap(), PersonSynced::Held);
    }
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["bob member", "olga admin"], "neither counts on the other");
    pass(&forge.book, 3600).await;
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["bob member", "olga admin"]);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_a_frozen_admin_keeps_a_role_that_was_set_by_hand() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let (ada, olga) = (forge.person("ada"), forge.person("olga"));
    forge.member(group, ada, 50);
    forge.member(group, olga, 30);
    desk.syncs(&directory).await.unwrap();
    desk.is_set(olga, Some(Role::Admin), PINNED).await;
    leaves_by_event(&desk, &directory, olga, "olga").await;
    let back = desk.member(olga).await;
    assert_eq!((back.state, back.role, back.is_pinned()), (MemberState::Active, Some(Role::Admin), true));
}
