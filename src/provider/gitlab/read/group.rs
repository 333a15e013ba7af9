//! Groups that are made, renamed or deleted.

use super::{Told, account_of, newest, parse, unreadable};
use crate::domain::event::{About, Fact};
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

pub(super) fn read(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let named: wire::Group = parse(body)?;
    let group = named.group_id.ok_or_else(|| unreadable("the group has no number"))?;
    let at = newest(&[named.created_at, named.updated_at]);
    // Only a full path begins with the account; `path` alone is the last segment.
    let account = named.full_path.as_deref().and_then(account_of);
    let about = About { group: Some(group), account, ..About::default() };
    let fact = if kind.ends_with("_destroy") {
        Fact::GroupDeleted { group }
    } else {
        Fact::GroupSeen {
            group,
            path: named.full_path.or(named.path).unwrap_or_default(),
            from: named.old_full_path.or(named.old_path),
            parent: named.parent_group_id,
        }
    };
    Ok(Told { about, action: Some(kind.to_owned()), at, fact })
}
