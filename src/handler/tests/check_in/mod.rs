//! Jobs that check in, and records of two organizations, kept as a store keeps them.

mod rules;

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::{at, org};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::Change;
use crate::domain::ci::{
    CheckIn, CiCaller, ClaimedJob, Counts, Facts, Job, JobKnown, JobLookup, Policy, ProveJob, ProvenJob,
    Refused, Witness,
};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Forge, Organization};
use crate::domain::project::Project;
use crate::domain::{Host, OrganizationSlug, Timestamp};
use crate::handler::{Decided, Settlement, check_in, check_in_id, wanted_keys};

/// A token that proves what a test says.
struct Says(Facts);

impl ProveJob for Says {
    type Rejected = Infallible;

    fn prove(&self, _now: Timestamp) -> Result<Facts, Infallible> {
        Ok(self.0.clone())
    }
}

pub(super) fn job(forge: Forge, path: &str) -> Job {
    let url = match forge {
        Forge::Github => url::Url::parse("https://github.com").unwrap(),
        Forge::Gitlab => url::Url::parse("https://gitlab.com").unwrap(),
    };
    Job {
        forge,
        host: Host::of(&url).unwrap(),
        url,
        full_path: path.to_owned(),
        name: Some("302".to_owned()),
        event: Some("push".to_owned()),
        git_ref: Some("main".to_owned()),
        sha: None,
        change: None,
    }
}

/// Project 20 `acme/web` in the group 72, from the job 302.
pub(super) fn facts() -> Facts {
    Facts {
        job: job(Forge::Gitlab, "acme/web"),
        project: 20,
        namespace: 72,
        is_top: true,
        is_personal: false,
        stranger: None,
        issuer: "https://gitlab.com".to_owned(),
        counts: Counts::Everywhere,
        token: "t1".to_owned(),
        subject: "project_path:acme/web".to_owned(),
        issued_at: at(1000),
        expires_at: at(5000),
    }
}

fn caller(organization: &str) -> CiCaller {
    let token = TokenRecord {
        id: format!("ci-{organization}"),
        hash: String::new(),
        kind: TokenKind::Ci,
        organization: org(organization),
        name: None,
        created_at: at(0),
        expires_at: at(1_000_000),
        revoked_at: None,
        scope: None,
        member: None,
    };
    CiCaller::of(&token, at(1)).unwrap()
}

pub(super) fn proven(facts: Facts, by: Option<&str>) -> Witness {
    let token = ProvenJob::check(&Says(facts), at(1000)).unwrap();
    Witness::Proven(Box::new(token), by.map(caller))
}

pub(super) fn claimed(by: &str, job: Job) -> Witness {
    Witness::Claimed(Box::new(ClaimedJob::told(caller(by), job)))
}

pub(super) fn open() -> Policy {
    Policy { auto_connect: true, ..Policy::default() }
}

/// Records of two organizations, kept as a store keeps them.
#[derive(Default)]
pub(super) struct Office {
    pub(super) connections: BTreeMap<String, Versioned<Connection>>,
    pub(super) projects: BTreeMap<(OrganizationSlug, Host, u64), Versioned<Project>>,
    check_ins: BTreeMap<String, CheckIn>,
    pub(super) actions: Vec<String>,
}

impl Office {
    pub(super) fn known(&self, lookup: &JobLookup) -> JobKnown {
        let all = || self.connections.values().filter(|found| found.value.host == lookup.host);
        let holds = |found: &&Versioned<Connection>| found.value.holds();
        let by_account = all()
            .filter(holds)
            .find(|found| lookup.namespace.is_some() && found.value.account.external_id == lookup.namespace);
        let same =
            |found: &&Versioned<Connection>| found.value.account.login.eq_ignore_ascii_case(&lookup.login);
        let numbered = self.projects.values().filter(|found| {
            let project = &found.value;
            let own = lookup.project.is_some() && project.number() == lookup.project;
            own || lookup.namespace.is_some() && project.namespace == lookup.namespace
        });
        let by_number: Vec<Connection> = numbered
            .filter_map(|found| self.connections.get(found.value.connection.as_str()))
            .filter(holds)
            .map(|found| found.value.clone())
            .collect();
        let by_account = by_account.map(|found| found.value.clone());
        let holder = by_account.iter().chain(&by_number).map(|found| found.organization.clone()).next();
        let slug = lookup.organization.clone().or(holder);
        let own = |id: u64| {
            let key = (slug.clone()?, lookup.host.clone(), id);
            self.projects.get(&key).cloned()
        };
        let is_at = |project: &Project| {
            Some(&project.organization) == slug.as_ref()
                && project.full_path.eq_ignore_ascii_case(&lookup.full_path)
                && project.number().is_some()
        };
        JobKnown {
            organization: slug.as_ref().map(|slug| Versioned { version: 1, value: organization(slug) }),
            own: all().filter(|found| Some(&found.value.organization) == slug.as_ref()).cloned().collect(),
            by_account,
            by_login: all().filter(holds).filter(same).map(|found| found.value.clone()).collect(),
            by_number,
            project: lookup.project.and_then(own),
            at_path: self.projects.values().find(|found| is_at(&found.value)).cloned(),
            claimed: own(lookup.claim()),
            before: self
                .check_ins
                .get(&lookup.check_in)
                .map(|it| Versioned { version: 1, value: it.clone() }),
            taken: lookup
                .keys
                .iter()
                .filter(|key| self.connections.contains_key(key.as_str()))
                .cloned()
                .collect(),
        }
    }

    pub(super) fn ask(
        &mut self,
        witness: &Witness,
        policy: &Policy,
        now: i64,
    ) -> Result<Settlement, Refused> {
        let lookup = JobLookup::of(witness, check_in_id(witness, "fresh"), wanted_keys(witness));
        match check_in(witness, &lookup, &self.known(&lookup), policy, at(now)) {
            Decided::Refuse(refused) => Err(refused),
            Decided::Again(_) => panic!("an answer of before"),
            Decided::Settle(settlement) => {
                self.keep(&settlement);
                Ok(*settlement)
            }
        }
    }

    fn keep(&mut self, settlement: &Settlement) {
        for change in settlement.changes.clone() {
            match change {
                Change::PutConnection(new) => {
                    let expected = RecordKey::Connection(new.key.clone());
                    assert!(settlement.expects.iter().any(|(key, _)| *key == expected));
                    let version = self.connections.get(new.key.as_str()).map_or(0, |old| old.version) + 1;
                    self.connections.insert(new.key.to_string(), Versioned { version, value: *new });
                }
                Change::PutProject(new) => {
                    let key = (new.organization.clone(), new.host.clone(), new.external_id);
                    let version = self.projects.get(&key).map_or(0, |old| old.version) + 1;
                    self.projects.insert(key, Versioned { version, value: *new });
                }
                Change::DropProject(of, host, id) => drop(self.projects.remove(&(of, host, id))),
                Change::Audit(entry) => self.actions.push(entry.action),
                other => panic!("{other:?}"),
            }
        }
        let check_in = settlement.check_in.clone();
        self.check_ins.insert(check_in.id.clone(), check_in);
    }

    pub(super) fn only_connection(&self) -> &Connection {
        assert_eq!(self.connections.len(), 1);
        &self.connections.values().next().unwrap().value
    }

    pub(super) fn only_project(&self) -> &Project {
        assert_eq!(self.projects.len(), 1);
        &self.projects.values().next().unwrap().value
    }
}

fn organization(slug: &OrganizationSlug) -> Organization {
    Organization {
        slug: slug.clone(),
        name: String::new(),
        home: None,
        authority: None,
        created_by: String::new(),
        created_at: at(0),
        members: Default::default(),
        break_glass: None,
    }
}
