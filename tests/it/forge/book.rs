//! What a fake forge writes down: who asked what, which rules were broken, what is left of whose budget.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::fault::{Fault, Planted};
use super::http::{Asked, Reply};

/// The fake forges' own clock begins here: 2026-06-01T00:00:00Z.
pub(crate) const BEGIN_S: i64 = 1_780_272_000;

/// A credential's budget of requests.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    pub(crate) limit: u64,
    pub(crate) left: u64,
    pub(crate) reset_s: i64,
    /// Until then nothing may be asked.
    pub(crate) closed_until_s: i64,
}

/// The book of one forge.
#[derive(Debug, Default)]
pub(crate) struct Book {
    now_s: AtomicI64,
    latency_ms: AtomicU64,
    seen: Mutex<Vec<Asked>>,
    violations: Mutex<Vec<String>>,
    faults: Mutex<Vec<Planted>>,
    budgets: Mutex<HashMap<String, Budget>>,
    /// By credential: how many are under way, and the most there ever were.
    under_way: Mutex<HashMap<String, (usize, usize)>>,
}

impl Book {
    pub(crate) fn new() -> Self {
        let book = Self::default();
        book.now_s.store(BEGIN_S, Ordering::SeqCst);
        book
    }

    pub(crate) fn now_s(&self) -> i64 {
        self.now_s.load(Ordering::SeqCst)
    }

    pub(crate) fn pass_s(&self, seconds: i64) {
        self.now_s.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn latency_ms(&self) -> u64 {
        self.latency_ms.load(Ordering::SeqCst)
    }

    pub(crate) fn takes_ms(&self, ms: u64) {
        self.latency_ms.store(ms, Ordering::SeqCst);
    }

    /// A rule was broken.
    pub(crate) fn broken(&self, rule: impl Into<String>) {
        self.violations.lock().unwrap().push(rule.into());
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// `GET /path?query`, for all that was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |asked: &Asked| {
            let query =
                if asked.raw_query.is_empty() { String::new() } else { format!("?{}", asked.raw_query) };
            format!("{} {}{query}", asked.method, asked.path)
        };
        self.seen.lock().unwrap().iter().map(line).collect()
    }

    pub(crate) fn note(&self, asked: &Asked) {
        self.seen.lock().unwrap().push(asked.clone());
    }

    pub(crate) fn plant(&self, fault: Planted) {
        self.faults.lock().unwrap().push(fault);
    }

    /// Takes every planted fault away.
    pub(crate) fn heals(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The fault for this request, if one is planted; each strikes as often as it was told to.
    pub(crate) fn fault(&self, asked: &Asked) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let planted = faults.iter_mut().find(|planted| planted.strikes(asked))?;
        planted.times = planted.times.saturating_sub(1);
        Some(planted.fault.clone())
    }

    pub(crate) fn begin(&self, credential: &str) {
        let mut under_way = self.under_way.lock().unwrap();
        let (now, most) = under_way.entry(credential.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    pub(crate) fn end(&self, credential: &str) {
        if let Some((now, _)) = self.under_way.lock().unwrap().get_mut(credential) {
            *now -= 1;
        }
    }

    /// The most requests that one credential ever had under way.
    pub(crate) fn most_at_once(&self) -> usize {
        self.under_way.lock().unwrap().values().map(|(_, most)| *most).max().unwrap_or_default()
    }

    /// Gives everybody so many requests an hour.
    pub(crate) fn budget(&self, credential: &str, limit: u64) -> Budget {
        let fresh = Budget { limit, left: limit, reset_s: self.now_s() + 3600, closed_until_s: 0 };
        self.budgets.lock().unwrap().entry(credential.to_owned()).or_insert(fresh).clone()
    }

    pub(crate) fn set_budget(&self, credential: &str, budget: Budget) {
        self.budgets.lock().unwrap().insert(credential.to_owned(), budget);
    }

    /// Takes one request from a budget; `None` when it is spent or closed, which a client should have known.
    pub(crate) fn spend(&self, credential: &str, limit: u64) -> Option<Budget> {
        let now_s = self.now_s();
        let mut budget = self.budget(credential, limit);
        if now_s >= budget.reset_s {
            budget = Budget { left: budget.limit, reset_s: now_s + 3600, ..budget };
        }
        let open = now_s >= budget.closed_until_s && budget.left > 0;
        if open {
            budget.left -= 1;
        } else {
            self.broken(format!("{credential} asked while it was limited"));
        }
        self.set_budget(credential, budget.clone());
        open.then_some(budget)
    }

    /// Stamps an answer with the forge's own time.
    pub(crate) fn dated(&self, reply: Reply) -> Reply {
        let date = chrono::DateTime::from_timestamp(self.now_s(), 0).unwrap();
        reply.with("date", date.format("%a, %d %b %Y %H:%M:%S GMT"))
    }
}
