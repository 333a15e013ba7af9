//! An organization at GitHub, as a whole.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::client::{self, App, OrganizationRole, RoleAt, Session, StateAt};
use crate::domain::event::Repository;
use crate::domain::organization;
use crate::domain::project::Visibility;
use crate::domain::roster::{Entry, List, Listed, MemberRules, PageRead, Rows, Standing, Subject};
use crate::provider::{Directory, Next, Page, ProviderError};

/// Invitations whose person is looked up in one reading: an invitation names nobody by number.
const LOOKED_UP_MAX: usize = 50;

/// One organization, seen through one credential.
#[derive(Debug)]
pub struct Organization {
    session: Session,
    id: u64,
    /// What it was called when it was last asked.
    login: Mutex<String>,
    /// The App and its installation there; `None`: the credential is a person's.
    installed: Option<(App, u64)>,
}

impl Organization {
    /// The organization with this number, as a person's token shows it.
    #[must_use]
    pub fn new(session: Session, id: u64, login: String) -> Self {
        Self { session, id, login: Mutex::new(login), installed: None }
    }

    /// The account with this number, which may be a person's own, as an App sees it where it is installed.
    #[must_use]
    pub fn installed(app: App, installation: u64, id: u64, login: String) -> Self {
        let session = app.at(installation);
        Self { session, id, login: Mutex::new(login), installed: Some((app, installation)) }
    }

    fn login(&self) -> String {
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the organization with this number is called today, as far as the credential shows it.
    async fn found(&self) -> Result<String, ProviderError> {
        if let Some((app, installation)) = &self.installed {
            let found = app.installation(*installation).await?;
            if found.suspended_at.is_some() {
                return Err(ProviderError::Suspended);
            }
            let account = found.account.filter(|account| account.id.get() == self.id);
            return account.map(|account| account.login).ok_or(ProviderError::Gone);
        }
        let own = self.session.own_memberships().await?.into_items();
        let found = own.into_iter().map(|row| row.organization).find(|row| row.id.get() == self.id);
        found.map(|row| row.login).ok_or(ProviderError::Gone)
    }

    async fn people(
        &self,
        role: OrganizationRole,
        standing: Standing,
        from: Option<&Next>,
    ) -> Result<PageRead, ProviderError> {
        Ok(people(self.session.members_page(&self.login(), role, from).await?, standing))
    }

    async fn invited(&self, from: Option<&Next>) -> Result<PageRead, ProviderError> {
        let page = match self.session.invitations_page(&self.login(), from).await {
            // Older servers have no such list; who is invited is told by events alone.
            Err(ProviderError::Gone) => Page { items: Vec::new(), next: None, total: None },
            other => other?,
        };
        let given = page.items.len() as u64;
        let mut rows = Vec::new();
        for login in page.items.into_iter().filter_map(|row| row.login).take(LOOKED_UP_MAX) {
            match self.session.membership(&self.login(), &login).await {
                Ok(found) => rows.extend(found.user.map(|user| Listed {
                    id: user.id.get(),
                    login: user.login,
                    standing: Standing::Invited,
                })),
                Err(ProviderError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(PageRead {
            rows: Rows::People(rows),
            given,
            next: page.next.map(Next::into_text),
            total: page.total,
        })
    }

    async fn repositories(&self, from: Option<&Next>) -> Result<PageRead, ProviderError> {
        let page = if self.installed.is_some() {
            self.session.installation_repositories(from).await?
        } else {
            self.session.organization_repositories(&self.login(), from).await?
        };
        let given = page.items.len() as u64;
        // Whatever else is shown, only what lies in the account is the account's.
        let own = page.items.into_iter().filter(|row| row.owner.id.get() == self.id);
        let rows = Rows::Repositories(own.map(Repository::from).collect());
        Ok(PageRead { rows, given, next: page.next.map(Next::into_text), total: page.total })
    }

    /// The membership of whoever has this name today, if that is the person with this number.
    async fn membership(&self, id: u64, login: &str) -> Result<Option<Entry>, ProviderError> {
        let found = match self.session.membership(&self.login(), login).await {
            Err(ProviderError::Gone) => return Ok(None),
            other => other?,
        };
        let same = found.organization.id.get() == self.id;
        let Some(user) = found.user.filter(|user| user.id.get() == id && same) else { return Ok(None) };
        let standing = match (found.state, found.role) {
            (StateAt::Active, RoleAt::Admin) => Standing::Owner,
            (StateAt::Active, RoleAt::Member) => Standing::Member,
            (StateAt::Active, RoleAt::BillingManager) => Standing::Billing,
            (StateAt::Pending, _) => Standing::Invited,
            (StateAt::Active | StateAt::Unknown, _) => return Ok(None),
        };
        Ok(Some(Entry { login: user.login, standings: vec![standing] }))
    }

    async fn outside(&self, id: u64) -> Result<Option<Entry>, ProviderError> {
        let all = self.session.outside_collaborators(&self.login()).await?.into_items();
        let found = all.into_iter().find(|row| row.id.get() == id);
        Ok(found.map(|row| Entry { login: row.login, standings: vec![Standing::Outside] }))
    }

    /// Whether whoever is not shown is not there: the organization is the right one, and its owners are shown.
    async fn would_be_shown(&self) -> Result<(), ProviderError> {
        self.account().await?;
        let owners = self.session.members_page(&self.login(), OrganizationRole::Admin, None).await?;
        // An organization always has an owner.
        if owners.items.is_empty() { Err(ProviderError::NotPermitted { needs: None }) } else { Ok(()) }
    }
}

fn people(page: Page<client::Account>, standing: Standing) -> PageRead {
    let given = page.items.len() as u64;
    let rows = page.items.into_iter().filter(|row| row.kind != "Bot");
    let rows = rows.map(|row| Listed { id: row.id.get(), login: row.login, standing }).collect();
    PageRead { rows: Rows::People(rows), given, next: page.next.map(Next::into_text), total: page.total }
}

impl From<client::Repository> for Repository {
    fn from(row: client::Repository) -> Self {
        let visibility = match row.visibility.as_deref() {
            Some("public") => Visibility::Public,
            Some("internal") => Visibility::Internal,
            Some(_) => Visibility::Private,
            None if row.private => Visibility::Private,
            None => Visibility::Public,
        };
        Self {
            id: row.id.get(),
            full_path: row.full_name,
            default_branch: Some(row.default_branch).filter(|branch| !branch.is_empty()),
            visibility: Some(visibility),
            archived: Some(row.archived),
        }
    }
}

#[async_trait]
impl Directory for Organization {
    fn lists(&self, subject: Subject, rules: &MemberRules) -> Vec<List> {
        match subject {
            Subject::Repositories => vec![List::Repositories],
            Subject::People | Subject::PeopleShown => {
                let outside = rules.wants_outside().then_some(List::OutsideCollaborators);
                let lists = [List::Owners, List::Members, List::Invitations];
                lists.into_iter().chain(outside).collect()
            }
        }
    }

    async fn account(&self) -> Result<organization::Account, ProviderError> {
        let known = self.login();
        let same = match &self.installed {
            // The App is told by number what the account is called, whatever kind it is.
            Some(_) => None,
            None => match self.session.organization(&known).await {
                Ok(found) if found.id.get() == self.id => Some(found.login),
                Ok(_) | Err(ProviderError::Gone) => None,
                Err(error) => return Err(error),
            },
        };
        let login = match same {
            Some(login) => login,
            None => self.found().await?,
        };
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&login);
        Ok(organization::Account { login, external_id: Some(self.id) })
    }

    async fn page(&self, list: List, from: Option<&str>) -> Result<PageRead, ProviderError> {
        let from = from.map(Next::kept);
        let from = from.as_ref();
        match list {
            List::Owners => self.people(OrganizationRole::Admin, Standing::Owner, from).await,
            List::Members => self.people(OrganizationRole::Member, Standing::Member, from).await,
            List::OutsideCollaborators => {
                let page = self.session.outside_collaborators_page(&self.login(), from).await?;
                Ok(people(page, Standing::Outside))
            }
            List::Invitations => self.invited(from).await,
            List::Repositories => self.repositories(from).await,
            List::GroupMembers | List::DirectMembers | List::SubgroupMembers => Err(ProviderError::Gone),
        }
    }

    fn shows_all(&self) -> bool {
        self.installed.is_some()
    }

    async fn person(
        &self,
        id: u64,
        login: &str,
        rules: &MemberRules,
    ) -> Result<Option<Entry>, ProviderError> {
        if let Some(found) = self.membership(id, login).await? {
            return Ok(Some(found));
        }
        // Another name may be the person's by now, and this one somebody else's.
        let today = match self.session.person(id).await {
            Ok(person) => Some(person.login).filter(|today| today != login),
            Err(ProviderError::Gone) => None,
            Err(error) => return Err(error),
        };
        if let Some(today) = today
            && let Some(found) = self.membership(id, &today).await?
        {
            return Ok(Some(found));
        }
        self.would_be_shown().await?;
        if rules.wants_outside() { self.outside(id).await } else { Ok(None) }
    }
}
