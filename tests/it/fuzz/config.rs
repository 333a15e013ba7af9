//! The config: what an operator mistypes is named, and no mistake shows a secret.

use proptest::prelude::*;
use proptest::sample::Index;
use scm_connect::config::Config;

use super::bytes::damaged;
use super::fuzz;

const HIDDEN: &str = "qx7-never-to-be-shown-qx7";

const SMALL: &str = r#"public_url = "http://127.0.0.1:8080"
[listen]
public = "127.0.0.1:8080"
ops = "127.0.0.1:9090"
trusted_proxies = ["10.0.0.0/8"]
[store]
url = "sled:data/store"
[limits]
body_bytes_max = 27262976
allow_private_forges = ["fd00::/8"]
[retention]
payload = "14d"
metadata = "90d"
"#;

const LARGE: &str = r#"[[organizations]]
slug = "acme"
name = "Acme"
home = "github"
[[sources]]
key = "our-app"
organizations = ["acme"]
provider = "github"
url = "https://github.com"
webhook_secrets = [{ value = "qx7-never-to-be-shown-qx7", not_after = "2027-01-01T00:00:00Z" }]
[[connections]]
key = "acme-gitlab"
organization = "acme"
kind = "gitlab_self_managed"
account = "acme"
url = "https://gitlab.example.com/forge"
webhook_secrets = [{ env = "HOOK" }]
allow_private = ["10.0.0.0/8"]
[ci]
auto_connect = false
[[ci.issuers]]
issuer = "https://gitlab.example.com"
jwks_url = "https://gitlab.example.com/oauth/discovery/keys"
"#;

const WORDS: &[&str] = &[
    "[",
    "[[",
    "]]",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "{",
    "}",
    "# ",
    "\n",
    "\\u0000",
    "\\UFFFFFFFF",
    "inf",
    "nan",
    "1979-05-27",
    "0x_",
    "sources",
    "a.b.c = 1\n",
    "key = \"x\"\n",
    "9223372036854775808",
    "-1",
    "{ file = \"/\" }",
];

/// Values of every kind, some beyond every range.
const VALUES: &[&str] = &[
    "inf",
    "1e400",
    "-1",
    "0xffff_ffff_ffff_ffff",
    "1979-05-27",
    "true",
    "\"\"",
    "\"99999999999999999999d\"",
    "\"-1d\"",
    "\"é\"",
    "\"http://[::1\"",
    "[]",
    "[[]]",
    "[1]",
    "{}",
    "[{}]",
    "[{ value = 1 }]",
];

/// Gives one key of the text another value.
fn retyped(text: &[u8], line: &Index, value: &Index) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let keys: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
    if keys.is_empty() {
        return text.as_bytes().to_vec();
    }
    let old = line.get(&keys);
    let key = old.split(" = ").next().unwrap_or_default();
    text.replacen(*old, &format!("{key} = {}", value.get(VALUES)), 1).into_bytes()
}

fn environment(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text).into_owned();
    vec![
        ("HOOK".into(), "a secret from the environment".into()),
        ("SCM_CONNECT__LIMITS__BODY_BYTES_MAX".into(), text.clone()),
        (format!("SCM_CONNECT__{text}"), "1".into()),
    ]
}

#[test]
fn the_samples_hold_so_that_damage_is_what_is_refused() {
    for text in [SMALL, LARGE] {
        let environment = [("HOOK".to_owned(), "a secret from the environment".to_owned())];
        assert_eq!(
            Config::parse("f", text, environment).map(|_| ()).map_err(|error| error.to_string()),
            Ok(())
        );
    }
}

#[test]
fn a_damaged_config_is_read_or_refused_by_name() {
    let seeds = [SMALL, LARGE].map(|text| text.as_bytes().to_vec()).to_vec();
    let names = ["1024", "LIMITS__BODY_BYTES_MAX", "STORE__URL", ""].map(|text| text.as_bytes().to_vec());
    let retype = proptest::option::weighted(0.5, (any::<Index>(), any::<Index>()));
    let inputs = (damaged(2), retype, proptest::option::weighted(0.2, damaged(2)));
    let cases = fuzz("config", &inputs, |(text, retype, overlay)| {
        let mut text = text.bytes(&seeds, WORDS);
        if let Some((line, value)) = retype {
            text = retyped(&text, &line, &value);
        }
        let overlay = overlay.map(|it| environment(&it.bytes(&names, &["__", "=", "\u{0}"])));
        let refused = Config::parse("f", &String::from_utf8_lossy(&text), overlay.unwrap_or_default()).err();
        if let Some(error) = refused {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(error.problems.iter().all(|problem| !problem.to_string().is_empty()));
        }
        Ok(())
    });
    assert!(cases > 500);
}

/// Not random: each place of the file, each way to mistype a character there.
#[test]
fn no_mistyped_character_makes_the_config_show_a_secret() {
    let mut refused: u32 = 0;
    for at in 0..LARGE.len() {
        for typed in ["", "\"", "'", "=", "\n", "[", "}", "#", "x", "\\", " "] {
            let text = [LARGE.get(..at), Some(typed), LARGE.get(at.saturating_add(1)..)]
                .map(Option::unwrap)
                .concat();
            if let Err(error) = Config::parse("f", &text, [("HOOK".to_owned(), HIDDEN.to_owned())]) {
                refused = refused.saturating_add(1);
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(HIDDEN), "character {at} as {typed:?}: {shown}");
            }
        }
    }
    assert!(refused > 3000, "{refused} were refused");
}
