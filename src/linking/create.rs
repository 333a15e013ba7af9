//! The App is made: its code is exchanged, its secrets are sealed, and only then is anything answered.

use secrecy::SecretString;

use super::account::{AccountKind, Expected};
use super::manifest::Callbacks;
use super::session::{Step, Visit};
use super::vault::NewApp;
use super::{Linking, Refusal};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::connection::Beginning;
use crate::domain::known::RecordKey;
use crate::domain::organization::{self, App, Connection, ConnectionState, Forge, Source};
use crate::domain::ticket::TicketPurpose;
use crate::domain::{ConnectionKey, Host, SourceKey};
use crate::provider::ProviderError;
use crate::provider::github::client::Conversion;
use crate::seal::token::Bearer;

/// What the forge sends a browser back with, after a manifest or a sign-in.
#[derive(Debug, Clone, Default)]
pub struct Created {
    /// The code, when the person went on.
    pub code: Option<String>,
    /// The `state`.
    pub state: String,
}

impl Linking {
    /// Takes the code of a manifest.
    ///
    /// # Errors
    /// As [`Refusal`] says. Nothing is kept then.
    pub async fn created(&self, visit: &mut Visit, source: &SourceKey, came: Created) -> Result<(), Refusal> {
        self.take_state(visit, TicketPurpose::Manifest, source, &came.state).await?;
        if visit.leg.step != Step::Choose {
            return Err(Refusal::Step);
        }
        let code = came.code.ok_or(Refusal::GivenUp)?;
        let expected = visit.leg.expected.clone().ok_or(Refusal::Step)?;
        let api = self.api(&visit.leg)?;
        let made = api.convert(&code).await.map_err(|error| match error {
            ProviderError::Gone | ProviderError::Refused { .. } => Refusal::CodeUsed,
            error => Refusal::Forge(error),
        })?;
        check_owner(&made, &expected)?;
        let (secret, is_ours) = match &made.webhook_secret {
            Some(secret) => (secret.clone(), false),
            None => (SecretString::from(self.token(Bearer::State)?.reveal().to_owned()), true),
        };
        self.keep(visit, source, &made, &secret).await?;
        self.vault.opened(source, &secret);
        // The App works without it: GitHub sends forms then, which are taken too. Only a secret of ours has to be told.
        let told = self.tell_hook(visit, source, &made, is_ours.then_some(&secret)).await;
        if is_ours {
            told.map_err(Refusal::Forge)?;
        }
        visit.leg.step = Step::Install;
        self.save(visit).await
    }

    /// Writes the App, its secrets and its connection, in one act.
    async fn keep(
        &self,
        visit: &mut Visit,
        source: &SourceKey,
        made: &Conversion,
        webhook_secret: &SecretString,
    ) -> Result<(), Refusal> {
        let (now, leg) = (self.now(), &visit.leg);
        let app = NewApp {
            organization: &visit.organization,
            source,
            url: &leg.url,
            private_key: &made.pem,
            client_secret: &made.client_secret,
            webhook_secret,
        };
        let mut changes = self.vault.seal(&app, now).await.map_err(|_| Refusal::Unkept)?;
        let (connection, version) = self.planned(visit, source, made).await?;
        let key = connection.key.clone();
        changes.push(Change::PutSource(Source {
            key: source.clone(),
            forge: leg.kind.forge(),
            host: connection.host.clone(),
            url: leg.url.clone(),
            // It speaks for nobody until somebody has proven that the account is theirs.
            organizations: Vec::new(),
            created_by: leg.by.clone(),
            removed: false,
            app: Some(names(made)),
        }));
        changes.push(Change::Audit(AuditEntry {
            at: now,
            organization: Some(visit.organization.clone()),
            actor: leg.by.clone(),
            action: "connection.app-created".into(),
            subject: key.to_string(),
            detail: format!("the App {} ({}) of {}", made.slug, made.id, made.owner.login),
            ..AuditEntry::default()
        }));
        changes.push(Change::PutConnection(Box::new(connection)));
        let expects =
            vec![(RecordKey::Source(source.clone()), 0), (RecordKey::Connection(key.clone()), version)];
        let written = self.store.apply(changes, expects).await.map_err(|_| Refusal::Unkept)?;
        if !written {
            return Err(Refusal::Unkept);
        }
        visit.leg.connection = Some(key);
        Ok(())
    }

    /// The connection that waits for its installation: a new one, or the one that there is. Of that, nothing changes
    /// before somebody has proven that the account is theirs: the App may never be installed.
    async fn planned(
        &self,
        visit: &Visit,
        source: &SourceKey,
        made: &Conversion,
    ) -> Result<(Connection, u64), Refusal> {
        if let Some(key) = &visit.leg.connection {
            let found = self.store.versioned_connection(key).await?.ok_or(Refusal::Changed)?;
            let mut connection = found.value;
            connection.waiting_app = Some(source.clone());
            awaits(&mut connection);
            return Ok((connection, found.version));
        }
        let login = made.owner.login.clone();
        let key = ConnectionKey::parse(source.as_str()).map_err(|_| Refusal::Changed)?;
        Ok((self.blank(visit, key, source, organization::Account { login, external_id: None })?, 0))
    }

    /// A connection that nothing is known of yet.
    pub(super) fn blank(
        &self,
        visit: &Visit,
        key: ConnectionKey,
        source: &SourceKey,
        account: organization::Account,
    ) -> Result<Connection, Refusal> {
        let leg = &visit.leg;
        Ok(Connection {
            credential: "app".into(),
            reasons: vec![ConnectionState::AwaitingApproval],
            ..Connection::begin(Beginning {
                key,
                organization: visit.organization.clone(),
                kind: leg.kind,
                host: Host::of(&leg.url).map_err(|_| Refusal::Changed)?,
                url: leg.url.clone(),
                account,
                source: source.clone(),
                created_by: leg.by.clone(),
                created_at: self.now(),
            })
        })
    }

    /// Has the App's hook send JSON.
    async fn tell_hook(
        &self,
        visit: &Visit,
        source: &SourceKey,
        made: &Conversion,
        secret: Option<&SecretString>,
    ) -> Result<(), ProviderError> {
        let endpoint = self.forges.endpoint(Forge::Github, &visit.leg.url);
        let app = self.forges.app(&endpoint, &made.id.to_string(), &made.pem);
        let app = app.map_err(|_| ProviderError::CredentialRefused)?;
        let hook = Callbacks::of(&self.public_url, source).hook;
        app.session().for_person().set_app_hook(&hook, secret).await
    }
}

/// An owner's approval is what is missing, unless all works without it.
pub(super) fn awaits(connection: &mut Connection) {
    if connection.is_off() || !connection.is_believed() {
        connection.add_reason(ConnectionState::AwaitingApproval);
    }
}

fn names(made: &Conversion) -> App {
    App { id: made.id.get(), client_id: Some(made.client_id.clone()), slug: made.slug.clone() }
}

/// Whoever changes the address on the way makes an App that nobody has asked for.
fn check_owner(made: &Conversion, expected: &Expected) -> Result<(), Refusal> {
    let same = match expected.id {
        Some(id) => made.owner.id.get() == id,
        None => made.owner.login == expected.login,
    };
    let kind = AccountKind::of(&made.owner).is_none_or(|kind| kind == expected.kind);
    if same && kind { Ok(()) } else { Err(Refusal::MadeElsewhere) }
}
