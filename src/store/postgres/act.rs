//! One act is one transaction, in a task of its own: a caller that goes away cannot leave it half-way.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use crate::store::StoreError;

/// Longer than the server lets a statement run. Past it the connection is as good as cut.
const ACT_WITHIN: Duration = Duration::from_secs(15);

/// What an act has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// What was written is to stay.
    Keep(T),
    /// What was written is to be as if it had never been.
    Undo(T),
}

/// Runs `work` in a transaction and commits it; on an error nothing is changed.
pub(super) async fn act<T, W>(pool: &PgPool, work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<Answer<T>, StoreError>> + Send + 'static,
{
    let pool = pool.clone();
    let task = tokio::spawn(async move {
        let mut transaction = pool.begin().await?;
        match work(&mut transaction).await {
            Ok(Answer::Keep(answer)) => {
                transaction.commit().await?;
                Ok(answer)
            }
            Ok(Answer::Undo(answer)) => {
                transaction.rollback().await?;
                Ok(answer)
            }
            Err(error) => {
                // The pool's guard ends it as well; this only frees the locks sooner.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    });
    in_time(task).await
}

/// Waits for a task of ours.
async fn in_time<T>(task: tokio::task::JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    let abort = task.abort_handle();
    match tokio::time::timeout(ACT_WITHIN, task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(StoreError::Unavailable("a transaction panicked and was rolled back".into())),
        Err(_) => {
            abort.abort();
            Err(StoreError::Unavailable("the database did not answer in time".into()))
        }
    }
}

/// The first half of every advisory lock of ours; the second says what it is about.
const LOCKS: &str = "select case when l.alone then pg_advisory_xact_lock(7364203, l.what)::text \
    else pg_advisory_xact_lock_shared(7364203, l.what)::text end from unnest($1::int4[], $2::bool[]) as l(what, alone)";
/// The change of keys; a lock of a whole session.
pub(super) const ROTATION: i32 = -1;
/// The lanes.
const LANES: i32 = 0;
/// Stripes of records come behind.
pub(super) const STRIPES: i32 = 256;

/// A stripe of the records, 1 to [`STRIPES`], and whether it is needed alone.
pub(super) type Stripe = (i32, bool);

/// Takes part in what happens in the lanes, and holds these stripes, until the transaction ends. Many may be in the
/// lanes at once, but not while [`rearrange_lanes`] is held.
///
/// Whoever takes a delivery out of a lane looks for the next one behind it; whoever puts one in looks whether the lane
/// is empty. Between the two looks nothing may change, or a lane would stand still. The stripes stand for records that
/// may not exist yet, which no row could be locked for. Everybody takes them in the same order.
pub(super) async fn lock(connection: &mut PgConnection, stripes: &[Stripe]) -> Result<(), StoreError> {
    let mut all = vec![(LANES, false)];
    all.extend_from_slice(stripes);
    all.sort_unstable();
    lock_all(connection, all).await
}

/// Keeps everybody else out of the lanes until the transaction ends.
pub(super) async fn rearrange_lanes(connection: &mut PgConnection) -> Result<(), StoreError> {
    lock_all(connection, vec![(LANES, true)]).await
}

async fn lock_all(connection: &mut PgConnection, all: Vec<Stripe>) -> Result<(), StoreError> {
    let (what, alone): (Vec<i32>, Vec<bool>) = all.into_iter().unzip();
    sqlx::query(LOCKS).bind(what).bind(alone).fetch_all(connection).await?;
    Ok(())
}
