//! Bad input: refused whole, with file, line, key, and what is allowed.

use super::refused;
use super::sample::connection_with;

const SECRET: &str = "webhook_secrets = [{ value = \"0123456789abcdef\" }]";

/// Asserts that exactly these lines are printed.
fn says(text: &str, env: &[(&str, &str)], lines: &[&str]) {
    assert_eq!(refused(text, env), lines, "for\n{text}");
}

#[test]
fn r52_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    says(
        "[listen]\npublic = \"127.0.0.1:80\"\nopps = \"127.0.0.1:81\"\n",
        &[],
        &["scm.toml:3: listen.opps: there is no such key; did you mean \"ops\"?; \
           allowed: public, ops, tls, trusted_proxies"],
    );
    says(
        "lisen = 1\n\n[zzzzzzzzzz]\n",
        &[],
        &[
            "scm.toml:1: lisen: there is no such key; did you mean \"listen\"?; allowed: public_url, listen, store, \
             keys, limits, ci, organizations, sources, retention, catch_up, connections",
            "scm.toml:3: zzzzzzzzzz: there is no such key; allowed: public_url, listen, store, keys, limits, ci, \
             organizations, sources, retention, catch_up, connections",
        ],
    );
    says(
        &connection_with("webhook_secrets = [{ value = \"0123456789abcdef\", notafter = \"x\" }]"),
        &[],
        &["scm.toml:8: connections[0].webhook_secrets[0].notafter: there is no such key; did you mean \
           \"not_after\"?; allowed: value, env, file, not_after"],
    );
}

#[test]
fn r52_several_mistakes_are_reported_together_in_the_order_of_the_file() {
    says(
        "[limits]\nbody_bytes_max = -1\nallow_http_forges = \"yes\"\n[retention]\npayload = \"2 weeks\"\n",
        &[],
        &[
            "scm.toml:2: limits.body_bytes_max: is not a number that can be used here; \
             allowed: a whole number from 1024 to 1073741824",
            "scm.toml:3: limits.allow_http_forges: is text, where yes or no is meant; allowed: true or false",
            "scm.toml:5: retention.payload: \"2 weeks\" is no length of time that can be used here; \
             allowed: a number with d, h, m or s, such as 14d, 12h, 30m, 45s",
        ],
    );
}

#[test]
fn r52_a_syntax_error_names_its_line_and_repeats_nothing() {
    let lines = refused("[a]\nx = \"hunter2\n", &[]);
    assert!(lines[0].starts_with("scm.toml:2: this is no valid TOML: "), "{lines:?}");
    assert!(!lines[0].contains("hunter2"), "{lines:?}");
    let twice = refused("[store]\nurl = \"sled:a\"\nurl = \"sled:b\"\n", &[]);
    assert!(twice[0].starts_with("scm.toml:3: "), "{twice:?}");
}

#[test]
fn an_override_that_means_nothing_is_refused_by_name() {
    for (name, message) in [
        (
            "SCM_CONNECT__LISTEN__PUBLIK",
            "there is no such setting; did you mean SCM_CONNECT__LISTEN__PUBLIC?; \
             allowed: SCM_CONNECT__SECTION__KEY for the single values of the file",
        ),
        (
            "SCM_CONNECT__CONNECTIONS",
            "connections is a list, and lists come from the file alone; the environment overrides single values",
        ),
        (
            "SCM_CONNECT__CONNECTIONS__0__URL",
            "connections is a list, and lists come from the file alone; the environment overrides single values",
        ),
        (
            "SCM_CONNECT__LISTEN__TRUSTED_PROXIES",
            "listen.trusted_proxies is a list, and lists come from the file alone; \
             the environment overrides single values",
        ),
        (
            "SCM_CONNECT__LISTEN__TLS",
            "listen.tls is a table; the environment overrides single values inside it; allowed: cert, key",
        ),
        (
            "SCM_CONNECT__",
            "there is no such setting; allowed: SCM_CONNECT__SECTION__KEY for the single values of the file",
        ),
    ] {
        says("", &[(name, "x")], &[&format!("environment: {name}: {message}")]);
    }
}

#[test]
fn a_master_key_in_the_environment_or_the_file_is_refused_and_not_repeated() {
    let sentence = "the master key itself is never taken from the config or the environment, where \
                    other processes and backups can read it; keys.file names the file that holds it";
    for name in ["SCM_CONNECT__KEYS__VALUE", "SCM_CONNECT__KEYS__KEY", "SCM_CONNECT__KEYS__MASTER_KEY"] {
        says("", &[(name, "deadbeef")], &[&format!("environment: {name}: {sentence}")]);
    }
    says(
        "[keys]\nvalue = \"deadbeef\"\n",
        &[],
        &[&format!("scm.toml:2: keys.value: {sentence}; allowed: keys.file")],
    );
}

#[test]
fn a_bad_override_is_blamed_on_its_variable() {
    says(
        "[listen]\nops = \"127.0.0.1:1\"\n",
        &[("SCM_CONNECT__LISTEN__OPS", "here"), ("SCM_CONNECT__LIMITS__BODY_BYTES_MAX", "lots")],
        &[
            "environment: SCM_CONNECT__LISTEN__OPS: \"here\" is no address to listen on; \
             allowed: ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080",
            "environment: SCM_CONNECT__LIMITS__BODY_BYTES_MAX: is not a number that can be used here; \
             allowed: a whole number from 1024 to 1073741824",
        ],
    );
}

#[test]
fn s02_an_empty_missing_or_ambiguous_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let (empty, none) = (empty.display().to_string(), folder.path().join("none").display().to_string());
    let one = "a secret has one origin; allowed: exactly one of value, env, file";
    let cases = [
        ("{ value = \"\" }".to_owned(), ".value: the secret is empty".to_owned()),
        ("{ env = \"EMPTY\" }".into(), ".env: the secret is empty: so is the variable \"EMPTY\"".into()),
        (format!("{{ file = {empty:?} }}"), format!(".file: the secret is empty: so is the file {empty:?}")),
        ("{ env = \"GONE\" }".into(), ".env: the environment has no variable \"GONE\"".into()),
        (
            format!("{{ file = {none:?} }}"),
            format!(".file: the file {none:?} cannot be read: No such file or directory (os error 2)"),
        ),
        ("{ value = \"a-secret-value\", env = \"X\" }".into(), format!(": {one}")),
        ("{ not_after = \"2027-01-01T00:00:00Z\" }".into(), format!(": {one}")),
        (
            "{ value = \"0123456789abcdef\", not_after = \"soon\" }".into(),
            ".not_after: \"soon\" is no time; allowed: a time such as 2027-01-01T00:00:00Z".into(),
        ),
        (
            "\"hunter2hunter2\"".into(),
            ": is text, where a table is meant; allowed: a table with value, env, file, not_after".into(),
        ),
    ];
    for (secret, message) in cases {
        let text = connection_with(&format!("webhook_secrets = [{secret}]"));
        let line = format!("scm.toml:8: connections[0].webhook_secrets[0]{message}");
        says(&text, &[("EMPTY", "")], &[&line]);
    }
}

#[test]
fn a_forge_url_is_https_and_bare() {
    let url = "connections[0].url";
    let allowed = "; allowed: a web address such as https://gitlab.example.com";
    for (value, message) in [
        ("http://github.com", "is plain http, which limits.allow_http_forges does not allow"),
        ("https://me:pw@github.com", "holds a user name or password"),
        ("https://github.com/?a=b", "holds a query or fragment"),
        ("ssh://git@github.com", "\"ssh\" is no web address"),
        ("github.com", "is no web address"),
    ] {
        let text = connection_with(&format!("url = \"{value}\"\n{SECRET}"));
        says(&text, &[], &[&format!("scm.toml:8: {url}: {message}{allowed}")]);
    }
    let text = connection_with(&format!("url = \"http://git.example.com:1\"\n{SECRET}"));
    let allow = [("SCM_CONNECT__LIMITS__ALLOW_HTTP_FORGES", "true")];
    assert!(super::parse(&text, &allow).is_ok());
}

#[test]
fn an_on_premise_kind_names_its_own_instance() {
    let allowed = "allowed: a web address such as https://gitlab.example.com";
    let text = connection_with(SECRET).replace("github_cloud", "github_enterprise_server");
    says(&text, &[], &[&format!("scm.toml:3: connections[0].url: is missing; {allowed}")]);
    for (kind, host) in [("github_enterprise_server", "github.com"), ("gitlab_self_managed", "gitlab.com")] {
        let text =
            connection_with(&format!("{SECRET}\nurl = \"https://{host}\"")).replace("github_cloud", kind);
        let message = format!("is {host}, which is no instance of your own; its kind ends in _cloud");
        let line =
            format!("scm.toml:9: connections[0].url: {message}; allowed: the base URL of your own instance");
        says(&text, &[], &[&line]);
    }
}

#[test]
fn needed_keys_and_kinds_are_asked_for() {
    says(
        "[[organizations]]\nslug = \"Acme\"\n[[connections]]\nkey = \"k\"\nkind = \"github\"\naccount = \"a b\"\n",
        &[],
        &[
            "scm.toml:2: organizations[0].slug: organization \"Acme\" is not valid: use 1 to 63 of a-z, 0-9 and -, \
             beginning and ending with a letter or digit; allowed: 1 to 63 of a-z, 0-9 and -",
            "scm.toml:3: connections[0].organization: is missing; allowed: the slug of an organization",
            "scm.toml:5: connections[0].kind: \"github\" is no kind of connection; allowed: github_cloud, \
             github_enterprise_server, gitlab_cloud, gitlab_self_managed",
            "scm.toml:6: connections[0].account: \"a b\" is no account's name; \
             allowed: the account's login, or a group's path",
        ],
    );
}

/// Appends to the small config, whose own lines are 1 to 8, and asserts what is said.
fn after(lines: &str, said: &[&str]) {
    says(&format!("{}{lines}", connection_with(SECRET)), &[], said);
}

#[test]
fn names_are_given_once() {
    after(
        "[[organizations]]\nslug = \"acme\"\n",
        &["scm.toml:10: organizations[1].slug: \"acme\" is already the name of an organization in line 2"],
    );
    let again = format!(
        "[[connections]]\nkey = \"acme-github\"\norganization = \"acme\"\nkind = \"gitlab_cloud\"\naccount = \"x\"\n{SECRET}\n"
    );
    after(
        &again,
        &["scm.toml:10: connections[1].key: \"acme-github\" is already the name of a connection in line 4"],
    );
    let source = |key: &str| {
        format!("[[sources]]\nkey = \"{key}\"\norganizations = [\"acme\"]\nprovider = \"github\"\n{SECRET}\n")
    };
    after(
        &format!("{}{}", source("app"), source("app")),
        &["scm.toml:15: sources[1].key: \"app\" is already the name of a source in line 10"],
    );
    after(
        &source("acme-github"),
        &["scm.toml:4: connections[0].key: \"acme-github\" is already the key of a source in line 10, \
           and both would answer at /hooks/acme-github"],
    );
}

#[test]
fn an_authority_is_a_connection_of_the_organization_at_its_home() {
    let organization = |lines: &str| format!("[[organizations]]\nslug = \"other\"\n{lines}\n");
    after(
        &organization("authority = \"nobody\""),
        &["scm.toml:11: organizations[1].authority: there is no connection \"nobody\"; \
           allowed: a connection of other; there is none yet"],
    );
    after(
        &organization("authority = \"acme-github\""),
        &["scm.toml:11: organizations[1].authority: \"acme-github\" is a connection of acme, \
           which cannot say who belongs to other; allowed: a connection of other; there is none yet"],
    );
    let text = connection_with(SECRET)
        .replace("slug = \"acme\"", "slug = \"acme\"\nhome = \"gitlab\"\nauthority = \"acme-github\"");
    says(
        &text,
        &[],
        &[
            "scm.toml:3: organizations[0].home: is gitlab, but the authority \"acme-github\" is at github: who founded \
           the organization could not be among its members; allowed: \"github\"",
        ],
    );
}

#[test]
fn a_connection_belongs_to_a_declared_organization_and_source() {
    let text =
        connection_with("source = \"app\"").replace("organization = \"acme\"", "organization = \"akme\"");
    says(
        &text,
        &[],
        &[
            "scm.toml:5: connections[0].organization: there is no organization \"akme\"; allowed: acme",
            "scm.toml:8: connections[0].source: there is no source \"app\"; \
             allowed: a declared source; there is none yet",
        ],
    );
    let source = format!(
        "[[organizations]]\nslug = \"other\"\n[[sources]]\nkey = \"app\"\norganizations = [\"other\", \"more\"]\n\
         provider = \"gitlab\"\n{SECRET}\n"
    );
    says(
        &format!("{}{source}", connection_with(&format!("source = \"app\"\n{SECRET}"))),
        &[],
        &[
            "scm.toml:8: connections[0].source: \"app\" speaks for gitlab at gitlab.com, and this connection is \
             github at github.com; allowed: a source of the same forge",
            "scm.toml:8: connections[0].source: \"app\" may not speak for acme; \
             allowed: a source whose organizations name it",
            "scm.toml:9: connections[0].webhook_secrets: prove nothing here: the deliveries come through the source \
             \"app\"; allowed: webhook_secrets of that source",
            "scm.toml:14: sources[0].organizations: there is no organization \"more\"; allowed: acme, other",
        ],
    );
}

#[test]
fn s02_a_door_without_any_secret_is_refused() {
    says(
        &connection_with(""),
        &[],
        &[
            "scm.toml:4: connections[0].key: \"acme-github\" has no secret, so that anybody could send its deliveries; \
           allowed: webhook_secrets",
        ],
    );
    after(
        "[[sources]]\nkey = \"group\"\norganizations = [\"acme\"]\nprovider = \"gitlab\"\n",
        &[
            "scm.toml:10: sources[0].key: \"group\" has no secret, so that anybody could send its deliveries; \
           allowed: webhook_secrets or signing_tokens",
        ],
    );
}

#[test]
fn each_forge_has_its_own_proof_and_credential() {
    let token = "signing_tokens = [{ value = \"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\" }]";
    says(
        &connection_with(token),
        &[],
        &["scm.toml:8: connections[0].signing_tokens: are GitLab's; GitHub signs with webhook_secrets"],
    );
    let app = "app = { id = 1, private_key = { value = \"0123456789abcdef\" } }";
    let gitlab = connection_with(&format!("{SECRET}\n{app}")).replace("github_cloud", "gitlab_cloud");
    says(&gitlab, &[], &["scm.toml:9: connections[0].app: is GitHub's; GitLab takes an access_token"]);
    says(
        &connection_with(&format!("{SECRET}\n{app}\naccess_token = {{ value = \"0123456789abcdef\" }}")),
        &[],
        &["scm.toml:10: connections[0].access_token: app and access_token are both set, \
           and it would be unclear who acts; allowed: one of the two"],
    );
    let bad = connection_with("signing_tokens = [{ value = \"whsec_***\" }]")
        .replace("github_cloud", "gitlab_cloud");
    says(
        &bad,
        &[],
        &["scm.toml:8: connections[0].signing_tokens: is no signing token; \
           allowed: whsec_ and 24 to 64 bytes in base64, as GitLab shows it"],
    );
    says(
        &connection_with(&format!("{SECRET}\napp = {{ client_id = \"x\" }}")),
        &[],
        &[
            "scm.toml:9: connections[0].app.id: is missing; allowed: the GitHub App's number and private key",
            "scm.toml:9: connections[0].app.private_key: is missing; allowed: the GitHub App's number and private key",
        ],
    );
}

#[test]
fn addresses_networks_stores_and_periods_are_checked() {
    says(
        "public_url = \"https://scm.example.com/sub\"\n[listen]\npublic = \"127.0.0.1:1\"\nops = \"127.0.0.1:1\"\n\
         trusted_proxies = [\"10.0.0.0/33\"]\ntls = { cert = \"c\" }\n[store]\nurl = \"mysql://u:pw@h/d\"\n\
         [retention]\npayload = \"91d\"\n",
        &[],
        &[
            "scm.toml:1: public_url: has the path \"/sub\", and this program answers at the root; \
             allowed: a web address of scheme, host and port, such as https://scm.example.com",
            "scm.toml:4: listen.ops: is 127.0.0.1:1, which is listen.public as well; allowed: an address of its own",
            "scm.toml:5: listen.trusted_proxies[0]: \"10.0.0.0/33\" is no network; \
             allowed: networks such as 10.0.0.0/8",
            "scm.toml:6: listen.tls.key: is missing; allowed: a path",
            "scm.toml:8: store.url: is no store that is known here; \
             allowed: \"sled:DIRECTORY\" or \"postgres://USER@HOST/DATABASE\"",
            "scm.toml:10: retention.payload: is 91d, but a body without its record means nothing, and records are \
             kept for 90d; allowed: at most retention.metadata",
        ],
    );
}

#[test]
fn hostile_values_are_shown_without_control_characters() {
    let lines = refused("[listen]\npublic = \"\\u001b]0;x\\u0007\\u202e\"\n", &[]);
    assert!(!lines[0].contains(['\u{1b}', '\u{7}', '\u{202e}']), "{lines:?}");
    let lines = refused("\"\\u001b[2J\" = 1\n", &[]);
    assert!(!lines[0].contains('\u{1b}'), "{lines:?}");
}
