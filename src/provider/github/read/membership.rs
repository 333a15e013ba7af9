//! People: of an organization, of its teams, and of single repositories.

use super::{Statement, action, login, needed, person, repository};
use crate::domain::event::{Fact, Person};
use crate::provider::Unreadable;
use crate::provider::github::wire::{Account, Body};

/// `organization`.
pub(super) fn organization(body: &Body) -> Result<Statement, Unreadable> {
    let empty = Account::default();
    let told = body.organization.as_ref().unwrap_or(&empty);
    let membership = body.membership.as_ref();
    let user = membership.and_then(|membership| membership.user.as_ref()).and_then(person);
    let role = membership.and_then(|membership| membership.role.clone());
    let fact = match action(body) {
        // The state is "pending" even when the person has just joined, so it is not looked at.
        "member_added" => Fact::MemberAdded { person: needed(user, "the member's number")?, role },
        "member_removed" => Fact::MemberRemoved { person: user },
        "member_invited" => return Ok(invitation(body)),
        "renamed" => {
            let before = body.changes.as_ref().and_then(|changes| changes.login.as_ref());
            let from = before.and_then(|before| before.from.clone());
            Fact::AccountRenamed { from, to: needed(login(told), "the organization's new name")? }
        }
        "deleted" => Fact::AccountDeleted,
        _ => return Ok(Fact::Unwanted.into()),
    };
    needed(*told.id, "the organization's number")?;
    Ok(Statement { fact, at: *told.updated_at })
}

/// An invitation has words of its own for roles, and one by e-mail names nobody.
fn invitation(body: &Body) -> Statement {
    let told = body.invitation.as_ref();
    let fact = Fact::MemberInvited {
        person: body.user.as_ref().and_then(person),
        role: told.and_then(|told| told.role.clone()),
    };
    Statement { fact, at: told.and_then(|told| *told.created_at) }
}

/// `membership`: of a team, except that a removal may be from the organization.
pub(super) fn membership(body: &Body) -> Result<Statement, Unreadable> {
    let person = body.member.as_ref().and_then(person);
    match (action(body), body.scope.as_deref()) {
        ("removed", Some("organization")) => Ok(Fact::MemberRemoved { person }.into()),
        ("added" | "removed", _) => team_changed(body, person),
        _ => Ok(Fact::Unwanted.into()),
    }
}

/// `team` and `team_add`, whatever the action: the member list may be out of date.
pub(super) fn team(body: &Body) -> Result<Statement, Unreadable> {
    team_changed(body, None)
}

fn team_changed(body: &Body, person: Option<Person>) -> Result<Statement, Unreadable> {
    let Some(team) = body.team.as_ref() else { return needed(None, "the team") };
    Ok(Fact::TeamChanged { team: *team.id, person }.into())
}

/// `member`: a collaborator of one repository, who is no member of the organization by that.
pub(super) fn collaborator(body: &Body) -> Result<Statement, Unreadable> {
    let repository = repository::named(body)?;
    let person = body.member.as_ref().and_then(person);
    let fact = Fact::CollaboratorChanged { repository, person };
    Ok(Statement { fact, at: repository::updated(body) })
}
