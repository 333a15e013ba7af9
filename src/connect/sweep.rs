//! What keeps checks and syncs going: each plans its next run itself, and what was cut off is planned anew here.

use super::Connections;
use crate::domain::change::Change;
use crate::domain::organization::Connection;
use crate::domain::task::{TaskKind, Wish};
use crate::store::{ConnectionFilter, Page, StoreError};

/// Connections looked at in one step.
const PIECE: usize = 200;
/// What is planned anew is spread over so much time, so that a start does not ask all forges at once.
const SPREAD_MS: u64 = 15 * 60 * 1000;

impl Connections {
    /// Plans a check and a sync of each connection that has none planned. Returns how many were planned.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let (mut planned, mut cursor) = (0_u64, None);
        loop {
            let found =
                self.store.connections(&ConnectionFilter::default(), &Page { limit: PIECE, cursor }).await?;
            for connection in found.items.iter().filter(|it| it.credential != "none") {
                for kind in [TaskKind::CheckConnection, TaskKind::SyncConnection] {
                    planned = planned.saturating_add(u64::from(self.plan(connection, kind).await?));
                }
            }
            cursor = found.next;
            if cursor.is_none() {
                return Ok(planned);
            }
        }
    }

    async fn plan(&self, connection: &Connection, kind: TaskKind) -> Result<bool, StoreError> {
        let now = self.now();
        let wish = Wish::now(kind, &connection.organization, &connection.key, "system", now);
        if self.store.task(&wish.id()).await?.is_some_and(|task| !task.state.is_final()) {
            return Ok(false);
        }
        let later = i64::try_from((self.chance)().checked_rem(SPREAD_MS).unwrap_or(0)).unwrap_or(0);
        let wish = Wish { due_at: now.plus_ms(later), ..wish };
        self.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await
    }
}
