//! Import, restore and migrate: everything into an empty store, read back and compared.

use std::path::Path;
use std::sync::Arc;

use super::super::ask::exists;
use super::{close, nowhere, open};
use crate::cli::progress::Bar;
use crate::cli::{Exit, Failure, Terminal};
use crate::config::{Config, StoreUrl};
use crate::domain::Clock;
use crate::seal::MasterKey;
use crate::store::keep::archive::{self, Archive, ArchiveError};
use crate::store::keep::{Frozen, MoveError, compare, transfer};
use crate::store::{Store, StoreError};

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let exit = if matches!(error, ArchiveError::Io { .. }) { Exit::Failed } else { Exit::Store };
        Self { exit, message: error.to_string() }
    }
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let message = match &error {
            MoveError::Store(StoreError::Unavailable(why)) => {
                format!("{why}; what is written so far is kept: give it room, and the same command goes on")
            }
            other => other.to_string(),
        };
        Self { exit: Exit::Store, message }
    }
}

/// Takes everything of a file into the config's store.
pub(super) async fn import(
    file: &Path,
    config: &Config,
    clock: &Clock,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let master = master(config)?;
    let bar = Bar::begin("checking the file");
    let heard = bar.clone();
    let path = file.to_owned();
    let key = self::master(config)?;
    let checking = move || archive::check(&path, &key, &|done, all| heard.at(done, all));
    let checked = tokio::task::spawn_blocking(checking).await;
    bar.end();
    let checked = checked.map_err(|error| Failure::failed(format!("the file cannot be read: {error}")))??;
    let to = open(&config.store, config, clock).await?;
    let from = Archive::new(file, master, &checked);
    let name = checked.head.lock.id.to_string();
    let moved = everything(&from, &name, &to).await;
    close(to).await?;
    terminal.remark(&format!("the store {} holds {}", config.store, moved?))?;
    Ok(Exit::Done)
}

/// Copies everything from one store into another.
pub(super) async fn migrate(
    from: &StoreUrl,
    to: &StoreUrl,
    config: &Config,
    clock: &Clock,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if from == to {
        return Err(Failure::usage("--from and --to are the same store"));
    }
    if !exists(from, &config.key_file).await? {
        return Err(nowhere(from));
    }
    master(config)?;
    let source = open(from, config, clock).await?;
    let target = match open(to, config, clock).await {
        Ok(target) => target,
        Err(failure) => {
            close(source).await?;
            return Err(failure);
        }
    };
    let moved = match source.freeze().await {
        Ok(view) => everything(view.as_ref(), &format!("store {from}"), &target).await,
        Err(error) => Err(MoveError::from(error).into()),
    };
    close(target).await?;
    close(source).await?;
    terminal.remark(&format!("{to} holds {}; {from} is as it was", moved?))?;
    Ok(Exit::Done)
}

/// Moves and compares; says what is there now.
async fn everything(from: &dyn Frozen, name: &str, to: &Arc<dyn Store>) -> Result<String, Failure> {
    let bar = Bar::begin("writing the store");
    let moved = transfer(from, name, to.as_ref(), &|done, all| bar.at(done, all)).await;
    bar.end();
    let moved = moved?;
    let bar = Bar::begin("reading it back");
    let compared = compare(&moved, to.as_ref(), &|done, all| bar.at(done, all)).await;
    bar.end();
    compared?;
    Ok(moved.sentence())
}

/// The key must be there: a store is never filled under a new one by mistake.
fn master(config: &Config) -> Result<MasterKey, Failure> {
    MasterKey::load(&config.key_file)
        .map_err(|error| Failure { exit: Exit::Store, message: format!("{error}; nothing was changed") })
}
