//! One check-in from its request to its answer.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::id_token::{Unproven, Verifier};
use super::recent::Recent;
use super::told::{self, Untold};
use crate::domain::access::{ProjectScope, TokenKind, TokenRecord};
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, CiCaller, ClaimedJob, JobKnown, JobLookup, Policy, Refused, Witness};
use crate::domain::{Clock, Timestamp, id_of};
use crate::handler::{self, Decided, Settlement};
use crate::store::{Store, StoreError};

/// A record that others change at the same moment is read again so often. Thousands of first jobs at once stay below.
const TRIES_MAX: u32 = 256;

/// Makes a CI token: its text, to be shown once, and the SHA-256 to keep. `None`: the system gives no random bytes.
pub type Mint = Arc<dyn Fn() -> Option<Minted> + Send + Sync>;

/// A token's text, and the SHA-256 of it.
type Minted = (String, [u8; 32]);

/// What a request brings.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Who holds a CI token.
    pub caller: Option<CiCaller>,
    /// The ID token.
    pub id_token: Option<String>,
    /// What the job says of itself.
    pub said: Option<Value>,
}

/// What it gets.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What came of it.
    pub check_in: CheckIn,
    /// A token for the job's own project, and its end.
    pub token: Option<(String, Timestamp)>,
}

/// Why it gets nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Neither a CI token nor an ID token.
    #[error("there is neither a CI token nor an ID token")]
    Nobody,
    /// The ID token proves nothing, or nobody can say.
    #[error("{0}")]
    Unproven(#[from] Unproven),
    /// A forge's own token stands where none belongs; names the field.
    #[error("{0} holds a forge's token")]
    Smuggled(String),
    /// What is said cannot be understood.
    #[error("{0}")]
    Untold(#[from] Untold),
    /// A rule says no.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The store cannot.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Too much happens at once to this project; try again.
    #[error("too many changes at once")]
    Busy,
}

/// Takes check-ins.
pub struct CheckIns {
    store: Arc<dyn Store>,
    verifier: Verifier,
    policy: RwLock<Arc<Policy>>,
    mint: Mint,
    clock: Clock,
    recent: Recent,
}

impl std::fmt::Debug for CheckIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckIns").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl CheckIns {
    /// With the operator's rules.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, verifier: Verifier, policy: Policy, mint: Mint, clock: Clock) -> Self {
        let recent = Recent::new();
        Self { store, verifier, policy: RwLock::new(Arc::new(policy)), mint, clock, recent }
    }

    /// Puts other rules in force.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// Checks ID tokens.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Takes one check-in.
    ///
    /// # Errors
    /// When it comes to nothing; nothing was changed then.
    pub async fn check_in(&self, asked: Asked) -> Result<Answered, Failed> {
        let said = asked.said.unwrap_or(Value::Null);
        if let Some(field) = told::smuggled(&said) {
            return Err(Failed::Smuggled(field));
        }
        let witness = match (asked.id_token, asked.caller) {
            (Some(token), caller) => {
                let proven = self.verifier.check(&token, (self.clock)()).await?;
                let named = told::job_id(&said);
                if named.is_some() && named != proven.facts().job.name {
                    return Err(Refused::TokenUsed.into());
                }
                Witness::Proven(Box::new(proven), caller)
            }
            (None, Some(caller)) => Witness::Claimed(Box::new(ClaimedJob::told(caller, told::job(&said)?))),
            (None, None) => return Err(Failed::Nobody),
        };
        self.settle(&witness).await
    }

    /// Decides and writes; decides again when somebody else was faster.
    pub async fn settle(&self, witness: &Witness) -> Result<Answered, Failed> {
        let minted = (self.mint)();
        let fresh = minted.as_ref().map(|(_, hash)| hex::encode(hash)).unwrap_or_default();
        let lookup =
            JobLookup::of(witness, handler::check_in_id(witness, &fresh), handler::wanted_keys(witness));
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner));
        let job = Job { witness, lookup: &lookup, policy: &policy, minted: minted.as_ref() };
        if let Some(known) = self.recent.find(&lookup, (self.clock)()) {
            match self.attempt(&job, &known).await {
                Ok(Some(answered)) => return Ok(answered),
                // It may be allowed since.
                Ok(None) | Err(Failed::Refused(_)) => {}
                Err(failed) => return Err(failed),
            }
        }
        for _ in 0..TRIES_MAX {
            let read_at = (self.clock)();
            let known = Arc::new(self.store.known_to_job(&lookup).await?);
            self.recent.keep(&lookup, Arc::clone(&known), read_at);
            if let Some(answered) = self.attempt(&job, &known).await? {
                return Ok(answered);
            }
        }
        Err(Failed::Busy)
    }

    /// Decides on what is known, and writes it. `None`: it does not hold any more.
    async fn attempt(&self, job: &Job<'_>, known: &JobKnown) -> Result<Option<Answered>, Failed> {
        let now = (self.clock)();
        let settlement = match handler::check_in(job.witness, job.lookup, known, job.policy, now) {
            Decided::Settle(settlement) => *settlement,
            Decided::Refuse(refused) => {
                self.recent.forget(job.lookup);
                return Err(refused.into());
            }
            Decided::Again(check_in) => return self.again(*check_in, job.minted, now).await.map(Some),
        };
        let Settlement { check_in, expects, mut changes } = settlement;
        let changes_what_is_known = !changes.is_empty();
        changes.push(Change::PutCheckIn(Box::new(check_in.clone())));
        let token = handed(&check_in, job.minted, now);
        changes.extend(token.iter().map(|record| Change::PutToken(Box::new(record.clone()))));
        let is_written = self.store.apply(changes, expects).await?;
        if changes_what_is_known || !is_written {
            self.recent.forget(job.lookup);
        }
        Ok(is_written.then(|| Answered { check_in, token: shown(job.minted, token) }))
    }

    /// The answer of before. Of the token only the hash was kept, so there is another one, which lives no longer.
    async fn again(
        &self,
        check_in: CheckIn,
        minted: Option<&Minted>,
        now: Timestamp,
    ) -> Result<Answered, Failed> {
        let token = handed(&check_in, minted, now);
        if let Some(record) = &token {
            self.store.put_token(record.clone()).await?;
        }
        Ok(Answered { check_in, token: shown(minted, token) })
    }
}

/// One check-in while it is decided.
struct Job<'a> {
    witness: &'a Witness,
    lookup: &'a JobLookup,
    policy: &'a Policy,
    minted: Option<&'a Minted>,
}

/// What the caller sees of its token.
fn shown(minted: Option<&Minted>, record: Option<TokenRecord>) -> Option<(String, Timestamp)> {
    let (text, _) = minted?;
    record.map(|record| (text.clone(), record.expires_at))
}

/// The record of the token that goes with a check-in; `None` when there is none, or its time is over.
fn handed(check_in: &CheckIn, minted: Option<&Minted>, now: Timestamp) -> Option<TokenRecord> {
    let (scope, until): &(ProjectScope, Timestamp) = check_in.token.as_ref()?;
    let hash = hex::encode(minted?.1);
    (now < *until).then(|| TokenRecord {
        id: id_of(&["ci token", &hash]),
        hash,
        kind: TokenKind::Ci,
        organization: check_in.organization.clone(),
        name: Some(format!("job of {}", check_in.full_path.chars().take(80).collect::<String>())),
        created_at: now,
        expires_at: *until,
        revoked_at: None,
        scope: Some(scope.clone()),
        member: None,
    })
}
