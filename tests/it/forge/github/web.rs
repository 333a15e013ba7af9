//! The pages of a fake GitHub: a manifest is confirmed, an App is installed, a person signs in. Each keeps the rules of
//! the real one, and refuses whoever breaks them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::Digest as _;
use url::Url;

use super::super::{Asked, Reply};
use super::Github;
use super::state::{AppRow, Holder, InstallationRow, SignInRow, State, TokenRow};

/// A manifest that somebody has sent and not confirmed.
#[derive(Debug, Clone)]
pub(crate) struct ManifestRow {
    pub(crate) owner: String,
    pub(crate) manifest: Value,
    pub(crate) state: String,
}

const FIELDS: [&str; 12] = [
    "name",
    "url",
    "description",
    "hook_attributes",
    "redirect_url",
    "callback_urls",
    "setup_url",
    "setup_on_update",
    "request_oauth_on_install",
    "public",
    "default_permissions",
    "default_events",
];

/// Which permission unlocks an event.
const UNLOCKS: [(&str, &str); 10] = [
    ("repository", "metadata"),
    ("meta", "metadata"),
    ("organization", "members"),
    ("membership", "members"),
    ("member", "members"),
    ("team", "members"),
    ("pull_request", "pull_requests"),
    ("workflow_run", "actions"),
    ("workflow_job", "actions"),
    ("push", "contents"),
];

fn page(status: u16, main: &str) -> Reply {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><title>GitHub</title></head><body><main>{main}</main></body></html>"
    );
    let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
    Reply { status, headers, body: super::super::http::Body::Whole(html.into_bytes()) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// A form with one button and what it carries.
fn form(action: &str, button: &str, fields: &[(&str, &str)]) -> String {
    let mut html = format!("<form method=\"post\" action=\"{}\">", escape(action));
    for (name, value) in fields {
        let _ = write!(html, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    }
    html + &format!("<button type=\"submit\">{button}</button></form>")
}

fn to(url: &str, pairs: &[(&str, &str)]) -> Reply {
    let mut url = Url::parse(url).unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    Reply::empty(302).with("location", url)
}

fn fields(asked: &Asked) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&asked.body).into_owned().collect()
}

fn field(fields: &[(String, String)], name: &str) -> String {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

impl Github {
    /// Whoever sits before the browser is signed in as this person from now on.
    pub(crate) fn signs_in(&self, login: &str) {
        self.person(login);
        self.state().browser = Some(login.to_owned());
    }

    /// What the pages answer; `None`: it is no page.
    pub(super) fn web(&self, asked: &Asked) -> Option<Reply> {
        let segments = asked.segments("/");
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let folder = if self.version.is_some() { "github-apps" } else { "apps" };
        Some(match (asked.method.as_str(), path.as_slice()) {
            ("POST", ["settings", "apps", "new"]) => self.new_app(asked, None),
            ("POST", ["organizations", org, "settings", "apps", "new"]) => self.new_app(asked, Some(org)),
            ("POST", ["confirm", "manifest"]) => self.confirm(asked),
            ("GET", [at, slug, "installations", "new"]) if *at == folder => self.choose_account(asked, slug),
            ("POST", ["confirm", "installation"]) => self.confirm_installation(asked),
            ("GET", ["login", "oauth", "authorize"]) => self.authorize(asked),
            ("POST", ["confirm", "sign-in"]) => self.confirm_sign_in(asked),
            ("POST", ["login", "oauth", "access_token"]) => self.access_token(asked),
            // Browsers look for one by themselves.
            ("GET", ["favicon.ico"]) => Reply::empty(404),
            _ => return None,
        })
    }

    fn new_app(&self, asked: &Asked, org: Option<&str>) -> Reply {
        let mut state = self.state();
        let Some(person) = state.browser.clone() else { return page(401, "sign in") };
        let owns = |org: &str| {
            let row = state.orgs.get(org)?.members.iter().find(|row| row.login == person)?;
            (row.role == "admin" && row.state == "active").then_some(())
        };
        if let Some(org) = org
            && owns(org).is_none()
        {
            return page(404, "not found");
        }
        if asked.header("content-type") != "application/x-www-form-urlencoded" {
            self.book.broken("a manifest comes in a form");
            return page(415, "a form is wanted");
        }
        let manifest: Value = serde_json::from_str(&field(&fields(asked), "manifest")).unwrap_or(Value::Null);
        if let Err(why) = self.judge_manifest(&manifest) {
            self.book.broken(format!("manifest: {why}"));
            return page(422, why);
        }
        let id = state.next_id();
        let name = manifest["name"].as_str().unwrap_or_default().to_owned();
        let row = ManifestRow {
            owner: org.map_or(person, str::to_owned),
            manifest,
            state: asked.query("state").unwrap_or_default().to_owned(),
        };
        state.manifests.insert(id, row);
        let id = id.to_string();
        page(
            200,
            &format!(
                "<h1>Create GitHub App</h1><p>{}</p>{}",
                escape(&name),
                form("/confirm/manifest", "Create it", &[("id", &id)])
            ),
        )
    }

    fn judge_manifest(&self, manifest: &Value) -> Result<(), &'static str> {
        let object = manifest.as_object().ok_or("it is no JSON object")?;
        if object.keys().any(|key| !FIELDS.contains(&key.as_str())) {
            return Err("a field that is not documented");
        }
        let address = |value: &Value| value.as_str().and_then(|text| Url::parse(text).ok());
        let name = manifest["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.chars().count() > 34 {
            return Err("a name that is too long or not there");
        }
        if address(&manifest["url"]).is_none() || address(&manifest["redirect_url"]).is_none() {
            return Err("no homepage or no redirect");
        }
        let hook = address(&manifest["hook_attributes"]["url"]).ok_or("a hook without an address")?;
        if self.version.is_none() && matches!(hook.host_str(), Some("localhost" | "127.0.0.1")) {
            return Err("a hook at this machine");
        }
        let asks = |name: &str| manifest["default_permissions"][name].is_string();
        let locked = |event: &Value| {
            let unlocks = UNLOCKS.iter().find(|(known, _)| event.as_str() == Some(known));
            unlocks.is_none_or(|(_, permission)| !asks(permission))
        };
        if manifest["default_events"].as_array().into_iter().flatten().any(locked) {
            return Err("an event without its permission");
        }
        Ok(())
    }

    fn confirm(&self, asked: &Asked) -> Reply {
        let mut state = self.state();
        let id = field(&fields(asked), "id").parse().unwrap_or_default();
        let Some(row) = state.manifests.remove(&id) else { return page(404, "not found") };
        let code = format!("{id:040x}");
        let redirect = row.manifest["redirect_url"].as_str().unwrap().to_owned();
        let sent = row.state.clone();
        state.codes.insert(code.clone(), false);
        state.made.insert(code.clone(), (row, self.book.now_s()));
        to(&redirect, &[("code", &code), ("state", &sent)])
    }

    /// The App of a confirmed manifest; `None` when its hour is over.
    pub(super) fn made(&self, state: &mut State, code: &str) -> Option<Value> {
        let (row, at) = state.made.get(code)?.clone();
        if self.book.now_s() > at + 3600 {
            return None;
        }
        let id = state.next_id();
        let slug = format!("app-{id}");
        let app = AppRow {
            id,
            client_id: format!("Iv23li{id}"),
            client_secrets: vec![format!("canary-client-secret-{id}")],
            slug: slug.clone(),
            moduli: vec![super::APP_MODULUS.trim().into()],
            hook: json!({"url": row.manifest["hook_attributes"]["url"], "content_type": "form", "insecure_ssl": "0"}),
            owner: Some(row.owner.clone()),
            manifest: row.manifest.clone(),
            ..AppRow::default()
        };
        let told = json!({
            "id": id, "slug": slug, "node_id": "x", "client_id": app.client_id, "owner": state.account(&row.owner),
            "name": row.manifest["name"], "description": null, "external_url": row.manifest["url"],
            "html_url": format!("https://example.com/apps/{slug}"), "created_at": "2026-06-01T00:00:00Z",
            "updated_at": "2026-06-01T00:00:00Z", "permissions": row.manifest["default_permissions"],
            "events": row.manifest["default_events"], "client_secret": app.client_secrets[0],
            "webhook_secret": format!("canary-webhook-secret-{id}"), "pem": super::APP_KEY,
        });
        state.apps.insert(id, app);
        Some(told)
    }

    fn choose_account(&self, asked: &Asked, slug: &str) -> Reply {
        let state = self.state();
        let Some(person) = state.browser.clone() else { return page(401, "sign in") };
        let Some(app) = state.apps.values().find(|app| app.slug == slug) else {
            return page(404, "not found");
        };
        let sent = asked.query("state").unwrap_or_default();
        let mut html = String::from("<h1>Install</h1>");
        let roles = state.orgs.iter().filter_map(|(org, row)| {
            let member = row.members.iter().find(|row| row.login == person && row.state == "active")?;
            Some((org.clone(), member.role == "admin"))
        });
        for (account, owns) in roles.chain([(person.clone(), true)]) {
            if app.is_private() && app.owner.as_ref() != Some(&account) {
                continue;
            }
            let button = format!("{} on {account}", if owns { "Install" } else { "Request" });
            html += &form(
                "/confirm/installation",
                &button,
                &[("slug", slug), ("account", &account), ("state", sent)],
            );
        }
        page(200, &html)
    }

    fn confirm_installation(&self, asked: &Asked) -> Reply {
        let mut state = self.state();
        let given = fields(asked);
        let (slug, account, sent) = (field(&given, "slug"), field(&given, "account"), field(&given, "state"));
        let Some(person) = state.browser.clone() else { return page(401, "sign in") };
        let Some(app) = state.apps.values().find(|app| app.slug == slug).cloned() else {
            return page(404, "not found");
        };
        let setup = app.manifest["setup_url"].as_str().unwrap_or("http://127.0.0.1:9/").to_owned();
        let member =
            state.orgs.get(&account).map(|org| org.members.iter().find(|row| row.login == person).cloned());
        let owns = match member {
            Some(Some(member)) => member.role == "admin" && member.state == "active",
            Some(None) => return page(404, "not found"),
            None => account == person,
        };
        if !owns {
            return to(&setup, &[("setup_action", "request"), ("state", &sent)]);
        }
        let known = state.installations.values().find(|row| row.app == app.id && row.account == account);
        let (id, action) = match known {
            Some(row) => (row.id, "update"),
            None => (state.next_id(), "install"),
        };
        let asks = app.manifest["default_permissions"].as_object().cloned().unwrap_or_default();
        let permissions =
            asks.into_iter().map(|(name, level)| (name, level.as_str().unwrap().to_owned())).collect();
        let row = InstallationRow { id, app: app.id, account, permissions, suspended: false };
        state.installations.entry(id).or_insert(row);
        to(&setup, &[("installation_id", &id.to_string()), ("setup_action", action), ("state", &sent)])
    }

    fn authorize(&self, asked: &Asked) -> Reply {
        let state = self.state();
        let get = |name: &str| asked.query(name).unwrap_or_default();
        if state.browser.is_none() {
            return page(401, "sign in");
        }
        let Some(app) = state.apps.values().find(|app| app.client_id == get("client_id")) else {
            return page(404, "not found");
        };
        let registered = app.manifest["callback_urls"].as_array().into_iter().flatten();
        if !registered.clone().any(|url| url.as_str() == Some(get("redirect_uri"))) {
            self.book.broken("a redirect_uri that is not registered");
            return page(400, "redirect_uri_mismatch");
        }
        if get("code_challenge_method") != "S256"
            || get("code_challenge").len() != 43
            || get("state").len() < 43
        {
            self.book.broken("a sign-in without an S256 challenge or a long state");
            return page(400, "no challenge");
        }
        if asked.query("scope").is_some() {
            self.book.broken("an App's sign-in asks for no scope");
        }
        let carried: Vec<(&str, &str)> =
            asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut denied = carried.clone();
        denied.push(("denied", "yes"));
        page(
            200,
            &format!(
                "<h1>Authorize</h1>{}{}",
                form("/confirm/sign-in", "Authorize", &carried),
                form("/confirm/sign-in", "Cancel", &denied)
            ),
        )
    }

    fn confirm_sign_in(&self, asked: &Asked) -> Reply {
        let mut state = self.state();
        let given = fields(asked);
        let Some(person) = state.browser.clone() else { return page(401, "sign in") };
        let (back, sent) = (field(&given, "redirect_uri"), field(&given, "state"));
        if !field(&given, "denied").is_empty() {
            let told = "The user has denied your application access.";
            return to(&back, &[("error", "access_denied"), ("error_description", told), ("state", &sent)]);
        }
        let code = format!("{:020x}", state.next_id());
        let row = SignInRow {
            client_id: field(&given, "client_id"),
            person,
            redirect_uri: back.clone(),
            challenge: field(&given, "code_challenge"),
            ends_s: self.book.now_s() + 600,
        };
        state.sign_ins.insert(code.clone(), row);
        to(&back, &[("code", &code), ("state", &sent)])
    }

    fn access_token(&self, asked: &Asked) -> Reply {
        if asked.header("accept") != "application/json" {
            self.book.broken("without Accept the answer is a form");
            return page(200, "access_token=x");
        }
        let given = fields(asked);
        let get = |name: &str| field(&given, name);
        let refuse = |error: &str| {
            Reply::json(200, &json!({"error": error, "error_description": "<b>canary</b>", "error_uri": "x"}))
        };
        let mut state = self.state();
        let Some(app) = state.apps.values().find(|app| app.client_id == get("client_id")).cloned() else {
            return Reply::json(404, &json!({"error": "Not Found"}));
        };
        // Before the code is looked at.
        if !app.client_secrets.contains(&get("client_secret")) {
            return refuse("incorrect_client_credentials");
        }
        let Some(row) = state.sign_ins.remove(&get("code")) else { return refuse("bad_verification_code") };
        if row.client_id != app.client_id || row.ends_s <= self.book.now_s() {
            return refuse("bad_verification_code");
        }
        if row.redirect_uri != get("redirect_uri") {
            return refuse("redirect_uri_mismatch");
        }
        let made = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(get("code_verifier").as_bytes()));
        if made != row.challenge {
            return refuse("bad_verification_code");
        }
        let token = format!("ghu_{:036}", state.next_id());
        let holder = Holder::AppUser(row.person, app.id);
        let row = TokenRow { holder, ends_s: self.book.now_s() + 28_800, void: false };
        state.tokens.insert(token.clone(), row);
        let told = json!({"access_token": token, "token_type": "bearer", "scope": "", "expires_in": 28800, "refresh_token": "ghr_x", "refresh_token_expires_in": 15_897_600});
        Reply::json(200, &told)
    }
}
