//! [`Jobs`] on the embedded store.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::act::{self, record::find};
use super::key::{self, Key, Table};
use super::records::{connection_named, named};
use super::stage::Rows;
use super::{Inner, SledStore, list};
use crate::domain::access::{Approval, TokenRecord};
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::known::Versioned;
use crate::domain::organization::{Connection, Organization};
use crate::domain::project::Project;
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};
use crate::store::{FindingFilter, Jobs, Page, Paged, StoreError};

/// Connections of one organization that are looked at.
const OWN_MAX: usize = 10_000;
/// Projects of one number that are looked at: one per organization, and all of one namespace are through one.
const SAME_NUMBER_MAX: usize = 16;

#[async_trait]
impl Jobs for SledStore {
    async fn known_to_job(&self, lookup: &JobLookup) -> Result<JobKnown, StoreError> {
        let lookup = lookup.clone();
        self.read(move |inner| known(inner, &lookup)).await
    }

    async fn next_scan_number(&self) -> Result<u64, StoreError> {
        self.inner.committer.act(act::scan::next_number).await
    }

    async fn scan(&self, unique_id: &str) -> Result<Option<Versioned<Scan>>, StoreError> {
        let key = key::scan(unique_id);
        self.read(move |inner| find(&inner.tree, &key)).await
    }

    async fn scan_numbered(&self, number: u64) -> Result<Option<Versioned<Scan>>, StoreError> {
        self.read(move |inner| {
            let Some(name) = inner.tree.raw(key::scan_numbered(number).as_bytes())? else { return Ok(None) };
            find(&inner.tree, &key::scan(&String::from_utf8_lossy(&name)))
        })
        .await
    }

    async fn record_findings(&self, findings: Vec<Finding>) -> Result<(), StoreError> {
        self.inner.committer.act(move |stage| act::scan::record(stage, findings)).await
    }

    async fn close_findings(
        &self,
        branch: &Branch,
        scan: u64,
        rules: &BTreeSet<String>,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (branch, rules) = (branch.clone(), rules.clone());
        self.inner
            .committer
            .act(move |stage| act::scan::close(stage, &branch, scan, &rules, after, now))
            .await
    }

    async fn findings(&self, filter: &FindingFilter, page: &Page) -> Result<Paged<Finding>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::findings(&inner.tree, &filter, &page)).await
    }

    async fn put_approval(
        &self,
        hash: &[u8; 32],
        approval: Approval,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| act::scan::approve(stage, &hash, &approval, now)).await
    }

    async fn approval(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Approval>, StoreError> {
        let hash = *hash;
        self.read(move |inner| act::scan::approval(&inner.tree, &hash, now)).await
    }

    async fn redeem_approval(
        &self,
        hash: &[u8; 32],
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| act::scan::redeem(stage, &hash, &token, now)).await
    }

    async fn versioned_connection(
        &self,
        key: &ConnectionKey,
    ) -> Result<Option<Versioned<Connection>>, StoreError> {
        let key = key::connection(key);
        self.read(move |inner| find(&inner.tree, &key)).await
    }

    async fn versioned_organization(
        &self,
        slug: &OrganizationSlug,
    ) -> Result<Option<Versioned<Organization>>, StoreError> {
        let key = key::organization(slug);
        self.read(move |inner| find(&inner.tree, &key)).await
    }
}

fn known(inner: &Inner, lookup: &JobLookup) -> Result<JobKnown, StoreError> {
    let tree = &inner.tree;
    let host = &lookup.host;
    let by_account = match lookup.namespace {
        Some(number) => connection_named(inner, tree.raw(key::account(host, number).as_bytes())?)?,
        None => None,
    };
    let mut taken = Vec::new();
    for name in &lookup.keys {
        if tree.raw(key::connection(name).as_bytes())?.is_some() {
            taken.push(name.clone());
        }
    }
    let mut known = JobKnown {
        by_account,
        by_login: named(inner, &key::login(host, &lookup.login).bytes(b"p"))?,
        by_number: by_number(inner, lookup)?,
        before: find(tree, &key::check_in(&lookup.check_in))?,
        taken,
        ..JobKnown::default()
    };
    if let Some(slug) = lookup.organization.clone().or_else(|| known.holder()) {
        own(inner, lookup, &slug, &mut known)?;
    }
    Ok(known)
}

/// The connections through which the number is recorded: the project's own, else its namespace's; one of each
/// organization, for all projects of a namespace are through one.
fn by_number(inner: &Inner, lookup: &JobLookup) -> Result<Vec<Connection>, StoreError> {
    let own = lookup.project.map(|number| key::of_number(&lookup.host, b'p', number));
    let space = lookup.namespace.map(|number| key::of_number(&lookup.host, b'n', number));
    let mut found: Vec<Connection> = Vec::new();
    for prefix in own.into_iter().chain(space) {
        for (_, project) in inner.tree.with_prefix(&prefix, SAME_NUMBER_MAX)? {
            let organization = key::organization_of(&project);
            if found.iter().any(|known| Some(known.organization.as_str().as_bytes()) == organization) {
                continue;
            }
            let Some(project) = find::<_, Project>(&inner.tree, &Key::raw(project))? else { continue };
            let name = project.value.connection.as_str().as_bytes().to_vec();
            found.extend(connection_named(inner, Some(name))?.filter(Connection::holds));
        }
    }
    Ok(found)
}

/// What the organization itself has.
fn own(
    inner: &Inner,
    lookup: &JobLookup,
    slug: &OrganizationSlug,
    known: &mut JobKnown,
) -> Result<(), StoreError> {
    let (tree, host) = (&inner.tree, &lookup.host);
    known.organization = find(tree, &key::organization(slug))?;
    let numbered = lookup.project.map(|number| find(tree, &key::project(slug, host, number)));
    known.project = numbered.transpose()?.flatten();
    known.claimed = find(tree, &key::project(slug, host, lookup.claim()))?;
    let is_own =
        |found: &Versioned<Connection>| found.value.organization == *slug && found.value.host == *host;
    let numbered: BTreeSet<_> = known.numbered().cloned().collect();
    for key in &numbered {
        known.own.extend(find(tree, &key::connection(key))?.filter(is_own));
    }
    if known.own.is_empty() {
        let names =
            tree.with_prefix(&Key::of(Table::ConnectionOfOrganization).text(slug.as_str()), OWN_MAX)?;
        for (_, name) in names {
            let key = Key::of(Table::Connection).text(&String::from_utf8_lossy(&name));
            known.own.extend(find(tree, &key)?.filter(is_own));
        }
    }
    if lookup.project.is_none() {
        known.at_path = at_path(inner, host, slug, &lookup.full_path)?;
    }
    Ok(())
}

/// The proven project that has this path today.
fn at_path(
    inner: &Inner,
    host: &Host,
    slug: &OrganizationSlug,
    path: &str,
) -> Result<Option<Versioned<Project>>, StoreError> {
    let index = Key::of(Table::ProjectByPath).text(slug.as_str()).text(&path.to_lowercase());
    for (_, key) in inner.tree.with_prefix(&index, SAME_NUMBER_MAX)? {
        let found: Option<Versioned<Project>> = find(&inner.tree, &Key::raw(key))?;
        let is_it = |project: &Project| {
            project.host == *host && project.number().is_some() && !project.removed && !project.moved_away
        };
        if let Some(found) = found.filter(|found| is_it(&found.value)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
