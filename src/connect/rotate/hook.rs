//! Secrets of hooks that we made, replaced: kept first, told to the forge when every door knows them, tried out.

use super::super::hook_secret::{self, DOORS_KNOW_MS, Stage};
use super::super::hooks::{hook_url, place_of};
use super::super::{Connections, NotReady, Ready};
use super::{LEAKED, Part, WAIT_MS};
use crate::domain::Timestamp;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::known::Versioned;
use crate::domain::organization::{Connection, Source};
use crate::domain::task::{Performed, Task, TaskKind};
use crate::provider::github::client::HookPlace;
use crate::provider::gitlab::client::Trigger;

impl Connections {
    /// Replaces the secrets of the hooks that we made for a connection, or goes on with it.
    pub(super) async fn rotate_hook_secrets(
        &self,
        task: &Task,
        connection: &Connection,
    ) -> Result<Part, NotReady> {
        let found = self.store.versioned_source(&connection.source).await?;
        let Some(found) = found.filter(|found| !found.value.removed) else {
            return Ok(Part::Nothing("it has no hook".into()));
        };
        if self.forges.is_declared(&connection.key) || found.value.created_by == "config" {
            let why = "its hook's secret is declared in the config file, which alone may change it";
            return Ok(Part::Nothing(why.into()));
        }
        let owner = CredentialOwner::Source(found.value.key.clone());
        let kept = self.store.credentials(&owner).await?;
        let secret = kept.iter().find(|about| about.kind == CredentialKind::WebhookSecret);
        let secret = match secret {
            None => return Ok(Part::Nothing("it has no hook".into())),
            Some(secret) if secret.organization != connection.organization => {
                return Ok(Part::Nothing("its App is another organization's".into()));
            }
            Some(secret) => secret,
        };
        match Stage::of(&kept) {
            // What was replaced has leaked, and has ended since this was asked for.
            Stage::Rest if secret.created_at > task.wished_at && task.subject != LEAKED => {
                let since = secret.created_at.rfc3339();
                Ok(Part::Did(format!(
                    "its hooks have another secret since {since}, and the old one has ended"
                )))
            }
            Stage::Rest => self.begin_hook_secrets(task, connection, found).await,
            Stage::Begun { kept_at } => self.tell_hook_secrets(task, connection, kept_at).await,
            Stage::Overlap { until } => Ok(Part::Did(told(until))),
        }
    }

    /// Keeps the new secrets. The forge is told in another run, when the doors of all processes know them.
    async fn begin_hook_secrets(
        &self,
        task: &Task,
        connection: &Connection,
        source: Versioned<Source>,
    ) -> Result<Part, NotReady> {
        if let Some(why) = self.not_ours(connection).await? {
            return Ok(Part::Nothing(why.into()));
        }
        if !hook_secret::begin(self, (&task.wished_by, Some(task)), connection, source).await? {
            return Ok(Part::later(Some(self.now()), "its source has changed"));
        }
        let at = self.now().plus_ms(DOORS_KNOW_MS);
        Ok(Part::later(Some(at), "the new secret of its hooks is kept; the forge is told in a moment"))
    }

    /// Why nobody here can tell the forge another secret.
    async fn not_ours(&self, connection: &Connection) -> Result<Option<&'static str>, NotReady> {
        Ok(match self.forges.ready(connection).await? {
            Ready::Installation(it) => {
                let hook = it.app.session().app_hook().await?;
                let is_ours = hook.url == hook_url(self, connection)?.as_str();
                (!is_ours).then_some("its App's hook sends to another address")
            }
            Ready::Github(_) | Ready::Gitlab(_) => {
                let why = "no hook of it was made here; one that was set up by hand gets another secret with --by-hand";
                connection.health.hooks.is_empty().then_some(why)
            }
        })
    }

    /// Has each hook given the new secret, which is what a check does.
    async fn tell_hook_secrets(
        &self,
        task: &Task,
        connection: &Connection,
        kept_at: Timestamp,
    ) -> Result<Part, NotReady> {
        // Nothing is told through a connection that is off.
        let ready = self.forges.ready(connection).await?;
        if connection.health.hooks.is_empty() && !matches!(ready, Ready::Installation(_)) {
            return Ok(Part::Nothing("its hook's new secret is to be entered at the forge by hand".into()));
        }
        let now = self.now();
        if (Stage::Begun { kept_at }).waits_for_doors(now) {
            return Ok(Part::later(
                Some(kept_at.plus_ms(DOORS_KNOW_MS)),
                "not every door knows the new secret",
            ));
        }
        // A check that has read the old one would give it to a hook after we did.
        let has_old =
            |other: &Task| other.kind == TaskKind::CheckConnection && other.started_at <= Some(kept_at);
        if self.others_work(connection, has_old).await? {
            return Ok(Part::later(Some(now.plus_ms(WAIT_MS)), "another task uses the old secret now"));
        }
        let Performed::Done { changes, expects, .. } = self.check(task).await? else {
            return Ok(Part::later(None, "the forge could not be asked"));
        };
        if !self.store.apply(changes, expects).await? {
            return Ok(Part::later(Some(now), "the connection has changed"));
        }
        let Some(after) = self.store.connection(&connection.key).await? else {
            return Ok(Part::Nothing("the connection is no longer there".into()));
        };
        let owner = CredentialOwner::Source(connection.source.clone());
        if let Stage::Overlap { until } = Stage::of(&self.store.credentials(&owner).await?) {
            let tried = if self.try_out(&after, &ready).await { "; a test of it was sent" } else { "" };
            return Ok(Part::Did(format!("{}{tried}", told(until))));
        }
        let has = |of: &Connection| of.health.hooks.iter().filter(|hook| hook.given >= Some(kept_at)).count();
        let goes_on = (has(&after) > has(connection)).then_some(now);
        let why = after.health.last_error.unwrap_or_else(|| "not every hook has it yet".into());
        Ok(Part::later(goes_on, format!("the forge has yet to be told of the new secret: {why}")))
    }

    /// Has a hook send something, so that the new secret proves a delivery now and not with the next event. An App's hook
    /// cannot be asked to.
    async fn try_out(&self, connection: &Connection, ready: &Ready) -> bool {
        let Some(made) = connection.health.hooks.first() else { return false };
        let sent = match ready {
            Ready::Gitlab(session) => session.test_hook(place_of(made), made.id, Trigger::Push).await,
            Ready::Github(session) => {
                let place = HookPlace::Organization(connection.account.login.clone());
                session.ping_hook(&place, made.id).await
            }
            Ready::Installation(_) => return false,
        };
        sent.is_ok()
    }
}

/// What was done, in a sentence.
fn told(until: Timestamp) -> String {
    format!("its hooks have another secret, and the old one counts until {}", until.rfc3339())
}
