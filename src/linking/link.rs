//! The one-time link that an admin is given, and what it begins.

use url::Url;

use super::session::{Leg, Step};
use super::{Linking, Refusal};
use crate::domain::organization::{Connection, Forge, Kind, Source};
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::domain::{ConnectionKey, OrganizationSlug, SourceKey, Timestamp};
use crate::seal::token::{self, Bearer};

/// How long a link works.
pub const LINK_MS: i64 = 10 * 60 * 1000;

/// What a link is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkWish {
    /// A new App at this GitHub.
    NewApp {
        /// Which of the two.
        kind: Kind,
        /// Its base address.
        url: Url,
        /// The account that the form shows at first.
        account: Option<String>,
    },
    /// The installation of an App that is known here.
    Source(SourceKey),
    /// What is left to do for a connection: its App is known here.
    Connection(ConnectionKey),
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum NoLink {
    /// It is not GitHub.
    #[error("an App is GitHub's; other forges are connected by a token or by their first CI job")]
    NotGithub,
    /// No such source or connection, or it is not the organization's.
    #[error("there is no such source or connection")]
    Unknown,
    /// Nothing is known by which the forge would let us sign people in.
    #[error(
        "no App with a key and a client secret is known for this; name them in the config, or create a new App"
    )]
    NoApp,
    /// The forge would not reach us.
    #[error(
        "github.com cannot reach {0}: set public_url to the address under which this server is reached from outside"
    )]
    Unreachable(Url),
    /// The rest.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl Linking {
    /// Makes a link for an organization.
    ///
    /// # Errors
    /// As [`NoLink`] says.
    pub async fn link(
        &self,
        organization: &OrganizationSlug,
        wish: LinkWish,
        by: &str,
    ) -> Result<(Url, Timestamp), NoLink> {
        let leg = match wish {
            LinkWish::NewApp { kind, url, account } => self.for_new_app(kind, url, account, by)?,
            LinkWish::Source(key) => self.for_source(organization, &key, by).await?,
            LinkWish::Connection(key) => self.for_connection(organization, &key, by).await?,
        };
        let (code, now) = (self.token(Bearer::Link)?, self.now());
        let expires_at = now.plus_ms(LINK_MS);
        let about = serde_json::to_string(&leg).map_err(|_| Refusal::Changed)?;
        let ticket =
            Ticket { purpose: TicketPurpose::Link, organization: organization.clone(), about, expires_at };
        self.store.put_ticket(code.hash(), ticket, now).await.map_err(Refusal::from)?;
        let mut link = self.public_url.clone();
        link.set_path(&format!("{}/connect-scm/github", self.public_url.path().trim_end_matches('/')));
        link.query_pairs_mut().append_pair("code", code.reveal());
        Ok((link, expires_at))
    }

    /// Uses a link up; gives the cookie of the session that it begins. `None`: it is wrong, used, or past its time.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn begin(&self, code: &str) -> Result<Option<String>, Refusal> {
        let Some(read) = token::parse(code).filter(|read| read.bearer == Bearer::Link) else {
            return Ok(None);
        };
        let taken = self.store.redeem_ticket(&read.hash, TicketPurpose::Link, self.now()).await?;
        let Some(Ticket { organization, about, .. }) = taken else { return Ok(None) };
        let Ok(leg) = serde_json::from_str::<Leg>(&about) else { return Ok(None) };
        self.open(organization, &leg).await.map(Some)
    }

    fn for_new_app(&self, kind: Kind, url: Url, account: Option<String>, by: &str) -> Result<Leg, NoLink> {
        if kind.forge() != Forge::Github {
            return Err(NoLink::NotGithub);
        }
        // GitHub refuses such an address too, but only after everything was filled in.
        if kind == Kind::GithubCloud && is_here_only(&self.public_url) {
            return Err(NoLink::Unreachable(self.public_url.clone()));
        }
        Ok(Leg {
            kind,
            url,
            by: by.to_owned(),
            step: Step::Choose,
            source: None,
            existing_app: false,
            connection: None,
            suggested: account,
            expected: None,
            wants: None,
        })
    }

    async fn for_source(
        &self,
        organization: &OrganizationSlug,
        key: &SourceKey,
        by: &str,
    ) -> Result<Leg, NoLink> {
        let source = self.store.source(key).await.map_err(Refusal::from)?;
        let may = |source: &Source| !source.removed && source.organizations.contains(organization);
        let source = source.filter(may).ok_or(NoLink::Unknown)?;
        if source.forge != Forge::Github {
            return Err(NoLink::NotGithub);
        }
        let app = self.vault.app(key).await.map_err(Refusal::from)?.ok_or(NoLink::NoApp)?;
        app.sign_in().ok_or(NoLink::NoApp)?;
        let kind = Kind::of(Forge::Github, &source.host);
        Ok(Leg {
            kind,
            url: source.url,
            by: by.to_owned(),
            step: Step::Choose,
            source: Some(source.key),
            existing_app: true,
            connection: None,
            suggested: None,
            expected: None,
            wants: None,
        })
    }

    async fn for_connection(
        &self,
        organization: &OrganizationSlug,
        key: &ConnectionKey,
        by: &str,
    ) -> Result<Leg, NoLink> {
        let found = self.store.connection(key).await.map_err(Refusal::from)?;
        let own = |it: &Connection| it.organization == *organization;
        let connection = found.filter(own).ok_or(NoLink::Unknown)?;
        if connection.kind.forge() != Forge::Github {
            return Err(NoLink::NotGithub);
        }
        let source = connection.waiting_app.unwrap_or(connection.source);
        let app = self.vault.app(&source).await.map_err(Refusal::from)?.ok_or(NoLink::NoApp)?;
        app.sign_in().ok_or(NoLink::NoApp)?;
        Ok(Leg {
            kind: connection.kind,
            url: connection.url,
            by: by.to_owned(),
            step: Step::Choose,
            source: Some(source),
            existing_app: true,
            connection: Some(connection.key),
            suggested: Some(connection.account.login),
            expected: None,
            wants: None,
        })
    }
}

/// Whether an address is this machine's own, so that nobody outside can use it.
pub fn is_here_only(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    }
}
