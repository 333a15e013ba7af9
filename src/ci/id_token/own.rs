//! The forges of organizations' own: their ID tokens count in the organizations that have connected them, and nowhere
//! else.
//!
//! They are read from the store when an issuer is asked for that is not known, or was read a second ago: so a connection
//! counts at once, whichever process made it, and counts no more when it is ended. Anybody can make up an issuer. Those
//! who do wait for the same next reading, at most so many of them, and readings lie apart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::Issuer;
use crate::domain::OrganizationSlug;
use crate::domain::ci::Counts;
use crate::domain::organization::{Connection, ConnectionState, Kind};
use crate::domain::project::Proof;
use crate::store::{ConnectionFilter, Page, Store, StoreError};

/// Two readings begin at least so long apart.
const APART: Duration = Duration::from_secs(1);
/// And so many times as long as the last one took: a large store is not kept busy by strangers.
const APART_PER_READING: u32 = 20;
/// So many may wait for the next reading; whoever comes then is answered by the last one.
const WAITING_MAX: usize = 256;
const PAGE: usize = 500;

/// Lists the issuers of organizations' own forges.
#[async_trait]
pub trait ListIssuers: Send + Sync {
    /// All of them, as they are now.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self) -> Result<Vec<Issuer>, StoreError>;
}

/// Reads them from the connections in a store.
pub struct Recorded(pub Arc<dyn Store>);

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorded")
    }
}

#[async_trait]
impl ListIssuers for Recorded {
    async fn list(&self) -> Result<Vec<Issuer>, StoreError> {
        let (mut issuers, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = Page { limit: PAGE, cursor };
            let found = self.0.connections(&ConnectionFilter::default(), &page).await?;
            found.items.iter().for_each(|connection| add(&mut issuers, connection));
            cursor = found.next;
            if cursor.is_none() {
                return Ok(trusted(issuers));
            }
        }
    }
}

/// Adds the issuer that a connection gives.
fn add(issuers: &mut BTreeMap<String, Issuer>, connection: &Connection) {
    let Some(issuer) = issuer(connection) else { return };
    let known = issuers.entry(issuer.name.clone()).or_insert(issuer);
    known.counts.add(&connection.organization);
}

/// The issuer at the other end of a connection: of a forge of one's own, connected and neither rejected nor ended. While
/// it is paused nothing is asked with its credential, but its jobs go on.
fn issuer(connection: &Connection) -> Option<Issuer> {
    let is_own = matches!(connection.kind, Kind::GithubEnterpriseServer | Kind::GitlabSelfManaged);
    let is_over =
        connection.rejected_at.is_some() || connection.reasons.contains(&ConnectionState::Uninstalled);
    if !is_own || is_over || connection.proof != Proof::Proven {
        return None;
    }
    let issuer = Issuer::of_forge(connection.kind.forge(), &connection.url).ok()?;
    // An address can be chosen so that its issuer reads like one of another host, or like a cloud's.
    let is_itself = issuer.host == connection.host && Kind::of(issuer.forge, &issuer.host) == connection.kind;
    is_itself.then(|| Issuer { counts: Counts::In(Vec::new()), ..issuer })
}

/// Where a host is reached over https by anybody, nobody's plain http speaks for it.
fn trusted(issuers: BTreeMap<String, Issuer>) -> Vec<Issuer> {
    let all: Vec<Issuer> = issuers.into_values().collect();
    let is_safe = |issuer: &Issuer| issuer.url.scheme() == "https";
    let spoils = |issuer: &Issuer| all.iter().any(|other| other.host == issuer.host && is_safe(other));
    all.iter().filter(|issuer| is_safe(issuer) || !spoils(issuer)).cloned().collect()
}

/// What the last reading has found.
struct Read {
    /// Its number.
    turn: u64,
    /// Why there is nothing, when there is nothing.
    found: Result<Vec<Issuer>, String>,
    /// Until then it is good, and no other one begins.
    until: Instant,
}

impl Read {
    /// The issuer of this name, as far as it counts for whoever asks.
    fn find(&self, name: &str, asker: Option<&OrganizationSlug>) -> Result<Option<Issuer>, StoreError> {
        let all = self.found.as_ref().map_err(|why| StoreError::Unavailable(why.clone()))?;
        let counts = |issuer: &&Issuer| asker.is_none_or(|asker| issuer.counts.includes(asker));
        Ok(all.iter().find(|issuer| issuer.name == name).filter(counts).cloned())
    }
}

/// The issuers of organizations' own forges, as they were a second ago at most.
pub(super) struct OwnForges {
    list: Arc<dyn ListIssuers>,
    last: RwLock<Option<Arc<Read>>>,
    /// Readings that have begun.
    begun: AtomicU64,
    reading: Mutex<()>,
    waiting: Semaphore,
}

impl OwnForges {
    pub(super) fn new(list: Arc<dyn ListIssuers>) -> Self {
        let (last, begun, reading) = (RwLock::default(), AtomicU64::new(0), Mutex::default());
        Self { list, last, begun, reading, waiting: Semaphore::new(WAITING_MAX) }
    }

    fn last(&self) -> Option<Arc<Read>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The issuer of this name, if it is the forge of an organization: of the asker's, when that is known.
    pub(super) async fn find(
        &self,
        name: &str,
        asker: Option<&OrganizationSlug>,
    ) -> Result<Option<Issuer>, StoreError> {
        let came = self.begun.load(Ordering::SeqCst);
        let _place = match self.last().filter(|last| Instant::now() < last.until) {
            None => None,
            Some(last) => match (last.find(name, asker)?, self.waiting.try_acquire()) {
                (None, Ok(place)) => Some(place),
                (found, _) => return Ok(found),
            },
        };
        let _turn = self.reading.lock().await;
        if let Some(last) = self.last() {
            let found = last.find(name, asker);
            let is_known = Instant::now() < last.until && !matches!(found, Ok(None));
            if is_known || last.turn > came {
                return found;
            }
            sleep_until(last.until).await;
        }
        self.read().await.find(name, asker)
    }

    /// One at a time.
    async fn read(&self) -> Arc<Read> {
        let turn = self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let began = Instant::now();
        let found = self.list.list().await.map_err(|error| error.to_string());
        let apart = APART.max(began.elapsed().saturating_mul(APART_PER_READING));
        let read = Arc::new(Read { turn, found, until: began + apart });
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        read
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::domain::connection::Beginning;
    use crate::domain::organization::Account;
    use crate::domain::{ConnectionKey, Host, SourceKey, Timestamp};

    const GHES: Kind = Kind::GithubEnterpriseServer;
    const GITLAB: Kind = Kind::GitlabSelfManaged;

    fn connection(organization: &str, kind: Kind, url: &str) -> Connection {
        let url = Url::parse(url).unwrap();
        Connection::begin(Beginning {
            key: ConnectionKey::parse("it").unwrap(),
            organization: OrganizationSlug::parse(organization).unwrap(),
            kind,
            host: Host::of(&url).unwrap(),
            url,
            account: Account { login: "acme".into(), external_id: Some(1) },
            source: SourceKey::parse("it").unwrap(),
            created_by: "cli".into(),
            created_at: Timestamp::from_ms(0),
        })
    }

    fn names(connections: &[Connection]) -> Vec<String> {
        let mut issuers = BTreeMap::new();
        connections.iter().for_each(|it| add(&mut issuers, it));
        trusted(issuers).into_iter().map(|issuer| issuer.name).collect()
    }

    #[test]
    fn a_forge_speaks_for_its_own_host_and_never_like_another() {
        let mine = connection("acme", GITLAB, "https://git.example.com/gitlab");
        assert_eq!(names(&[mine]), ["https://git.example.com/gitlab"]);
        let mine = connection("acme", GHES, "https://ghes.example.com/");
        assert_eq!(names(&[mine]), ["https://ghes.example.com/_services/token"]);
        for (kind, url) in [
            // These would read like GitHub's cloud, a server above it, GitHub's issuer, and the clouds themselves.
            (GITLAB, "https://token.actions.githubusercontent.com"),
            (GHES, "https://token.actions.githubusercontent.com"),
            (GITLAB, "https://token.actions.victim.example"),
            (GHES, "https://token.actions.victim.example"),
            (GITLAB, "https://shared.example/~bob/_services/token"),
            (GITLAB, "https://gitlab.com"),
            (GITLAB, "https://gitlab.com."),
            (GITLAB, "http://gitlab.com"),
            (GHES, "https://github.com"),
            (Kind::GitlabCloud, "https://gitlab.com"),
            (Kind::GithubCloud, "https://github.com"),
            (Kind::GitlabCloud, "https://git.example.com"),
        ] {
            assert_eq!(names(&[connection("acme", kind, url)]), [""; 0], "{kind:?} at {url}");
        }
        // Recorded under one host, reached at another.
        let host = Host::of(&Url::parse("https://victim.example").unwrap()).unwrap();
        let bent = Connection { host, ..connection("acme", GITLAB, "https://evil.example") };
        assert_eq!(names(&[bent]), [""; 0]);
    }

    #[test]
    fn what_is_rejected_ended_or_only_claimed_gives_no_issuer() {
        let mine = connection("acme", GITLAB, "https://git.example.com");
        let rejected = Connection { rejected_at: Some(Timestamp::from_ms(1)), ..mine.clone() };
        let ended = Connection { reasons: vec![ConnectionState::Uninstalled], ..mine.clone() };
        let claimed = Connection { proof: Proof::Claimed, ..mine.clone() };
        for off in [rejected, ended, claimed] {
            assert_eq!(names(&[off]), [""; 0]);
        }
        let paused = Connection { paused_at: Some(Timestamp::from_ms(1)), ..mine };
        assert_eq!(names(&[paused]).len(), 1);
    }

    #[test]
    fn two_organizations_at_one_forge_are_both_told_and_plain_http_speaks_for_no_safe_host() {
        let safe = "https://git.example.com";
        let all = [connection("acme", GITLAB, safe), connection("beta", GITLAB, safe)];
        let mut issuers = BTreeMap::new();
        all.iter().for_each(|it| add(&mut issuers, it));
        let [found] = trusted(issuers).try_into().unwrap();
        let of = |name: &str| found.counts.includes(&OrganizationSlug::parse(name).unwrap());
        assert_eq!([of("acme"), of("beta"), of("gamma")], [true, true, false]);
        let plain = connection("evil", GITLAB, "http://git.example.com");
        assert_eq!(names(std::slice::from_ref(&plain)), ["http://git.example.com"]);
        assert_eq!(names(&[all[0].clone(), plain]), [safe]);
    }
}
