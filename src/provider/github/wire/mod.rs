//! GitHub's JSON, as far as we use it. A field of the wrong type is the same as a field that is not there: what must
//! be there is decided where it is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::Timestamp;

/// Items taken from one list.
const MOST_ITEMS: usize = 50_000;
/// Entries taken from one map.
const MOST_PERMISSIONS: usize = 256;
/// Characters taken from one text.
const LONGEST_TEXT: usize = 255;
/// The end of the year 9999, in seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// A field that may be absent, null, or anything else.
#[derive(Debug)]
pub(super) struct Field<T>(Option<T>);

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Field<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<'de, T: Value<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Skipping a raw value neither recurses nor converts, so no depth and no number inside it can fail.
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(T::of(raw.get())))
    }
}

/// What one JSON text may be read as.
pub(super) trait Value<'de>: Sized {
    /// Reads it; `None` for every other type.
    fn of(json: &'de str) -> Option<Self>;
}

/// A number that counts or names something: never 0, never negative.
impl Value<'_> for u64 {
    fn of(json: &str) -> Option<Self> {
        json.parse().ok().filter(|number| *number > 0)
    }
}

impl Value<'_> for bool {
    fn of(json: &str) -> Option<Self> {
        json.parse().ok()
    }
}

/// A text without control characters, cut where no honest name ends; an empty one tells nothing.
impl<'de> Value<'de> for String {
    fn of(json: &'de str) -> Option<Self> {
        let text: Borrowed = serde_json::from_str(json).ok()?;
        Some(clean(&text.0)).filter(|text| !text.is_empty())
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).take(LONGEST_TEXT).collect()
}

#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Control characters, and those that turn the direction of what follows.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// GitHub writes the same field as seconds in one event and as text in the next.
impl<'de> Value<'de> for Timestamp {
    fn of(json: &'de str) -> Option<Self> {
        if json.starts_with('"') {
            return Self::parse_rfc3339(&String::of(json)?).filter(|at| at.ms() > 0);
        }
        let seconds: i64 = json.parse().ok().filter(|seconds| (1..=LAST_SECOND).contains(seconds))?;
        seconds.checked_mul(1000).map(Self::from_ms)
    }
}

impl<'de> Value<'de> for BTreeMap<String, String> {
    fn of(json: &'de str) -> Option<Self> {
        let map: BTreeMap<Cow<'de, str>, Field<String>> = serde_json::from_str(json).ok()?;
        let told = map.into_iter().filter_map(|(name, level)| Some((clean(&name), level.0?)));
        Some(told.take(MOST_PERMISSIONS).collect())
    }
}

/// The list's first items; those of a wrong type are left out.
impl<'de, T: Value<'de>> Value<'de> for Vec<T> {
    fn of(json: &'de str) -> Option<Self> {
        serde_json::Deserializer::from_str(json).deserialize_seq(Items(std::marker::PhantomData)).ok()
    }
}

struct Items<T>(std::marker::PhantomData<T>);

impl<'de, T: Value<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST_ITEMS {
            let Some(item) = list.next_element::<Field<T>>()? else { return Ok(items) };
            items.extend(item.0);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

/// Declares JSON objects of which every field may be absent.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $($(#[$attr])* pub(super) $field: Field<$type>,)+
        }

        impl Value<'_> for $name {
            fn of(json: &str) -> Option<Self> {
                // Without this check, serde would take a list's items for the fields, in their order.
                if !json.starts_with('{') {
                    return None;
                }
                serde_json::from_str(json).ok()
            }
        }
    )+};
}

objects! {
    /// A whole delivery: every top-level key we use of any event.
    Body {
        action: String,
        installation: Installation,
        organization: Account,
        repository: Repository,
        sender: Account,
        account: Account,
        changes: Changes,
        repositories: Vec<Repository>,
        repositories_added: Vec<Repository>,
        repositories_removed: Vec<Repository>,
        repository_selection: String,
        requester: Account,
        membership: Membership,
        member: Account,
        user: Account,
        invitation: Invitation,
        scope: String,
        team: Team,
        hook_id: u64,
        workflow_run: Run,
        workflow_job: Run,
        check_suite: Run,
        pull_request: PullRequest,
        number: u64,
        #[serde(rename = "ref")]
        git_ref: String,
        after: String,
    }

    /// A user, a bot, an organization or an enterprise.
    Account {
        id: u64,
        login: String,
        slug: String,
        #[serde(rename = "type")]
        kind: String,
        updated_at: Timestamp,
    }

    /// An installation of the App; most events carry its id alone.
    Installation {
        id: u64,
        account: Account,
        repository_selection: String,
        permissions: BTreeMap<String, String>,
        created_at: Timestamp,
        updated_at: Timestamp,
        suspended_at: Timestamp,
    }

    /// A repository, whole or short.
    Repository {
        id: u64,
        name: String,
        full_name: String,
        private: bool,
        visibility: String,
        archived: bool,
        default_branch: String,
        owner: Account,
        updated_at: Timestamp,
        pushed_at: Timestamp,
    }

    /// What was different before.
    Changes {
        login: Before,
        slug: Before,
        repository: ChangedRepository,
        owner: ChangedOwner,
    }

    /// A text before it was changed.
    Before {
        from: String,
    }

    /// The repository's old name.
    ChangedRepository {
        name: Before,
    }

    /// The repository's old owner.
    ChangedOwner {
        from: PastOwner,
    }

    /// The repository's old owner, of either kind.
    PastOwner {
        user: Account,
        organization: Account,
    }

    /// One person in an organization.
    Membership {
        role: String,
        user: Account,
    }

    /// An invitation into an organization.
    Invitation {
        login: String,
        role: String,
        created_at: Timestamp,
    }

    /// A team.
    Team {
        id: u64,
    }

    /// A workflow run, a job of one, or a check suite.
    Run {
        id: u64,
        run_id: u64,
        run_attempt: u64,
        name: String,
        event: String,
        status: String,
        conclusion: String,
        head_branch: String,
        head_sha: String,
        app: App,
        created_at: Timestamp,
        started_at: Timestamp,
        completed_at: Timestamp,
        updated_at: Timestamp,
    }

    /// The app that a check suite belongs to.
    App {
        slug: String,
        name: String,
    }

    /// A pull request.
    PullRequest {
        number: u64,
        state: String,
        merged: bool,
        merged_at: Timestamp,
        head: Head,
        updated_at: Timestamp,
    }

    /// The newest commit of a pull request.
    Head {
        sha: String,
    }
}

#[cfg(test)]
mod tests;
