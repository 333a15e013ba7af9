//! One check-in from its request to its answer.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::id_token::{Unproven, Verifier};
use super::told::{self, Untold};
use crate::domain::access::{ProjectScope, TokenKind, TokenRecord};
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, CiCaller, ClaimedJob, JobLookup, Policy, Refused, Witness};
use crate::domain::{Clock, Timestamp, id_of};
use crate::handler::{self, Decided};
use crate::store::{Store, StoreError};

/// A record that others change at the same moment is read again so often. Thousands of first jobs at once stay below.
const TRIES_MAX: u32 = 256;

/// Makes a CI token: its text, to be shown once, and the SHA-256 to keep. `None`: the system gives no random bytes.
pub type Mint = Arc<dyn Fn() -> Option<(String, [u8; 32])> + Send + Sync>;

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
        Self { store, verifier, policy: RwLock::new(Arc::new(policy)), mint, clock }
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
                let named = caller.as_ref().map(CiCaller::organization);
                let proven = self.verifier.check(&token, named, (self.clock)()).await?;
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
        for _ in 0..TRIES_MAX {
            let now = (self.clock)();
            let known = self.store.known_to_job(&lookup).await?;
            match handler::check_in(witness, &lookup, &known, &policy, now) {
                Decided::Refuse(refused) => return Err(refused.into()),
                Decided::Again(check_in) => return self.again(*check_in, minted, now).await,
                Decided::Settle(settlement) => {
                    let check_in = settlement.check_in;
                    let mut changes = settlement.changes;
                    changes.push(Change::PutCheckIn(Box::new(check_in.clone())));
                    let token = handed(&check_in, minted.as_ref(), now);
                    changes.extend(token.iter().map(|record| Change::PutToken(Box::new(record.clone()))));
                    if self.store.apply(changes, settlement.expects).await? {
                        let until = token.map(|record| record.expires_at);
                        let token = minted.zip(until).map(|((text, _), until)| (text, until));
                        return Ok(Answered { check_in, token });
                    }
                }
            }
        }
        Err(Failed::Busy)
    }

    /// The answer of before. Of the token only the hash was kept, so there is another one, which lives no longer.
    async fn again(
        &self,
        check_in: CheckIn,
        minted: Option<(String, [u8; 32])>,
        now: Timestamp,
    ) -> Result<Answered, Failed> {
        let Some(record) = handed(&check_in, minted.as_ref(), now) else {
            return Ok(Answered { check_in, token: None });
        };
        let until = record.expires_at;
        self.store.put_token(record).await?;
        Ok(Answered { check_in, token: minted.map(|(text, _)| (text, until)) })
    }
}

/// The record of the token that goes with a check-in; `None` when there is none, or its time is over.
fn handed(check_in: &CheckIn, minted: Option<&(String, [u8; 32])>, now: Timestamp) -> Option<TokenRecord> {
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
