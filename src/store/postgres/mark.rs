//! [`Marks`] on PostgreSQL.

use async_trait::async_trait;
use sqlx::Row;

use super::PostgresStore;
use super::act::{Answer, act};
use crate::domain::known::Versioned;
use crate::store::{Marks, StoreError};

const READ: &str = "select version, text from mark where name = $1";
const BEGIN: &str =
    "insert into mark (name, version, text) values ($1, $2 + 1, $3) on conflict (name) do nothing";
const WRITE: &str = "update mark set version = $2 + 1, text = $3 where name = $1 and version = $2";

#[async_trait]
impl Marks for PostgresStore {
    async fn mark(&self, name: &str) -> Result<Option<Versioned<String>>, StoreError> {
        let Some(row) = sqlx::query(READ).bind(name).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let version = row.try_get::<i64, _>("version")?.unsigned_abs();
        Ok(Some(Versioned { version, value: row.try_get("text")? }))
    }

    async fn set_mark(&self, name: &str, version: u64, text: String) -> Result<bool, StoreError> {
        let name = name.to_owned();
        act(&self.pool, move |c| {
            Box::pin(async move {
                let write = sqlx::query(if version == 0 { BEGIN } else { WRITE });
                let write = write.bind(name.as_str()).bind(version.cast_signed()).bind(text.as_str());
                Ok(Answer::Keep(write.execute(c).await?.rows_affected() == 1))
            })
        })
        .await
    }
}
