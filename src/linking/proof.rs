//! Whether a person may bind an installation to an organization (security S31). Pure: what was read is laid here, and
//! anything that is missing or differs refuses.
//!
//! The number of an installation in an address is no proof of anything: whoever knows or guesses it can open the page.

use super::account::{AccountKind, Expected};
use crate::provider::github::client::{Account, Installation, Membership, Person, RoleAt, StateAt};

/// What was read of the forge, each by whom it can be believed from.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The App's number, by our own record.
    pub app: u64,
    /// The account that was chosen before anybody was sent to the forge.
    pub expected: &'a Expected,
    /// The installation, read as the App: it sees only its own.
    pub installation: &'a Installation,
    /// The installations that the person's own token reaches through the App.
    pub reachable: &'a [Installation],
    /// Whose token it is, read with it.
    pub person: &'a Person,
    /// The person's own membership of the installation's organization, read with their token.
    pub membership: Option<&'a Membership>,
}

/// Why nothing is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Another App's.
    #[error("the installation belongs to another App")]
    OtherApp,
    /// An enterprise's, or without an account that is known here.
    #[error("the App is installed on something that is neither an organization nor a person's account")]
    NoAccount,
    /// Not the account that was chosen.
    #[error("the App is installed on another account than the one that was named")]
    OtherAccount,
    /// The person cannot reach it.
    #[error("whoever signed in at the forge cannot reach this installation")]
    OutOfReach,
    /// A personal account of somebody else.
    #[error("the account belongs to somebody else than whoever signed in")]
    NotTheirs,
    /// Not in the organization, or the forge does not say so.
    #[error("whoever signed in is not in the organization")]
    NoMember,
    /// Invited, and not in yet.
    #[error("whoever signed in was invited to the organization and has not accepted yet")]
    Invited,
    /// In it, and not one of its owners.
    #[error("whoever signed in is not an owner of the organization")]
    NoOwner,
}

impl Unproven {
    /// A stable word for the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherApp => "other-app",
            Self::NoAccount => "no-account",
            Self::OtherAccount => "other-account",
            Self::OutOfReach => "out-of-reach",
            Self::NotTheirs => "not-theirs",
            Self::NoMember => "no-member",
            Self::Invited => "invited",
            Self::NoOwner => "no-owner",
        }
    }
}

/// Proves that the person may bind the installation; gives its account and what that is.
///
/// # Errors
/// With the first thing that is missing.
pub fn prove<'a>(facts: &Facts<'a>) -> Result<(&'a Account, AccountKind), Unproven> {
    let installation = facts.installation;
    let is_ours = |it: &Installation| it.app_id.is_some_and(|app| app.get() == facts.app);
    if !is_ours(installation) {
        return Err(Unproven::OtherApp);
    }
    let account = installation.account.as_ref().ok_or(Unproven::NoAccount)?;
    let kind = AccountKind::of(account).ok_or(Unproven::NoAccount)?;
    if !is_expected(facts.expected, account, kind) {
        return Err(Unproven::OtherAccount);
    }
    let seen = facts.reachable.iter().find(|it| it.id == installation.id);
    let same = |it: &&Installation| {
        is_ours(it) && it.account.as_ref().is_some_and(|reached| reached.id == account.id)
    };
    if seen.filter(same).is_none() {
        return Err(Unproven::OutOfReach);
    }
    match kind {
        AccountKind::Personal if facts.person.id == account.id => Ok((account, kind)),
        AccountKind::Personal => Err(Unproven::NotTheirs),
        AccountKind::Organization => owner(facts, account).map(|()| (account, kind)),
    }
}

/// A number is for ever; a name counts only where no number was told before.
fn is_expected(expected: &Expected, account: &Account, kind: AccountKind) -> bool {
    let same = match expected.id {
        Some(id) => account.id.get() == id,
        None => account.login == expected.login,
    };
    same && kind == expected.kind
}

fn owner(facts: &Facts<'_>, account: &Account) -> Result<(), Unproven> {
    let membership = facts.membership.ok_or(Unproven::NoMember)?;
    // Read by the organization's name, which somebody else may have by now.
    if membership.organization.id != account.id {
        return Err(Unproven::NoMember);
    }
    if membership.user.as_ref().is_some_and(|user| user.id != facts.person.id) {
        return Err(Unproven::NoMember);
    }
    match (membership.state, membership.role) {
        (StateAt::Active, RoleAt::Admin) => Ok(()),
        (StateAt::Pending, _) => Err(Unproven::Invited),
        (StateAt::Active, _) => Err(Unproven::NoOwner),
        (StateAt::Unknown, _) => Err(Unproven::NoMember),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn installation(id: u64, app: u64, account: &Value) -> Installation {
        serde_json::from_value(
            json!({"id": id, "app_id": app, "account": account, "repository_selection": "all"}),
        )
        .unwrap()
    }

    fn acme() -> Value {
        json!({"id": 7, "login": "acme", "type": "Organization"})
    }

    fn alice() -> Value {
        json!({"id": 1, "login": "alice", "type": "User"})
    }

    fn membership(state: &str, role: &str, organization: u64) -> Membership {
        let told = json!({"state": state, "role": role, "organization": {"id": organization, "login": "acme"}, "user": alice()});
        serde_json::from_value(told).unwrap()
    }

    fn proven(
        account: &Value,
        reachable: &[Installation],
        membership: Option<&Membership>,
        expected: &Expected,
    ) -> Result<u64, Unproven> {
        let person = serde_json::from_value(alice()).unwrap();
        let installation = installation(100, 9, account);
        let facts =
            Facts { app: 9, expected, installation: &installation, reachable, person: &person, membership };
        prove(&facts).map(|(account, _)| account.id.get())
    }

    fn named(kind: AccountKind, login: &str, id: Option<u64>) -> Expected {
        Expected { kind, login: login.into(), id }
    }

    #[test]
    fn s31_an_organization_is_bound_by_an_active_owner_only() {
        let (own, expected) =
            ([installation(100, 9, &acme())], named(AccountKind::Organization, "acme", Some(7)));
        let tried = |membership: Option<Membership>| proven(&acme(), &own, membership.as_ref(), &expected);
        assert_eq!(tried(Some(membership("active", "admin", 7))), Ok(7));
        assert_eq!(tried(None), Err(Unproven::NoMember));
        assert_eq!(tried(Some(membership("pending", "admin", 7))), Err(Unproven::Invited));
        assert_eq!(tried(Some(membership("active", "member", 7))), Err(Unproven::NoOwner));
        assert_eq!(tried(Some(membership("active", "billing_manager", 7))), Err(Unproven::NoOwner));
        assert_eq!(tried(Some(membership("active", "emperor", 7))), Err(Unproven::NoOwner));
        assert_eq!(tried(Some(membership("dormant", "admin", 7))), Err(Unproven::NoMember));
        assert_eq!(
            tried(Some(membership("active", "admin", 8))),
            Err(Unproven::NoMember),
            "another's name by now"
        );
    }

    #[test]
    fn s31_a_personal_account_is_bound_by_its_owner_only() {
        let expected = named(AccountKind::Personal, "alice", Some(1));
        let own = [installation(100, 9, &alice())];
        assert_eq!(proven(&alice(), &own, None, &expected), Ok(1));
        let bob = json!({"id": 2, "login": "bob", "type": "User"});
        let theirs = [installation(100, 9, &bob)];
        let expected = named(AccountKind::Personal, "bob", Some(2));
        assert_eq!(proven(&bob, &theirs, None, &expected), Err(Unproven::NotTheirs));
    }

    #[test]
    fn s31_the_installation_is_ours_within_reach_and_on_the_account_that_was_named() {
        let owner = membership("active", "admin", 7);
        let expected = named(AccountKind::Organization, "acme", Some(7));
        let mine = installation(100, 9, &acme());
        let try_with = |account: &Value, reachable: &[Installation], expected: &Expected| {
            proven(account, reachable, Some(&owner), expected)
        };
        assert_eq!(try_with(&acme(), &[], &expected), Err(Unproven::OutOfReach));
        assert_eq!(try_with(&acme(), &[installation(101, 9, &acme())], &expected), Err(Unproven::OutOfReach));
        assert_eq!(try_with(&acme(), &[installation(100, 8, &acme())], &expected), Err(Unproven::OutOfReach));
        let other = json!({"id": 8, "login": "acme", "type": "Organization"});
        assert_eq!(try_with(&acme(), &[installation(100, 9, &other)], &expected), Err(Unproven::OutOfReach));
        assert_eq!(try_with(&other, std::slice::from_ref(&mine), &expected), Err(Unproven::OtherAccount));
        let by_name = named(AccountKind::Organization, "Acme", None);
        assert_eq!(try_with(&acme(), std::slice::from_ref(&mine), &by_name), Err(Unproven::OtherAccount));
        let as_person = named(AccountKind::Personal, "acme", None);
        assert_eq!(try_with(&acme(), std::slice::from_ref(&mine), &as_person), Err(Unproven::OtherAccount));
        assert_eq!(try_with(&Value::Null, &[mine], &expected), Err(Unproven::NoAccount));
        let person = serde_json::from_value(alice()).unwrap();
        let foreign = installation(100, 8, &acme());
        let reachable = [installation(100, 8, &acme())];
        let facts = Facts {
            app: 9,
            expected: &expected,
            installation: &foreign,
            reachable: &reachable,
            person: &person,
            membership: Some(&owner),
        };
        assert_eq!(prove(&facts).err(), Some(Unproven::OtherApp));
    }
}
