//! Who belongs: lists and single people of both forges.

use scm_connect::domain::organization::{MemberState, PINNED, Role};
use scm_connect::domain::roster::{Kept, RoleMap};

use super::super::github::Github;
use super::super::gitlab::Gitlab;
use super::super::story::pass;
use super::super::{Fault, Planted};
use super::{at_github, at_gitlab, slug};

#[tokio::test]
async fn an_organizations_members_come_with_their_roles_and_the_invited_wait() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    for number in 0..130 {
        forge.member("acme", &format!("m{number:03}"), "member");
    }
    forge.member("acme", "ada", "admin");
    forge.asks("acme", "ivy");
    forge.outside_collaborator("acme", "oscar");
    let synced = desk.syncs(&directory).await.unwrap();
    assert_eq!((synced.plan.listed, synced.pages), (133, 4), "{}", synced.sentence());
    let active = desk.active().await;
    assert_eq!(active.len(), 132);
    assert_eq!(&active[..2], ["ada admin", "m000 member"]);
    let ivy = desk.member(forge.person("ivy")).await;
    assert_eq!((ivy.state, ivy.role), (MemberState::Pending, None));
    assert!(desk.connection().await.members_read_at.is_some());
    let again = desk.syncs(&directory).await.unwrap();
    assert_eq!(again.done, 0, "{:?}", again.plan.steps);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn outside_collaborators_count_only_when_somebody_says_so() {
    let forge = Github::cloud();
    let (mut desk, directory) = at_github(&forge).await;
    forge.outside_collaborator("acme", "oscar");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["olga admin"]);
    desk.rules.roles = RoleMap { outside: Some(Role::ReadOnly), ..RoleMap::default() };
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["olga admin", "oscar read_only"]);
    desk.rules.roles = RoleMap::default();
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["olga admin"]);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn roles_go_up_and_down_and_a_pinned_one_stays_until_the_person_leaves() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "admin");
    forge.member("acme", "bob", "member");
    desk.syncs(&directory).await.unwrap();
    forge.gives_role("acme", "ada", "member");
    forge.gives_role("acme", "bob", "admin");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada member", "bob admin", "olga admin"]);
    let pinned = scm_connect::domain::organization::Member {
        role: Some(Role::ReadOnly),
        role_source: PINNED.into(),
        ..desk.member(forge.person("bob")).await
    };
    let put = scm_connect::domain::change::Change::PutMember(Box::new(pinned));
    desk.store.apply(vec![put], Vec::new()).await.unwrap();
    let synced = desk.syncs(&directory).await.unwrap();
    assert_eq!(synced.plan.kept[0].2, Kept::Pinned(Some(Role::Admin)));
    assert_eq!(desk.active().await, ["ada member", "bob read_only", "olga admin"]);
    forge.leaves("acme", "bob");
    desk.syncs(&directory).await.unwrap();
    forge.member("acme", "bob", "member");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada member", "bob member", "olga admin"], "the pin has ended");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s32_whoever_leaves_loses_every_token_by_the_list_and_by_an_event() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    forge.member("acme", "bob", "member");
    desk.syncs(&directory).await.unwrap();
    let (ada, bob) = (forge.person("ada"), forge.person("bob"));
    desk.gives_token(&desk.member(ada).await, 1).await;
    desk.gives_token(&desk.member(bob).await, 2).await;
    forge.leaves("acme", "ada");
    desk.syncs(&directory).await.unwrap();
    assert_eq!((desk.opens(1).await, desk.opens(2).await), (false, true), "the event was lost");
    pass(&forge.book, 700).await;
    desk.hears_gone(bob).await;
    desk.reads(&directory, bob).await.unwrap();
    assert!(desk.opens(2).await, "the event was a lie");
    assert_eq!(desk.member(bob).await.state, MemberState::Active);
    forge.leaves("acme", "bob");
    desk.hears_gone(bob).await;
    desk.reads(&directory, bob).await.unwrap();
    assert!(!desk.opens(2).await);
    assert_eq!(desk.member(bob).await.state, MemberState::Removed);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s24_a_name_that_somebody_else_has_taken_over_lets_nobody_in() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "admin");
    desk.syncs(&directory).await.unwrap();
    let ada = forge.person("ada");
    forge.renames_person("ada", "countess");
    // The name is free, and a stranger takes it and is let in.
    forge.member("acme", "ada", "member");
    let stranger = forge.person("ada");
    assert_ne!(ada, stranger);
    desk.reads(&directory, ada).await.unwrap();
    assert_eq!(
        (desk.member(ada).await.login.as_str(), desk.member(ada).await.role),
        ("countess", Some(Role::Admin))
    );
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada member", "countess admin", "olga admin"]);
    forge.deletes_person("countess");
    desk.reads(&directory, ada).await.unwrap();
    assert_eq!(desk.active().await, ["ada member", "olga admin"]);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s35_a_renamed_organization_is_followed_by_its_number() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    desk.syncs(&directory).await.unwrap();
    forge.renames_org("acme", "acme-inc");
    // Somebody registers the old name and fills it with their own people.
    forge.org("acme");
    for name in ["mallory", "trudy"] {
        forge.member("acme", name, "admin");
    }
    pass(&forge.book, 3600).await;
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada member", "olga admin"]);
    assert_eq!(desk.connection().await.account.login, "acme-inc");
    let ada = forge.person("ada");
    desk.reads(&directory, ada).await.unwrap();
    assert_eq!(desk.member(ada).await.state, MemberState::Active);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn the_last_admin_stays_one_until_there_is_another() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    desk.syncs(&directory).await.unwrap();
    forge.gives_role("acme", "olga", "member");
    let synced = desk.syncs(&directory).await.unwrap();
    assert_eq!(synced.plan.kept[0].2, Kept::LastAdmin);
    assert_eq!(desk.active().await, ["ada member", "olga admin"]);
    forge.gives_role("acme", "ada", "admin");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["ada admin", "olga member"]);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn a_groups_members_come_by_their_levels_without_bots_and_the_blocked() {
    let forge = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let levels = [5, 10, 15, 20, 25, 30, 40, 50];
    let people: Vec<u64> = levels
        .iter()
        .map(|level| {
            let person = forge.person(&format!("p{level:02}"));
            forge.member(group, person, *level);
            person
        })
        .collect();
    let blocked = forge.blocked("mallory");
    forge.member(group, blocked, 50);
    desk.syncs(&directory).await.unwrap();
    let expected =
        ["p15 read_only", "p20 read_only", "p25 read_only", "p30 member", "p40 member", "p50 admin"];
    assert_eq!(desk.active().await, expected);
    forge.blocks(people[5]);
    forge.member(group, people[6], 10);
    forge.leaves(group, people[2]);
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["p20 read_only", "p25 read_only", "p50 admin"]);
    forge.renames_person(people[4], "quarter");
    forge.renames_group(group, "acme-inc");
    desk.reads(&directory, people[4]).await.unwrap();
    assert_eq!(desk.active().await, ["p20 read_only", "p50 admin", "quarter read_only"]);
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.connection().await.account.login, "acme-inc");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn a_plan_is_shown_before_it_is_done_and_what_is_done_is_read_anew() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    let planned = desk.plans(&directory).await;
    assert_eq!((planned.plan.steps.len(), planned.done), (2, 2));
    assert!(desk.active().await.is_empty(), "nothing is done");
    let pages = |forge: &Github| forge.book.lines().iter().filter(|line| line.contains("/members?")).count();
    let before = pages(&forge);
    desk.syncs(&directory).await.unwrap();
    assert_eq!((desk.active().await.len(), pages(&forge)), (2, before * 2));
}

#[tokio::test]
async fn every_change_says_who_what_before_after_and_why_in_a_chain() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    desk.syncs(&directory).await.unwrap();
    forge.leaves("acme", "ada");
    desk.syncs(&directory).await.unwrap();
    let lines = desk.store.chained(Some(&slug()), 0, 100).await.unwrap();
    let line = lines.iter().find(|line| line.action == "member.removed").unwrap();
    assert_eq!(line.actor, "sync");
    assert!(line.subject.starts_with("ada ("), "{line:?}");
    assert_eq!(line.before.as_deref(), Some("active, member, ada"));
    assert_eq!(line.after.as_deref(), Some("removed, member, ada"));
    assert_eq!(line.why.as_deref(), Some("the list of members: not there any more"));
    assert!(lines.iter().all(|line| line.link.is_some()));
}

#[tokio::test]
async fn s32_an_admin_who_left_goes_with_the_list_that_first_shows_the_other_admins() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    let ada = forge.person("ada");
    forge.member("acme", "ada", "admin");
    // An event has made us read one person; the list with everybody else was never read.
    desk.reads(&directory, ada).await.unwrap();
    assert_eq!(desk.active().await, ["ada admin"]);
    forge.leaves("acme", "ada");
    pass(&forge.book, 3600).await;
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["olga admin"]);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s33_what_a_dry_run_has_read_is_shown_and_acted_upon_by_nobody() {
    let forge = Github::cloud();
    let (mut desk, directory) = at_github(&forge).await;
    forge.member("acme", "ada", "member");
    assert_eq!(desk.plans(&directory).await.plan.listed, 2);
    pass(&forge.book, 3540).await;
    forge.leaves("acme", "ada");
    forge.member("acme", "bob", "member");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await, ["bob member", "olga admin"]);
    // A sync that was cut off goes on, whatever somebody looks at meanwhile.
    (0..120).for_each(|number| forge.member("acme", &format!("m{number:03}"), "member"));
    forge.plants(Planted::at("/members", Fault::Status(502)).page(2));
    assert!(desk.syncs(&directory).await.is_err());
    let roles = desk.rules.roles.clone();
    desk.rules.roles = RoleMap { outside: Some(Role::ReadOnly), ..RoleMap::default() };
    desk.plans(&directory).await;
    desk.rules.roles = roles;
    let firsts = || forge.book.lines().into_iter().filter(|line| line.contains("role=member")).count();
    let before = firsts();
    desk.syncs(&directory).await.unwrap();
    assert_eq!((firsts() - before, desk.active().await.len()), (1, 122), "only the second page was read");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn what_a_list_finds_and_no_event_told_is_counted_as_drift() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    for login in ["ada", "bob", "eve"] {
        forge.member("acme", login, "member");
    }
    forge.repo("acme", "site", true);
    let exporter = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = exporter.handle();
    let _guard = metrics::set_default_local_recorder(&exporter);
    // The one before the other: each has a first reading of its own.
    let synced = desk.syncs(&directory).await.unwrap();
    let listed = desk.lists(&directory).await.unwrap();
    assert_eq!((synced.done, listed.found), (4, 1));
    assert!(!page.render().contains("drift"), "what is read for the first time has not drifted");
    pass(&forge.book, 3600).await;
    forge.leaves("acme", "ada");
    forge.leaves("acme", "bob");
    forge.gives_role("acme", "eve", "admin");
    desk.hears_gone(forge.person("bob")).await;
    forge.repo("acme", "docs", true);
    desk.syncs(&directory).await.unwrap();
    desk.lists(&directory).await.unwrap();
    let shown = page.render();
    for line in ["{kind=\"member\"} 2", "{kind=\"project\"} 1"] {
        assert!(shown.contains(&format!("scm_connect_reconcile_drift_total{line}\n")), "{line}: {shown}");
    }
}
