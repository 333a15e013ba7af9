//! New keys in place of old ones, while every process goes on (security S48).
//!
//! The database itself sees to it that no older key seals anything from the renewal on ([`keys::hold`]); so one pass
//! over what is kept finds all that such a key has sealed.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::act::ROTATION;
use super::find::parsed;
use super::{PostgresStore, connect, credential, keys};
use crate::domain::Timestamp;
use crate::fault;
use crate::seal::{Next, SealError};
use crate::store::keep::{Rotated, Tell, cannot_rotate, rotates_already};
use crate::store::{StoreError, frame};

/// Deliveries looked at by one step.
const LOOKED_AT: i64 = 512;
/// Bytes of deliveries sealed anew by one step, but always one delivery.
const STEP_BYTES_MAX: u64 = 4 << 20;

const ALONE: &str = "select pg_try_advisory_lock(7364203, $1)";
/// A frame names its key behind the delivery's number, the source's key, and a byte of version.
const LOOK: &str = "
    select delivery, octet_length(frame)::int8 as bytes,
        substr(frame, get_byte(substr(frame, 17, 1), 0) + 19, 4) = any($2::bytea[]) as old
    from payload where delivery > $1 order by delivery limit $3
";
const COUNT: &str = "select count(*) from payload";
const FRAMES: &str = "select delivery, frame from payload where delivery = any($1)";
/// A delivery that was deleted meanwhile stays so.
const PUT: &str = "
    update payload p set frame = n.frame from unnest($1::uuid[], $2::bytea[]) as n(delivery, frame)
    where p.delivery = n.delivery
";
const CREDENTIALS: &str = "select owner, kind, record::text from credential order by owner, kind for update";

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SealError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done =
        done.map_err(|error| StoreError::Unavailable(format!("a change of keys panicked: {error}")))?;
    done.map_err(|error| cannot_rotate(&error))
}

impl PostgresStore {
    pub(super) async fn rotate(
        &self,
        prepare_only: bool,
        now: Timestamp,
        tell: &Tell,
    ) -> Result<Rotated, StoreError> {
        // The lock goes with this connection, however the change ends.
        let mut own = connect::one(&self.options).await?;
        if !sqlx::query_scalar::<_, bool>(ALONE).bind(ROTATION).fetch_one(&mut own).await? {
            return Err(rotates_already());
        }
        let mut sealed: u64 = 0;
        loop {
            keys::refresh(&self.pool, &self.keyring).await?;
            let ring = self.keyring.clone();
            match aside(move || ring.next_step()).await? {
                Next::Begin(file) => aside(move || file.add()).await?,
                _ if prepare_only => return Ok(Rotated::Prepared),
                Next::Renew(file) => {
                    let _ = fault::point("keys.before-renew");
                    keys::renew(&mut own, &self.keyring, file, now).await?;
                }
                Next::Reseal => {
                    let _ = fault::point("keys.before-reseal");
                    let old = keys::old(&mut own).await?;
                    sealed = sealed.saturating_add(self.credentials_anew().await?);
                    sealed = sealed.saturating_add(self.deliveries_anew(&mut own, &old, tell).await?);
                    let _ = fault::point("keys.before-forget");
                    keys::forget(&mut own, &old).await?;
                }
                Next::Clear(file) => {
                    let _ = fault::point("keys.before-clear");
                    aside(move || file.clear()).await?;
                    return Ok(Rotated::Done { sealed });
                }
            }
        }
    }

    /// In one act: they are few.
    async fn credentials_anew(&self) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let mut sealed: u64 = 0;
        for row in sqlx::query(CREDENTIALS).fetch_all(&mut *transaction).await? {
            if let Some(anew) = crate::store::credential::renewed(&self.keyring, &parsed(&row)?)? {
                credential::put(&mut transaction, &anew).await?;
                sealed = sealed.saturating_add(1);
            }
        }
        transaction.commit().await?;
        Ok(sealed)
    }

    async fn deliveries_anew(
        &self,
        own: &mut PgConnection,
        old: &[i32],
        tell: &Tell,
    ) -> Result<u64, StoreError> {
        let names: Vec<Vec<u8>> = old.iter().map(|id| id.to_le_bytes().to_vec()).collect();
        let all: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *own).await?;
        let all = all.unsigned_abs();
        let (mut from, mut seen, mut sealed) = (Uuid::nil(), 0_u64, 0_u64);
        loop {
            let look = sqlx::query(LOOK).bind(from).bind(&names).bind(LOOKED_AT);
            let rows = look.fetch_all(&mut *own).await?;
            let Some(last) = rows.last() else { return Ok(sealed) };
            from = last.try_get("delivery")?;
            let mut step = (Vec::new(), 0_u64);
            for row in &rows {
                if row.try_get("old")? {
                    let bytes: i64 = row.try_get("bytes")?;
                    step.0.push(row.try_get::<Uuid, _>("delivery")?);
                    step.1 = step.1.saturating_add(bytes.unsigned_abs());
                }
                if step.1 >= STEP_BYTES_MAX {
                    sealed = sealed.saturating_add(self.frames_anew(own, std::mem::take(&mut step.0)).await?);
                    step.1 = 0;
                }
            }
            sealed = sealed.saturating_add(self.frames_anew(own, step.0).await?);
            seen = seen.saturating_add(rows.len() as u64);
            tell(seen.min(all), all);
        }
    }

    async fn frames_anew(&self, own: &mut PgConnection, ids: Vec<Uuid>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let rows = sqlx::query(FRAMES).bind(ids).fetch_all(&mut *own).await?;
        let read = |row: &sqlx::postgres::PgRow| Ok((row.try_get("delivery")?, row.try_get("frame")?));
        let frames = rows.iter().map(read).collect::<Result<Vec<(Uuid, Vec<u8>)>, sqlx::Error>>()?;
        let ring = self.keyring.clone();
        let anew = tokio::task::spawn_blocking(move || {
            let anew =
                frames.into_iter().map(|(id, old)| Ok(frame::renewed(&ring, &old)?.map(|new| (id, new))));
            anew.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()
        });
        let anew =
            anew.await.map_err(|error| StoreError::Unavailable(format!("sealing panicked: {error}")))??;
        let (ids, frames): (Vec<Uuid>, Vec<Vec<u8>>) = anew.into_iter().unzip();
        let put = sqlx::query(PUT).bind(ids).bind(frames).execute(own).await?;
        let _ = fault::point("keys.after-copy");
        Ok(put.rows_affected())
    }
}
