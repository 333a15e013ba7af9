//! What whoever runs the daemon relies on: the API's document, the files under `deploy/`, the guide, the metrics.
//! The programs that judge them are installed by `tests/operate/install`.

mod api;
mod check;
mod confined;
mod deploy;
mod guide;
mod metric;
mod page;
mod proxy;
mod ready;
mod supervisor;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::tools;

/// A file of the repository.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A program that was installed for these tests. Without it nothing is proven, so its absence is no skip.
fn tool(path: &str) -> PathBuf {
    let home = tools().join("operate");
    assert!(home.join("installed").exists(), "programs are missing: run `bash tests/tools`");
    home.join(path)
}

/// A Python program among them.
fn python(script: &Path) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", tool("python")).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    command
}

/// Runs it to its end: whether it ended well, and all that it printed.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let both = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&both).into_owned())
}

/// Runs it, and wants it to end well.
fn pass(command: &mut Command) -> String {
    let (well, printed) = run(command);
    assert!(well, "{command:?} ended badly:\n{printed}");
    printed
}
