//! What would come of another connection managing the members: shown before anybody decides it (e-7). Nothing is changed.

use super::desk::{Desk, NoPlan};
use super::{MembersSynced, ROWS};
use crate::domain::organization::{Connection, Member, MemberState, Organization};
use crate::domain::roster::MemberRules;
use crate::store::{MemberFilter, Page, StoreError};

/// What a switch would do.
#[derive(Debug)]
pub struct Switch {
    /// Who would come, go, or have another role, of those whom the connection's forge knows.
    pub planned: MembersSynced,
    /// Members whom only another forge knows: nobody would confirm them any more.
    pub left_behind: Vec<Member>,
}

impl Desk {
    /// What would be done if this connection managed the members.
    ///
    /// # Errors
    /// When the forge or the store does not answer.
    pub async fn plan_switch(
        &self,
        organization: &Organization,
        connection: &Connection,
        rules: Option<MemberRules>,
    ) -> Result<Switch, NoPlan> {
        let planned = self.planned(organization, connection, rules).await?;
        let left_behind = self.elsewhere(organization, connection).await?;
        Ok(Switch { planned, left_behind })
    }

    /// Whoever belongs and is known at another forge than the connection's.
    async fn elsewhere(
        &self,
        organization: &Organization,
        connection: &Connection,
    ) -> Result<Vec<Member>, StoreError> {
        let filter =
            MemberFilter { organization: Some(organization.slug.clone()), ..MemberFilter::default() };
        let belongs = |it: &Member| it.state != MemberState::Removed && it.host != connection.host;
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let found = self.store().members(&filter, &Page { limit: ROWS, cursor }).await?;
            all.extend(found.items.into_iter().filter(belongs));
            cursor = found.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }
}
