//! Hooks that we make at a GitLab: one of the group where the plan allows it, else one of each project, else none, and
//! then things are asked for (e-20). Found again by their address, so that nothing is made twice.

use secrecy::{ExposeSecret as _, SecretString};

use super::hook_secret::{self, Replacement};
use super::{Connections, NotReady, Ready, organization_hook};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::health::{Channel, MadeHook};
use crate::domain::known::RecordKey;
use crate::domain::organization::Connection;
use crate::domain::project::Project;
use crate::handler::Found;
use crate::provider::ProviderError;
use crate::provider::gitlab::client::{Events, Hook, HookPlace, HookProof, NewHook, Session, Trigger};
use crate::store::{Page, ProjectFilter, StoreError};
use crate::telemetry::hook;

/// Projects whose hooks are looked at in one check.
const PROJECTS: usize = 50;

/// How events reach us, and which hooks are ours; `None`: nobody looked, or they are somebody else's.
pub(super) type State = Option<(Channel, Vec<MadeHook>)>;

/// What a look at the hooks has come to.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) state: State,
    /// What is to be written, and the versions under which it holds.
    pub(super) changes: Vec<Change>,
    pub(super) expects: Vec<(RecordKey, u64)>,
    /// A secret that was replaced still counts until then.
    pub(super) old_secret_until: Option<Timestamp>,
}

/// What of a group is told.
const OF_GROUP: Events = Events {
    push_events: true,
    tag_push_events: false,
    merge_requests_events: true,
    note_events: false,
    pipeline_events: true,
    job_events: false,
    member_events: true,
    subgroup_events: true,
    project_events: true,
};
/// What of a project is told.
const OF_PROJECT: Events =
    Events { member_events: false, subgroup_events: false, project_events: false, ..OF_GROUP };

/// The secrets of a connection's hooks.
struct Secrets {
    token: SecretString,
    token_at: Timestamp,
    signing: SecretString,
    signing_at: Timestamp,
    /// The signing token is new, and to be kept once a hook has taken it.
    is_new: bool,
}

impl Secrets {
    /// When the younger of those was made that a hook has to have: which hooks were given it, and which an older one.
    fn made_at(&self, signs: bool) -> Timestamp {
        if signs { self.token_at.max(self.signing_at) } else { self.token_at }
    }
}

/// Whether some hooks have an older secret than others: what they send is refused until their turn comes.
pub(super) fn is_behind(hooks: Option<&(Channel, Vec<MadeHook>)>) -> bool {
    let given = || hooks.into_iter().flat_map(|(_, hooks)| hooks).map(|hook| hook.given);
    given().min() != given().max()
}

/// Shows how the forge holds a source's hooks.
fn show(connection: &Connection, state: Option<&(Channel, Vec<MadeHook>)>) {
    let Some((_, hooks)) = state else { return };
    hook::show_held(&connection.source, |status| {
        hooks.iter().any(|made| match made.alert_status.as_str() {
            "" => status == "executable",
            told => status == told,
        })
    });
}

/// Brings the hooks to what they should be. A connection whose hooks somebody else has set up is left alone, and so is one
/// whose new secret not every door knows yet.
pub(super) async fn mend(
    of: &Connections,
    connection: &Connection,
    ready: &Ready,
    found: &Found,
) -> Result<Mended, NotReady> {
    let replacement = Replacement::read(of, connection).await?;
    if replacement.stage.waits_for_doors(of.now()) {
        return Ok(Mended::default());
    }
    let (state, mut changes) = match ready {
        Ready::Gitlab(session) => mend_gitlab(of, connection, session, found).await?,
        Ready::Github(session) => {
            (organization_hook::mend(of, connection, session, found).await?, Vec::new())
        }
        // An App has its own.
        Ready::Installation(_) => (None, Vec::new()),
    };
    show(connection, state.as_ref());
    let is_told = match (ready, &state) {
        (Ready::Installation(app), _) if replacement.stage.is_begun() => {
            hook_secret::tell_app(of, connection, app).await?
        }
        (_, Some((_, hooks))) => replacement.stage.is_told(hooks),
        // Whoever has set the hook up by hand tells the forge, too.
        (Ready::Github(_), None) => match replacement.stage.kept_at() {
            Some(kept_at) => of.has_proven(connection, kept_at).await?,
            None => false,
        },
        _ => false,
    };
    let ((more, expects), old_secret_until) =
        hook_secret::go_on(of, connection, replacement, is_told).await?;
    changes.extend(more);
    Ok(Mended { state, changes, expects, old_secret_until })
}

async fn mend_gitlab(
    of: &Connections,
    connection: &Connection,
    session: &Session,
    found: &Found,
) -> Result<(State, Vec<Change>), NotReady> {
    let Some(secrets) = secrets(of, connection).await? else { return Ok((None, Vec::new())) };
    let may = found.capabilities.iter().any(|one| one.feature == "hooks" && one.ok);
    if !may {
        return Ok((Some((Channel::Polling, Vec::new())), Vec::new()));
    }
    let known = connection.health.hooks.clone();
    let mut maker = Maker { session, url: hook_url(of, connection)?, secrets, known, signed: false };
    let of_project = session.who().await.map(|who| crate::provider::gitlab::client::TokenOwner::of(&who))?;
    let only = match of_project {
        crate::provider::gitlab::client::TokenOwner::Project(id) => Some(id),
        _ => None,
    };
    let group = found.account.external_id.filter(|_| only.is_none());
    let state = match group {
        Some(group) => match maker.ensure(HookPlace::Group(group), OF_GROUP).await {
            Ok(hook) => (Channel::GroupHook, vec![maker.made("group", group, &hook)]),
            Err(error) if is_no(&error) => maker.of_projects(of, connection, only).await?,
            Err(error) => return Err(error.into()),
        },
        None => maker.of_projects(of, connection, only).await?,
    };
    let changes = match maker.signed && maker.secrets.is_new {
        true => vec![keep_signing(of, connection, &maker.secrets).await?],
        false => Vec::new(),
    };
    Ok((Some(state), changes))
}

/// Takes away what we made; says how many hooks are gone and how many could not be removed.
pub(super) async fn remove(of: &Connections, connection: &Connection, session: &Session) -> (usize, usize) {
    let mut removed = Vec::new();
    let Ok(url) = hook_url(of, connection) else { return (0, connection.health.hooks.len()) };
    for made in &connection.health.hooks {
        let place = place_of(made);
        // Only what still sends to us is ours.
        let known = session.hooks(place).await;
        let is_ours = known.as_ref().is_ok_and(|all| {
            all.items().iter().any(|hook| hook.id.get() == made.id && hook.url == url.as_str())
        });
        removed.push(match (known, is_ours) {
            (Ok(_), false) => Ok(()),
            (Ok(_), true) => session.delete_hook(place, made.id).await,
            (Err(error), _) => Err(error),
        });
    }
    counted(&removed)
}

/// How many are gone, and how many could not be removed.
pub(super) fn counted(removed: &[Result<(), ProviderError>]) -> (usize, usize) {
    let is_gone = |it: &&Result<(), ProviderError>| matches!(it, Ok(()) | Err(ProviderError::Gone));
    let gone = removed.iter().filter(is_gone).count();
    (gone, removed.len().saturating_sub(gone))
}

pub(super) fn place_of(made: &MadeHook) -> HookPlace {
    if made.place == "group" { HookPlace::Group(made.of) } else { HookPlace::Project(made.of) }
}

/// The plan or the role says no: another way is tried.
pub(super) const fn is_no(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Gone | ProviderError::NotPermitted { .. } | ProviderError::Refused { .. })
}

/// Where the connection's deliveries go.
pub(super) fn hook_url(of: &Connections, connection: &Connection) -> Result<url::Url, NotReady> {
    Ok(super::door_of(&of.public_url, &connection.source))
}

/// What is kept for the hooks. `None`: nothing, so they are somebody else's.
async fn secrets(of: &Connections, connection: &Connection) -> Result<Option<Secrets>, NotReady> {
    if of.forges.is_declared(&connection.key) {
        return Ok(None);
    }
    let owner = CredentialOwner::Source(connection.source.clone());
    let token = of.store.credential(&owner, CredentialKind::WebhookSecret).await;
    let Some(token) = token.map_err(NotReady::of_credential)? else { return Ok(None) };
    let kept = of.store.credential(&owner, CredentialKind::SigningToken).await;
    let kept = match kept.map_err(NotReady::of_credential) {
        // One that does not open proves nothing any more.
        Err(NotReady::Unreadable) => None,
        other => other?,
    };
    let is_new = kept.is_none();
    let (signing, signing_at) = match kept {
        Some(kept) => (kept.secret, kept.about.created_at),
        None => (hook_secret::fresh(of, CredentialKind::SigningToken)?, of.now()),
    };
    let (token, token_at) = (token.secret, token.about.created_at);
    Ok(Some(Secrets { token, token_at, signing, signing_at, is_new }))
}

async fn keep_signing(
    of: &Connections,
    connection: &Connection,
    secrets: &Secrets,
) -> Result<Change, StoreError> {
    let token = &secrets.signing;
    let about = CredentialAbout {
        organization: connection.organization.clone(),
        owner: CredentialOwner::Source(connection.source.clone()),
        kind: CredentialKind::SigningToken,
        last4: last4(token.expose_secret()),
        expires_at: None,
        binding: None,
        created_at: secrets.signing_at,
        rotating_since: None,
    };
    let sealed = of.store.seal_credential(about, token, of.now()).await?;
    Ok(Change::PutCredential(Box::new(sealed)))
}

/// Makes and mends the hooks of one connection.
struct Maker<'a> {
    session: &'a Session,
    url: url::Url,
    secrets: Secrets,
    /// What the last look has left.
    known: Vec<MadeHook>,
    /// A hook has taken the signing token.
    signed: bool,
}

impl Maker<'_> {
    fn wanted(&self, events: Events) -> NewHook {
        NewHook {
            url: self.url.clone(),
            token: self.secrets.token.clone(),
            signing_token: self.secrets.signing.clone(),
            events,
        }
    }

    /// The one hook that sends to us: made, brought up to date, or switched on again.
    async fn ensure(&mut self, place: HookPlace, events: Events) -> Result<Hook, ProviderError> {
        let all = self.session.hooks(place).await?;
        let ours = all.items().iter().find(|hook| hook.url == self.url.as_str());
        let hook = match ours {
            None => self.session.create_hook(place, &self.wanted(events)).await?,
            Some(hook) if self.is_given(hook) && self.is_right(hook, events) => hook.clone(),
            Some(hook) => self.session.update_hook(place, hook.id.get(), &self.wanted(events)).await?,
        };
        self.signed |= HookProof::of(&hook) == HookProof::Signed;
        if matches!(hook.alert_status.as_str(), "" | "executable") {
            return Ok(hook);
        }
        self.awake(place, hook).await
    }

    /// The deliveries of this source are believed by signatures alone.
    const fn signs(&self) -> bool {
        !self.secrets.is_new || self.signed
    }

    fn made(&self, place: &str, of: u64, hook: &Hook) -> MadeHook {
        let signs = !self.secrets.is_new || HookProof::of(hook) == HookProof::Signed;
        let (alert_status, given) = (hook.alert_status.clone(), Some(self.secrets.made_at(signs)));
        MadeHook { place: place.to_owned(), of, id: hook.id.get(), alert_status, given }
    }

    /// Whether it was given the secrets that we have now: it may be left from a connection that was ended.
    fn is_given(&self, hook: &Hook) -> bool {
        let given = Some(self.secrets.made_at(self.signs()));
        self.known.iter().any(|known| known.id == hook.id.get() && known.given == given)
    }

    fn is_right(&self, hook: &Hook, events: Events) -> bool {
        let proves = match HookProof::of(hook) {
            // It signs with a token that we do not have.
            HookProof::Signed => !self.secrets.is_new,
            // The door refuses a plain token as soon as one hook signs.
            HookProof::Token => {
                let could_sign = hook.signing_token_present == Some(false);
                hook.token_present != Some(false) && !(could_sign && self.signs())
            }
        };
        proves
            && hook.custom_webhook_template.as_deref().unwrap_or_default().is_empty()
            && hook.pipeline_events == events.pipeline_events
            && hook.push_events == events.push_events
            && hook.member_events.is_none_or(|told| told == events.member_events)
    }

    /// A hook that was switched off is on again after a test that we answer (e-23). What cannot be tested stays off and
    /// is told.
    async fn awake(&self, place: HookPlace, hook: Hook) -> Result<Hook, ProviderError> {
        for trigger in [Trigger::Push, Trigger::Pipeline] {
            match self.session.test_hook(place, hook.id.get(), trigger).await {
                Ok(()) => break,
                // There is nothing to send yet.
                Err(ProviderError::Refused { .. }) => {}
                Err(error) if error.passes() => return Err(error),
                Err(_) => break,
            }
        }
        let all = self.session.hooks(place).await?;
        Ok(all.into_items().into_iter().find(|one| one.id == hook.id).unwrap_or(hook))
    }

    /// A hook of each project; a bounded number of them in one look, those without one, or with an older secret, first.
    async fn of_projects(
        &mut self,
        of: &Connections,
        connection: &Connection,
        only: Option<u64>,
    ) -> Result<(Channel, Vec<MadeHook>), NotReady> {
        let projects = projects(of, connection).await?;
        let wanted = projects.iter().filter_map(Project::number);
        let wanted: Vec<u64> = wanted.filter(|id| only.is_none_or(|only| only == *id)).collect();
        let known = |id: u64| connection.health.hooks.iter().find(|it| it.place == "project" && it.of == id);
        let mut hooks: Vec<MadeHook> = wanted.iter().filter_map(|id| known(*id).cloned()).collect();
        let given = Some(self.secrets.made_at(self.signs()));
        let (without, with): (Vec<u64>, Vec<u64>) =
            wanted.iter().copied().partition(|id| known(*id).is_none_or(|hook| hook.given != given));
        let turn = usize::try_from(of.now().ms().unsigned_abs() / 900_000).unwrap_or(0);
        let start = turn.saturating_mul(PROJECTS).checked_rem(with.len().max(1)).unwrap_or(0);
        let again = with.iter().cycle().skip(start).take(with.len()).copied();
        let mut refused = 0_usize;
        for id in without.into_iter().chain(again).take(PROJECTS) {
            match self.ensure(HookPlace::Project(id), OF_PROJECT).await {
                Ok(hook) => {
                    hooks.retain(|known| known.of != id);
                    hooks.push(self.made("project", id, &hook));
                }
                Err(error) if is_no(&error) => {
                    hooks.retain(|known| known.of != id);
                    refused = refused.saturating_add(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let channel = if hooks.is_empty() && refused > 0 { Channel::Polling } else { Channel::ProjectHooks };
        Ok((channel, hooks))
    }
}

/// The connection's projects that are still there.
async fn projects(of: &Connections, connection: &Connection) -> Result<Vec<Project>, StoreError> {
    let filter = ProjectFilter {
        organization: Some(connection.organization.clone()),
        connection: Some(connection.key.clone()),
        ..ProjectFilter::default()
    };
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = Page { limit: 200, cursor };
        let found = of.store.projects(&filter, &page).await?;
        all.extend(found.items.into_iter().filter(|it| !it.removed && !it.moved_away && !it.archived));
        cursor = found.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}
