//! People's accounts and keys, as an instance tells of them.

use super::member::person;
use super::{Told, newest, parse, unreadable};
use crate::domain::event::{About, Fact};
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

pub(super) fn read(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let user: wire::User = parse(body)?;
    let at = newest(&[user.created_at, user.updated_at]);
    let id = user.user_id.ok_or_else(|| unreadable("the account has no number"))?;
    let person = person(id, user.username);
    let fact = match kind {
        "user_rename" => Fact::PersonRenamed { person, from: user.old_username.unwrap_or_default() },
        "user_destroy" => Fact::PersonDeleted { person },
        // GitLab tells of blocked people only; should it ever tell of others, a mistyped password is no news.
        "user_failed_login" if user.state.as_deref() == Some("active") => Fact::Unwanted,
        "user_failed_login" => Fact::PersonBlocked { person },
        _ => Fact::PersonSeen { person },
    };
    Ok(Told { about: About::default(), action: Some(kind.to_owned()), at, fact })
}

pub(super) fn read_key(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let user: wire::User = parse(body)?;
    let at = newest(&[user.created_at, user.updated_at]);
    let login = user.username.ok_or_else(|| unreadable("the key names nobody"))?;
    let fact = Fact::KeyChanged { login, added: kind == "key_create" };
    Ok(Told { about: About::default(), action: Some(kind.to_owned()), at, fact })
}
