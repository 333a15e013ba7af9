//! Moving and keeping the store as a whole: export, import, backup, restore, migrate, compact, verify.
//!
//! What a running daemon can do beside its work is asked of it; the rest needs the store for itself.

mod draft;
mod export;
mod import;

use std::path::Path;
use std::sync::Arc;

use super::ask::{Answering, absent};
use super::{clock, store_dir};
use crate::cli::arguments::StoreCommand;
use crate::cli::{Environment, Exit, Failure, Terminal, long};
use crate::config::{Config, StoreUrl};
use crate::domain::Clock;
use crate::store::Store;

/// Does one of the commands about the store.
pub(super) async fn store(
    command: StoreCommand,
    config: &Config,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let clock = clock();
    match command {
        StoreCommand::Verify(how) if how.accept_loss => {
            accept_loss(how.json.json, config, &clock, terminal).await
        }
        StoreCommand::Verify(how) => {
            let answering = Answering::find(config, environment, &clock).await?;
            let answer = long::verify(how.json.json, answering.client(), terminal).await;
            answering.end().await;
            answer
        }
        StoreCommand::Export(destination) => {
            export::export(&destination.to, config, environment, terminal).await
        }
        StoreCommand::Import(origin) => import::import(&origin.file, config, &clock, terminal).await,
        StoreCommand::Migrate { from, to } => import::migrate(&from, &to, config, &clock, terminal).await,
        StoreCommand::Compact => compact(config, &clock, terminal).await,
    }
}

/// `backup`: an export under a name of its own.
pub(super) async fn backup(
    to: &Path,
    config: &Config,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let place = if to.is_dir() { to.join(export::name(clock()())) } else { to.to_owned() };
    let exit = export::export(&place, config, environment, terminal).await?;
    terminal
        .remark("the master key is not in it: keep a copy of it elsewhere, or the backup opens nothing")?;
    Ok(exit)
}

/// `restore`: an import into an empty store.
pub(super) async fn restore(file: &Path, config: &Config, terminal: &mut Terminal) -> Result<Exit, Failure> {
    import::import(file, config, &clock(), terminal).await
}

/// Opens the store at this URL for this command alone.
async fn open(url: &StoreUrl, config: &Config, clock: &Clock) -> Result<Arc<dyn Store>, Failure> {
    let one = Config { store: url.clone(), ..config.clone() };
    super::daemon::open(&one, clock).await
}

/// Closes a store that nobody else holds.
async fn close(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.close().await.map_err(|error| Failure { exit: Exit::Store, message: error.to_string() })
}

async fn accept_loss(
    json: bool,
    config: &Config,
    clock: &Clock,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let Some(dir) = store_dir(config).map(Path::to_owned) else {
        let message = "--accept-loss is for the embedded store; of a damaged database, restore a backup";
        return Err(Failure::usage(message));
    };
    let (key, now) = (config.key_file.clone(), clock());
    if !dir.exists() {
        return Err(nowhere(&config.store));
    }
    let work = move || crate::store::sled::accept_loss(&dir, &key, now);
    let done = tokio::task::spawn_blocking(work).await;
    let told = done.map_err(|error| Failure::failed(format!("the store cannot be mended: {error}")))??;
    if json {
        terminal.json(&serde_json::json!({ "lost": told }))?;
        return Ok(Exit::Done);
    }
    for sentence in &told {
        terminal.line(sentence)?;
    }
    terminal.remark(if told.is_empty() {
        "nothing is damaged, and nothing was let go"
    } else {
        "the store can be opened again; what is written above is in the audit log"
    })?;
    Ok(Exit::Done)
}

async fn compact(config: &Config, clock: &Clock, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let Some(dir) = store_dir(config).map(Path::to_owned) else {
        let message = "PostgreSQL compacts itself (autovacuum); this command is for the embedded store";
        return Err(Failure::usage(message));
    };
    let (key, now) = (config.key_file.clone(), clock());
    if !dir.exists() {
        return Err(nowhere(&config.store));
    }
    let done = tokio::task::spawn_blocking(move || crate::store::sled::compact(&dir, &key, now)).await;
    let done = done.map_err(|error| Failure::failed(format!("the store cannot be compacted: {error}")))??;
    let (before, after) = (done.before_bytes, done.after_bytes);
    terminal.remark(&format!("the database took {before} bytes and takes {after} now"))?;
    Ok(Exit::Done)
}

/// There is no store at this URL.
fn nowhere(url: &StoreUrl) -> Failure {
    Failure { exit: Exit::Store, message: format!("{}; nothing was changed", absent(url)) }
}
