//! S33: few leave at once, many wait for a person.

use std::sync::Arc;

use scm_connect::domain::change::Change;
use scm_connect::domain::organization::Member;
use scm_connect::domain::roster::{Hold, HoldCause, HoldState};

use super::super::github::Github;
use super::super::story::pass;
use super::super::{Fault, Planted};
use super::{Desk, at_github, slug};

async fn crowd(forge: &Arc<Github>, count: usize) -> (Desk, scm_connect::provider::github::Organization) {
    let (desk, directory) = at_github(forge).await;
    for number in 0..count {
        forge.member("acme", &format!("m{number:03}"), "member");
    }
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), count + 1);
    (desk, directory)
}

fn leave(forge: &Github, count: usize) {
    (0..count).for_each(|number| forge.leaves("acme", &format!("m{number:03}")));
}

async fn decides(desk: &Desk, state: HoldState) {
    let hold = desk.store.hold(&slug()).await.unwrap().unwrap().value;
    let decided = Hold { state, decided_by: Some("cli".into()), ..hold };
    desk.store.apply(vec![Change::PutHold(Box::new(decided))], Vec::new()).await.unwrap();
}

#[tokio::test]
async fn s33_ten_leave_at_once_and_eleven_wait_for_a_yes() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 80).await;
    leave(&forge, 10);
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 71);
    pass(&forge.book, 3600).await;
    leave(&forge, 21);
    forge.member("acme", "newcomer", "member");
    let synced = desk.syncs(&directory).await.unwrap();
    assert!(synced.waits());
    assert_eq!(desk.active().await.len(), 72, "nobody went, and somebody came");
    let hold = desk.store.hold(&slug()).await.unwrap().unwrap().value;
    assert_eq!((hold.cause, hold.people.len(), hold.managed), (HoldCause::TooMany, 11, 71));
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 72, "asking again changes nothing");
    decides(&desk, HoldState::Approved).await;
    forge.leaves("acme", "m079");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 60, "those it was about, and one who left meanwhile");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_a_yes_ends_after_a_day_and_a_no_keeps_them_until_then() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 40).await;
    leave(&forge, 20);
    desk.syncs(&directory).await.unwrap();
    decides(&desk, HoldState::Refused).await;
    pass(&forge.book, 3600).await;
    let refused = desk.syncs(&directory).await.unwrap();
    assert!(!refused.waits() && desk.active().await.len() == 41);
    pass(&forge.book, 86_400).await;
    let again = desk.syncs(&directory).await.unwrap();
    assert!(again.waits() && desk.active().await.len() == 41, "it is asked anew");
    decides(&desk, HoldState::Approved).await;
    pass(&forge.book, 86_400).await;
    assert!(desk.syncs(&directory).await.unwrap().waits(), "the yes was for a day");
    assert_eq!(desk.active().await.len(), 41);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_a_held_removal_is_asked_about_once_more_when_it_is_let_go() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 40).await;
    leave(&forge, 20);
    desk.syncs(&directory).await.unwrap();
    decides(&desk, HoldState::Approved).await;
    // The lists do not show them yet, but they are back.
    forge.plants(Planted::at("/members", Fault::Empty).times(2));
    (0..5).for_each(|number| forge.member("acme", &format!("m{number:03}"), "member"));
    let synced = desk.syncs(&directory).await.unwrap();
    assert!(synced.waits(), "an empty list is not what the yes was about: {}", synced.sentence());
    assert_eq!(desk.active().await.len(), 26, "those it was about, without the five who are back");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 26);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_single_leavers_count_with_the_list() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 80).await;
    for number in 0..9 {
        let login = format!("m{number:03}");
        let id = forge.person(&login);
        forge.leaves("acme", &login);
        desk.hears_gone(id).await;
        desk.reads(&directory, id).await.unwrap();
    }
    assert_eq!(desk.active().await.len(), 72, "each by an event of its own");
    leave(&forge, 11);
    assert!(desk.syncs(&directory).await.unwrap().waits(), "two more within ten minutes");
    pass(&forge.book, 3600).await;
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 70);
    assert_eq!(forge.violations(), [""; 0]);
}

/// An event says something about each of them, and is worth no more than a question.
async fn hears_of(desk: &Desk, logins: &[String]) {
    for member in desk.members().await.into_iter().filter(|member| logins.contains(&member.login)) {
        let told = Member { seen_at: Some(desk.now()), ..member };
        desk.store.apply(vec![Change::PutMember(Box::new(told))], Vec::new()).await.unwrap();
    }
}

#[tokio::test]
async fn s33_those_about_whom_there_are_doubts_wait_with_all_others() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 60).await;
    pass(&forge.book, 3600).await;
    leave(&forge, 12);
    let logins: Vec<String> = (0..7).map(|number| format!("m{number:03}")).collect();
    hears_of(&desk, &logins).await;
    let synced = desk.syncs(&directory).await.unwrap();
    assert!(synced.waits());
    assert_eq!(desk.active().await.len(), 61);
    let hold = desk.store.hold(&slug()).await.unwrap().unwrap().value;
    assert_eq!((hold.cause, hold.people.len()), (HoldCause::TooMany, 12));
    decides(&desk, HoldState::Approved).await;
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 49);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_of_two_admins_about_whom_there_are_doubts_one_stays() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 8).await;
    forge.member("acme", "ada", "admin");
    desk.syncs(&directory).await.unwrap();
    pass(&forge.book, 3600).await;
    hears_of(&desk, &["olga".to_owned(), "ada".to_owned()]).await;
    forge.gives_role("acme", "olga", "member");
    forge.gives_role("acme", "ada", "member");
    desk.syncs(&directory).await.unwrap();
    let admins = desk.members().await.into_iter().filter(Member::is_admin).count();
    assert_eq!(admins, 1, "neither counts on the other");
}
