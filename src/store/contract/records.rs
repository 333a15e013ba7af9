//! Records, their indexes and their versions.

use super::bench::{Bench, NOON, source};
use crate::domain::change::{AuditEntry, Change, Changes, Verdict};
use crate::domain::connection::Beginning;
use crate::domain::event::{About, AccountRef};
use crate::domain::known::Lookup;
use crate::domain::organization::{
    Account, Connection, Forge, Kind, Member, MemberState, Organization, Source,
};
use crate::domain::pipeline::{Pipeline, PipelineStatus, RunKind};
use crate::domain::project::{Project, Proof};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};
use crate::store::{AuditFilter, ConnectionFilter, MemberFilter, Outcome, Page, ProjectFilter};

pub(super) fn page() -> Page {
    Page { limit: 50, cursor: None }
}

pub(super) fn slug() -> OrganizationSlug {
    OrganizationSlug::parse("acme").unwrap()
}

fn url() -> url::Url {
    url::Url::parse("https://github.com").unwrap()
}

pub(super) fn host() -> Host {
    Host::of(&url()).unwrap()
}

pub(in crate::store) fn organization(slug: &str) -> Organization {
    Organization {
        slug: OrganizationSlug::parse(slug).unwrap(),
        name: "Acme".into(),
        home: Some(Forge::Github),
        authority: None,
        created_by: "cli".into(),
        created_at: NOON,
        members: Default::default(),
        break_glass: None,
    }
}

pub(super) fn a_source() -> Source {
    let organizations = vec![slug()];
    Source {
        key: source(),
        forge: Forge::Github,
        host: host(),
        url: url(),
        organizations,
        created_by: "config".into(),
        removed: false,
        app: None,
    }
}

pub(super) fn connection(key: &str, installation: u64) -> Connection {
    Connection {
        credential: "app".into(),
        installation: Some(installation),
        ..Connection::begin(Beginning {
            key: ConnectionKey::parse(key).unwrap(),
            organization: slug(),
            kind: Kind::GithubCloud,
            host: host(),
            url: url(),
            account: Account { login: "acme".into(), external_id: Some(installation + 100) },
            source: source(),
            created_by: "config".into(),
            created_at: NOON,
        })
    }
}

pub(super) fn project(id: u64, path: &str) -> Project {
    Project {
        organization: slug(),
        connection: ConnectionKey::parse("acme-github").unwrap(),
        provider: Forge::Github,
        host: host(),
        external_id: id,
        namespace: None,
        claimed_as: None,
        full_path: path.into(),
        previous_paths: Vec::new(),
        default_branch: None,
        visibility: None,
        archived: false,
        removed: false,
        moved_away: false,
        paused: false,
        ci_state: "none".into(),
        first_seen_at: NOON,
        last_check_in_at: None,
        last_push_at: None,
        last_pipeline: None,
        seen_at: None,
        proof: Proof::Proven,
    }
}

pub(super) fn member(id: u64, login: &str) -> Member {
    Member {
        organization: slug(),
        host: host(),
        external_id: id,
        login: login.into(),
        previous_logins: Vec::new(),
        role: None,
        role_source: "forge".into(),
        state: MemberState::Pending,
        source: ConnectionKey::parse("acme-github").unwrap(),
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    }
}

pub(super) fn run(project: u64, id: u64) -> Pipeline {
    Pipeline {
        organization: slug(),
        host: host(),
        project,
        kind: RunKind::Pipeline,
        external_id: id,
        parent: None,
        attempt: 1,
        name: None,
        status: PipelineStatus::Running,
        detail: "in_progress".into(),
        git_ref: None,
        sha: None,
        cause: None,
        updated_at: None,
    }
}

pub(super) fn audit_line(subject: &str) -> AuditEntry {
    AuditEntry {
        at: NOON,
        organization: Some(slug()),
        actor: "webhook".into(),
        action: "test".into(),
        subject: subject.into(),
        detail: String::new(),
        ..AuditEntry::default()
    }
}

/// A line as it was written, before it got its place in a chain.
fn unlinked(line: AuditEntry) -> AuditEntry {
    AuditEntry { link: None, ..line }
}

/// One record of each kind.
pub(super) fn everything() -> Vec<Change> {
    vec![
        Change::PutOrganization(organization("acme")),
        Change::PutSource(a_source()),
        Change::PutConnection(Box::new(connection("acme-github", 7))),
        put(project(1, "acme/site")),
        Change::PutMember(Box::new(member(5, "Ada"))),
        Change::PutPipeline(Box::new(run(1, 9))),
        Change::Audit(audit_line("all")),
    ]
}

async fn with(bench: &Bench, changes: Vec<Change>) {
    assert!(bench.store().await.apply(changes, Vec::new()).await.unwrap());
}

fn put(project: Project) -> Change {
    Change::PutProject(Box::new(project))
}

pub(in crate::store) async fn what_is_settled_is_there_after_a_restart(bench: &Bench) {
    bench.queues("a", "x").await;
    let claim = bench.claims_one(NOON).await;
    let changes =
        Changes { changes: everything(), organization: Some(slug()), ..Changes::none(Verdict::Done) };
    bench.settles(claim, Outcome::Apply(changes), NOON).await;
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.organization(&slug()).await.unwrap(), Some(organization("acme")));
    assert_eq!(store.sources().await.unwrap(), [a_source()]);
    assert_eq!(
        store.connections(&ConnectionFilter::of(Some(slug())), &page()).await.unwrap().items,
        [connection("acme-github", 7)]
    );
    let found = store.projects(&ProjectFilter::default(), &page()).await.unwrap().items;
    assert_eq!(found, [project(1, "acme/site")]);
    assert_eq!(store.project(&found[0].id()).await.unwrap(), Some(project(1, "acme/site")));
    let filter =
        MemberFilter { organization: Some(slug()), login: Some("ada".into()), ..MemberFilter::default() };
    assert_eq!(store.members(&filter, &page()).await.unwrap().items, [member(5, "Ada")]);
    assert_eq!(store.pipelines(&found[0], &page()).await.unwrap().items, [run(1, 9)]);
    let lines = store.audit(&AuditFilter::of(Some(slug())), &page()).await.unwrap().items;
    assert_eq!(lines.into_iter().map(unlinked).collect::<Vec<_>>(), [audit_line("all")]);
    assert!(store.verify(&|_, _| {}).await.unwrap().is_empty());
}

pub(in crate::store) async fn a_renamed_project_is_found_by_its_new_name_only(bench: &Bench) {
    with(bench, vec![put(project(1, "acme/old")), put(project(2, "acme/zeta"))]).await;
    let mut renamed = project(1, "acme/old");
    renamed.rename("acme/new");
    with(bench, vec![put(renamed)]).await;
    let filter = ProjectFilter { organization: Some(slug()), ..ProjectFilter::default() };
    let found = bench.store().await.projects(&filter, &page()).await.unwrap();
    let names: Vec<_> = found.items.into_iter().map(|project| project.full_path).collect();
    assert_eq!(names, ["acme/new", "acme/zeta"]);
}

pub(in crate::store) async fn candidates_are_found_by_every_number(bench: &Bench) {
    let first = connection("acme-github", 7);
    let second = connection("acme-second", 8);
    let mut of_first = project(1, "acme/site");
    of_first.connection = first.key.clone();
    let all = vec![
        Change::PutSource(a_source()),
        Change::PutConnection(Box::new(first.clone())),
        Change::PutConnection(Box::new(second.clone())),
        put(of_first),
    ];
    with(bench, all).await;
    let account = Some(AccountRef { id: Some(108), login: "whatever".into() });
    let about = About { installation: Some(7), account, project: Some(1), group: None };
    let found = bench.store().await.candidates(&source(), &host(), &about).await.unwrap();
    assert_eq!(found.by_installation.map(|found| found.key), Some(first.key.clone()));
    assert_eq!(found.by_account.map(|found| found.key), Some(second.key.clone()));
    assert_eq!(found.by_project.map(|found| found.key), Some(first.key.clone()));
    assert_eq!(found.of_source.len(), 2);
    // An installation that was replaced is no longer found.
    let moved = Connection { installation: Some(9), ..first };
    with(bench, vec![Change::PutConnection(Box::new(moved))]).await;
    let about = About { installation: Some(7), ..About::default() };
    let found = bench.store().await.candidates(&source(), &host(), &about).await.unwrap();
    assert!(found.by_installation.is_none());
}

pub(in crate::store) async fn known_brings_what_was_asked_for(bench: &Bench) {
    let connection = connection("acme-github", 7);
    let store = bench.store().await;
    assert!(
        store.known(&a_source(), &connection, &Lookup::default()).await.unwrap().is_none(),
        "no organization"
    );
    with(
        bench,
        vec![Change::PutOrganization(organization("acme")), put(project(1, "a/1")), put(project(2, "a/2"))],
    )
    .await;
    with(
        bench,
        vec![Change::PutMember(Box::new(member(5, "ada"))), Change::PutPipeline(Box::new(run(1, 9)))],
    )
    .await;
    let lookup = Lookup {
        projects: vec![1, 3],
        members: vec![5, 6],
        runs: vec![(1, RunKind::Pipeline, 9), (1, RunKind::Job, 9)],
        ..Lookup::default()
    };
    let known = store.known(&a_source(), &connection, &lookup).await.unwrap().unwrap();
    assert_eq!((known.projects.len(), known.members.len(), known.runs.len()), (1, 1, 1));
    assert_eq!((known.projects[0].version, known.connection.version), (1, 0));
    let all =
        Lookup { all_projects_of_connection: true, all_members_of_connection: true, ..Lookup::default() };
    let known = store.known(&a_source(), &connection, &all).await.unwrap().unwrap();
    assert_eq!((known.projects.len(), known.members.len()), (2, 1));
}

pub(in crate::store) async fn a_record_larger_than_a_row_comes_back(bench: &Bench) {
    let mut large = connection("acme-github", 7);
    large.permissions = (0..900).map(|number| (format!("permission_{number}"), "write".to_owned())).collect();
    with(bench, vec![Change::PutConnection(Box::new(large.clone()))]).await;
    bench.restart().await;
    assert_eq!(bench.store().await.connection(&large.key).await.unwrap(), Some(large.clone()));
    large.permissions.clear();
    with(bench, vec![Change::PutConnection(Box::new(large.clone()))]).await;
    bench.restart().await;
    assert_eq!(bench.store().await.connection(&large.key).await.unwrap(), Some(large));
}

pub(in crate::store) async fn the_audit_log_is_newest_first(bench: &Bench) {
    for number in 0..5 {
        with(
            bench,
            vec![Change::Audit(AuditEntry { at: NOON.plus_ms(number), ..audit_line(&number.to_string()) })],
        )
        .await;
    }
    let store = bench.store().await;
    let first = store.audit(&AuditFilter::of(Some(slug())), &Page { limit: 2, cursor: None }).await.unwrap();
    let names =
        |entries: &[AuditEntry]| entries.iter().map(|entry| entry.subject.clone()).collect::<Vec<_>>();
    assert_eq!(names(&first.items), ["4", "3"]);
    let rest =
        store.audit(&AuditFilter::of(Some(slug())), &Page { limit: 50, cursor: first.next }).await.unwrap();
    assert_eq!(names(&rest.items), ["2", "1", "0"]);
}

pub(in crate::store) async fn a_member_is_found_by_its_id_under_any_name(bench: &Bench) {
    let ada = member(5, "ada");
    with(
        bench,
        vec![Change::PutMember(Box::new(ada.clone())), Change::PutMember(Box::new(member(6, "bob")))],
    )
    .await;
    let renamed = Member { login: "countess".into(), ..ada.clone() };
    with(bench, vec![Change::PutMember(Box::new(renamed.clone()))]).await;
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.member(&ada.id()).await.unwrap(), Some(renamed));
    assert_eq!(store.member("0123").await.unwrap(), None);
}

pub(in crate::store) async fn a_line_of_the_audit_log_is_found_by_its_id(bench: &Bench) {
    // Several in one moment, and neighbours before and after it.
    let lines: Vec<AuditEntry> = ["a", "b", "c"].map(audit_line).into();
    let late = AuditEntry { at: NOON.plus_ms(1), organization: None, ..audit_line("b") };
    let early = AuditEntry { at: NOON.plus_ms(-1), ..audit_line("b") };
    with(bench, [early.clone(), late.clone()].into_iter().chain(lines.clone()).map(Change::Audit).collect())
        .await;
    bench.restart().await;
    let store = bench.store().await;
    for line in [early, late].iter().chain(&lines) {
        assert_eq!(store.audit_entry(&line.id()).await.unwrap().map(unlinked).as_ref(), Some(line));
    }
    let missing = [audit_line("d").id(), String::new(), "zz".repeat(20), "é".repeat(20)];
    for id in missing {
        assert_eq!(store.audit_entry(&id).await.unwrap(), None, "{id}");
    }
}
