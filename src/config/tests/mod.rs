//! What the config takes, and the sentence for each thing it refuses.

mod calls;
mod glass;
mod refused;
mod sample;

use super::{Config, ConfigError};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse("scm.toml", text, env(pairs))
}

/// Whoever asks a daemon from a second terminal does not have its secrets there.
#[test]
fn a_daemon_is_found_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scm.toml");
    let text = "public_url = \"https://scm.example.com\"\n[store]\nurl = \"sled:/var/lib/scm\"\n[[sources]]\n\
                key = \"a\"\nwebhook_secrets = [{ env = \"GONE\" }]\n";
    std::fs::write(&file, text).unwrap();
    let found = Config::of_daemon(Some(&file), env(&[("SCM_CONNECT__LISTEN__OPS", "127.0.0.1:7")])).unwrap();
    assert_eq!(found.store.to_string(), "sled:/var/lib/scm");
    assert_eq!((found.public_url.as_str(), found.listen.ops.port()), ("https://scm.example.com/", 7));
    let whole = Config::load(Some(&file), env(&[])).unwrap_err().to_string();
    assert!(whole.contains("no variable \"GONE\""), "{whole}");
    std::fs::write(&file, "[store]\nurl = \"mysql://x\"\n").unwrap();
    assert!(Config::of_daemon(Some(&file), env(&[])).is_err(), "what it needs has to be right");
}

/// The lines that are printed for a config that is refused.
fn refused(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let error = parse(text, pairs).expect_err("it must be refused");
    error.to_string().lines().map(str::to_owned).collect()
}
