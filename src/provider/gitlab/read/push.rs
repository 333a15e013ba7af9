//! Pushes, and merge requests.

use super::{Told, about, newest, parse, repository_of, unreadable};
use crate::domain::event::Fact;
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

pub(super) fn read_push(body: &[u8]) -> Result<Told, Unreadable> {
    let push: wire::Push = parse(body)?;
    let repository = repository_of(push.project, push.project_id, "the push")?;
    let git_ref = push.git_ref.ok_or_else(|| unreadable("the push names no ref"))?;
    let after = push.after.and_then(existing);
    // The times of the commits are their authors' and say nothing of the push.
    Ok(Told {
        about: about(&repository),
        action: None,
        at: None,
        fact: Fact::Pushed { repository, git_ref, after },
    })
}

/// An instance's word that refs of one repository changed; of several, the first stands for all.
pub(super) fn read_update(body: &[u8]) -> Result<Told, Unreadable> {
    let push: wire::Push = parse(body)?;
    let repository = repository_of(push.project, push.project_id, "the update")?;
    let about = about(&repository);
    let fact = match (push.changes.git_ref, push.refs) {
        (Some(git_ref), _) => {
            Fact::Pushed { repository, git_ref, after: push.changes.after.and_then(existing) }
        }
        (None, Some(git_ref)) => Fact::Pushed { repository, git_ref, after: None },
        (None, None) => Fact::RepositorySeen { repository },
    };
    Ok(Told { about, action: None, at: None, fact })
}

pub(super) fn read_merge_request(body: &[u8]) -> Result<Told, Unreadable> {
    let wire::MergeRequest { object_attributes: request, project } = parse(body)?;
    let repository = repository_of(project, request.target_project_id, "the merge request")?;
    let number = request.iid.ok_or_else(|| unreadable("the merge request has no number"))?;
    let state = match request.state.as_deref().unwrap_or_default() {
        state @ ("closed" | "merged") => state,
        // "locked" lasts while the merge is under way.
        _ => "open",
    };
    let about = about(&repository);
    let at = newest(&[request.created_at, request.updated_at]);
    let head = request.last_commit.id;
    let fact = Fact::ChangeRequested { repository, number, state: state.to_owned(), head };
    Ok(Told { about, action: request.action, at, fact })
}

/// Nothing but zeros stands for a ref that is no more.
fn existing(sha: String) -> Option<String> {
    sha.bytes().any(|byte| byte != b'0').then_some(sha)
}
