//! The records of a frozen view, section by section, each in the order of its key.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::delivery::id;
use super::super::trail::{entry, line};
use super::super::{access, find};
use crate::domain::Timestamp;
use crate::domain::credential::SealedCredential;
use crate::domain::known::Versioned;
use crate::domain::task::Task;
use crate::store::StoreError;
use crate::store::keep::{BodySeen, Fact, Item, PIECE_ITEMS_MAX, SetupCode};

/// Where a piece begins: behind this place of this section.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) section: usize,
    texts: Vec<String>,
    numbers: Vec<i64>,
}

impl Place {
    fn text(&self, at: usize) -> String {
        self.texts.get(at).cloned().unwrap_or_default()
    }

    pub(super) fn number(&self, at: usize) -> i64 {
        self.numbers.get(at).copied().unwrap_or(i64::MIN)
    }

    pub(super) fn uuid(&self) -> Uuid {
        Uuid::try_parse(&self.text(0)).unwrap_or_default()
    }

    pub(super) fn begin(section: usize) -> Self {
        Self { section, texts: Vec::new(), numbers: Vec::new() }
    }
}

/// An item and the place behind it.
pub(super) type Found = (Place, Item);

/// Items read at once.
pub(super) const LIMIT: i64 = PIECE_ITEMS_MAX as i64;

macro_rules! named {
    ($key:literal, $table:literal) => {
        concat!(
            "select ",
            $key,
            " as key, version, record::text from ",
            $table,
            " where ",
            $key,
            " > $1 order by ",
            $key,
            " limit $2"
        )
    };
}
pub(super) const ORGANIZATIONS: &str = named!("slug", "organization");
pub(super) const SOURCES: &str = named!("key", "source");
pub(super) const CONNECTIONS: &str = named!("key", "connection");
pub(super) const CHECK_INS: &str = named!("id", "check_in");
pub(super) const SCANS: &str = named!("unique_id", "scan");
/// A task has no versions.
pub(super) const TASKS: &str =
    "select id as key, fence as version, record::text from task where id > $1 order by id limit $2";

/// A task out of its worker's hands.
pub(super) fn task(found: Versioned<Task>) -> Fact {
    Fact::Task(Box::new(found.value.freed()))
}

/// Credentials, still sealed.
pub(super) async fn credentials(
    connection: &mut PgConnection,
    after: &Place,
) -> Result<Vec<(Place, SealedCredential)>, StoreError> {
    let sql = "select owner, kind, record::text from credential where (owner, kind) > ($1, $2)
        order by owner, kind limit $3";
    let query = sqlx::query(sql).bind(after.text(0)).bind(after.text(1)).bind(LIMIT);
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let texts = vec![row.try_get("owner")?, row.try_get("kind")?];
            Ok((place(after, texts, Vec::new()), find::parsed(row)?))
        })
        .collect()
}

pub(super) fn place(after: &Place, texts: Vec<String>, numbers: Vec<i64>) -> Place {
    Place { section: after.section, texts, numbers }
}

pub(super) async fn named<T: DeserializeOwned>(
    connection: &mut PgConnection,
    after: &Place,
    sql: &'static str,
    fact: impl Fn(Versioned<T>) -> Fact,
) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(sql).bind(after.text(0)).bind(LIMIT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok((place(after, vec![row.try_get("key")?], Vec::new()), fact(find::versioned(row)?).into()))
        })
        .collect()
}

macro_rules! numbered {
    ($table:literal) => {
        concat!(
            "select organization, host, external_id, version, record::text from ",
            $table,
            " where (organization, host, external_id) > ($1, $2, $3) \
             order by organization, host, external_id limit $4"
        )
    };
}
pub(super) const PROJECTS: &str = numbered!("project");
pub(super) const MEMBERS: &str = numbered!("member");

pub(super) async fn numbered<T: DeserializeOwned>(
    connection: &mut PgConnection,
    after: &Place,
    sql: &'static str,
    fact: impl Fn(Versioned<T>) -> Fact,
) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(sql)
        .bind(after.text(0))
        .bind(after.text(1))
        .bind(after.number(0))
        .bind(LIMIT)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let texts = vec![row.try_get("organization")?, row.try_get("host")?];
            Ok((place(after, texts, vec![row.try_get("external_id")?]), fact(find::versioned(row)?).into()))
        })
        .collect()
}

const PIPELINES: &str = "
    select organization, host, project, external_id, kind, version, record::text from pipeline
    where (organization, host, project, external_id, kind) > ($1, $2, $3, $4, $5)
    order by organization, host, project, external_id, kind limit $6
";

pub(super) async fn pipelines(
    connection: &mut PgConnection,
    after: &Place,
) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(PIPELINES)
        .bind(after.text(0))
        .bind(after.text(1))
        .bind(after.number(0))
        .bind(after.number(1))
        .bind(after.text(2))
        .bind(LIMIT)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let texts = vec![row.try_get("organization")?, row.try_get("host")?, row.try_get("kind")?];
            let numbers = vec![row.try_get("project")?, row.try_get("external_id")?];
            let fact = Fact::Pipeline(Box::new(find::versioned(row)?));
            Ok((place(after, texts, numbers), fact.into()))
        })
        .collect()
}

pub(super) async fn findings(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let sql = "select organization, project, git_ref, fingerprint, version, record::text from finding
        where (organization, project, git_ref, fingerprint) > ($1, $2, $3, $4)
        order by organization, project, git_ref, fingerprint limit $5";
    let query = (0..4).fold(sqlx::query(sql), |query, part| query.bind(after.text(part)));
    let rows = query.bind(LIMIT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let texts = ["organization", "project", "git_ref", "fingerprint"].map(|name| row.try_get(name));
            let texts = texts.into_iter().collect::<Result<Vec<String>, _>>()?;
            let finding = Fact::Finding(Box::new(find::versioned(row)?));
            Ok((place(after, texts, Vec::new()), finding.into()))
        })
        .collect()
}

pub(super) async fn tokens(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let sql = "select *, scope::text as scope_text from token where id > $1 order by id limit $2";
    let rows = sqlx::query(sql).bind(after.text(0)).bind(LIMIT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let token = access::token(row)?;
            Ok((place(after, vec![token.id.clone()], Vec::new()), Fact::Token(token).into()))
        })
        .collect()
}

pub(super) async fn setup_code(
    connection: &mut PgConnection,
    after: &Place,
) -> Result<Vec<Found>, StoreError> {
    if !after.numbers.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("select hash, expires_at from setup_code").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let hash: Vec<u8> = row.try_get("hash")?;
            let damaged = |_| StoreError::Corrupt("the setup code in the database has no valid hash".into());
            let code = SetupCode {
                hash: hash.try_into().map_err(damaged)?,
                expires_at: Timestamp::from_ms(row.try_get("expires_at")?),
            };
            Ok((place(after, Vec::new(), vec![1]), Fact::SetupCode(code).into()))
        })
        .collect()
}

const AUDIT: &str =
    concat!("select ", line!(), " from audit where (at, sequence) > ($1, $2) order by at, sequence limit $3");

pub(super) async fn audit(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(AUDIT)
        .bind(after.number(0))
        .bind(after.number(1))
        .bind(LIMIT)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let ((at, sequence), entry) = entry(row)?;
            Ok((place(after, Vec::new(), vec![at, sequence]), Fact::Audit(entry).into()))
        })
        .collect()
}

pub(super) async fn bodies(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let sql = "select hash, delivery, received_at from body_seen where hash > $1 order by hash limit $2";
    let rows = sqlx::query(sql).bind(after.uuid()).bind(LIMIT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let hash: Uuid = row.try_get("hash")?;
            let body = BodySeen {
                hash: hash.into_bytes(),
                first: id(row.try_get("delivery")?),
                at: Timestamp::from_ms(row.try_get("received_at")?),
            };
            Ok((place(after, vec![hash.to_string()], Vec::new()), Fact::Body(body).into()))
        })
        .collect()
}
