//! Who is only in a subgroup counts when the organization says so, is found singly as well, and is never made an admin.

use std::sync::Arc;

use scm_connect::domain::organization::MemberState;
use scm_connect::provider::gitlab::Group;

use super::super::gitlab::Gitlab;
use super::super::story::pass;
use super::super::{Fault, Planted};
use super::{Desk, at_gitlab};

/// A group with two subgroups, one of them below the other, and an empty one.
struct Tree {
    forge: Arc<Gitlab>,
    desk: Desk,
    directory: Group,
    group: u64,
    web: u64,
    api: u64,
}

impl Tree {
    async fn new() -> Self {
        let forge = Gitlab::cloud();
        let (mut desk, directory, group) = at_gitlab(&forge).await;
        forge.member(group, forge.person("olga"), 50);
        let (web, api) = (forge.group("acme/web"), forge.group("acme/web/api"));
        forge.group("acme/empty");
        // A name that only begins alike is no subgroup.
        forge.member(forge.group("acme-rival"), forge.person("mallory"), 50);
        desk.rules.subgroups = true;
        Self { forge, desk, directory, group, web, api }
    }

    fn joins(&self, group: u64, login: &str, level: u16) -> u64 {
        let person = self.forge.person(login);
        self.forge.member(group, person, level);
        person
    }
}

#[tokio::test]
async fn who_is_only_in_a_subgroup_counts_where_it_is_wanted_and_is_never_an_admin() {
    let mut tree = Tree::new().await;
    let ada = tree.joins(tree.web, "ada", 50);
    tree.joins(tree.api, "bob", 20);
    let eve = tree.joins(tree.group, "eve", 10);
    tree.forge.member(tree.web, eve, 15);
    tree.forge.member(tree.api, eve, 40);
    tree.joins(tree.api, "gus", 10);
    let listed = tree.desk.syncs(&tree.directory).await.unwrap();
    let expected = ["ada member", "bob read_only", "eve member", "olga admin"];
    assert_eq!(tree.desk.active().await, expected, "{}", listed.sentence());
    for person in [ada, eve] {
        tree.desk.reads(&tree.directory, person).await.unwrap();
    }
    assert_eq!(tree.desk.active().await, expected, "read singly they are the same");
    tree.desk.rules.subgroups = false;
    pass(&tree.forge.book, 3600).await;
    tree.desk.syncs(&tree.directory).await.unwrap();
    assert_eq!(tree.desk.active().await, ["olga admin"]);
    assert_eq!(tree.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s32_who_leaves_the_last_of_their_subgroups_is_out_by_the_list_and_by_an_event() {
    let tree = Tree::new().await;
    let (ada, bob) = (tree.joins(tree.web, "ada", 30), tree.joins(tree.web, "bob", 30));
    tree.forge.member(tree.api, ada, 30);
    tree.desk.syncs(&tree.directory).await.unwrap();
    tree.desk.gives_token(&tree.desk.member(ada).await, 1).await;
    tree.forge.leaves(tree.web, ada);
    tree.forge.leaves(tree.web, bob);
    tree.desk.reads(&tree.directory, ada).await.unwrap();
    assert_eq!(tree.desk.member(ada).await.state, MemberState::Active, "they are in the other one");
    pass(&tree.forge.book, 3600).await;
    tree.desk.syncs(&tree.directory).await.unwrap();
    assert_eq!(tree.desk.active().await, ["ada member", "olga admin"]);
    tree.forge.leaves(tree.api, ada);
    tree.desk.reads(&tree.directory, ada).await.unwrap();
    assert_eq!(tree.desk.active().await, ["olga admin"]);
    assert!(!tree.desk.opens(1).await);
    assert_eq!(tree.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r33_a_subgroup_that_does_not_answer_puts_nobody_out_and_is_gone_on_from() {
    let mut tree = Tree::new().await;
    for number in 0..130 {
        tree.joins(tree.web, &format!("m{number:03}"), 30);
    }
    tree.joins(tree.api, "ada", 30);
    tree.desk.syncs(&tree.directory).await.unwrap();
    assert_eq!(tree.desk.active().await.len(), 132);
    pass(&tree.forge.book, 3600).await;
    let of_api: &'static str = format!("groups/{}/members", tree.api).leak();
    let asked = |tree: &Tree| {
        let lines = tree.forge.book.lines();
        lines.into_iter().filter(|line| line.contains(&format!("groups/{}/members?", tree.web))).count()
    };
    let before = asked(&tree);
    for fault in [Fault::Status(502), Fault::Cut] {
        tree.forge.plants(Planted::at(of_api, fault.clone()));
        assert!(tree.desk.syncs(&tree.directory).await.is_err(), "{fault:?}");
        assert_eq!(tree.desk.active().await.len(), 132, "{fault:?}");
        tree.desk.dies().await;
    }
    tree.desk.syncs(&tree.directory).await.unwrap();
    assert_eq!(tree.desk.active().await.len(), 132);
    assert_eq!(asked(&tree) - before, 2, "no page of the other one was read twice");
}
