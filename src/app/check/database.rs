//! Whether the database is there, fit to keep a promise, and opened by the master key.

use std::path::Path;

use url::Url;

use super::Finding;
use crate::store::OpenError;
use crate::store::postgres::examine;

pub(super) async fn look(url: &Url, key_file: &Path) -> Vec<Finding> {
    let seen = match examine(url, key_file).await {
        Ok(seen) => seen,
        Err(OpenError::Keys(why)) => return vec![Finding::error("keys", why)],
        Err(why) => return vec![Finding::error("database", why.to_string())],
    };
    let warnings = seen.warnings.into_iter();
    let mut findings: Vec<Finding> =
        warnings.map(|message| Finding { next: None, ..Finding::warning("database", message, "") }).collect();
    let (name, newest) = (seen.name, seen.newest);
    findings.push(match seen.schema {
        None => Finding::info("database", format!("{name} holds no store yet; `serve` will make one")),
        Some(schema) if schema < newest => Finding::info(
            "database",
            format!("{name} has schema {schema}; `serve` will bring it to {newest}"),
        ),
        Some(schema) => Finding::info("database", format!("{name} has schema {schema}, as this program")),
    });
    if seen.schema.is_some() {
        findings.push(Finding::info("keys", "the master key is in order"));
    }
    findings
}
