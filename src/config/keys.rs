//! Every key there is. A key that does not stand here is refused, in the file and in the environment alike.

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One value; the environment may override it.
    Scalar,
    /// A list of values or tables.
    List,
    /// A table.
    Table(&'static [Key]),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

const fn scalar(name: &'static str) -> Key {
    Key { name, shape: Shape::Scalar }
}
const fn list(name: &'static str) -> Key {
    Key { name, shape: Shape::List }
}
const fn table(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, shape: Shape::Table(keys) }
}

pub(super) const ROOT: &[Key] = &[
    scalar("public_url"),
    table("listen", LISTEN),
    table("store", STORE),
    table("keys", KEYS),
    table("limits", LIMITS),
    table("ci", CI),
    list("organizations"),
    list("sources"),
    table("retention", RETENTION),
    table("catch_up", CATCH_UP),
    list("connections"),
];
/// What says where the daemon is.
pub(super) const OF_DAEMON: &[&str] = &["public_url", "listen", "store", "keys"];
pub(super) const LISTEN: &[Key] =
    &[scalar("public"), scalar("ops"), table("tls", TLS), list("trusted_proxies")];
pub(super) const TLS: &[Key] = &[scalar("cert"), scalar("key")];
pub(super) const STORE: &[Key] = &[scalar("url")];
pub(super) const KEYS: &[Key] = &[scalar("file")];
pub(super) const LIMITS: &[Key] = &[
    scalar("body_bytes_max"),
    scalar("report_bytes_max"),
    scalar("allow_http_forges"),
    list("allow_private_forges"),
];
pub(super) const CI: &[Key] =
    &[scalar("auto_connect"), list("auto_connect_accounts"), scalar("require_proof"), list("issuers")];
pub(super) const ISSUER: &[Key] = &[scalar("issuer"), scalar("jwks_url")];
pub(super) const ORGANIZATION: &[Key] = &[
    scalar("slug"),
    scalar("name"),
    scalar("home"),
    scalar("authority"),
    scalar("rules"),
    table("members", MEMBERS),
    table("break_glass", BREAK_GLASS),
];
pub(super) const BREAK_GLASS: &[Key] = &[scalar("login"), scalar("host"), scalar("external_id")];
pub(super) const MEMBERS: &[Key] = &[
    scalar("owner"),
    scalar("member"),
    scalar("outside"),
    scalar("billing"),
    list("levels"),
    scalar("direct_only"),
    scalar("subgroups"),
];
pub(super) const SOURCE: &[Key] = &[
    scalar("key"),
    list("organizations"),
    scalar("provider"),
    scalar("url"),
    list("webhook_secrets"),
    list("signing_tokens"),
    table("app", APP),
];
pub(super) const CONNECTION: &[Key] = &[
    scalar("source"),
    scalar("key"),
    scalar("organization"),
    scalar("kind"),
    scalar("account"),
    scalar("url"),
    scalar("api_url"),
    list("webhook_secrets"),
    list("signing_tokens"),
    table("app", APP),
    table("access_token", SECRET),
    scalar("ca_file"),
    scalar("proxy"),
    list("allow_private"),
];
pub(super) const APP: &[Key] = &[
    scalar("id"),
    scalar("client_id"),
    table("private_key", SECRET),
    table("client_secret", SECRET),
    scalar("installation_id"),
];
pub(super) const SECRET: &[Key] = &[scalar("value"), scalar("env"), scalar("file"), scalar("not_after")];
pub(super) const CATCH_UP: &[Key] = &[scalar("polling")];
pub(super) const RETENTION: &[Key] = &[scalar("payload"), scalar("metadata")];

/// The names of a table's keys.
pub(super) fn names(keys: &'static [Key]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name)
}

/// Names that people try for the master key itself. It has one home only, a file of its own.
pub(super) fn is_master_key(section: &str, key: &str) -> bool {
    section == "keys" && matches!(key, "value" | "key" | "master" | "master_key" | "secret" | "env")
}

/// What is said to them.
pub(super) const MASTER_KEY_REFUSED: &str = "the master key itself is never taken from the config or the environment, where \
     other processes and backups can read it; keys.file names the file that holds it";
