//! Connections that an admin makes: asked for at the forge first, then written with their credential in one act.

use url::Url;

use super::new::{Added, NewConnection, NewCredential};
use super::probe::{self, Seen};
use super::record::{self, Draft};
use super::{Connections, Installed, Ready, Refusal, Undone, account};
use crate::domain::capability;
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::known::Versioned;
use crate::domain::organization::{Account, Connection, Forge, Kind, Organization};
use crate::domain::{ConnectionKey, Host};

/// Others that write the same records are waited for so often.
const TRIES_MAX: usize = 8;

/// What a credential may take the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replaces {
    /// It is for what has none.
    Nothing,
    /// Of another token.
    Token,
}

impl Connections {
    /// Makes a connection, or gives a credential to one that made itself.
    ///
    /// # Errors
    /// [`Undone`]; nothing is stored then.
    pub async fn add(&self, new: NewConnection) -> Result<Added, Undone> {
        self.put(new, Replaces::Nothing).await
    }

    async fn put(&self, new: NewConnection, replaces: Replaces) -> Result<Added, Undone> {
        let base = base_url(new.kind, new.url.as_ref())?;
        let host = Host::of(&base).map_err(|error| Refusal::new("url-invalid", error.to_string()))?;
        let endpoint = self.forges.endpoint(new.kind.forge(), &base);
        let (ready, new) = self.ready_with(new, &endpoint).await?;
        let typed = Account { login: new.account.clone(), external_id: None };
        let seen = match probe::look(&ready, &typed).await {
            Ok(seen) => seen,
            Err(error) => return Err(account::unknown(&ready, &new.account, error).await.into()),
        };
        account::same(&new.account, &seen.found.account)?;
        let lacking = capability::missing(&seen.found.capabilities);
        if !lacking.is_empty() {
            let message = format!("the credential lacks {}", lacking.join(", "));
            return Err(Refusal::new("scope-missing", message)
                .help("grant it at the forge, then try again")
                .into());
        }
        for _ in 0..TRIES_MAX {
            let draft = self.draft((&new, replaces), (&base, &host), &ready, &seen).await?;
            let binding = hex::encode(endpoint.binding().as_bytes());
            if let Some(added) = record::write(self, draft, &new, &seen, binding).await? {
                return Ok(added);
            }
        }
        Err(Undone::Busy)
    }

    /// Gives a credential to a connection that has none, or whose App was never installed, or another token to one that has
    /// a token: what was known of it stays, under its key.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn promote(
        &self,
        connection: &Connection,
        credential: NewCredential,
        by: &str,
        kept_by_file: bool,
    ) -> Result<Added, Undone> {
        if self.forges.is_of_file(connection) {
            return Err(Refusal::declared().into());
        }
        let new = NewConnection {
            organization: connection.organization.clone(),
            kind: connection.kind,
            url: Some(connection.url.clone()),
            account: connection.account.login.clone(),
            key: Some(connection.key.clone()),
            authority: None,
            credential,
            by: by.to_owned(),
            kept_by_file,
        };
        self.put(new, Replaces::Token).await
    }

    /// A client with a credential that is kept nowhere yet; with the installation, once it is known.
    async fn ready_with(
        &self,
        mut new: NewConnection,
        endpoint: &crate::outbound::Endpoint,
    ) -> Result<(Ready, NewConnection), Undone> {
        let forge = new.kind.forge();
        let ready = match (&mut new.credential, forge) {
            (NewCredential::Token(token), Forge::Github) => {
                Ready::Github(self.forges.github(endpoint)?.token(token.clone()).for_person())
            }
            (NewCredential::Token(token), Forge::Gitlab) => {
                Ready::Gitlab(self.forges.gitlab(endpoint)?.token(token.clone()).for_person())
            }
            (NewCredential::App(_), Forge::Gitlab) => {
                let refusal = Refusal::new("credential-invalid", "GitLab has no Apps of this kind");
                return Err(refusal.help("give an access token").into());
            }
            (NewCredential::App(it), Forge::Github) => {
                let app = self.forges.app(endpoint, &it.id.to_string(), &it.private_key)?;
                let installation = match it.installation {
                    Some(installation) => installation,
                    None => find_installation(&app, &new.account).await?,
                };
                it.installation = Some(installation);
                Ready::Installation(Box::new(Installed::new(app, installation)))
            }
        };
        Ok((ready, new))
    }

    /// What is to be written, by what is known now.
    async fn draft(
        &self,
        (new, replaces): (&NewConnection, Replaces),
        (base, host): (&Url, &Host),
        ready: &Ready,
        seen: &Seen,
    ) -> Result<Draft, Undone> {
        let keys = record::keys(new, host);
        let found = &seen.found.account;
        let lookup = JobLookup {
            organization: Some(new.organization.clone()),
            host: host.clone(),
            login: found.login.split('/').next().unwrap_or_default().to_lowercase(),
            full_path: found.login.clone(),
            namespace: found.external_id,
            project: None,
            check_in: String::new(),
            keys: keys.clone(),
        };
        let known = self.store.known_to_job(&lookup).await?;
        let missing = || Refusal::new("not-found", "there is no such organization");
        let organization = known.organization.clone().ok_or_else(missing)?;
        let is_named = |holder: &&Connection| {
            holder.account.external_id.is_none() || holder.account.external_id == found.external_id
        };
        let named = known.by_login.iter().filter(is_named);
        let mut holders = known.by_account.iter().chain(&known.by_number).chain(named);
        if holders.any(|holder| holder.organization != new.organization) {
            return Err(Refusal::unavailable().into());
        }
        let holders = known.holders(&lookup);
        let before = own(&known, new, found, replaces)?;
        if let Some(before) = &before
            && self.forges.is_of_file(&before.value)
        {
            return Err(Refusal::declared().into());
        }
        let key = match &before {
            Some(before) => before.value.key.clone(),
            None => {
                let is_free = |key: &&ConnectionKey| !known.taken.contains(key);
                let taken = || {
                    Refusal::new("key-taken", "there is a connection of that name").help("choose another key")
                };
                keys.iter().find(is_free).cloned().ok_or_else(taken)?
            }
        };
        let authority = authority(&organization.value, new, &key)?;
        let installation = match ready {
            Ready::Installation(it) => Some(it.installation),
            _ => None,
        };
        let (base, host) = (base.clone(), host.clone());
        Ok(Draft { organization, before, key, base, host, authority, installation, holders })
    }
}

/// The organization's own connection to this account. One that has a credential is no new one.
fn own(
    known: &JobKnown,
    new: &NewConnection,
    found: &Account,
    replaces: Replaces,
) -> Result<Option<Versioned<Connection>>, Refusal> {
    let is_it = |it: &&Versioned<Connection>| {
        let account = &it.value.account;
        let is_same = match (account.external_id, found.external_id) {
            (Some(known), Some(told)) => known == told,
            _ => account.login.eq_ignore_ascii_case(&found.login),
        };
        is_same && it.value.rejected_at.is_none()
    };
    let Some(before) = known.own.iter().find(is_it) else {
        // Promoting names a connection: it must be about this account.
        let named = new.key.as_ref().is_some_and(|key| known.own.iter().any(|it| it.value.key == *key));
        return if named {
            Err(Refusal::new("account-differs", "the connection of that name is about another account"))
        } else {
            Ok(None)
        };
    };
    let is_off = before.value.reasons.contains(&crate::domain::organization::ConnectionState::Uninstalled);
    let is_token =
        before.value.credential == "access_token" && matches!(new.credential, NewCredential::Token(_));
    let may_replace = replaces == Replaces::Token && is_token;
    if before.value.is_believed() && !is_off && !may_replace {
        let message = format!("this account is connected already, as \"{}\"", before.value.key);
        return Err(Refusal::new("account-connected", message)
            .help("enter another token with connections promote, or disconnect it first"));
    }
    if new.key.as_ref().is_some_and(|key| *key != before.value.key) {
        let message =
            format!("this account is known already, as \"{}\", and a key never changes", before.value.key);
        return Err(Refusal::new("account-connected", message).help("leave the key out"));
    }
    Ok(Some(before.clone()))
}

/// Whether it manages the organization's members: at most one does, at the forge of the founder (e-6, R-13).
fn authority(organization: &Organization, new: &NewConnection, key: &ConnectionKey) -> Result<bool, Refusal> {
    let is_other = organization.authority.as_ref().is_some_and(|other| other != key);
    let is_home = organization.home.is_none_or(|home| home == new.kind.forge());
    match new.authority {
        Some(false) => Ok(false),
        Some(true) if !is_home => Err(Refusal::new(
            "authority-forge",
            "members are managed at the forge with which the organization's founder signs in, and this is the other one",
        )
        .help("connect it for its repositories only: leave authority out")),
        Some(true) if is_other => Err(Refusal::new(
            "authority-exists",
            "another connection manages the members of this organization",
        )
        .help("connect it for its repositories only: leave authority out")),
        Some(true) => Ok(true),
        None => Ok(organization.gives_authority(new.kind.forge(), key)),
    }
}

/// Where the App is installed at this account.
async fn find_installation(app: &crate::provider::github::client::App, account: &str) -> Result<u64, Undone> {
    use crate::provider::ProviderError::Gone;
    let found = match app.installation_at_organization(account).await {
        Err(Gone) => app.installation_at_person(account).await,
        other => other,
    };
    match found {
        Ok(it) => Ok(it.id.get()),
        Err(Gone) => {
            // Perhaps it is spelled otherwise: the list of installations knows.
            let ready = Ready::Installation(Box::new(Installed::new(app.clone(), 0)));
            let refusal = account::unknown(&ready, account, Gone).await;
            if refusal.code == "account-spelling" {
                return Err(refusal.into());
            }
            Err(Refusal::new("not-installed", "the App is not installed at this account")
                .help("install it there first, then try again")
                .into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The address that people type, however they typed it.
fn base_url(kind: Kind, told: Option<&Url>) -> Result<Url, Refusal> {
    let invalid = |why: &str| Refusal::new("url-invalid", why.to_owned());
    let cloud = match kind {
        Kind::GithubCloud => Some("https://github.com"),
        Kind::GitlabCloud => Some("https://gitlab.com"),
        _ => None,
    };
    let name = |url: &Url| url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    if let Some(cloud) = cloud {
        let own = cloud.trim_start_matches("https://");
        let told = told.map(name).filter(|name| name.trim_start_matches("www.") != own);
        let Some(name) = told else { return Url::parse(cloud).map_err(|_| invalid("no address")) };
        let message = format!("a connection of kind {} is to {own}, not to {name}", kind.as_str());
        return Err(
            invalid(&message).help("choose the kind of an instance of your own, or leave the address out")
        );
    }
    let Some(mut url) = told.cloned() else {
        return Err(invalid("the address of the instance is missing")
            .help("give the address that people type to see it"));
    };
    if ["github.com", "www.github.com", "gitlab.com", "www.gitlab.com"].contains(&name(&url).as_str()) {
        return Err(invalid("this is no instance of your own").help("choose the kind that ends in _cloud"));
    }
    let path = url.path().trim_end_matches('/');
    let ends = ["/api/v3", "/api/v4", "/api/graphql"];
    let short = ends.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path).to_owned();
    url.set_path(&short);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}
