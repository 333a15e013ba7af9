//! Everything as it was at one instant: one transaction that sees one snapshot for as long as it lives.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPool, PgRow};
use sqlx::{Executor, PgConnection, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::super::delivery::{columns, id, record};
use super::super::{access, connect, delivery, find, keys, list};
use crate::domain::Timestamp;
use crate::domain::delivery::{Attempt, Delivery};
use crate::seal::Keyring;
use crate::store::keep::{
    BodySeen, Fact, Frozen, Item, KeptDelivery, KeptUnindexed, PIECE_BYTES_MAX, PIECE_ITEMS_MAX, Piece,
    SetupCode,
};
use crate::store::{Page, StoreError};

/// It may take hours, and lie idle while the other side writes.
const BEGIN: &str = "
    set statement_timeout = 0;
    set idle_in_transaction_session_timeout = 0;
    begin isolation level repeatable read read only
";
/// Estimates, for progress alone; counting would read everything.
const ITEMS_ABOUT: &str = "
    select coalesce(sum(greatest(reltuples, 0)), 0)::int8 from pg_class
    where relnamespace = current_schema()::regnamespace and relkind = 'r' and relname in ('organization', 'source',
        'connection', 'project', 'member', 'pipeline', 'token', 'setup_code', 'audit', 'body_seen', 'delivery')
";

/// A frozen view.
pub(super) struct View {
    connection: Arc<Mutex<PgConnection>>,
    pool: PgPool,
    keyring: Keyring,
    items_about: u64,
}

/// Where a piece begins: behind this place of this section.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    section: usize,
    texts: Vec<String>,
    numbers: Vec<i64>,
}

impl Place {
    fn text(&self, at: usize) -> String {
        self.texts.get(at).cloned().unwrap_or_default()
    }

    fn number(&self, at: usize) -> i64 {
        self.numbers.get(at).copied().unwrap_or(i64::MIN)
    }

    fn uuid(&self) -> Uuid {
        Uuid::try_parse(&self.text(0)).unwrap_or_default()
    }

    fn begin(section: usize) -> Self {
        Self { section, texts: Vec::new(), numbers: Vec::new() }
    }
}

/// An item and the place behind it.
type Found = (Place, Item);

impl View {
    pub(super) async fn new(
        options: &PgConnectOptions,
        pool: PgPool,
        keyring: Keyring,
    ) -> Result<Self, StoreError> {
        let mut connection = connect::one(options).await?;
        connection.execute(BEGIN).await?;
        // The snapshot is taken by the first statement.
        let items: i64 = sqlx::query_scalar(ITEMS_ABOUT).fetch_one(&mut connection).await?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, pool, keyring, items_about: items.unsigned_abs() })
    }

    /// The next items of one section; fewer than [`PIECE_ITEMS_MAX`] only where it ends or where bytes are many.
    async fn section(&self, after: &Place) -> Result<Vec<Found>, StoreError> {
        let connection = &mut *self.connection.lock().await;
        match after.section {
            0 => named(connection, after, ORGANIZATIONS, Fact::Organization).await,
            1 => named(connection, after, SOURCES, Fact::Source).await,
            2 => named(connection, after, CONNECTIONS, |it| Fact::Connection(Box::new(it))).await,
            3 => numbered(connection, after, PROJECTS, |it| Fact::Project(Box::new(it))).await,
            4 => numbered(connection, after, MEMBERS, |it| Fact::Member(Box::new(it))).await,
            5 => pipelines(connection, after).await,
            6 => tokens(connection, after).await,
            7 => setup_code(connection, after).await,
            8 => audit(connection, after).await,
            9 => bodies(connection, after).await,
            10 => self.deliveries(connection, after).await,
            _ => self.unindexed(connection, after).await,
        }
    }
}

/// Behind the last section there is nothing.
const SECTIONS: usize = Fact::KINDS.len();

#[async_trait]
impl Frozen for View {
    fn items_about(&self) -> u64 {
        self.items_about
    }

    async fn piece(&self, after: Option<&str>) -> Result<Piece, StoreError> {
        let page = Page { limit: PIECE_ITEMS_MAX, cursor: after.map(str::to_owned) };
        let begun = super::super::page::after::<Place>(&page);
        if after.is_some() && begun.is_none() {
            return Err(StoreError::Unavailable("that is no cursor of this store".into()));
        }
        let mut place = begun.unwrap_or_else(|| Place::begin(0));
        while place.section < SECTIONS {
            let found = self.section(&place).await?;
            if let Some((last, _)) = found.last() {
                let next = Some(super::super::page::cursor(last));
                return Ok(Piece { items: found.into_iter().map(|(_, item)| item).collect(), next });
            }
            place = Place::begin(place.section.saturating_add(1));
        }
        Ok(Piece { items: Vec::new(), next: None })
    }
}

const LIMIT: i64 = PIECE_ITEMS_MAX as i64;

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
const ORGANIZATIONS: &str = named!("slug", "organization");
const SOURCES: &str = named!("key", "source");
const CONNECTIONS: &str = named!("key", "connection");

fn place(after: &Place, texts: Vec<String>, numbers: Vec<i64>) -> Place {
    Place { section: after.section, texts, numbers }
}

async fn named<T: DeserializeOwned>(
    connection: &mut PgConnection,
    after: &Place,
    sql: &'static str,
    fact: impl Fn(crate::domain::known::Versioned<T>) -> Fact,
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
const PROJECTS: &str = numbered!("project");
const MEMBERS: &str = numbered!("member");

async fn numbered<T: DeserializeOwned>(
    connection: &mut PgConnection,
    after: &Place,
    sql: &'static str,
    fact: impl Fn(crate::domain::known::Versioned<T>) -> Fact,
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

async fn pipelines(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
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

async fn tokens(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let sql = "select * from token where id > $1 order by id limit $2";
    let rows = sqlx::query(sql).bind(after.text(0)).bind(LIMIT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let token = access::token(row)?;
            Ok((place(after, vec![token.id.clone()], Vec::new()), Fact::Token(token).into()))
        })
        .collect()
}

async fn setup_code(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
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

const AUDIT: &str = "
    select at, sequence, organization, actor, action, subject, detail from audit
    where (at, sequence) > ($1, $2) order by at, sequence limit $3
";

async fn audit(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(AUDIT)
        .bind(after.number(0))
        .bind(after.number(1))
        .bind(LIMIT)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let ((at, sequence), entry) = list::entry(row)?;
            Ok((place(after, Vec::new(), vec![at, sequence]), Fact::Audit(entry).into()))
        })
        .collect()
}

async fn bodies(connection: &mut PgConnection, after: &Place) -> Result<Vec<Found>, StoreError> {
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

const DELIVERIES: &str = concat!(
    "select ",
    columns!(),
    ", q.due_at, coalesce(q.turn, false) as turn, d.dedupe is not null as holds_key, d.fence, d.blocks, d.aside,
        d.failing_since, d.attempts_forgiven
    from (select * from delivery where id > $1 and state > 0 order by id limit $2) d
    left join queue q on q.delivery = d.id order by d.id"
);
const UNINDEXED: &str = "
    select id, arrival, received_at, body_bytes from delivery where state = 0 and arrival > $1
    order by arrival limit $2
";
const FRAMES: &str = "select delivery, frame from payload where delivery = any($1)";
const ATTEMPTS: &str = "
    select delivery, number, started_at, took_ms, led_to, error from attempt where delivery = any($1)
    order by delivery, number
";

/// Rows until their bodies are as many bytes as a piece may have, but always one.
fn fitting(rows: Vec<PgRow>) -> Result<Vec<PgRow>, StoreError> {
    let (mut bytes, mut fit) = (0_usize, Vec::new());
    for row in rows {
        if bytes >= PIECE_BYTES_MAX {
            break;
        }
        let size: i64 = row.try_get("body_bytes")?;
        bytes = bytes.saturating_add(usize::try_from(size).unwrap_or(0));
        fit.push(row);
    }
    Ok(fit)
}

impl View {
    async fn contents(
        &self,
        connection: &mut PgConnection,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Delivery>, StoreError> {
        let mut names = Vec::new();
        let mut frames = Vec::new();
        for row in sqlx::query(FRAMES).bind(ids).fetch_all(connection).await? {
            names.push(row.try_get("delivery")?);
            frames.push(row.try_get("frame")?);
        }
        let opened = keys::unseal(&self.pool, &self.keyring, frames).await?;
        names.into_iter().zip(opened).map(|(name, delivery)| Ok((name, delivery?))).collect()
    }

    async fn deliveries(
        &self,
        connection: &mut PgConnection,
        after: &Place,
    ) -> Result<Vec<Found>, StoreError> {
        let rows = sqlx::query(DELIVERIES).bind(after.uuid()).bind(LIMIT).fetch_all(&mut *connection).await?;
        let rows = fitting(rows)?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        let mut attempts: HashMap<Uuid, Vec<Attempt>> = HashMap::new();
        for row in sqlx::query(ATTEMPTS).bind(&ids).fetch_all(&mut *connection).await? {
            attempts.entry(row.try_get("delivery")?).or_default().push(delivery::attempt(&row)?);
        }
        let mut contents = self.contents(connection, &ids).await?;
        rows.iter()
            .map(|row| {
                let name: Uuid = row.try_get("id")?;
                let kept = kept(row, attempts.remove(&name).unwrap_or_default())?;
                let fact = Fact::Delivery(Box::new(kept.freed()));
                let item = Item { fact, content: contents.remove(&name) };
                Ok((place(after, vec![name.to_string()], Vec::new()), item))
            })
            .collect()
    }

    async fn unindexed(
        &self,
        connection: &mut PgConnection,
        after: &Place,
    ) -> Result<Vec<Found>, StoreError> {
        let rows =
            sqlx::query(UNINDEXED).bind(after.number(0)).bind(LIMIT).fetch_all(&mut *connection).await?;
        let rows = fitting(rows)?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        let mut contents = self.contents(connection, &ids).await?;
        rows.iter()
            .map(|row| {
                let (name, arrival): (Uuid, i64) = (row.try_get("id")?, row.try_get("arrival")?);
                let received_at = Timestamp::from_ms(row.try_get("received_at")?);
                let fact = Fact::Unindexed(KeptUnindexed { id: id(name), received_at });
                Ok((place(after, Vec::new(), vec![arrival]), Item { fact, content: contents.remove(&name) }))
            })
            .collect()
    }
}

fn kept(row: &PgRow, attempts: Vec<Attempt>) -> Result<KeptDelivery, StoreError> {
    Ok(KeptDelivery {
        record: record(row)?,
        attempts,
        blocks: row.try_get("blocks")?,
        aside: row.try_get("aside")?,
        turn: row.try_get("turn")?,
        failing_since: row.try_get::<Option<i64>, _>("failing_since")?.map(Timestamp::from_ms),
        attempts_forgiven: row.try_get::<i32, _>("attempts_forgiven")?.unsigned_abs(),
        fence: row.try_get::<i64, _>("fence")?.unsigned_abs(),
        holds_key: row.try_get("holds_key")?,
    })
}
