//! Polling at GitLab: what happens in projects is read out of their lists of events, where nobody can tell of it.

use std::sync::Arc;

use async_trait::async_trait;
use scm_connect::domain::change::Change;
use scm_connect::domain::health::Channel;
use scm_connect::domain::organization::Connection;
use scm_connect::domain::project::Project;
use scm_connect::domain::task::{Performed, Task, TaskKind};
use scm_connect::follow::{Directories, EventsSeen, Follower, NoDirectory, Reach, missed};
use scm_connect::provider::gitlab::Activity;
use scm_connect::provider::gitlab::client::Session;
use scm_connect::provider::{Directory, Events, SentLog};
use scm_connect::store::{Page, TaskFilter};

use super::super::gitlab::Gitlab;
use super::super::story::{self, pass};
use super::super::{Fault, Planted};
use super::{Desk, at_gitlab, host, slug};

/// The group with two projects that are known here, in a daemon that no forge reaches.
struct Office {
    forge: Arc<Gitlab>,
    desk: Desk,
    session: Session,
    group: u64,
    site: u64,
    docs: u64,
}

#[async_trait]
impl Directories for Office {
    async fn directory(&self, _: &Connection) -> Result<Box<dyn Directory>, NoDirectory> {
        Err(NoDirectory::Quiet("it is not asked for".into()))
    }

    async fn logs(&self, _: &Connection) -> Result<Vec<Box<dyn SentLog>>, NoDirectory> {
        Ok(Vec::new())
    }

    async fn events(&self, _: &Connection) -> Result<Option<Box<dyn Events>>, NoDirectory> {
        Ok(Some(Box::new(Activity::new(self.session.clone(), self.group))))
    }
}

impl Office {
    async fn new() -> Self {
        let forge = Gitlab::cloud();
        let (mut desk, directory, group) = at_gitlab(&forge).await;
        let clock = Arc::clone(&desk.clock) as _;
        desk.follower = Follower::new(Arc::clone(&desk.store), clock).with_reach(Reach::Polling);
        let (site, docs) = (forge.project(group, "site"), forge.project(group, "docs"));
        desk.lists(&directory).await.unwrap();
        let token = forge.group_token(group, 50, &["api"]);
        let session = story::gitlab::patient_client(&forge).token(token.as_str().into());
        pass(&forge.book, 7200).await;
        Self { forge, desk, session, group, site, docs }
    }

    async fn looks(&self) -> EventsSeen {
        let events = Activity::new(self.session.clone(), self.group);
        self.desk.follower.look_at(&events, &self.desk.connection().await).await.unwrap()
    }

    async fn project(&self, id: u64) -> Project {
        let found = self.desk.store.projects_numbered(&slug(), &host(), Some(id - 1), 1).await.unwrap();
        found.into_iter().next().unwrap().value
    }

    async fn wished(&self) -> Vec<TaskKind> {
        let page = Page { limit: 50, cursor: None };
        let all = self.desk.store.tasks(&TaskFilter::default(), &page).await.unwrap().items;
        all.iter().map(|task| task.kind).collect()
    }
}

#[tokio::test]
async fn a_push_is_known_within_a_minute_though_nobody_can_tell_of_it() {
    let office = Office::new().await;
    office.looks().await;
    for minute in 0..4 {
        pass(&office.forge.book, 60).await;
        // GitLab notes the first of them, and the others not before an hour has gone by.
        office.forge.pushes(office.site);
        let pushed_at = office.desk.now();
        assert_eq!(office.looks().await, EventsSeen { looked: 1, pushed: 1, strange: 0 }, "{minute}");
        assert_eq!(office.project(office.site).await.last_push_at, Some(pushed_at), "{minute}");
    }
    assert_eq!(office.looks().await.pushed, 0, "it is known");
    assert_eq!(office.project(office.docs).await.last_push_at, None);
    assert_eq!(office.wished().await, [], "nothing else was to be read");
    assert_eq!(office.forge.violations(), [""; 0]);
}

/// A token that may make no hook: the daemon is reached, and yet nobody tells it of this group.
#[tokio::test]
async fn a_connection_without_a_hook_is_polled_though_others_are_told_of() {
    let mut office = Office::new().await;
    let clock = Arc::clone(&office.desk.clock) as _;
    office.desk.follower = Follower::new(Arc::clone(&office.desk.store), clock);
    let catches_up = async |office: &Office| {
        let connection = office.desk.connection().await;
        let wish = missed(&connection, "timer", office.desk.now());
        match office.desk.follower.perform(office, &Task::wished(None, &wish)).await.unwrap() {
            Performed::Done { note, .. } => note,
            other => panic!("{other:?}"),
        }
    };
    assert!(!catches_up(&office).await.contains("projects looked at"));
    let mut connection = office.desk.connection().await;
    connection.health.channel = Channel::Polling;
    let change = Change::PutConnection(Box::new(connection));
    assert!(office.desk.store.apply(vec![change], Vec::new()).await.unwrap());
    assert!(catches_up(&office).await.contains("projects looked at"));
}

#[tokio::test]
async fn a_project_that_is_new_or_renamed_has_the_whole_list_read() {
    let office = Office::new().await;
    office.looks().await;
    let fresh = office.forge.project(office.group, "fresh");
    pass(&office.forge.book, 60).await;
    assert_eq!(office.looks().await, EventsSeen { looked: 1, pushed: 0, strange: 1 });
    assert_eq!(office.wished().await, [TaskKind::SyncConnection]);
    let found = office.desk.store.projects_numbered(&slug(), &host(), Some(fresh - 1), 1).await.unwrap();
    assert!(found.is_empty(), "an event is a hint: the list alone says what there is");
    assert_eq!(office.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn a_look_that_fails_is_gone_on_from_where_it_began_and_asks_no_more_than_a_page_of_projects() {
    let office = Office::new().await;
    office.looks().await;
    pass(&office.forge.book, 4000).await;
    office.forge.pushes(office.site);
    let pushed_at = office.desk.now();
    office.forge.plants(Planted::at("/events", Fault::Status(502)));
    let connection = office.desk.connection().await;
    let wish = missed(&connection, "timer", office.desk.now());
    let task = Task::wished(None, &wish);
    let cut = office.desk.follower.perform(&office, &task).await.unwrap();
    assert!(matches!(cut, Performed::Later { .. }), "{cut:?}");
    // Two hours and more: what happened before the look that failed is not left out.
    pass(&office.forge.book, 3 * 3600).await;
    office.desk.follower.perform(&office, &task).await.unwrap();
    assert_eq!(office.project(office.site).await.last_push_at, Some(pushed_at));
    for number in 0..150 {
        office.forge.project(office.group, &format!("p{number}"));
    }
    let before = office.forge.book.seen().len();
    let done = office.desk.follower.perform(&office, &task).await.unwrap();
    let Performed::Done { note, .. } = done else { panic!("{done:?}") };
    assert!(note.contains("100 projects looked at"), "{note}");
    assert_eq!(office.forge.book.seen().len() - before, 101);
    assert_eq!(office.forge.violations(), [""; 0]);
}
