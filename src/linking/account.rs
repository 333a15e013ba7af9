//! The account's name as somebody typed it, against the name as the forge spells it.

use serde::{Deserialize, Serialize};

use crate::provider::ProviderError;
use crate::provider::github::client::{Account, Github};

/// GitHub's longest name, with the suffix of an enterprise's users.
const LOGIN_CHARS_MAX: usize = 64;

/// Where an App is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Somebody's own account.
    Personal,
    /// An organization.
    Organization,
}

impl AccountKind {
    /// Both, as the form offers them.
    pub const ALL: [Self; 2] = [Self::Organization, Self::Personal];

    /// The word that the form sends.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Organization => "organization",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Personal => "Personal account",
            Self::Organization => "Organization account",
        }
    }

    /// What the forge calls an account; `None` for anything else, such as a bot.
    #[must_use]
    pub fn of(account: &Account) -> Option<Self> {
        match account.kind.as_str() {
            "User" => Some(Self::Personal),
            "Organization" => Some(Self::Organization),
            _ => None,
        }
    }
}

/// The account that a connection is to be for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What it is.
    pub kind: AccountKind,
    /// Its name, exactly.
    pub login: String,
    /// Its number, where the forge has told it.
    pub id: Option<u64>,
}

/// What the forge says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spelled {
    /// It is there, spelled so, with this number.
    Exactly(u64),
    /// The forge spells it so.
    Otherwise(String),
    /// It is there, and is something else.
    Another(AccountKind),
    /// There is none.
    Nobody,
    /// The forge does not tell strangers. The number that counts comes with the installation.
    Untold,
}

/// Whether a text can be a name at all.
#[must_use]
pub fn is_login(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= LOGIN_CHARS_MAX && text.chars().all(fine)
}

/// What somebody may have meant: a name in an address, with an `@`, or with blanks. The name itself comes first.
fn meant(typed: &str) -> Vec<String> {
    let bare = typed.trim().trim_end_matches('/');
    let last = bare.rsplit('/').next().unwrap_or_default().trim_start_matches('@');
    let joined: Vec<&str> =
        last.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty()).collect();
    let mut all: Vec<String> = Vec::new();
    for name in [typed.to_owned(), last.to_owned(), joined.join("-"), joined.concat()] {
        if is_login(&name) && !all.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            all.push(name);
        }
    }
    all
}

/// Asks the forge how the name is spelled.
///
/// # Errors
/// When the forge cannot be reached; then nothing that follows would work either.
pub(super) async fn look_up(
    github: &Github,
    kind: AccountKind,
    typed: &str,
) -> Result<Spelled, ProviderError> {
    let session = github.anonymous().for_person();
    for name in meant(typed) {
        let account = match session.account(&name).await {
            Ok(account) => account,
            Err(ProviderError::Gone) => continue,
            Err(
                ProviderError::CredentialRefused
                | ProviderError::NotPermitted { .. }
                | ProviderError::Throttled { .. },
            ) => return Ok(if is_login(typed) { Spelled::Untold } else { Spelled::Nobody }),
            Err(error) => return Err(error),
        };
        if account.login != typed {
            // Never offer what could not be a name: it goes into a form.
            return Ok(if is_login(&account.login) {
                Spelled::Otherwise(account.login)
            } else {
                Spelled::Nobody
            });
        }
        return Ok(match AccountKind::of(&account) {
            Some(told) if told == kind => Spelled::Exactly(account.id.get()),
            Some(told) => Spelled::Another(told),
            None => Spelled::Nobody,
        });
    }
    Ok(Spelled::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_in_what_was_typed() {
        for (typed, names) in [
            ("acme", vec!["acme"]),
            ("Acme-Inc", vec!["Acme-Inc", "AcmeInc"]),
            ("@acme", vec!["acme"]),
            ("https://github.com/acme/", vec!["acme"]),
            ("acme inc", vec!["acme-inc", "acmeinc"]),
            ("acme_inc", vec!["acme_inc", "acme-inc", "acmeinc"]),
            ("../..", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(meant(typed), names, "{typed}");
        }
        assert!(!is_login("a/b") && !is_login("..") && !is_login(&"a".repeat(65)));
    }
}
