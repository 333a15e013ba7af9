//! Apps of a fake GitHub, as a test needs them: made by hand, with what they send and what was granted to them.

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::Github;
use super::state::{AppRow, Holder, MemberRow};

impl Github {
    /// An App that somebody made by hand, public, with its secret for sign-in.
    pub(crate) fn app_by_hand(&self, client_id: &str, client_secret: &str) -> u64 {
        let id = self.app("ours");
        let mut state = self.state();
        let row: &mut AppRow = state.apps.get_mut(&id).unwrap();
        client_id.clone_into(&mut row.client_id);
        row.client_secrets = vec![client_secret.to_owned()];
        id
    }

    /// Sets where an App sends people.
    pub(crate) fn points(&self, app: u64, base: &str, source: &str) {
        let step = |name: &str| format!("{base}/connect-scm/github/{source}/{name}");
        self.state().apps.get_mut(&app).unwrap().manifest = json!({
            "public": true, "setup_url": step("installed"), "callback_urls": [step("authorized")],
            "default_permissions": {"metadata": "read", "members": "read", "pull_requests": "write"},
        });
    }

    /// Sets where an App's hook sends to.
    pub(crate) fn sends_to(&self, app: u64, url: &str) {
        self.state().apps.get_mut(&app).unwrap().hook["url"] = json!(url);
    }

    /// What signs an App's deliveries.
    pub(crate) fn app_hook_secret(&self, app: u64) -> Option<String> {
        self.state().apps[&app].hook_secret.clone()
    }

    /// An owner adds a key to an App.
    pub(crate) fn adds_key(&self, app: u64, modulus: &str) {
        self.state().apps.get_mut(&app).unwrap().moduli.push(modulus.trim().to_owned());
    }

    /// An owner takes the oldest key of an App away.
    pub(crate) fn drops_key(&self, app: u64) {
        self.state().apps.get_mut(&app).unwrap().moduli.remove(0);
    }

    /// An owner makes a further client secret in an App's settings.
    pub(crate) fn adds_client_secret(&self, app: u64, secret: &str) {
        self.state().apps.get_mut(&app).unwrap().client_secrets.push(secret.to_owned());
    }

    /// An owner takes the oldest client secret of an App away.
    pub(crate) fn drops_client_secret(&self, app: u64) {
        self.state().apps.get_mut(&app).unwrap().client_secrets.remove(0);
    }

    /// The App that was made last.
    pub(crate) fn newest_app(&self) -> u64 {
        *self.state().apps.keys().next_back().unwrap()
    }

    /// The number of the App's installation on an account.
    pub(crate) fn installation_at(&self, account: &str) -> u64 {
        self.state().installations.values().find(|row| row.account == account).unwrap().id
    }

    /// An owner takes a permission back.
    pub(crate) fn withdraws(&self, account: &str, permission: &str) {
        let mut state = self.state();
        let row = state.installations.values_mut().find(|row| row.account == account).unwrap();
        row.permissions.remove(permission);
    }

    /// What the App of an account's installation sends when it was installed: its source here, its secret, the body.
    pub(crate) fn tells_of_installation(&self, account: &str) -> (String, String, String) {
        let (source, secret, mut body) = self.tells(account, "created");
        let repository =
            json!({"id": 4242, "name": "site", "full_name": format!("{account}/site"), "private": true});
        body["installation"]["repository_selection"] = "selected".into();
        body["repositories"] = json!([repository]);
        body["requester"] = Value::Null;
        (source, secret, body.to_string())
    }

    /// What the App of an account's installation sends about it as it is now: its source here, its secret, the body.
    pub(crate) fn tells(&self, account: &str, action: &str) -> (String, String, Value) {
        let state = self.state();
        let row = state.installations.values().rfind(|row| row.account == account).unwrap();
        let app = &state.apps[&row.app];
        let source = app.hook["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let body = json!({
            "action": action, "installation": state.installation(row),
            "sender": {"id": 1, "login": "alice", "type": "User"},
        });
        (source, format!("canary-webhook-secret-{}", app.id), body)
    }

    /// Changes somebody's place in an organization.
    pub(crate) fn demotes(&self, org: &str, login: &str, role: &'static str, place: &'static str) {
        let mut state = self.state();
        let members = &mut state.orgs.get_mut(org).unwrap().members;
        let row: &mut MemberRow = members.iter_mut().find(|row| row.login == login).unwrap();
        (row.role, row.state) = (role, place);
    }

    /// `DELETE /applications/{client_id}/token`, by the App's name and secret.
    pub(super) fn ends_token(&self, asked: &Asked, client_id: &str) -> Reply {
        let encoded = asked.header("authorization").strip_prefix("Basic ").unwrap_or_default();
        let both = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
        let both = String::from_utf8_lossy(&both).into_owned();
        let mut state = self.state();
        let (name, secret) = both.split_once(':').unwrap_or_default();
        let owns = |app: &AppRow| app.client_id == name && app.client_secrets.iter().any(|it| it == secret);
        if name != client_id || !state.apps.values().any(owns) {
            return super::door::refusal(401, "Bad credentials");
        }
        let token = asked.json()["access_token"].as_str().unwrap_or_default().to_owned();
        match state.tokens.remove(&token) {
            Some(_) => Reply::empty(204),
            None => super::door::refusal(422, "Validation Failed"),
        }
    }

    /// How many tokens of people who signed in are alive.
    pub(crate) fn user_tokens(&self) -> usize {
        let state = self.state();
        state.tokens.values().filter(|row| matches!(row.holder, Holder::AppUser(..))).count()
    }
}
