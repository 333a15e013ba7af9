//! Everything as it was at one instant: one transaction that sees one snapshot for as long as it lives.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgRow};
use sqlx::{Executor, PgConnection, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::super::delivery::{columns, id, record};
use super::super::{connect, delivery, keys};
use super::section::{
    self, Found, LIMIT, Place, audit, bodies, findings, named, numbered, pipelines, place, setup_code, tokens,
};
use crate::domain::Timestamp;
use crate::domain::delivery::{Attempt, Delivery};
use crate::seal::Keyring;
use crate::store::keep::{
    Fact, Frozen, Item, KeptDelivery, KeptUnindexed, PIECE_BYTES_MAX, PIECE_ITEMS_MAX, Piece,
};
use crate::store::{Page, StoreError, credential};

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
        'connection', 'project', 'member', 'pipeline', 'check_in', 'scan', 'finding', 'token', 'credential', 'task', 'setup_code', 'audit', 'body_seen', 'delivery')
";

/// A frozen view.
pub(super) struct View {
    connection: Arc<Mutex<PgConnection>>,
    pool: PgPool,
    keyring: Keyring,
    items_about: u64,
}

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
            0 => named(connection, after, section::ORGANIZATIONS, Fact::Organization).await,
            1 => named(connection, after, section::SOURCES, Fact::Source).await,
            2 => named(connection, after, section::CONNECTIONS, |it| Fact::Connection(Box::new(it))).await,
            3 => numbered(connection, after, section::PROJECTS, |it| Fact::Project(Box::new(it))).await,
            4 => numbered(connection, after, section::MEMBERS, |it| Fact::Member(Box::new(it))).await,
            5 => pipelines(connection, after).await,
            6 => named(connection, after, section::CHECK_INS, |it| Fact::CheckIn(Box::new(it))).await,
            7 => named(connection, after, section::SCANS, |it| Fact::Scan(Box::new(it))).await,
            8 => findings(connection, after).await,
            9 => tokens(connection, after).await,
            10 => self.credentials(connection, after).await,
            11 => named(connection, after, section::TASKS, section::task).await,
            12 => setup_code(connection, after).await,
            13 => audit(connection, after).await,
            14 => bodies(connection, after).await,
            15 => self.deliveries(connection, after).await,
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

    async fn credentials(
        &self,
        connection: &mut PgConnection,
        after: &Place,
    ) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for (place, kept) in section::credentials(connection, after).await? {
            if hex::decode(&kept.sealed).is_ok_and(|sealed| !self.keyring.knows(&sealed)) {
                keys::refresh(&self.pool, &self.keyring).await?;
            }
            let opened = credential::open(&self.keyring, kept)?;
            let secret = Some(opened.secret);
            found.push((place, Item { secret, ..Fact::Credential(opened.about).into() }));
        }
        Ok(found)
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
                let item = Item { content: contents.remove(&name), ..fact.into() };
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
                Ok((
                    place(after, Vec::new(), vec![arrival]),
                    Item { content: contents.remove(&name), ..fact.into() },
                ))
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
