//! What a fake GitHub knows: apps, accounts, people, tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::web::ManifestRow;

/// An App.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppRow {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) slug: String,
    /// The public halves of its keys.
    pub(crate) moduli: Vec<String>,
    pub(crate) hook: Value,
    /// What signs what it sends; it is shown to nobody.
    pub(crate) hook_secret: Option<String>,
    pub(crate) attempts: Vec<AttemptRow>,
    /// Its secrets for sign-in: its owner may make a second one beside the first.
    pub(crate) client_secrets: Vec<String>,
    pub(crate) owner: Option<String>,
    /// What it was made of; `null` for one that was made by hand.
    pub(crate) manifest: Value,
}

impl AppRow {
    /// Whether only its owner can install it.
    pub(crate) fn is_private(&self) -> bool {
        self.manifest["public"] == false
    }
}

/// Somebody has signed in, and the code is not exchanged yet.
#[derive(Debug, Clone)]
pub(crate) struct SignInRow {
    pub(crate) client_id: String,
    pub(crate) person: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) ends_s: i64,
}

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) id: u64,
    pub(crate) guid: String,
    pub(crate) at_s: i64,
    pub(crate) ok: bool,
    pub(crate) refused: bool,
    pub(crate) redelivery: bool,
}

/// A person or bot.
#[derive(Debug, Clone)]
pub(crate) struct PersonRow {
    pub(crate) id: u64,
    pub(crate) login: String,
}

/// Somebody in an organization.
#[derive(Debug, Clone)]
pub(crate) struct MemberRow {
    pub(crate) login: String,
    pub(crate) role: &'static str,
    /// Shows the membership to everybody.
    pub(crate) public: bool,
    pub(crate) state: &'static str,
}

/// An organization.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrgRow {
    pub(crate) id: u64,
    pub(crate) members: Vec<MemberRow>,
    pub(crate) outside: Vec<String>,
    pub(crate) invited: Vec<String>,
    pub(crate) hooks: Vec<HookRow>,
}

/// A hook.
#[derive(Debug, Clone)]
pub(crate) struct HookRow {
    pub(crate) id: u64,
    pub(crate) value: Value,
    /// What signs what it sends; it is shown to nobody.
    pub(crate) secret: Option<String>,
    pub(crate) attempts: Vec<AttemptRow>,
}

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct RepoRow {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) hooks: Vec<HookRow>,
    /// A name that it had before.
    pub(crate) former: Option<String>,
}

/// An App at an account.
#[derive(Debug, Clone)]
pub(crate) struct InstallationRow {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: String,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) suspended: bool,
}

/// What a token stands for.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    /// An installation, with what the token was asked for.
    Installation(u64, BTreeMap<String, String>),
    /// A person, with classic scopes, or without any that are shown.
    Person(String, Option<BTreeSet<String>>),
    /// A person, through an App: what both may, where it is installed.
    AppUser(String, u64),
}

/// A token.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) holder: Holder,
    pub(crate) ends_s: i64,
    pub(crate) void: bool,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) last_id: u64,
    pub(crate) apps: BTreeMap<u64, AppRow>,
    pub(crate) people: BTreeMap<String, PersonRow>,
    pub(crate) orgs: BTreeMap<String, OrgRow>,
    pub(crate) repos: Vec<RepoRow>,
    pub(crate) installations: BTreeMap<u64, InstallationRow>,
    pub(crate) tokens: BTreeMap<String, TokenRow>,
    /// Codes of manifests, and whether they were used.
    pub(crate) codes: BTreeMap<String, bool>,
    /// Manifests that are not confirmed, and those that are, by their code, with the time.
    pub(crate) manifests: BTreeMap<u64, ManifestRow>,
    pub(crate) made: BTreeMap<String, (ManifestRow, i64)>,
    pub(crate) sign_ins: BTreeMap<String, SignInRow>,
    /// Who is signed in before the browser.
    pub(crate) browser: Option<String>,
    pub(crate) minted: u32,
    /// Tokens of the newer, longer kind.
    pub(crate) long_tokens: bool,
}

impl State {
    /// Ids are larger than 32 bits hold, as some of the real ones are.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        (1 << 33) + self.last_id
    }

    pub(crate) fn account(&self, login: &str) -> Value {
        match (self.orgs.get(login), self.people.get(login)) {
            (Some(org), _) => json!({"id": org.id, "login": login, "type": "Organization", "node_id": "x"}),
            (None, Some(person)) => json!({"id": person.id, "login": login, "type": "User", "node_id": "x"}),
            (None, None) => Value::Null,
        }
    }

    pub(crate) fn repo(&self, row: &RepoRow) -> Value {
        json!({
            "id": row.id, "name": row.name, "full_name": format!("{}/{}", row.owner, row.name),
            "owner": self.account(&row.owner), "private": row.private, "archived": false, "disabled": false,
            "fork": false, "visibility": if row.private { "private" } else { "public" },
            "default_branch": "main", "created_at": "2026-01-01T00:00:00Z", "size": 7, "description": null,
        })
    }

    pub(crate) fn installation(&self, row: &InstallationRow) -> Value {
        let suspended = row.suspended.then_some("2026-05-01T00:00:00Z");
        json!({
            "id": row.id, "account": self.account(&row.account), "app_id": row.app, "target_type": "Organization",
            "permissions": row.permissions, "events": ["push"], "repository_selection": "all",
            // A number here and a text elsewhere: so does the real one.
            "created_at": 1_780_000_000, "updated_at": "2026-01-01T00:00:00Z", "suspended_at": suspended,
        })
    }

    /// The repositories of an account.
    pub(crate) fn repos_of(&self, owner: &str) -> Vec<&RepoRow> {
        self.repos.iter().filter(|repo| repo.owner == owner).collect()
    }
}
