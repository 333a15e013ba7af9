//! The effective config, as `check` prints it: TOML, secrets hidden.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use toml::{Table, Value};

use super::Config;
use super::forge::{App, Connection, Organization, Source};
use super::member;
use super::secret::{Secret, Whence};
use crate::domain::Host;
use crate::domain::break_glass::BreakGlass;
use crate::domain::organization::Forge;
use crate::domain::roster::MemberRules;

/// How a secret is shown.
type Show<'a> = &'a dyn Fn(&Secret) -> String;

impl Config {
    /// Every setting that holds, defaults included, as TOML. Secrets show as `(hidden)`.
    #[must_use]
    pub fn report(&self) -> String {
        self.render(&|_| "(hidden)".into())
    }

    /// Twelve hex digits that change when anything in the config changes, a secret's value included.
    ///
    /// `key` is a key of ours, so that the digits, which operators may see, are no help in guessing a secret.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> String {
        let text = self.render(&|secret| tag(key, "secret", secret.expose()));
        tag(key, "config", &text).chars().take(12).collect()
    }

    fn render(&self, show: Show<'_>) -> String {
        let mut root = Table::new();
        put(&mut root, "public_url", &self.public_url);
        for (name, section) in self.sections() {
            root.insert(name.into(), Value::Table(section));
        }
        list(&mut root, "organizations", self.organizations.iter().map(organization));
        list(&mut root, "sources", self.sources.iter().map(|it| source(it, show)));
        list(&mut root, "connections", self.connections.iter().map(|it| connection(it, show)));
        // A tree of tables, lists and scalars is always TOML.
        toml::to_string(&root).unwrap_or_default()
    }

    fn sections(&self) -> [(&'static str, Table); 7] {
        let (mut listen, mut store, mut keys) = (Table::new(), Table::new(), Table::new());
        put(&mut listen, "public", &self.listen.public);
        put(&mut listen, "ops", &self.listen.ops);
        if let Some(tls) = &self.listen.tls {
            let mut table = Table::new();
            put(&mut table, "cert", &tls.cert.display());
            put(&mut table, "key", &tls.key.display());
            listen.insert("tls".into(), Value::Table(table));
        }
        texts(&mut listen, "trusted_proxies", &self.listen.trusted_proxies);
        put(&mut store, "url", &self.store);
        put(&mut keys, "file", &self.key_file.display());
        let mut retention = Table::new();
        put(&mut retention, "payload", &self.retention.payload);
        put(&mut retention, "metadata", &self.retention.metadata);
        let mut catch_up = Table::new();
        catch_up.insert("polling".into(), Value::Boolean(self.catch_up.polling));
        [
            ("listen", listen),
            ("store", store),
            ("keys", keys),
            ("limits", self.limits_table()),
            ("ci", self.ci_table()),
            ("retention", retention),
            ("catch_up", catch_up),
        ]
    }

    fn limits_table(&self) -> Table {
        let mut table = Table::new();
        let limits = &self.limits;
        number(&mut table, "body_bytes_max", Some(limits.body_bytes_max));
        number(&mut table, "report_bytes_max", Some(limits.report_bytes_max));
        table.insert("allow_http_forges".into(), Value::Boolean(limits.allow_http_forges));
        texts(&mut table, "allow_private_forges", &limits.allow_private_forges);
        table
    }

    fn ci_table(&self) -> Table {
        let mut table = Table::new();
        table.insert("auto_connect".into(), Value::Boolean(self.ci.auto_connect));
        texts(&mut table, "auto_connect_accounts", &self.ci.auto_connect_accounts);
        table.insert("require_proof".into(), Value::Boolean(self.ci.require_proof));
        let issuers = self.ci.issuers.iter().map(|issuer| {
            let mut table = Table::new();
            put(&mut table, "issuer", &issuer.issuer);
            put(&mut table, "jwks_url", &issuer.jwks_url);
            table
        });
        list(&mut table, "issuers", issuers);
        table
    }
}

fn tag(key: &[u8], purpose: &str, text: &str) -> String {
    // HMAC takes keys of any length; without one there is nothing to show.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return String::new() };
    mac.update(b"scm-connect config ");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn put(table: &mut Table, key: &str, value: &dyn std::fmt::Display) {
    table.insert(key.into(), Value::String(value.to_string()));
}

fn maybe(table: &mut Table, key: &str, value: Option<&dyn std::fmt::Display>) {
    if let Some(value) = value {
        put(table, key, value);
    }
}

fn number(table: &mut Table, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        let value = i64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::Integer);
        table.insert(key.into(), value);
    }
}

fn texts<T: std::fmt::Display>(table: &mut Table, key: &str, values: &[T]) {
    let values = values.iter().map(|value| Value::String(value.to_string())).collect();
    table.insert(key.into(), Value::Array(values));
}

fn list(table: &mut Table, key: &str, tables: impl Iterator<Item = Table>) {
    let tables: Vec<Value> = tables.map(Value::Table).collect();
    if !tables.is_empty() {
        table.insert(key.into(), Value::Array(tables));
    }
}

fn secret(secret: &Secret, show: Show<'_>) -> Table {
    let mut table = Table::new();
    match &secret.whence {
        Whence::Value => {}
        Whence::Env(name) => put(&mut table, "env", name),
        Whence::File(path) => put(&mut table, "file", &path.display()),
    }
    put(&mut table, "value", &show(secret));
    if let Some(end) = secret.not_after {
        put(&mut table, "not_after", &end);
    }
    table
}

fn secrets(table: &mut Table, key: &str, all: &[Secret], show: Show<'_>) {
    list(table, key, all.iter().map(|it| secret(it, show)));
}

fn organization(it: &Organization) -> Table {
    let mut table = Table::new();
    put(&mut table, "slug", &it.slug);
    put(&mut table, "name", &it.name);
    maybe(&mut table, "home", it.home.map(Forge::as_str).as_ref().map(|it| it as _));
    maybe(&mut table, "authority", it.authority.as_ref().map(|it| it as _));
    maybe(&mut table, "rules", it.rules.as_ref().map(|it| it.display()).as_ref().map(|it| it as _));
    if let Some(rules) = &it.members {
        table.insert("members".into(), Value::Table(members(rules)));
    }
    if let Some(person) = &it.break_glass {
        table.insert("break_glass".into(), Value::Table(break_glass(person)));
    }
    table
}

fn break_glass(person: &BreakGlass) -> Table {
    let mut table = Table::new();
    put(&mut table, "login", &person.login);
    if person.host != Host::local() {
        put(&mut table, "host", &person.host);
        number(&mut table, "external_id", Some(person.external_id));
    }
    table
}

fn members(rules: &MemberRules) -> Table {
    let (mut table, roles) = (Table::new(), &rules.roles);
    let each = [
        ("owner", roles.owner),
        ("member", roles.member),
        ("outside", roles.outside),
        ("billing", roles.billing),
    ];
    for (name, role) in each {
        put(&mut table, name, &member::spelled(role));
    }
    let levels = roles.levels.iter().map(|(level, role)| format!("{level} = {}", member::spelled(*role)));
    texts(&mut table, "levels", &levels.collect::<Vec<_>>());
    table.insert("direct_only".into(), Value::Boolean(rules.direct_only));
    table.insert("subgroups".into(), Value::Boolean(rules.subgroups));
    table
}

fn source(it: &Source, show: Show<'_>) -> Table {
    let mut table = Table::new();
    put(&mut table, "key", &it.key);
    texts(&mut table, "organizations", &it.organizations);
    put(&mut table, "provider", &it.forge.as_str());
    put(&mut table, "url", &it.url);
    secrets(&mut table, "webhook_secrets", &it.webhook_secrets, show);
    secrets(&mut table, "signing_tokens", &it.signing_tokens, show);
    app(&mut table, it.app.as_ref(), show);
    table
}

fn connection(it: &Connection, show: Show<'_>) -> Table {
    let mut table = Table::new();
    maybe(&mut table, "source", it.source.as_ref().map(|it| it as _));
    put(&mut table, "key", &it.key);
    put(&mut table, "organization", &it.organization);
    put(&mut table, "kind", &it.kind.as_str());
    put(&mut table, "account", &it.account);
    put(&mut table, "url", &it.url);
    maybe(&mut table, "api_url", it.api_url.as_ref().map(|it| it as _));
    secrets(&mut table, "webhook_secrets", &it.webhook_secrets, show);
    secrets(&mut table, "signing_tokens", &it.signing_tokens, show);
    app(&mut table, it.app.as_ref(), show);
    if let Some(token) = &it.access_token {
        table.insert("access_token".into(), Value::Table(secret(token, show)));
    }
    maybe(&mut table, "ca_file", it.ca_file.as_ref().map(|it| it.path.display()).as_ref().map(|it| it as _));
    maybe(&mut table, "proxy", it.proxy.as_ref().map(|it| it as _));
    texts(&mut table, "allow_private", &it.allow_private);
    table
}

fn app(table: &mut Table, app: Option<&App>, show: Show<'_>) {
    let Some(app) = app else { return };
    let mut inner = Table::new();
    number(&mut inner, "id", app.id);
    maybe(&mut inner, "client_id", app.client_id.as_ref().map(|it| it as _));
    for (name, value) in [("private_key", &app.private_key), ("client_secret", &app.client_secret)] {
        if let Some(value) = value {
            inner.insert(name.into(), Value::Table(secret(value, show)));
        }
    }
    number(&mut inner, "installation_id", app.installation_id);
    table.insert("app".into(), Value::Table(inner));
}
