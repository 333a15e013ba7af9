//! What can be done with the store as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Json;
use crate::config::StoreUrl;

/// The store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything that is kept and compare it with its checksums
    #[command(after_help = "Ends with 0 when all is well, and with 3 when something is damaged.

With --accept-loss, and no daemon, it lets go of what cannot be read so that the rest can be served: what is
lost is said and written to the audit log, and the damaged files are kept. Restore a backup instead if you can.")]
    Verify(Verify),
    /// Write everything that is kept into one file: readable lines, bodies and secrets sealed
    #[command(
        after_help = "A running daemon goes on meanwhile; everything it had acknowledged before is in the file.
Without the master key nothing secret in the file can be read, and nothing of it imported: keep the key too.

Examples:
  scm-connect store export --to all.jsonl.zst      compressed
  scm-connect store export --to all.jsonl          to look at"
    )]
    Export(Destination),
    /// Take everything of an exported file into an empty store
    #[command(
        after_help = "The store is the one of the config, the master key that of the store that wrote the file.
The whole file is checked before anything is written; a cut or edited one is refused. When it is
interrupted, the same command goes on where it was. At the end everything is read back and compared.

Example:
  scm-connect store import all.jsonl.zst --config scm.toml"
    )]
    Import(Origin),
    /// Copy everything from one store into another, empty one
    #[command(
        after_help = "No daemon may run on either. The source stays as it is. When it is interrupted, the same
command goes on where it was. At the end everything is read back and compared.

Example:
  scm-connect store migrate --from sled:data/store --to postgres://scm@db/scm --config scm.toml"
    )]
    Migrate {
        /// The store to read: sled:DIRECTORY or postgres://USER@HOST/DATABASE.
        #[arg(long, value_name = "URL", value_parser = StoreUrl::parse)]
        from: StoreUrl,
        /// The store to fill.
        #[arg(long, value_name = "URL", value_parser = StoreUrl::parse)]
        to: StoreUrl,
    },
    /// Write the embedded store's database anew, so that deleted records give their space back
    #[command(after_help = "No daemon may run on it. It needs as much free space as the database takes.")]
    Compact,
}

/// How to check.
#[derive(Debug, Clone, Copy, Args)]
pub struct Verify {
    /// Let go of what cannot be read. Loses it for good.
    #[arg(long)]
    pub accept_loss: bool,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// Where an export goes.
#[derive(Debug, Clone, Args)]
pub struct Destination {
    /// The file to write: FILE.jsonl, or FILE.jsonl.zst to compress it. It must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// Where an import comes from.
#[derive(Debug, Clone, Args)]
pub struct Origin {
    /// The exported file.
    pub file: PathBuf,
}

/// Where a backup goes.
#[derive(Debug, Clone, Args)]
pub struct BackupPlace {
    /// A file that is not there yet, or a folder in which a file named by the time is made.
    #[arg(long, value_name = "FILE|DIR")]
    pub to: PathBuf,
}
