//! [`Tickets`] on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::PostgresStore;
use super::act::{Answer, act};
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{StoreError, Tickets};

const FORGET: &str = "delete from ticket where expires_at <= $1";
const PUT: &str = "
    insert into ticket (hash, purpose, organization, about, expires_at) values ($1, $2, $3, $4, $5)
    on conflict (hash) do update set purpose = excluded.purpose, organization = excluded.organization,
        about = excluded.about, expires_at = excluded.expires_at
";
const FIND: &str = "
    select organization, about, expires_at from ticket where hash = $1 and purpose = $2 and expires_at > $3
";
/// Used up by whoever deletes it.
const REDEEM: &str = "
    delete from ticket where hash = $1 and purpose = $2 and expires_at > $3
    returning organization, about, expires_at
";

fn ticket(row: &PgRow, purpose: TicketPurpose) -> Result<Ticket, StoreError> {
    let organization: String = row.try_get("organization")?;
    let damaged = |_| StoreError::Corrupt("a ticket in the database has no valid organization".into());
    Ok(Ticket {
        purpose,
        organization: OrganizationSlug::parse(&organization).map_err(damaged)?,
        about: row.try_get("about")?,
        expires_at: Timestamp::from_ms(row.try_get("expires_at")?),
    })
}

async fn put(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    ticket: &Ticket,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(FORGET).bind(now.ms()).execute(&mut *connection).await?;
    sqlx::query(PUT)
        .bind(hash.as_slice())
        .bind(ticket.purpose.as_str())
        .bind(ticket.organization.as_str())
        .bind(ticket.about.as_str())
        .bind(ticket.expires_at.ms())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Tickets for PostgresStore {
    async fn put_ticket(&self, hash: &[u8; 32], ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let hash = *hash;
        act(&self.pool, move |c| Box::pin(async move { put(c, &hash, &ticket, now).await.map(Answer::Keep) }))
            .await
    }

    async fn ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let query = sqlx::query(FIND).bind(hash.as_slice()).bind(purpose.as_str()).bind(now.ms());
        query.fetch_optional(&self.pool).await?.map(|row| ticket(&row, purpose)).transpose()
    }

    async fn redeem_ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let hash = *hash;
        act(&self.pool, move |c| {
            Box::pin(async move {
                let query = sqlx::query(REDEEM).bind(hash.as_slice()).bind(purpose.as_str()).bind(now.ms());
                let row = query.fetch_optional(c).await?;
                row.map(|row| ticket(&row, purpose)).transpose().map(Answer::Keep)
            })
        })
        .await
    }
}
