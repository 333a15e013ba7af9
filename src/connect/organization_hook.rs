//! The hook that we make at a GitHub with a token that may make one (`admin:org_hook`): one of the organization, which
//! tells of its members and of all its repositories. Found again by its address, so that it is not made twice. Where the
//! token may not, a hook that somebody sets up by hand does the same, with the secret that was shown to them.

use super::hooks::{State, counted, hook_url, is_no};
use super::{Connections, NotReady};
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::health::{Channel, MadeHook};
use crate::domain::organization::Connection;
use crate::handler::Found;
use crate::provider::ProviderError;
use crate::provider::github::client::{Hook, HookPlace, NewHook, Session};

/// What is told.
const EVENTS: [&str; 9] = [
    "member",
    "membership",
    "meta",
    "organization",
    "pull_request",
    "push",
    "repository",
    "team",
    "workflow_run",
];

/// The feature that says whether the token may.
pub(super) const FEATURE: &str = "hooks";

/// Brings the hook to what it should be.
pub(super) async fn mend(
    of: &Connections,
    connection: &Connection,
    session: &Session,
    found: &Found,
) -> Result<State, NotReady> {
    let may = found.capabilities.iter().any(|one| one.feature == FEATURE && one.ok);
    let owner = CredentialOwner::Source(connection.source.clone());
    let secret = of.store.credential(&owner, CredentialKind::WebhookSecret).await;
    let secret = secret.map_err(NotReady::of_credential)?;
    let Some(secret) = secret.filter(|_| may && !of.forges.is_declared(&connection.key)) else {
        return Ok(None);
    };
    let place = HookPlace::Organization(found.account.login.clone());
    let events = EVENTS.map(str::to_owned).to_vec();
    let wanted = NewHook { url: hook_url(of, connection)?, secret: secret.secret.clone(), events };
    let given = Some(secret.about.created_at);
    let is_known = connection.health.hooks.iter().any(|hook| hook.given == given);
    match ensure(session, &place, &wanted, is_known).await {
        Ok(hook) => {
            let made = MadeHook {
                place: "organization".into(),
                of: found.account.external_id.unwrap_or_default(),
                id: hook.id.get(),
                alert_status: if hook.active { "executable" } else { "disabled" }.into(),
                given,
            };
            Ok(Some((Channel::OrganizationHook, vec![made])))
        }
        // A person's own account has none.
        Err(error) if is_no(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The one hook that sends to us: made, brought up to date, or switched on again. One that is not known to have our
/// secret is given it.
async fn ensure(
    session: &Session,
    place: &HookPlace,
    wanted: &NewHook,
    is_known: bool,
) -> Result<Hook, ProviderError> {
    let all = session.hooks(place).await?;
    match all.items().iter().find(|hook| hook.config.url == wanted.url.as_str()) {
        None => session.create_hook(place, wanted).await,
        Some(hook) if is_known && is_right(hook, wanted) => Ok(hook.clone()),
        Some(hook) => session.update_hook(place, hook.id.get(), wanted).await,
    }
}

fn is_right(hook: &Hook, wanted: &NewHook) -> bool {
    let tells = |event: &String| hook.events.iter().any(|told| told == event || told == "*");
    hook.active && hook.config.content_type == "json" && wanted.events.iter().all(tells)
}

/// Takes away what we made; says how many hooks are gone and how many could not be removed.
pub(super) async fn remove(of: &Connections, connection: &Connection, session: &Session) -> (usize, usize) {
    let mut removed = Vec::new();
    let Ok(url) = hook_url(of, connection) else { return (0, connection.health.hooks.len()) };
    let place = HookPlace::Organization(connection.account.login.clone());
    for made in &connection.health.hooks {
        let known = session.hooks(&place).await;
        // Only what still sends to us is ours.
        let is_ours = known.as_ref().is_ok_and(|all| {
            all.items().iter().any(|hook| hook.id.get() == made.id && hook.config.url == url.as_str())
        });
        removed.push(match (known, is_ours) {
            (Ok(_), false) => Ok(()),
            (Ok(_), true) => session.delete_hook(&place, made.id).await,
            (Err(error), _) => Err(error),
        });
    }
    counted(&removed)
}
