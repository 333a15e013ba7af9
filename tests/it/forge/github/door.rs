//! Who asks, and whether the request keeps the rules of the wire. A naive request is refused here, and written down.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::Github;
use super::state::{Holder, InstallationRow};

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    Nobody,
    App(u64),
    Installation(InstallationRow),
    Person(String, Option<BTreeSet<String>>),
    AppUser(String, u64),
}

/// What a budget is kept under.
pub(crate) fn credential(asked: &Asked) -> String {
    let authorization = asked.header("authorization");
    match authorization.split('.').count() {
        // An App signs a new token for each request.
        3 if authorization.starts_with("Bearer eyJ") => "the App".into(),
        _ => authorization.chars().take(60).collect(),
    }
}

pub(super) fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

impl Github {
    /// The rules that hold for every request.
    pub(super) fn wire(&self, asked: &Asked) -> Result<(), Reply> {
        let broken = |rule: &str, status| {
            self.book.broken(format!("{} {}: {rule}", asked.method, asked.path));
            Err(refusal(status, rule))
        };
        if asked.header("user-agent").is_empty() {
            return broken("a request without a User-Agent", 403);
        }
        if asked.header("accept") != "application/vnd.github+json" {
            return broken("not the documented media type", 415);
        }
        if !["2022-11-28", "2026-03-10"].contains(&asked.header("x-github-api-version")) {
            return broken("no supported X-GitHub-Api-Version", 400);
        }
        if asked.query.iter().any(|(key, _)| key.contains("token")) {
            return broken("a token in the address", 400);
        }
        let bodied = !asked.body.is_empty();
        if bodied && (asked.header("content-type") != "application/json" || asked.json().is_null()) {
            return broken("a body that is no JSON", 415);
        }
        let per_page = asked.query("per_page").map(|it| it.parse::<u32>().unwrap_or(0));
        if per_page.is_some_and(|it| !(1..=100).contains(&it)) {
            return broken("per_page beyond 1 to 100", 422);
        }
        if asked.query("page").is_some() && asked.query("after").is_none() {
            return broken("a page number that was made up instead of taken from Link", 422);
        }
        Ok(())
    }

    pub(super) fn caller(&self, asked: &Asked) -> Result<Caller, Reply> {
        let authorization = asked.header("authorization");
        if authorization.is_empty() {
            return Ok(Caller::Nobody);
        }
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            self.book.broken("an Authorization that is no Bearer");
            return Err(refusal(401, "Bad credentials"));
        };
        let state = self.state();
        let Some(row) = state.tokens.get(token) else {
            drop(state);
            return self.signed(token).map(Caller::App).map_err(|why| refusal(401, why));
        };
        if row.void || row.ends_s <= self.book.now_s() {
            return Err(refusal(401, "Bad credentials"));
        }
        match &row.holder {
            Holder::Person(login, scopes) => Ok(Caller::Person(login.clone(), scopes.clone())),
            Holder::AppUser(login, app) => Ok(Caller::AppUser(login.clone(), *app)),
            Holder::Installation(id, asked) => {
                let installation = state.installations.get(id).cloned();
                let narrowed =
                    installation.map(|row| InstallationRow { permissions: both(&row, asked), ..row });
                narrowed.map(Caller::Installation).ok_or_else(|| refusal(401, "Bad credentials"))
            }
        }
    }

    /// Which App signed this token; by the forge's own clock.
    fn signed(&self, token: &str) -> Result<u64, &'static str> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = false;
        let apps: Vec<_> = self.state().apps.values().cloned().collect();
        for (app, modulus) in apps.iter().flat_map(|app| app.moduli.iter().map(move |it| (app, it))) {
            let key = DecodingKey::from_rsa_components(modulus, "AQAB").unwrap();
            let Ok(read) = jsonwebtoken::decode::<Value>(token, &key, &validation) else { continue };
            let claims = read.claims;
            let names = [app.client_id.clone(), app.id.to_string()];
            if !claims["iss"].as_str().is_some_and(|issuer| names.iter().any(|name| name == issuer)) {
                continue;
            }
            let (Some(iat), Some(exp)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
                self.book.broken("iat and exp must be whole numbers");
                return Err("'Issued at' claim ('iat') must be an Integer");
            };
            let now_s = self.book.now_s();
            if exp > now_s + 600 {
                return Err("'Expiration time' claim ('exp') is too far in the future");
            }
            if iat > now_s || exp <= now_s {
                return Err("'Issued at' claim ('iat') is in the future, or 'exp' is past");
            }
            return Ok(app.id);
        }
        Err("A JSON web token could not be decoded")
    }
}

fn rank(level: &str) -> usize {
    ["read", "write", "admin"].iter().position(|known| *known == level).map_or(0, |place| place + 1)
}

/// Whether an installation was granted this much; to see what there is, each of them was.
fn is_granted(row: &InstallationRow, name: &str, level: &str) -> bool {
    let granted = row.permissions.get(name).map_or("", String::as_str);
    (name == "metadata" && level == "read") || rank(granted) >= rank(level).max(1)
}

/// What a token was asked for and its installation still has.
fn both(row: &InstallationRow, asked: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = asked.iter().filter(|(name, level)| is_granted(row, name, level));
    kept.map(|(name, level)| (name.clone(), level.clone())).collect()
}

/// The permission that a request needs beside the sight of what there is.
fn needed(path: &[&str]) -> Option<&'static str> {
    match path {
        ["orgs", _, "members" | "memberships" | "outside_collaborators" | "invitations", ..] => {
            Some("members")
        }
        ["orgs", _, "hooks", ..] => Some("organization_hooks"),
        ["repos", _, _, "hooks", ..] => Some("repository_hooks"),
        _ => None,
    }
}

impl Github {
    /// What a token is to have; one for everything, or for more than there is, is not made.
    pub(super) fn asked_for(
        &self,
        asked: &Asked,
        row: &InstallationRow,
    ) -> Result<BTreeMap<String, String>, Reply> {
        let wanted = asked.json()["permissions"].clone();
        let wanted: BTreeMap<String, String> = serde_json::from_value(wanted).unwrap_or_default();
        if wanted.is_empty() {
            self.book.broken("an installation's token for everything that it may do");
            return Err(refusal(422, "say what the token is for"));
        }
        if wanted.iter().any(|(name, level)| !is_granted(row, name, level)) {
            return Err(refusal(422, "The permissions requested are not granted to this installation."));
        }
        Ok(wanted)
    }

    /// S53: a token that may do more than what it is used for is refused.
    pub(super) fn is_narrow(&self, path: &[&str], row: &InstallationRow) -> Result<(), Reply> {
        let is_wide = |name: &str| name != "metadata" && Some(name) != needed(path);
        if row.permissions.keys().any(|name| is_wide(name)) {
            self.book.broken(format!("a token with {:?} at {}", row.permissions, path.join("/")));
            return Err(refusal(403, "the token may do more than this needs"));
        }
        Ok(())
    }
}
