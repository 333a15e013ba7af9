//! Projects that are made, renamed, moved or deleted.

use super::{Told, about, newest, parse, unreadable};
use crate::domain::event::{Fact, Repository};
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

pub(super) fn read(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let project: wire::Repository = parse(body)?;
    let at = newest(&[project.created_at, project.updated_at]);
    let from = project.old_path_with_namespace;
    let repository = Repository {
        id: project.project_id.ok_or_else(|| unreadable("the project has no number"))?,
        full_path: project.path_with_namespace.unwrap_or_default(),
        default_branch: None,
        visibility: project.project_visibility,
        archived: None,
    };
    let about = about(&repository);
    let fact = match kind {
        "project_destroy" => Fact::RepositoryDeleted { repository },
        "project_rename" => Fact::RepositoryRenamed { repository, from: from.unwrap_or_default() },
        "project_transfer" => Fact::RepositoryTransferred { repository, from, from_account: None },
        _ => Fact::RepositorySeen { repository },
    };
    Ok(Told { about, action: Some(kind.to_owned()), at, fact })
}
