//! From the config to what the running program takes.

use std::collections::HashMap;

use super::Config;
use super::forge::{Connection, Source};
use super::secret::Secret;
use crate::domain::declared::{Declared, DeclaredConnection, DeclaredOrganization, DeclaredSource};
use crate::domain::organization::Forge;
use crate::domain::{Host, SourceKey};
use crate::provider::{LiveSecret, Secrets};

impl Config {
    /// What is declared, without any secret. A connection that names no source is one itself.
    #[must_use]
    pub fn declared(&self) -> Declared {
        let organizations = self.organizations.iter().map(|it| DeclaredOrganization {
            slug: it.slug.clone(),
            name: it.name.clone(),
            home: it.home,
            authority: it.authority.clone(),
            members: it.members.clone(),
            break_glass: it.break_glass.clone(),
        });
        let own = self.connections.iter().filter(|it| it.source.is_none());
        let own = own.filter_map(|it| own_key(it).map(|key| (it, key))).map(|(it, key)| DeclaredSource {
            key,
            forge: it.kind.forge(),
            host: it.host.clone(),
            url: it.url.clone(),
            organizations: vec![it.organization.clone()],
        });
        let sources = self.sources.iter().map(|it| DeclaredSource {
            key: it.key.clone(),
            forge: it.forge,
            host: it.host.clone(),
            url: it.url.clone(),
            organizations: it.organizations.clone(),
        });
        Declared {
            organizations: organizations.collect(),
            sources: sources.chain(own).collect(),
            connections: self.connections.iter().filter_map(|it| self.declared_connection(it)).collect(),
        }
    }

    fn declared_connection(&self, connection: &Connection) -> Option<DeclaredConnection> {
        let source = connection.source.clone().or_else(|| own_key(connection))?;
        let through_app = self.source(&source).is_some_and(|source| source.app.is_some());
        let credential = match (&connection.access_token, &connection.app) {
            (Some(_), _) => "access_token",
            (None, Some(_)) => "app",
            (None, None) if through_app => "app",
            (None, None) => "none",
        };
        Some(DeclaredConnection {
            key: connection.key.clone(),
            organization: connection.organization.clone(),
            kind: connection.kind,
            url: connection.url.clone(),
            host: connection.host.clone(),
            login: connection.account.clone(),
            source,
            credential: credential.into(),
            installation: connection.app.as_ref().and_then(|app| app.installation_id),
        })
    }

    fn source(&self, key: &SourceKey) -> Option<&Source> {
        self.sources.iter().find(|source| source.key == *key)
    }

    /// The secrets by which each source's deliveries are proven.
    #[must_use]
    pub fn doors(&self) -> HashMap<SourceKey, (Forge, Host, Secrets)> {
        let declared = self.sources.iter().map(|it| {
            let secrets = secrets(&it.webhook_secrets, &it.signing_tokens);
            (it.key.clone(), (it.forge, it.host.clone(), secrets))
        });
        let own = self.connections.iter().filter(|it| it.source.is_none()).filter_map(|it| {
            let secrets = secrets(&it.webhook_secrets, &it.signing_tokens);
            Some((own_key(it)?, (it.kind.forge(), it.host.clone(), secrets)))
        });
        declared.chain(own).collect()
    }
}

/// A connection's key as a source's: both are spelled alike, so it is always there.
fn own_key(connection: &Connection) -> Option<SourceKey> {
    SourceKey::parse(connection.key.as_str()).ok()
}

fn secrets(webhook: &[Secret], signing: &[Secret]) -> Secrets {
    let live = |secrets: &[Secret]| -> Vec<LiveSecret> { secrets.iter().map(Secret::live).collect() };
    Secrets { webhook: live(webhook), signing: live(signing) }
}
