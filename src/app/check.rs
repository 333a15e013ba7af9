//! `check`: would `serve` start, and what would it run with? Changes nothing.

use std::time::Instant;

use super::{clock, store_dir};
use crate::cli::{Client, Environment, Exit, Failure, Terminal};
use crate::config::Config;
use crate::seal::{Keyring, MasterKey};

/// Prints the effective config, then each finding.
pub(super) async fn check(
    config: &Config,
    environment: &Environment,
    json: bool,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let dir = store_dir(config)?;
    let mut findings = Vec::new();
    for warning in config.warnings(clock()()) {
        findings.push(("warning", warning));
    }
    let runs = Client::find(None, Some(dir), environment).await.ok().flatten().is_some();
    findings.push((
        "info",
        if runs { "a daemon holds the store".to_owned() } else { "no daemon runs on this store".to_owned() },
    ));
    let keys = keys(config, dir);
    let failed = keys.as_ref().err().map(ToString::to_string);
    match keys {
        Ok(sentence) => findings.push(("info", sentence)),
        Err(failure) => findings.push(("error", failure.message)),
    }
    if let Some(sentence) = sync_speed(dir) {
        findings.push(("info", sentence));
    }
    if json {
        let findings: Vec<_> = findings
            .iter()
            .map(|(level, text)| serde_json::json!({ "level": level, "message": text }))
            .collect();
        terminal.json(&serde_json::json!({ "config": config.report(), "findings": findings }))?;
    } else {
        for line in config.report().lines().chain([""]) {
            terminal.line(line)?;
        }
        for (level, text) in findings {
            terminal.line(&format!("{level}: {text}"))?;
        }
    }
    Ok(if failed.is_some() { Exit::Store } else { Exit::Done })
}

/// Whether the master key fits the store, without making either.
fn keys(config: &Config, dir: &std::path::Path) -> Result<String, Failure> {
    let refused = |error: crate::seal::SealError| Failure { exit: Exit::Store, message: error.to_string() };
    let ring = dir.join("keyring");
    match (config.key_file.exists(), ring.exists()) {
        (false, false) => Ok("there is no store yet; `serve` will make one, with a master key".into()),
        (false, true) => Err(Failure {
            exit: Exit::Store,
            message: format!("the master key {} is missing; put it back", config.key_file.display()),
        }),
        (true, fits) => {
            let master = MasterKey::load(&config.key_file).map_err(refused)?;
            if fits {
                Keyring::open(&ring, &master).map_err(refused)?;
            }
            Ok("the master key is in order".into())
        }
    }
}

/// How long one small write takes to reach the disk, beside the store.
fn sync_speed(dir: &std::path::Path) -> Option<String> {
    let place = dir.ancestors().find(|place| place.is_dir())?;
    let file = tempfile_in(place)?;
    let begun = Instant::now();
    let rounds = 10_u32;
    for _ in 0..rounds {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 0).ok()?;
        file.sync_data().ok()?;
    }
    let each = begun.elapsed() / rounds;
    Some(format!("one synced write takes {:.2} ms in {}", each.as_secs_f64() * 1000.0, place.display()))
}

/// A file without a name: it is gone however this ends.
fn tempfile_in(place: &std::path::Path) -> Option<std::fs::File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(CWD, place, flags, Mode::RUSR | Mode::WUSR).ok().map(std::fs::File::from)
}
