//! [`Records`] on the embedded store.

use async_trait::async_trait;

use super::act::record::{self, find};
use super::key::{self, Key, Table};
use super::stage::Rows;
use super::{Inner, SledStore, list};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, RecordKey, Versioned};
use crate::domain::organization::{Connection, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};
use crate::store::{
    AuditFilter, ConnectionFilter, MemberFilter, Page, Paged, ProjectFilter, Records, StoreError,
};

/// Records that one event may look at through "all of the connection".
const ALL_MAX: usize = 100_000;

pub(super) fn connection_named(
    inner: &Inner,
    name: Option<Vec<u8>>,
) -> Result<Option<Connection>, StoreError> {
    let Some(name) = name else { return Ok(None) };
    let key = Key::of(Table::Connection).text(&String::from_utf8_lossy(&name));
    Ok(find::<_, Connection>(&inner.tree, &key)?.map(|found| found.value))
}

fn candidates(
    inner: &Inner,
    source: &SourceKey,
    host: &Host,
    about: &About,
) -> Result<Candidates, StoreError> {
    let tree = &inner.tree;
    let by = |key: Option<Key>| -> Result<Option<Connection>, StoreError> {
        let Some(key) = key else { return Ok(None) };
        connection_named(inner, tree.raw(key.as_bytes())?)
    };
    let account = about.group.or_else(|| about.account.as_ref().and_then(|account| account.id));
    let of_source = tree.with_prefix(&Key::of(Table::ConnectionOfSource).text(source.as_str()), ALL_MAX)?;
    let of_source = of_source.into_iter().map(|(_, name)| connection_named(inner, Some(name)));
    Ok(Candidates {
        by_installation: by(about.installation.map(|id| key::installation(host, id)))?,
        by_account: by(account.map(|id| key::account(host, id)))?,
        by_project: by_project(inner, source, host, about.project)?,
        of_source: of_source.filter_map(Result::transpose).collect::<Result<_, _>>()?,
        by_login: by_login(inner, host, about)?,
    })
}

/// Whoever has the name of the event's account.
fn by_login(inner: &Inner, host: &Host, about: &About) -> Result<Vec<Connection>, StoreError> {
    let login = about.account.as_ref().map_or("", |account| account.login.as_str());
    if login.is_empty() { Ok(Vec::new()) } else { named(inner, &key::login(host, login)) }
}

/// The connections to an account of this name.
pub(super) fn named(inner: &Inner, login: &Key) -> Result<Vec<Connection>, StoreError> {
    let names = record::named(&inner.tree, login)?;
    let found = names.iter().map(|name| find::<_, Connection>(&inner.tree, &key::connection(name)));
    found.filter_map(|found| found.map(|found| found.map(|found| found.value)).transpose()).collect()
}

fn by_project(
    inner: &Inner,
    source: &SourceKey,
    host: &Host,
    project: Option<u64>,
) -> Result<Option<Connection>, StoreError> {
    let Some(project) = project else { return Ok(None) };
    let Some(source) = find::<_, Source>(&inner.tree, &key::source(source))? else { return Ok(None) };
    for organization in &source.value.organizations {
        if let Some(found) = find::<_, Project>(&inner.tree, &key::project(organization, host, project))? {
            return connection_named(inner, Some(found.value.connection.as_str().as_bytes().to_vec()));
        }
    }
    Ok(None)
}

/// The record whose key lies in this index row.
fn by_index<T: serde::de::DeserializeOwned>(inner: &Inner, index: &Key) -> Result<Option<T>, StoreError> {
    let Some(key) = inner.tree.raw(index.as_bytes())? else { return Ok(None) };
    Ok(find::<_, T>(&inner.tree, &Key::raw(key))?.map(|found| found.value))
}

fn all_of<T: serde::de::DeserializeOwned>(
    inner: &Inner,
    table: Table,
    connection: &ConnectionKey,
) -> Result<Vec<Versioned<T>>, StoreError> {
    let index = inner.tree.with_prefix(&Key::of(table).text(connection.as_str()), ALL_MAX)?;
    index.into_iter().filter_map(|(_, key)| find(&inner.tree, &Key::raw(key)).transpose()).collect()
}

fn each<T: serde::de::DeserializeOwned>(
    inner: &Inner,
    keys: impl Iterator<Item = Key>,
) -> Result<Vec<Versioned<T>>, StoreError> {
    keys.filter_map(|key| find(&inner.tree, &key).transpose()).collect()
}

fn known(
    inner: &Inner,
    source: Source,
    connection: Connection,
    lookup: &Lookup,
) -> Result<Option<Known>, StoreError> {
    let slug = &connection.organization;
    let Some(organization) = find::<_, Organization>(&inner.tree, &key::organization(slug))? else {
        return Ok(None);
    };
    let host = &connection.host;
    let mut projects = each(inner, lookup.projects.iter().map(|id| key::project(slug, host, *id)))?;
    if lookup.all_projects_of_connection {
        projects.extend(all_of::<Project>(inner, Table::ProjectOfConnection, &connection.key)?);
    }
    let mut members = each(inner, lookup.members.iter().map(|id| key::member(slug, host, *id)))?;
    if lookup.all_members_of_connection {
        members.extend(all_of::<Member>(inner, Table::MemberOfConnection, &connection.key)?);
    }
    let runs = each(
        inner,
        lookup.runs.iter().map(|(project, kind, id)| key::run(slug, host, *project, *kind, *id)),
    )?;
    let recorded = find(&inner.tree, &key::connection(&connection.key))?;
    let connection = recorded.unwrap_or(Versioned { version: 0, value: connection });
    let received_at = Timestamp::default();
    Ok(Some(Known {
        received_at,
        replay_suspected: false,
        source,
        organization,
        connection,
        projects,
        members,
        runs,
    }))
}

#[async_trait]
impl Records for SledStore {
    async fn candidates(
        &self,
        source: &SourceKey,
        host: &Host,
        about: &About,
    ) -> Result<Candidates, StoreError> {
        let (source, host, about) = (source.clone(), host.clone(), about.clone());
        self.read(move |inner| candidates(inner, &source, &host, &about)).await
    }

    async fn known(
        &self,
        source: &Source,
        connection: &Connection,
        lookup: &Lookup,
    ) -> Result<Option<Known>, StoreError> {
        let (source, connection, lookup) = (source.clone(), connection.clone(), lookup.clone());
        self.read(move |inner| known(inner, source, connection, &lookup)).await
    }

    async fn apply(&self, changes: Vec<Change>, expects: Vec<(RecordKey, u64)>) -> Result<bool, StoreError> {
        let applied = self.inner.committer.act(move |stage| {
            if !record::hold(stage, &expects)? {
                return Ok(false);
            }
            record::apply(stage, changes).map(|()| true)
        });
        applied.await
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<Source>, StoreError> {
        let key = key::source(key);
        self.read(move |inner| Ok(find::<_, Source>(&inner.tree, &key)?.map(|found| found.value))).await
    }

    async fn sources(&self) -> Result<Vec<Source>, StoreError> {
        let page = Page { limit: ALL_MAX, cursor: None };
        self.read(move |inner| Ok(list::table(&inner.tree, Table::Source, &page)?.items)).await
    }

    async fn organization(&self, slug: &OrganizationSlug) -> Result<Option<Organization>, StoreError> {
        let key = key::organization(slug);
        self.read(move |inner| Ok(find::<_, Organization>(&inner.tree, &key)?.map(|found| found.value))).await
    }

    async fn organizations(&self, page: &Page) -> Result<Paged<Organization>, StoreError> {
        let page = page.clone();
        self.read(move |inner| list::table(&inner.tree, Table::Organization, &page)).await
    }

    async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError> {
        let key = key::connection(key);
        self.read(move |inner| Ok(find::<_, Connection>(&inner.tree, &key)?.map(|found| found.value))).await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Paged<Connection>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::connections(&inner.tree, &filter, &page)).await
    }

    async fn project(&self, id: &str) -> Result<Option<Project>, StoreError> {
        let index = Key::of(Table::ProjectById).text(id);
        self.read(move |inner| by_index(inner, &index)).await
    }

    async fn projects(&self, filter: &ProjectFilter, page: &Page) -> Result<Paged<Project>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::projects(&inner.tree, &filter, &page)).await
    }

    async fn member(&self, id: &str) -> Result<Option<Member>, StoreError> {
        let index = Key::of(Table::MemberById).text(id);
        self.read(move |inner| by_index(inner, &index)).await
    }

    async fn members(&self, filter: &MemberFilter, page: &Page) -> Result<Paged<Member>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::members(&inner.tree, &filter, &page)).await
    }

    async fn pipelines(&self, project: &Project, page: &Page) -> Result<Paged<Pipeline>, StoreError> {
        let (project, page) = (project.clone(), page.clone());
        self.read(move |inner| list::pipelines(&inner.tree, &project, &page)).await
    }

    async fn audit_entry(&self, id: &str) -> Result<Option<AuditEntry>, StoreError> {
        let id = id.to_owned();
        self.read(move |inner| list::audit_entry(&inner.tree, &id)).await
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditEntry>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::audit(&inner.tree, &filter, &page)).await
    }
}
