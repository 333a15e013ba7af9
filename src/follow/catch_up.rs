//! What forges sent while nobody took it: found in their own logs, asked for once more, and the gap named.
//!
//! Asked for, a delivery comes through the front door, signed, as if for the first time. What no log holds is made up for
//! by reading the state.

use super::lamp::lamp;
use super::task::{Directories, NoDirectory, missed, put_off, whole};
use super::{Follower, Mode, Reach, SyncError};
use crate::domain::change::Change;
use crate::domain::delivery::{Delivery, RawDelivery};
use crate::domain::lamp::Dark;
use crate::domain::missed::{CatchUp, Gap, Looked, Missing, Sieve, Walk};
use crate::domain::organization::{Connection, Forge};
use crate::domain::task::{Performed, TaskKind, Wish};
use crate::domain::{SourceKey, Timestamp};
use crate::provider::{ProviderError, Sent, SentLog, logged};
use crate::store::{ConnectionFilter, DeliveryFilter, Page, Store, StoreError};
use crate::telemetry::metric::{Metric, Value, count, set};

/// A forge may write into its log late.
const LATE_MS: i64 = 15 * 60 * 1000;
/// Pages read in one round; the next one goes on.
const PAGES_MAX: u32 = 100;
/// Pages of a log without times that are read after a gap.
const BLIND_PAGES: u32 = 50;
/// When something was asked for, the next round comes so soon.
const SOON_MS: i64 = 60_000;
/// Connections read at once.
pub(super) const PIECE: usize = 200;

/// What came of a round, or what would come of it.
#[derive(Debug, Clone, Default)]
pub struct CaughtUp {
    /// Since when the logs were looked through.
    pub since: Option<Timestamp>,
    /// Attempts in the logs.
    pub listed: u64,
    /// Deliveries that are missing, without those that are lost.
    pub missing: u64,
    /// Of these, those that were asked for in this round.
    pub asked: u64,
    /// Deliveries that cannot be had any more.
    pub lost: u64,
    /// Whether the forge keeps a log that we may read.
    pub has_log: bool,
    /// When the next round should come, as there is something left; `None`: when it is due anyway.
    pub next_in_ms: Option<i64>,
    /// The gap that this round has opened or closed.
    pub gap: Option<Gap>,
}

impl CaughtUp {
    fn sentence(&self, forge: &str) -> String {
        if let Some(gap) = &self.gap {
            return gap.sentence(forge);
        }
        let Self { listed, missing, asked, .. } = self;
        match self.has_log {
            true => format!("{listed} attempts in the log: {missing} missing, {asked} asked for once more"),
            false => "the forge keeps no log that this credential may read".into(),
        }
    }
}

/// How a forge is called in sentences.
#[must_use]
pub const fn forge_name(forge: Forge) -> &'static str {
    match forge {
        Forge::Github => "GitHub",
        Forge::Gitlab => "GitLab",
    }
}

fn mark(source: &SourceKey) -> String {
    format!("catch-up {source}")
}

/// What is known of a source's catching up, and the version of that.
async fn known(store: &dyn Store, source: &SourceKey) -> Result<(CatchUp, u64), StoreError> {
    let found = store.mark(&mark(source)).await?;
    let version = found.as_ref().map_or(0, |found| found.version);
    // What cannot be read is begun anew: it costs some requests.
    let state = found.and_then(|found| serde_json::from_str(&found.value).ok()).unwrap_or_default();
    Ok((state, version))
}

/// The gaps of a source, the newest last.
///
/// # Errors
/// When the store refuses.
pub async fn gaps(store: &dyn Store, source: &SourceKey) -> Result<Vec<Gap>, StoreError> {
    Ok(known(store, source).await?.0.gaps)
}

/// One round over the logs of one source.
struct Round<'a> {
    source: &'a SourceKey,
    forge: Forge,
    state: CatchUp,
    /// When the look that this round begins or goes on with began.
    began_at: Timestamp,
    dark: Option<Dark>,
    mode: Mode,
    pages: u32,
    looked: Looked,
    caught: CaughtUp,
    /// Our door refuses what the forge sends.
    refuses: bool,
}

impl Follower {
    /// Looks through the logs of a connection's source, and asks for what is missing.
    ///
    /// # Errors
    /// When the forge or the store does not answer: the next round looks from the same place.
    pub async fn catch_up(
        &self,
        logs: &[Box<dyn SentLog>],
        connection: &Connection,
        mode: Mode,
    ) -> Result<CaughtUp, SyncError> {
        let source = &connection.source;
        let (mut state, version) = known(self.store.as_ref(), source).await?;
        if mode == Mode::DryRun {
            state.walk = None;
        }
        let now = self.now();
        state.set_back(now);
        let began_at = state.walk.as_ref().map_or(now, |walk| walk.began_at);
        let lamp = lamp(self.store.as_ref()).await?;
        let dark = lamp.and_then(|lamp| lamp.dark_since(state.read_until.unwrap_or(connection.created_at)));
        let looked = Looked { has_log: !logs.is_empty(), ..Looked::default() };
        let caught = CaughtUp { has_log: !logs.is_empty(), ..CaughtUp::default() };
        let forge = connection.kind.forge();
        let mut round =
            Round { source, forge, state, began_at, dark, mode, pages: 0, looked, caught, refuses: false };
        let done = self.go_through(logs, &mut round).await;
        if mode == Mode::DryRun {
            return done.map(|()| round.caught);
        }
        let now = self.now();
        count(Metric::CatchupMissed, &[Value::Word(connection.kind.forge().as_str())], round.looked.new);
        round.caught.next_in_ms = match (&round.looked.walk, round.looked.still) {
            (Some(_), _) => Some(0),
            (None, 0) => None,
            (None, _) if round.refuses => None,
            (None, _) => Some(SOON_MS),
        };
        round.caught.gap = round.state.looked(round.looked, dark, began_at, now);
        let text = serde_json::to_string(&round.state).unwrap_or_default();
        if !self.store.set_mark(&mark(source), version, text).await? {
            return Err(SyncError::Overtaken);
        }
        if done.is_ok() {
            count(Metric::CatchupRuns, &[Value::Word("ok")], 1);
            set(Metric::CatchupLastSuccess, &[], now.ms() as f64 / 1000.0);
        }
        if let Some(gap) = &round.caught.gap {
            self.tell(connection, gap).await?;
        }
        if done.is_ok() && round.caught.listed > 0 {
            self.show_refusal(connection, round.refuses).await?;
        }
        done.map(|()| round.caught)
    }

    async fn go_through(&self, logs: &[Box<dyn SentLog>], round: &mut Round<'_>) -> Result<(), SyncError> {
        let walk = round.state.walk.clone();
        round.looked.still = walk.as_ref().map_or(0, |walk| walk.still);
        let at = walk.as_ref().and_then(|walk| logs.iter().position(|log| log.name() == walk.log));
        let mut from = walk.filter(|_| at.is_some()).and_then(|walk| walk.next);
        for log in logs.iter().skip(at.unwrap_or(0)) {
            let (next, still) = (from.take(), round.looked.still);
            match self.look(log.as_ref(), next.clone(), round).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    // Gone on from where this log was begun; a link that the forge does not take leads nowhere again.
                    let passes = matches!(&error, SyncError::Forge(error) if error.passes());
                    let (began_at, log) = (round.began_at, log.name());
                    let next = next.filter(|_| passes);
                    round.looked.walk = Some(Walk { began_at, log, next, still });
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Looks through one log from there. `false`: the round is at its end before the log is.
    async fn look(
        &self,
        log: &dyn SentLog,
        mut from: Option<String>,
        round: &mut Round<'_>,
    ) -> Result<bool, SyncError> {
        let window = round.began_at.plus_ms(log.window_ms().saturating_neg());
        let last = round.state.read_until.map(|at| at.plus_ms(LATE_MS.saturating_neg()));
        let since = last.map_or(window, |last| last.max(window));
        round.caught.since = Some(round.caught.since.map_or(since, |known| known.min(since)));
        let is_deep = round.state.read_until.is_none() || round.dark.is_some();
        let began_here = from.is_none();
        let (mut sieve, mut blind_pages) = (Sieve::default(), 0_u32);
        let is_through = loop {
            if round.pages >= PAGES_MAX {
                break false;
            }
            let page = log.page(from.as_deref()).await?;
            round.pages = round.pages.saturating_add(1);
            round.caught.listed = round.caught.listed.saturating_add(page.attempts.len() as u64);
            let is_old = page.attempts.iter().any(|one| one.at.is_some_and(|at| at < since));
            blind_pages =
                blind_pages.saturating_add(u32::from(page.attempts.iter().all(|one| one.at.is_none())));
            let wanted = page.attempts.into_iter().filter(|one| one.at.is_none_or(|at| at >= since));
            wanted.for_each(|one| sieve.take(one));
            from = page.older;
            let is_far = blind_pages >= if is_deep { BLIND_PAGES } else { 1 };
            if from.is_none() || is_old || is_far {
                break true;
            }
        };
        // A log that went on from within says nothing of now.
        round.refuses |= began_here && sieve.refuses();
        self.ask_for(log, sieve.missing(), round).await?;
        if !is_through {
            let (began_at, still) = (round.began_at, round.looked.still);
            round.looked.walk = Some(Walk { began_at, log: log.name(), next: from, still });
        }
        Ok(is_through)
    }

    /// Asks for what is not here, the oldest first, as far as the forge lets us.
    async fn ask_for(
        &self,
        log: &dyn SentLog,
        missing: Vec<Missing>,
        round: &mut Round<'_>,
    ) -> Result<(), SyncError> {
        let mut left = log.again_max();
        for one in missing {
            let (id, now) = (one.external_id.as_str(), self.now());
            if round.state.meets_lost(id, now) || self.holds(round.source, &one).await? {
                continue;
            }
            if self.reach == Reach::Polling && round.mode == Mode::Apply {
                self.fetch(log, &one, round).await?;
                continue;
            }
            let seen = round.state.see(id, now);
            if seen == Some(true) {
                round.looked.count(one.at);
            }
            if one.is_lost() {
                round.lose(id);
                continue;
            }
            let waits = seen.is_none() || round.state.is_on_its_way(id, now);
            if !waits && left > 0 && round.mode == Mode::Apply {
                // Where the door refuses all, one is enough to see whether it still does.
                left = if round.refuses { 0 } else { left.saturating_sub(1) };
                match log.again(one.number).await {
                    Ok(()) => round.asked(id, self.now()),
                    Err(ProviderError::Gone | ProviderError::Refused { .. }) => {
                        round.lose(id);
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            round.looked.still = round.looked.still.saturating_add(1);
            round.caught.missing = round.caught.missing.saturating_add(1);
        }
        Ok(())
    }

    /// Takes a delivery out of the log, where nothing can be sent to us. That it did not arrive is no gap then.
    async fn fetch(&self, log: &dyn SentLog, one: &Missing, round: &mut Round<'_>) -> Result<(), SyncError> {
        let Sent { headers, body } = match log.sent(one.number).await {
            Ok(sent) => sent,
            // What the log does not hold is made up for by reading the state, which is done often.
            Err(ProviderError::Gone | ProviderError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let raw = RawDelivery { source: round.source.clone(), headers, body };
        let Some(envelope) = logged(round.forge, &raw) else { return Ok(()) };
        self.store.accept(Delivery::fetched(raw, envelope), self.now()).await?;
        round.caught.asked = round.caught.asked.saturating_add(1);
        Ok(())
    }

    /// Whether the delivery is here.
    async fn holds(&self, source: &SourceKey, one: &Missing) -> Result<bool, SyncError> {
        let filter = DeliveryFilter {
            source: Some(source.clone()),
            external_id: Some(one.external_id.clone()),
            ..DeliveryFilter::default()
        };
        let found = self.store.deliveries(&filter, &Page { limit: 1, cursor: None }).await?;
        Ok(!found.items.is_empty())
    }

    /// Tells of a gap, and has the state read where something may have been missed that no log holds.
    async fn tell(&self, connection: &Connection, gap: &Gap) -> Result<(), SyncError> {
        let (source, forge) = (connection.source.as_str(), forge_name(connection.kind.forge()));
        tracing::info!(code = "gap", source, "{}", gap.sentence(forge));
        let is_read = gap.closed_at.is_none() || gap.lost > 0 || gap.missed == 0;
        if is_read { self.reconcile(&connection.source).await } else { Ok(()) }
    }

    /// Wishes for full readings through every connection of a source.
    async fn reconcile(&self, source: &SourceKey) -> Result<(), SyncError> {
        let mut cursor = None;
        loop {
            let found =
                self.store.connections(&ConnectionFilter::default(), &Page { limit: PIECE, cursor }).await?;
            let ours = found.items.iter().filter(|it| it.source == *source && it.credential != "none");
            for connection in ours {
                let Some(organization) = self.store.organization(&connection.organization).await? else {
                    continue;
                };
                let now = self.now();
                let kind = TaskKind::SyncConnection;
                let projects = Wish::now(kind, &organization.slug, &connection.key, "catch_up", now);
                let mut wishes = vec![Change::Wish(Box::new(projects))];
                if organization.authority.as_ref() == Some(&connection.key) {
                    wishes.push(Change::Wish(Box::new(whole(&organization, connection, "catch_up", now))));
                }
                self.store.apply(wishes, Vec::new()).await?;
            }
            cursor = found.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Does what a task about a source asks for.
    pub(super) async fn catch_up_task(
        &self,
        directories: &dyn Directories,
        connection: &Connection,
    ) -> Result<Performed, StoreError> {
        let logs = match directories.logs(connection).await {
            Ok(logs) => logs,
            Err(NoDirectory::Quiet(_)) => Vec::new(),
            Err(NoDirectory::Wrong(why)) => return Ok(Performed::Failed { error: why }),
            Err(NoDirectory::Store(error)) => return Err(error),
            Err(NoDirectory::Forge(error)) => return Ok(failed(&error)),
        };
        match self.catch_up(&logs, connection, Mode::Apply).await {
            Ok(caught) => {
                let now = self.now();
                let again = |wait: i64| {
                    let wish = missed(connection, "catch_up", now);
                    Change::Wish(Box::new(Wish { due_at: now.plus_ms(wait), ..wish }))
                };
                let changes = caught.next_in_ms.map(again);
                let mut note = caught.sentence(forge_name(connection.kind.forge()));
                if self.reach.of(connection) == Reach::Polling {
                    match self.happenings(directories, &connection.source).await {
                        Ok(seen) => note.extend(seen.map(|seen| format!("; {}", seen.sentence()))),
                        Err(NoDirectory::Store(error)) => return Err(error),
                        Err(NoDirectory::Forge(error)) => return Ok(failed(&error)),
                        Err(error) => return Ok(Performed::Failed { error: error.to_string() }),
                    }
                }
                Ok(Performed::Done { changes: changes.into_iter().collect(), expects: Vec::new(), note })
            }
            Err(SyncError::Store(error)) => Err(error),
            Err(SyncError::Forge(error)) => Ok(failed(&error)),
            Err(error) => Ok(Performed::Later { at: None, error: error.to_string() }),
        }
    }
}

fn failed(error: &ProviderError) -> Performed {
    count(Metric::CatchupRuns, &[Value::Word("failed")], 1);
    put_off(error)
}

impl Round<'_> {
    fn asked(&mut self, id: &str, now: Timestamp) {
        self.state.asked(id, now);
        self.caught.asked = self.caught.asked.saturating_add(1);
    }

    fn lose(&mut self, id: &str) {
        let is_new = u64::from(self.state.lose(id));
        self.looked.lost = self.looked.lost.saturating_add(is_new);
        self.caught.lost = self.caught.lost.saturating_add(1);
    }
}
