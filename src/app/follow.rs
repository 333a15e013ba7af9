//! Who asks a connection's forge about its account as a whole, with the credential that the connection has.

use std::sync::Arc;

use async_trait::async_trait;

use crate::connect::{Connections, NotReady, Ready};
use crate::domain::Clock;
use crate::domain::organization::Connection;
use crate::follow::{Directories, NoDirectory};
use crate::provider::github::client::Session;
use crate::provider::{Directory, ProviderError, github, gitlab};

/// Makes directories out of ready clients.
#[derive(Clone)]
pub(super) struct Accounts {
    pub(super) connections: Arc<Connections>,
    pub(super) clock: Clock,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

#[async_trait]
impl Directories for Accounts {
    async fn directory(&self, connection: &Connection) -> Result<Box<dyn Directory>, NoDirectory> {
        let ready = self.connections.forges().ready(connection).await.map_err(why_not)?;
        let (login, number) = (connection.account.login.clone(), connection.account.external_id);
        // A declared account has no number before it is heard of: the first time it is found by the declared name.
        let at_github = async |session: Session, installed: bool| {
            let number = match number {
                Some(number) => number,
                None => session.organization(&login).await.map_err(no_account)?.id.get(),
            };
            let organization = github::Organization::new(session, number, login.clone(), installed);
            Ok::<Box<dyn Directory>, NoDirectory>(Box::new(organization))
        };
        let directory = match ready {
            Ready::Installation(installed) => at_github(installed.session, true).await?,
            Ready::Github(session) => at_github(session, false).await?,
            Ready::Gitlab(session) => {
                let number = match number {
                    Some(number) => number,
                    None => session.group_at(&login).await.map_err(no_account)?.id.get(),
                };
                Box::new(gitlab::Group::new(session, number, Arc::clone(&self.clock)))
            }
        };
        Ok(directory)
    }
}

fn no_account(error: ProviderError) -> NoDirectory {
    match error {
        ProviderError::Gone => NoDirectory::Wrong(
            "the forge has no account of the declared name, or does not show it to this credential".into(),
        ),
        other => NoDirectory::Forge(other),
    }
}

fn why_not(error: NotReady) -> NoDirectory {
    match error {
        NotReady::NoCredential | NotReady::Off(_) => NoDirectory::Quiet(error.to_string()),
        NotReady::Provider(error) => NoDirectory::Forge(error),
        NotReady::Store(error) => NoDirectory::Store(error),
        other => NoDirectory::Wrong(other.to_string()),
    }
}
