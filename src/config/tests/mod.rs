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

/// The lines that are printed for a config that is refused.
fn refused(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let error = parse(text, pairs).expect_err("it must be refused");
    error.to_string().lines().map(str::to_owned).collect()
}
