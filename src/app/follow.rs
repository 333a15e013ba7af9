//! Who asks a connection's forge about its account as a whole, with the credential that the connection has.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use crate::connect::{Forges, Installed, NotReady, Ready};
use crate::domain::Clock;
use crate::domain::organization::{Connection, Forge};
use crate::follow::{Directories, NoDirectory};
use crate::provider::{Directory, Events, ProviderError, SentLog, github, gitlab};
use crate::store::Store;

/// Makes directories out of ready clients.
#[derive(Clone)]
pub struct Accounts {
    pub(super) forges: Arc<Forges>,
    pub(super) store: Arc<dyn Store>,
    clock: Clock,
    /// Where forges reach us.
    pub(super) public_url: Url,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// With the clients of the connections, and the address at which forges reach us.
    #[must_use]
    pub fn new(forges: Arc<Forges>, store: Arc<dyn Store>, clock: Clock, public_url: Url) -> Self {
        Self { forges, store, clock, public_url }
    }
}

#[async_trait]
impl Directories for Accounts {
    async fn directory(&self, connection: &Connection) -> Result<Box<dyn Directory>, NoDirectory> {
        let ready = self.forges.ready(connection).await.map_err(why_not)?;
        let (login, number) = (connection.account.login.clone(), connection.account.external_id);
        // A declared account has no number before it is heard of: the first time it is found by the declared name.
        Ok(match ready {
            Ready::Installation(installed) => {
                let number = match number {
                    Some(number) => number,
                    None => of_installation(&installed, &login).await?,
                };
                let Installed { app, installation, .. } = *installed;
                Box::new(github::Organization::installed(app, installation, number, login))
            }
            Ready::Github(session) => {
                let number = match number {
                    Some(number) => number,
                    None => session.organization(&login).await.map_err(no_account)?.id.get(),
                };
                Box::new(github::Organization::new(session, number, login))
            }
            Ready::Gitlab(session) => {
                let number = group(&session, connection).await?;
                let sees_all =
                    connection.health.capabilities.iter().any(|it| it.feature == "projects" && it.ok);
                Box::new(gitlab::Group::new(session, number, sees_all, Arc::clone(&self.clock)))
            }
        })
    }

    async fn events(&self, connection: &Connection) -> Result<Option<Box<dyn Events>>, NoDirectory> {
        if connection.kind.forge() == Forge::Github {
            return Ok(None);
        }
        let Ready::Gitlab(session) = self.forges.ready(connection).await.map_err(why_not)? else {
            return Ok(None);
        };
        let number = group(&session, connection).await?;
        Ok(Some(Box::new(gitlab::Activity::new(session, number))))
    }

    async fn logs(&self, connection: &Connection) -> Result<Vec<Box<dyn SentLog>>, NoDirectory> {
        self.logs_of(connection).await
    }
}

/// The number of a connection's group.
async fn group(session: &gitlab::client::Session, connection: &Connection) -> Result<u64, NoDirectory> {
    match connection.account.external_id {
        Some(number) => Ok(number),
        None => Ok(session.group_at(&connection.account.login).await.map_err(no_account)?.id.get()),
    }
}

/// The number of the account where an App is installed, if that is the declared one.
async fn of_installation(installed: &Installed, login: &str) -> Result<u64, NoDirectory> {
    let found = installed.app.installation(installed.installation).await?;
    let account = found.account.filter(|account| account.login.eq_ignore_ascii_case(login));
    account.map(|account| account.id.get()).ok_or_else(|| {
        NoDirectory::Wrong("the App's installation is at another account than the declared one".into())
    })
}

fn no_account(error: ProviderError) -> NoDirectory {
    match error {
        ProviderError::Gone => NoDirectory::Wrong(
            "the forge has no account of the declared name, or does not show it to this credential".into(),
        ),
        other => NoDirectory::Forge(other),
    }
}

pub(super) fn why_not(error: NotReady) -> NoDirectory {
    match error {
        NotReady::NoCredential | NotReady::Off(_) => NoDirectory::Quiet(error.to_string()),
        NotReady::Provider(error) => NoDirectory::Forge(error),
        NotReady::Store(error) => NoDirectory::Store(error),
        other => NoDirectory::Wrong(other.to_string()),
    }
}
