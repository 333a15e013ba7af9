//! One look at a connection's account: who it is, what the credential may do, until when.

use std::collections::BTreeMap;

use super::Ready;
use crate::domain::Timestamp;
use crate::domain::capability::{self, GitlabGrant};
use crate::domain::organization::Account;
use crate::handler::{Found, Look};
use crate::provider::ProviderError;
use crate::provider::github::client::{
    App, Installation, Level, OrganizationRole, Permissions, Session as GithubSession,
};
use crate::provider::gitlab::client::{Session as GitlabSession, TokenOwner};

/// What a look has learnt, and what people should know of the credential.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) found: Found,
    /// It works; this should be known all the same.
    pub(super) remarks: Vec<String>,
}

/// Looks at an account. Of a recorded one the number decides, whatever its name is today.
pub(super) async fn look(ready: &Ready, account: &Account) -> Result<Seen, ProviderError> {
    match ready {
        Ready::Installation(it) => installed(&it.app, it.installation, account).await,
        Ready::Github(session) => github(session, account).await,
        Ready::Gitlab(session) => gitlab(session, account).await,
    }
}

/// What an error means for a connection's health.
pub(super) fn meaning(error: &ProviderError) -> Look {
    let why = error.to_string();
    match error {
        ProviderError::Throttled { .. } => Look::Throttled(why),
        ProviderError::Unreachable(_) | ProviderError::Odd(_) | ProviderError::Endless => Look::Silent(why),
        ProviderError::Misaddressed(_) | ProviderError::Clock { .. } => Look::Silent(why),
        ProviderError::CredentialRefused => Look::Refused,
        ProviderError::Suspended => Look::Suspended,
        ProviderError::NotPermitted { .. } => Look::NotPermitted(why),
        ProviderError::Gone => Look::Gone,
        ProviderError::Refused { .. } => Look::NotPermitted(why),
    }
}

async fn installed(app: &App, installation: u64, account: &Account) -> Result<Seen, ProviderError> {
    let it = app.installation(installation).await?;
    if it.suspended_at.is_some() {
        return Err(ProviderError::Suspended);
    }
    let found = of_installation(&it);
    let is_other = account.external_id.is_some() && account.external_id != found.account.external_id;
    if is_other {
        return Err(ProviderError::Gone);
    }
    Ok(Seen { found, remarks: Vec::new() })
}

/// What an installation says of itself.
pub(super) fn of_installation(it: &Installation) -> Found {
    let permissions = words(&it.permissions);
    let account = it.account.as_ref();
    Found {
        account: Account {
            login: account.map(|account| account.login.clone()).unwrap_or_default(),
            external_id: account.map(|account| account.id.get()),
        },
        capabilities: capability::of_installation(&permissions),
        expires_at: None,
        permissions: Some(permissions),
        selection: Some(it.repository_selection.clone()).filter(|selection| !selection.is_empty()),
        hooks: None,
    }
}

fn words(permissions: &Permissions) -> BTreeMap<String, String> {
    let word = |level: Level| match level {
        Level::Read => Some("read"),
        Level::Write => Some("write"),
        Level::Admin => Some("admin"),
        Level::Unknown => None,
    };
    let known =
        permissions.iter().filter_map(|(name, level)| Some((name.to_owned(), word(level)?.to_owned())));
    known.collect()
}

async fn github(session: &GithubSession, account: &Account) -> Result<Seen, ProviderError> {
    let who = session.who().await?;
    let is_own = who.person.login.eq_ignore_ascii_case(&account.login);
    let found = if is_own {
        Account { login: who.person.login.clone(), external_id: Some(who.person.id.get()) }
    } else {
        let it = session.organization(&account.login).await?;
        Account { login: it.login, external_id: Some(it.id.get()) }
    };
    if account.external_id.is_some() && account.external_id != found.external_id {
        // Somebody else has the name by now.
        return Err(ProviderError::Gone);
    }
    let mut remarks = Vec::new();
    let capabilities = match &who.scopes {
        Some(scopes) => {
            if !scopes.allow(capability::GITHUB_SCOPE_OF_OLD) {
                remarks.push(format!(
                    "the token lacks the scope {}, which newer servers no longer offer; nothing here needs it",
                    capability::GITHUB_SCOPE_OF_OLD
                ));
            }
            capability::of_scopes(|scope| scopes.allow(scope))
        }
        None => {
            remarks.push("the token is fine-grained: the forge does not tell what it may do".into());
            let members = session.members(&found.login, OrganizationRole::Admin).await;
            capability::of_fine_grained(!is_own && members.is_ok())
        }
    };
    remarks.push(format!("the token is {}'s: the connection ends when they leave", who.person.login));
    let expires_at = who.expires_at;
    let found =
        Found { account: found, capabilities, expires_at, permissions: None, selection: None, hooks: None };
    Ok(Seen { found, remarks })
}

async fn gitlab(session: &GitlabSession, account: &Account) -> Result<Seen, ProviderError> {
    let about = session.token().await?;
    if about.revoked || !about.active {
        return Err(ProviderError::CredentialRefused);
    }
    let who = session.who().await?;
    let owner = TokenOwner::of(&who);
    let mut remarks = Vec::new();
    let (found, level) = match owner {
        TokenOwner::Project(id) => {
            let project = session.project(id).await?;
            let home = project.namespace.ok_or(ProviderError::Gone)?;
            remarks.push(format!("the token is a project's: only {} is seen", project.path_with_namespace));
            let member = session.project_member(id, who.id.get()).await;
            let account = Account { login: home.full_path, external_id: Some(home.id.get()) };
            (account, member.ok().map(|member| member.access_level.0))
        }
        _ => group(session, account, who.id.get()).await?,
    };
    if account.external_id.is_some() && account.external_id != found.external_id {
        return Err(ProviderError::Gone);
    }
    if owner == TokenOwner::Person {
        let name = &who.username;
        remarks.push(format!(
            "the token is {name}'s own: the connection ends when they leave; a group's token is better"
        ));
    }
    let grant = GitlabGrant {
        api: about.allows("api"),
        read_api: about.allows("read_api"),
        level,
        of_project: matches!(owner, TokenOwner::Project(_)),
    };
    let midnight = |day: chrono::NaiveDate| {
        day.and_hms_opt(0, 0, 0).map(|at| Timestamp::from_ms(at.and_utc().timestamp_millis()))
    };
    let found = Found {
        account: found,
        capabilities: capability::of_gitlab(grant),
        expires_at: about.expires_at.and_then(midnight),
        permissions: None,
        selection: None,
        hooks: None,
    };
    Ok(Seen { found, remarks })
}

/// The group by its number, once that is known, and the role in it of whoever asks.
async fn group(
    session: &GitlabSession,
    account: &Account,
    me: u64,
) -> Result<(Account, Option<u16>), ProviderError> {
    let it = match account.external_id {
        Some(id) => session.group(id).await?,
        // A path of digits would be taken for a number.
        None if account.login.bytes().all(|byte| byte.is_ascii_digit()) => return Err(ProviderError::Gone),
        None => session.group_at(&account.login).await?,
    };
    let level = match session.member(it.id.get(), me).await {
        Ok(member) => Some(member.access_level.0),
        // An administrator of the instance sees groups without being in them.
        Err(ProviderError::Gone | ProviderError::NotPermitted { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok((Account { login: it.full_path, external_id: Some(it.id.get()) }, level))
}
