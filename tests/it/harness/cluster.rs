//! A throw-away PostgreSQL (`tests/postgres`) and databases in it. Shared with the unit tests of the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::FlockOperation;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

/// A running server.
#[derive(Debug)]
pub(crate) struct Cluster {
    socket: PathBuf,
    /// As long as it is held, the server stays.
    _lease: Option<File>,
}

fn script(words: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let ran = Command::new("bash").arg(script).args(words).output().unwrap();
    assert!(ran.status.success(), "tests/postgres {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

impl Cluster {
    /// The one that all tests of a run share; started by whoever comes first.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            // Once to know the place, and once more when the lease is held: from then on it stays.
            let socket = PathBuf::from(script(&["start"]));
            let lease = File::options().create(true).append(true).open(socket.join("lease")).unwrap();
            rustix::fs::flock(&lease, FlockOperation::LockShared).unwrap();
            script(&["start"]);
            Self { socket, _lease: Some(lease) }
        })
    }

    /// One of its own, with settings that would harm the others. Ends with [`Self::end`].
    pub(crate) fn own(name: &str, settings: &[&str]) -> Self {
        let words: Vec<&str> = ["start", name].into_iter().chain(settings.iter().copied()).collect();
        Self { socket: PathBuf::from(script(&words)), _lease: None }
    }

    /// Ends one of its own.
    pub(crate) fn end(self) {
        let name = self.socket.file_name().unwrap().to_str().unwrap().to_owned();
        script(&["stop", &name]);
    }

    /// A database of it.
    pub(crate) fn url(&self, database: &str) -> Url {
        let host: String = self.socket.to_str().unwrap().replace('/', "%2F");
        Url::parse(&format!("postgres://postgres@{host}/{database}")).unwrap()
    }

    /// A connection for what only the server's owner may do.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(self.url("postgres").as_str()).await.unwrap()
    }

    /// A new database: empty, or with what `of` says (`template "x"`, `encoding …`).
    pub(crate) async fn database(&self, of: &str) -> Url {
        let mut tag = [0; 8];
        getrandom::fill(&mut tag).unwrap();
        let name = format!("t{}", hex::encode(tag));
        let sql = format!("create database {name} {of}");
        self.admin().await.execute(AssertSqlSafe(sql)).await.unwrap();
        self.url(&name)
    }
}
