//! Export: whoever holds the store tells all of it, and the answer becomes a file.

use std::path::Path;

use super::super::ask::Answering;
use super::super::clock;
use super::draft::Draft;
use crate::cli::progress::Bar;
use crate::cli::{Environment, Exit, Failure, Terminal};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::store::keep::archive::Witness;

/// The name of a backup made now.
pub(super) fn name(now: Timestamp) -> String {
    let at: String = now.rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("scm-connect-{at}.jsonl.zst")
}

/// Writes everything into one file.
pub(super) async fn export(
    to: &Path,
    config: &Config,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    // The file first: a wrong name needs no work.
    let draft = Draft::create(to)?;
    let answering = Answering::find(config, environment, &clock()).await?;
    let written = receive(draft, &answering).await;
    answering.end().await;
    let (items, bytes) = written?;
    terminal.remark(&format!("{items} items are in {} ({bytes} bytes)", to.display()))?;
    Ok(Exit::Done)
}

async fn receive(mut draft: Draft, answering: &Answering) -> Result<(u64, u64), Failure> {
    let bar = Bar::begin("writing the file");
    let mut answer = answering.client().stream(&["store", "export"], None).await?;
    let mut witness = Witness::default();
    while let Some(piece) = answer.next().await? {
        draft.write(&piece)?;
        witness.hear(&piece);
        let (done, all) = witness.progress();
        bar.at(done, all);
    }
    bar.end();
    let items = witness.end().map_err(|why| {
        let why = why.unwrap_or_else(|| "its end did not arrive".into());
        Failure::failed(format!("the export was not finished: {why}; no file was written, try again"))
    })?;
    let bytes = draft.finish()?;
    Ok((items, bytes))
}
