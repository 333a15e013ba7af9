//! What is known already, as far as one check-in needs it.

use super::{CheckIn, Witness};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Organization};
use crate::domain::project::{Project, claim_number};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, id_of};

/// What a check-in asks the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobLookup {
    /// The organization that a CI token names.
    pub organization: Option<OrganizationSlug>,
    /// The forge.
    pub host: Host,
    /// The account's name.
    pub login: String,
    /// The project's path.
    pub full_path: String,
    /// The proven number of the namespace.
    pub namespace: Option<u64>,
    /// The proven number of the project.
    pub project: Option<u64>,
    /// The check-in's id, if it came before.
    pub check_in: String,
    /// Names that a new connection would like.
    pub keys: Vec<ConnectionKey>,
}

impl JobLookup {
    /// What a witness's word is about.
    #[must_use]
    pub fn of(witness: &Witness, check_in: String, keys: Vec<ConnectionKey>) -> Self {
        let job = witness.job();
        let facts = witness.proven().map(|proven| proven.facts());
        Self {
            organization: witness.caller().map(|caller| caller.organization().clone()),
            host: job.host.clone(),
            login: job.login().to_owned(),
            full_path: job.full_path.clone(),
            namespace: facts.map(|facts| facts.namespace),
            project: facts.map(|facts| facts.project),
            check_in,
            keys,
        }
    }

    /// The number under which a claim about the path is recorded.
    #[must_use]
    pub fn claim(&self) -> u64 {
        claim_number(&self.full_path)
    }
}

/// Everything that a check-in may look at. Read without a lock: what is decided on it names the versions it stands on.
#[derive(Debug, Clone, Default)]
pub struct JobKnown {
    /// The organization asked for; without one, the one that holds the numbers.
    pub organization: Option<Versioned<Organization>>,
    /// Its connections at the forge: those that [`Self::numbered`] names when there are any, else all.
    pub own: Vec<Versioned<Connection>>,
    /// Who holds the namespace's number as an account, whoever's it is.
    pub by_account: Option<Connection>,
    /// Who holds the account's name, whoever's they are; claims and rejected ones hold nothing.
    pub by_login: Vec<Connection>,
    /// The connections under which projects of the same namespace number, or the project's own, are recorded with
    /// proof, whoever's they are; one of an organization at least.
    pub by_number: Vec<Connection>,
    /// The organization's project with the proven number.
    pub project: Option<Versioned<Project>>,
    /// The organization's proven project of that path, for a claim: a job with a number is found by it.
    pub at_path: Option<Versioned<Project>>,
    /// The organization's claimed project of that path.
    pub claimed: Option<Versioned<Project>>,
    /// The check-in, when it came before.
    pub before: Option<Versioned<CheckIn>>,
    /// Those of the wanted names that are taken.
    pub taken: Vec<ConnectionKey>,
}

/// The version of "who holds this account": none, or a number made of the holders' keys.
#[must_use]
pub fn holders_version<'a>(holders: impl IntoIterator<Item = &'a ConnectionKey>) -> u64 {
    let keys: Vec<&str> = holders.into_iter().map(ConnectionKey::as_str).collect();
    if keys.is_empty() {
        return 0;
    }
    // 60 bits, so that every store can hold it; never the 0 of "nobody".
    let digits = id_of(&keys);
    u64::from_str_radix(digits.get(..15).unwrap_or_default(), 16).unwrap_or_default().max(1)
}

impl JobKnown {
    /// The only organization that holds the numbers; `None` when there is none, or more than one.
    #[must_use]
    pub fn holder(&self) -> Option<OrganizationSlug> {
        let mut all = self.by_account.iter().chain(&self.by_number).map(|holder| &holder.organization);
        let first = all.next()?;
        all.all(|other| other == first).then(|| first.clone())
    }

    /// The connections to which the numbers lead, best first.
    pub fn numbered(&self) -> impl Iterator<Item = &ConnectionKey> {
        let by_account = self.by_account.iter().map(|holder| &holder.key);
        let of_project = self.project.iter().map(|project| &project.value.connection);
        by_account.chain(of_project).chain(self.by_number.iter().map(|holder| &holder.key))
    }

    /// What must still hold of the accounts when something new is made.
    #[must_use]
    pub fn holders(&self, lookup: &JobLookup) -> Vec<(RecordKey, u64)> {
        let login = RecordKey::Login(lookup.host.clone(), lookup.login.to_lowercase());
        let by_login = holders_version(self.by_login.iter().map(|holder| &holder.key));
        let number = lookup.namespace.map(|number| RecordKey::Account(lookup.host.clone(), number));
        let by_number = holders_version(self.by_account.as_ref().map(|holder| &holder.key));
        number.map(|key| (key, by_number)).into_iter().chain([(login, by_login)]).collect()
    }
}
