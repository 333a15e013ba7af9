//! What a fake GitHub answers to whom.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::{Asked, Reply};
use super::Github;
use super::door::{Caller, refusal};
use super::hook::{bare, gone, keep_secret, merge, not_accessible};
use super::state::{Holder, InstallationRow, RepoRow, State, TokenRow};
use super::{APP_KEY, AppRow};

impl Github {
    pub(super) fn route(&self, asked: &Asked, caller: &Caller) -> Reply {
        let segments = asked.segments(self.base());
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let Caller::Installation(row) = caller
            && let Err(refused) = self.is_narrow(&path, row)
        {
            return refused;
        }
        match (asked.method.as_str(), path.as_slice(), caller) {
            ("GET", ["meta"], _) => self.meta(),
            ("POST", ["app-manifests", code, "conversions"], Caller::Nobody) => self.convert(code),
            ("POST", ["app-manifests", ..], _) => {
                self.book.broken("a code is exchanged without a credential");
                gone()
            }
            ("GET", ["users", login], _) => self.anybody(login),
            (_, ["app", ..] | ["orgs" | "users" | "repos", .., "installation"], Caller::App(app)) => {
                self.as_app(asked, *app, &path)
            }
            (_, _, Caller::App(_)) => {
                self.book.broken(format!("an App's own token at {}", asked.path));
                refusal(401, "A JSON web token could not be decoded")
            }
            (_, ["app", ..], _) => refusal(401, "A JSON web token could not be decoded"),
            (_, _, Caller::Nobody) => refusal(401, "Requires authentication"),
            ("GET", ["user", rest @ ..], Caller::Person(login, _)) => {
                self.as_person(asked, login, None, rest)
            }
            ("GET", ["user", rest @ ..], Caller::AppUser(login, app)) => {
                self.as_person(asked, login, Some(*app), rest)
            }
            ("GET", ["user", id], _) => self.somebody(id),
            ("GET", ["installation", "repositories"], Caller::Installation(row)) => {
                let state = self.state();
                let rows: Vec<_> =
                    state.repos_of(&row.account).into_iter().map(|row| state.repo(row)).collect();
                let wrap = |rows, total| json!({"total_count": total, "repository_selection": "all", "repositories": rows});
                self.page(asked, &rows, wrap)
            }
            (_, ["orgs", login, rest @ ..], _) => self.at_org(asked, caller, login, rest),
            (_, ["repos", owner, name, rest @ ..], _) => self.at_repo(asked, caller, (owner, name), rest),
            _ => gone(),
        }
    }

    fn meta(&self) -> Reply {
        let told = match self.version {
            Some(version) => {
                json!({"verifiable_password_authentication": true, "installed_version": version})
            }
            None => {
                json!({"verifiable_password_authentication": false, "hooks": ["192.30.252.0/22", "2a0a:a440::/29"]})
            }
        };
        Reply::json(200, &told)
    }

    fn convert(&self, code: &str) -> Reply {
        let mut state = self.state();
        match state.codes.get_mut(code) {
            Some(used) if !*used => *used = true,
            _ => return gone(),
        }
        if state.made.contains_key(code) {
            return self.made(&mut state, code).map_or_else(gone, |told| Reply::json(201, &told));
        }
        let id = state.next_id();
        let row = AppRow {
            id,
            client_id: "Iv23limade".into(),
            slug: "made".into(),
            moduli: vec![super::APP_MODULUS.trim().into()],
            hook: json!({"url": "https://example.com/hooks/made", "content_type": "form", "insecure_ssl": "0"}),
            ..AppRow::default()
        };
        state.apps.insert(id, row);
        Reply::json(
            201,
            &json!({
                "id": id, "slug": "made", "client_id": "Iv23limade", "owner": {"login": "acme", "id": 1, "type": "Organization"},
                "name": "Made", "description": null, "external_url": "https://example.com", "html_url": "https://github.com/apps/made",
                "created_at": "2026-06-01T00:00:00Z", "updated_at": "2026-06-01T00:00:00Z",
                "permissions": {"members": "read"}, "events": ["push"],
                "client_secret": "canary-client-secret", "webhook_secret": "canary-webhook-secret", "pem": APP_KEY,
            }),
        )
    }

    fn as_app(&self, asked: &Asked, app: u64, path: &[&str]) -> Reply {
        let mut state = self.state();
        let own = |state: &State, id: &str| {
            state.installations.values().find(|row| row.app == app && row.id.to_string() == id).cloned()
        };
        let at = |state: &State, account: &str| {
            state.installations.values().find(|row| row.app == app && row.account == account).cloned()
        };
        let shown = |state: &State, row: Option<_>| {
            row.map_or_else(gone, |row| Reply::json(200, &state.installation(&row)))
        };
        match (asked.method.as_str(), path) {
            ("GET", ["app"]) => {
                let row = &state.apps[&app];
                Reply::json(
                    200,
                    &json!({"id": row.id, "slug": row.slug, "client_id": row.client_id, "owner": null, "permissions": {"members": "read"}, "events": ["push"]}),
                )
            }
            ("GET", ["app", "installations"]) => {
                let rows: Vec<_> = state
                    .installations
                    .values()
                    .filter(|row| row.app == app)
                    .map(|row| state.installation(row))
                    .collect();
                self.page(asked, &rows, bare)
            }
            ("GET", ["app", "installations", id]) => shown(&state, own(&state, id)),
            ("GET", ["orgs" | "users", account, "installation"]) => shown(&state, at(&state, account)),
            ("DELETE", ["app", "installations", id]) => match own(&state, id) {
                Some(row) => {
                    state.installations.remove(&row.id);
                    Reply::empty(204)
                }
                None => gone(),
            },
            ("POST", ["app", "installations", id, "access_tokens"]) => match own(&state, id) {
                Some(row) if row.suspended => refusal(403, "This installation has been suspended"),
                Some(row) => match self.asked_for(asked, &row) {
                    Ok(wanted) => self.mint(&mut state, row.id, wanted),
                    Err(refused) => refused,
                },
                None => gone(),
            },
            ("GET", ["app", "hook", "config"]) => Reply::json(200, &state.apps[&app].hook),
            ("PATCH", ["app", "hook", "config"]) => {
                let app = state.apps.get_mut(&app).unwrap();
                merge(&mut app.hook, &asked.json());
                keep_secret(&mut app.hook["secret"], &mut app.hook_secret);
                Reply::json(200, &app.hook)
            }
            ("GET", ["app", "hook", "deliveries"]) => self.attempts_page(asked, &state.apps[&app].attempts),
            ("GET", ["app", "hook", "deliveries", id]) => self.attempt(&state.apps[&app].attempts, id),
            ("POST", ["app", "hook", "deliveries", id, "attempts"]) => {
                let new = state.next_id();
                self.redeliver(&state.apps[&app].attempts, id, new)
            }
            _ => gone(),
        }
    }

    fn mint(&self, state: &mut State, installation: u64, permissions: BTreeMap<String, String>) -> Reply {
        state.minted += 1;
        let minted = state.minted;
        let token = if state.long_tokens {
            format!("ghs_{installation}_eyJ{}.eyJ{}.{:0240}", "a".repeat(80), "b".repeat(180), minted)
        } else {
            format!("ghs_{minted:036}")
        };
        let ends_s = self.book.now_s() + 3600;
        let holder = Holder::Installation(installation, permissions.clone());
        let row = TokenRow { holder, ends_s, void: false };
        state.tokens.insert(token.clone(), row);
        let expires_at = chrono::DateTime::from_timestamp(ends_s, 0).unwrap().to_rfc3339();
        let body = json!({"token": token, "expires_at": expires_at, "permissions": permissions, "repository_selection": "all"});
        Reply::json(201, &body)
    }

    /// An account, whatever the case of its name.
    fn anybody(&self, login: &str) -> Reply {
        let state = self.state();
        let names = state.orgs.keys().chain(state.people.keys());
        let found = names.into_iter().find(|name| name.eq_ignore_ascii_case(login));
        found.map_or_else(gone, |name| Reply::json(200, &state.account(name)))
    }

    /// A person; through an App only where it is installed, as far as it was granted and they are in.
    fn as_person(&self, asked: &Asked, login: &str, app: Option<u64>, rest: &[&str]) -> Reply {
        let state = self.state();
        let within = |account: &str| {
            account == login
                || state.orgs.get(account).is_some_and(|org| {
                    org.members.iter().any(|row| row.login == login && row.state == "active")
                })
        };
        let granted = |org: &str, permission: &str| {
            app.is_none_or(|app| {
                let mut all = state.installations.values();
                all.any(|row| {
                    row.app == app && row.account == org && row.permissions.contains_key(permission)
                })
            })
        };
        let id = state.people[login].id;
        let membership = |org: &str| {
            let row = state.orgs.get(org)?.members.iter().find(|row| row.login == login)?;
            Some(
                json!({"url": "x", "state": row.state, "role": row.role, "organization": {"login": org, "id": state.orgs[org].id}, "user": state.account(login)}),
            )
        };
        match rest {
            [] => Reply::json(200, &json!({"id": id, "login": login, "type": "User", "email": null}))
                .with("github-authentication-token-expiration", "2026-12-01 09:00:00 UTC"),
            ["emails"] => {
                let row = json!({"email": format!("{login}@example.com"), "verified": true, "primary": true, "visibility": null});
                self.page(asked, &[row], bare)
            }
            ["memberships", "orgs"] => {
                let rows: Vec<_> = state.orgs.keys().filter_map(|org| membership(org)).collect();
                self.page(asked, &rows, bare)
            }
            ["memberships", "orgs", org] if !granted(org, "members") => not_accessible(),
            ["memberships", "orgs", org] => membership(org).map_or_else(gone, |it| Reply::json(200, &it)),
            ["installations"] => {
                let reached =
                    |row: &&InstallationRow| app.is_none_or(|app| row.app == app && within(&row.account));
                let rows: Vec<_> =
                    state.installations.values().filter(reached).map(|row| state.installation(row)).collect();
                self.page(asked, &rows, |rows, total| json!({"total_count": total, "installations": rows}))
            }
            ["installations", id, "repositories"] => {
                let found = state.installations.values().find(|row| row.id.to_string() == *id);
                let Some(found) = found else { return gone() };
                let rows: Vec<_> =
                    state.repos_of(&found.account).into_iter().map(|row| state.repo(row)).collect();
                self.page(asked, &rows, |rows, total| json!({"total_count": total, "repositories": rows}))
            }
            [id] => {
                drop(state);
                self.somebody(id)
            }
            _ => gone(),
        }
    }

    fn somebody(&self, id: &str) -> Reply {
        let state = self.state();
        let found = state.people.values().find(|person| person.id.to_string() == id);
        found.map_or_else(gone, |person| Reply::json(200, &state.account(&person.login)))
    }

    /// What a caller may see of an organization's members: all, those who show themselves, or nothing.
    fn sees_members(state: &State, caller: &Caller, org: &str) -> Result<bool, Reply> {
        match caller {
            Caller::Installation(row) => match (row.account == org, row.permissions.get("members")) {
                (true, Some(_)) => Ok(true),
                _ => Err(not_accessible()),
            },
            Caller::Person(login, scopes) => {
                let inside = state.orgs[org].members.iter().any(|row| row.login == *login);
                let wide = ["read:org", "write:org", "admin:org"];
                let scoped =
                    scopes.as_ref().is_none_or(|held| wide.iter().any(|scope| held.contains(*scope)));
                Ok(inside && scoped)
            }
            _ => Ok(false),
        }
    }

    fn at_org(&self, asked: &Asked, caller: &Caller, login: &str, rest: &[&str]) -> Reply {
        let mut state = self.state();
        // A name is found whatever its letter case, and told as it is spelled.
        let Some(login) = state.orgs.keys().find(|name| name.eq_ignore_ascii_case(login)).cloned() else {
            return gone();
        };
        let login = login.as_str();
        if let ["hooks", hooks @ ..] = rest {
            let new = (state.next_id(), state.next_id());
            let own = &mut state.orgs.get_mut(login).unwrap().hooks;
            return self.hooks(asked, caller, ("organization_hooks", "admin:org_hook"), own, hooks, new);
        }
        let sees = Self::sees_members(&state, caller, login);
        let accounts =
            |logins: Vec<&str>| logins.into_iter().map(|login| state.account(login)).collect::<Vec<_>>();
        let org = &state.orgs[login];
        match (asked.method.as_str(), rest) {
            ("GET", []) => Reply::json(200, &state.account(login)),
            ("GET", ["members"]) => {
                let all = match sees {
                    Ok(all) => all,
                    Err(reply) => return reply,
                };
                let role = asked.query("role").unwrap_or("all");
                let rows = org.members.iter().filter(|row| {
                    row.state == "active" && (all || row.public) && (role == "all" || row.role == role)
                });
                self.page(asked, &accounts(rows.map(|row| row.login.as_str()).collect()), bare)
            }
            ("GET", ["memberships", person]) => {
                match (sees, org.members.iter().find(|row| row.login == *person)) {
                    (Err(reply), _) => reply,
                    (Ok(true), Some(row)) => Reply::json(
                        200,
                        &json!({"url": "x", "state": row.state, "role": row.role, "organization": {"login": login, "id": org.id}, "user": state.account(person)}),
                    ),
                    _ => gone(),
                }
            }
            ("GET", ["outside_collaborators"]) => match sees {
                Ok(true) => {
                    self.page(asked, &accounts(org.outside.iter().map(String::as_str).collect()), bare)
                }
                Ok(false) => refusal(403, "You must be an owner"),
                Err(reply) => reply,
            },
            ("GET", ["invitations"]) if self.version.is_none() => match sees {
                Ok(true) => {
                    let row = |login: &String| json!({"id": 9, "login": login, "email": null, "role": "direct_member"});
                    self.page(asked, &org.invited.iter().map(row).collect::<Vec<_>>(), bare)
                }
                _ => gone(),
            },
            ("GET", ["repos"]) => {
                let rows: Vec<_> = state.repos_of(login).into_iter().map(|row| state.repo(row)).collect();
                self.page(asked, &rows, bare)
            }
            _ => gone(),
        }
    }

    fn at_repo(&self, asked: &Asked, caller: &Caller, (owner, name): (&str, &str), rest: &[&str]) -> Reply {
        let mut state = self.state();
        let new = (state.next_id(), state.next_id());
        let old = |row: &&RepoRow| row.owner == owner && row.former.as_deref() == Some(name);
        if let Some(moved) = state.repos.iter().find(old) {
            let to = self.api().join(&format!("repos/{}/{}", moved.owner, moved.name)).unwrap();
            return refusal(301, "Moved Permanently").with("location", to);
        }
        let Some(at) = state.repos.iter().position(|row| row.owner == owner && row.name == name) else {
            return gone();
        };
        match (asked.method.as_str(), rest) {
            ("GET", []) => Reply::json(200, &state.repo(&state.repos[at])),
            (_, ["hooks", hooks @ ..]) => {
                let own = &mut state.repos[at].hooks;
                self.hooks(asked, caller, ("repository_hooks", "admin:repo_hook"), own, hooks, new)
            }
            _ => gone(),
        }
    }
}
