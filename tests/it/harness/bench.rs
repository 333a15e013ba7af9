//! A place for one case: a folder with config and store, from which daemons are started one after another.

use std::fs;
use std::path::{Path, PathBuf};

use url::Url;

use super::daemon::{Daemon, Start};

/// The secret of the GitHub source.
pub(crate) const GITHUB_SECRET: &str = "github-hook-secret-0123456789";
const GITLAB_SECRET: &str = "gitlab-hook-secret-0123456789";

/// A folder with all that a daemon needs. The store may lie elsewhere, on a disk that is about to suffer.
#[derive(Debug)]
pub(crate) struct Bench {
    home: tempfile::TempDir,
    data: PathBuf,
    /// A database in place of the embedded store.
    database: Option<Url>,
}

impl Bench {
    /// Everything in one temporary folder.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        Self::prepared(home, data)
    }

    /// The data (store and key) below `data`.
    pub(crate) fn with_data(data: &Path) -> Self {
        Self::prepared(tempfile::tempdir().unwrap(), data.to_owned())
    }

    /// Everything in this database, and the key in a temporary folder.
    pub(crate) fn on_database(url: &Url) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        Self::with(home, data, Some(url.clone()))
    }

    fn prepared(home: tempfile::TempDir, data: PathBuf) -> Self {
        Self::with(home, data, None)
    }

    fn with(home: tempfile::TempDir, data: PathBuf, database: Option<Url>) -> Self {
        fs::create_dir_all(&data).unwrap();
        let bench = Self { home, data, database };
        fs::write(bench.config(), bench.text("")).unwrap();
        bench
    }

    /// The config's text, with more at its end.
    pub(crate) fn text(&self, more: &str) -> String {
        format!(
            r#"
public_url = "http://127.0.0.1:8080"

[listen]
public = "127.0.0.1:0"
ops = "127.0.0.1:0"

[store]
url = "{store}"

[keys]
file = "{key}"

[[organizations]]
slug = "acme"
name = "Acme"

[[sources]]
key = "our-app"
organizations = ["acme"]
provider = "github"
url = "https://github.com"
webhook_secrets = [{{ value = "{GITHUB_SECRET}" }}]

[[sources]]
key = "our-group"
organizations = ["acme"]
provider = "gitlab"
url = "https://gitlab.com"
webhook_secrets = [{{ value = "{GITLAB_SECRET}" }}]
{more}
"#,
            store = self.url(),
            key = self.key().display(),
        )
    }

    /// Where everything is kept.
    fn url(&self) -> String {
        match &self.database {
            Some(url) => url.to_string(),
            None => format!("sled:{}", self.store().display()),
        }
    }

    /// Another way to the same database, for the daemons that are started from now on.
    pub(crate) fn reach_by(&mut self, url: &Url) {
        self.database = Some(url.clone());
        fs::write(self.config(), self.text("")).unwrap();
    }

    /// The config file.
    pub(crate) fn config(&self) -> PathBuf {
        self.home.path().join("config.toml")
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// The master key's file.
    pub(crate) fn key(&self) -> PathBuf {
        self.data.join("master.key")
    }

    /// A place for logs and traces.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// How a daemon is started here.
    pub(crate) fn start(&self) -> Start {
        Start::new(&self.config(), &self.store(), self.home.path())
    }

    /// A daemon that is ready.
    pub(crate) async fn daemon(&self) -> Daemon {
        self.start().ready().await
    }
}
