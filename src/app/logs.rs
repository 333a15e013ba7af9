//! Where the forges write down what they sent to us: the hooks of a connection's source, with the credential that may
//! read their logs.

use crate::connect::{Ready, door_of};
use crate::domain::health::MadeHook;
use crate::domain::organization::{Connection, Kind};
use crate::domain::project::Project;
use crate::follow::NoDirectory;
use crate::provider::github::HookLog as GithubLog;
use crate::provider::github::client::{HookPlace as GithubPlace, Session as Github};
use crate::provider::gitlab::HookLog as GitlabLog;
use crate::provider::gitlab::client::{HookPlace as GitlabPlace, Session as Gitlab};
use crate::provider::{ProviderError, SentLog};
use crate::store::{Page, ProjectFilter};

use super::follow::{Accounts, why_not};

type Logs = Vec<Box<dyn SentLog>>;

/// Hooks whose logs are read.
const HOOKS_MAX: usize = 200;
/// Projects whose hooks are looked for, where nobody knows of hooks.
const PROJECTS_MAX: usize = 30;

impl Accounts {
    /// The logs of a connection's source.
    pub(super) async fn logs_of(&self, connection: &Connection) -> Result<Logs, NoDirectory> {
        let is_server = connection.kind == Kind::GithubEnterpriseServer;
        match self.forges.ready(connection).await.map_err(why_not)? {
            // The App's hook tells of all of its installations.
            Ready::Installation(it) => {
                let session = it.app.session().clone();
                Ok(vec![Box::new(GithubLog::new(session, GithubPlace::App, 0, is_server))])
            }
            Ready::Github(session) => self.at_github(session, connection, is_server).await,
            Ready::Gitlab(session) => self.at_gitlab(session, connection).await,
        }
    }

    async fn at_github(
        &self,
        session: Github,
        connection: &Connection,
        is_server: bool,
    ) -> Result<Logs, NoDirectory> {
        let door = door_of(&self.public_url, &connection.source);
        let mut places = vec![GithubPlace::Organization(connection.account.login.clone())];
        for project in self.some_projects(connection).await? {
            let (owner, name) = project.full_path.split_once('/').unwrap_or_default();
            places.push(GithubPlace::Repository(owner.to_owned(), name.to_owned()));
        }
        let mut logs = Logs::new();
        for place in places {
            let Some(hooks) = readable(session.hooks(&place).await)? else { continue };
            for hook in hooks.into_items().into_iter().filter(|hook| hook.config.url == door.as_str()) {
                let log = GithubLog::new(session.clone(), place.clone(), hook.id.get(), is_server);
                logs.push(Box::new(log));
            }
            if matches!(place, GithubPlace::Organization(_)) && !logs.is_empty() {
                break;
            }
        }
        Ok(logs)
    }

    async fn at_gitlab(&self, session: Gitlab, connection: &Connection) -> Result<Logs, NoDirectory> {
        let made = connection.health.hooks.iter().take(HOOKS_MAX);
        let known = made.map(|hook| Box::new(GitlabLog::new(session.clone(), place(hook), hook.id)) as _);
        let known: Logs = known.collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let door = door_of(&self.public_url, &connection.source);
        let mut places: Vec<_> = connection.account.external_id.map(GitlabPlace::Group).into_iter().collect();
        places.extend(
            self.some_projects(connection)
                .await?
                .iter()
                .filter_map(Project::number)
                .map(GitlabPlace::Project),
        );
        let mut logs = Logs::new();
        for place in places {
            let Some(hooks) = readable(session.hooks(place).await)? else { continue };
            for hook in hooks.into_items().into_iter().filter(|hook| hook.url == door.as_str()) {
                logs.push(Box::new(GitlabLog::new(session.clone(), place, hook.id.get())));
            }
            if matches!(place, GitlabPlace::Group(_)) && !logs.is_empty() {
                break;
            }
        }
        Ok(logs)
    }

    /// Some of the connection's projects that are still there.
    async fn some_projects(&self, connection: &Connection) -> Result<Vec<Project>, NoDirectory> {
        let filter = ProjectFilter {
            organization: Some(connection.organization.clone()),
            connection: Some(connection.key.clone()),
            ..ProjectFilter::default()
        };
        let found = self.store.projects(&filter, &Page { limit: PROJECTS_MAX, cursor: None }).await?;
        Ok(found.items.into_iter().filter(|it| !it.removed && !it.moved_away).collect())
    }
}

fn place(hook: &MadeHook) -> GitlabPlace {
    if hook.place == "group" { GitlabPlace::Group(hook.of) } else { GitlabPlace::Project(hook.of) }
}

/// What the credential may not see has no log for us.
fn readable<T>(found: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ProviderError::Gone | ProviderError::NotPermitted { .. } | ProviderError::Refused { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
