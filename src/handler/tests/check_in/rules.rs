//! What a job's check-in makes, proves, and is refused.

use super::super::{at, org};
use super::{Office, claimed, facts, job, open, proven};
use crate::domain::Host;
use crate::domain::ci::Witness;
use crate::domain::ci::{Counts, Facts, Job, JobLookup, Policy, Refused, Stranger};
use crate::domain::organization::{Forge, Kind};
use crate::domain::project::{Proof, claim_number};
use crate::handler::{Decided, check_in, check_in_id, wanted_keys};

#[test]
fn the_first_proven_job_makes_connection_and_project() {
    let mut office = Office::default();
    let made = office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    assert!(made.check_in.made_connection && made.check_in.made_project && made.check_in.token.is_some());
    let connection = office.only_connection();
    assert_eq!((connection.key.as_str(), connection.kind), ("gitlab-acme", Kind::GitlabCloud));
    assert_eq!((connection.account.external_id, connection.proof), (Some(72), Proof::Proven));
    assert_eq!(office.only_project().external_id, 20);
    assert_eq!(office.actions, ["connection.created", "project.created"]);
    let again = office.ask(&proven(Facts { token: "t2".into(), ..facts() }, Some("acme")), &open(), 3000);
    let again = again.unwrap().check_in;
    assert!(!again.made_connection && !again.made_project);
}

#[test]
fn a_token_gets_its_first_answer_again_and_another_job_gets_none() {
    let mut office = Office::default();
    let first = office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let decided = |office: &Office, witness: &Witness| {
        let lookup = JobLookup::of(witness, check_in_id(witness, ""), wanted_keys(witness));
        check_in(witness, &lookup, &office.known(&lookup), &open(), at(2000))
    };
    let again = decided(&office, &proven(facts(), Some("acme")));
    assert_eq!(again, Decided::Again(Box::new(first.check_in)));
    let mut other = facts();
    other.job.name = Some("303".to_owned());
    assert_eq!(decided(&office, &proven(other, Some("acme"))), Decided::Refuse(Refused::TokenUsed));
    let elsewhere = decided(&office, &proven(facts(), Some("other")));
    assert_eq!(elsewhere, Decided::Refuse(Refused::TokenUsed));
}

#[test]
fn s42_an_id_token_alone_counts_where_its_numbers_were_recorded_and_never_by_its_path() {
    let mut office = Office::default();
    let alone = |token: &str, project, namespace, path: &str, is_top| {
        let facts = Facts {
            token: token.into(),
            project,
            namespace,
            is_top,
            job: job(Forge::Gitlab, path),
            ..facts()
        };
        proven(facts, None)
    };
    let refused = office.ask(&alone("a", 20, 72, "acme/web", true), &open(), 1).unwrap_err();
    assert_eq!(refused, Refused::NotRecorded);
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    // The same project, and another one of the same group.
    office.ask(&alone("b", 20, 72, "acme/web", true), &open(), 2000).unwrap();
    office.ask(&alone("c", 21, 72, "acme/api", true), &open(), 3000).unwrap();
    // A subgroup nobody has heard of: its path begins like the group's.
    let refused = office.ask(&alone("d", 22, 900, "acme/team/x", false), &open(), 4000).unwrap_err();
    assert_eq!(refused, Refused::NotRecorded);
    // The same name, taken by somebody else after the group was renamed.
    let refused = office.ask(&alone("e", 23, 901, "acme/web", true), &open(), 5000).unwrap_err();
    assert_eq!(refused, Refused::NotRecorded);
    // With the CI token the subgroup is let in, and from then on its own number is known.
    let sub = Facts {
        token: "f".into(),
        project: 22,
        namespace: 900,
        is_top: false,
        job: job(Forge::Gitlab, "acme/team/x"),
        ..facts()
    };
    office.ask(&proven(sub, Some("acme")), &open(), 6000).unwrap();
    office.ask(&alone("g", 24, 900, "acme/team/y", false), &open(), 7000).unwrap();
    assert_eq!(office.connections.len(), 1);
}

#[test]
fn a_claim_becomes_proven_as_the_same_records() {
    let mut office = Office::default();
    let claim = claimed("acme", job(Forge::Gitlab, "acme/web"));
    let made = office.ask(&claim, &open(), 1).unwrap();
    assert!(made.check_in.made_connection && made.check_in.token.is_none());
    let (key, id) = (office.only_connection().key.clone(), office.only_project().id());
    assert_eq!(office.only_connection().proof, Proof::Claimed);
    assert_eq!(office.only_project().number(), None);
    let proof = office.ask(&proven(facts(), Some("acme")), &open(), 2000).unwrap();
    assert!(!proof.check_in.made_connection && !proof.check_in.made_project);
    assert_eq!((office.only_connection().key.clone(), office.only_connection().proof), (key, Proof::Proven));
    let project = office.only_project();
    assert_eq!((project.id(), project.number(), project.proof), (id, Some(20), Proof::Proven));
    assert_eq!(office.actions[2..], ["connection.proven", "project.proven"]);
}

#[test]
fn a_claim_moves_renames_and_unlocks_nothing_that_is_proven() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let connection = office.only_connection().clone();
    let project = office.only_project().clone();
    let at_path = office.ask(&claimed("acme", job(Forge::Gitlab, "ACME/Web")), &open(), 1500).unwrap();
    assert_eq!(at_path.check_in.project, project.id());
    office.ask(&claimed("acme", job(Forge::Gitlab, "acme/new")), &open(), 1600).unwrap();
    assert_eq!(office.only_connection(), &connection);
    assert_eq!(office.projects.len(), 2);
    let key = (org("acme"), project.host.clone(), 20);
    assert_eq!(office.projects[&key].value, project);
    // Another tenant may say the same; it gets its own records and no look at these.
    office.ask(&claimed("other", job(Forge::Gitlab, "acme/web")), &open(), 1700).unwrap();
    assert_eq!(office.connections.len(), 2);
    assert_eq!(office.projects[&key].value, project);
    assert!(office.projects.contains_key(&(org("other"), project.host, claim_number("acme/web"))));
}

#[test]
fn an_account_of_another_organization_is_not_taken_and_a_claim_keeps_nobody_out() {
    let mut office = Office::default();
    office.ask(&claimed("other", job(Forge::Gitlab, "acme/web")), &open(), 1).unwrap();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let token = |token: &str| Facts { token: token.into(), ..facts() };
    let taken = office.ask(&proven(token("x"), Some("other")), &open(), 2000).unwrap_err();
    assert_eq!(taken, Refused::Unavailable);
    let sub = Facts {
        project: 30,
        namespace: 73,
        is_top: false,
        job: job(Forge::Gitlab, "acme/a/b"),
        ..token("y")
    };
    // Its number is new, its path is not.
    let taken = office.ask(&proven(sub.clone(), None), &open(), 2000).unwrap_err();
    assert_eq!(taken, Refused::NotRecorded);
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    assert_eq!(office.ask(&proven(sub, Some("other")), &open(), 2000).unwrap_err(), Refused::Unavailable);
}

#[test]
fn each_rule_about_making_a_connection_holds() {
    let ask = |facts: Facts, policy: Policy| {
        Office::default().ask(&proven(facts, Some("acme")), &policy, 1000).map(drop)
    };
    let listed = |accounts: &[&str]| Policy {
        accounts: accounts.iter().map(|&account| account.to_owned()).collect(),
        ..open()
    };
    let person = Facts { is_personal: true, ..facts() };
    let fork = Facts { stranger: Some(Stranger::Fork), ..facts() };
    assert_eq!(ask(facts(), Policy::default()), Err(Refused::AutoConnectOff));
    assert_eq!(ask(facts(), listed(&["beta"])), Err(Refused::NotListed));
    assert_eq!(ask(facts(), listed(&["beta", "ACME"])), Ok(()));
    assert_eq!(ask(person.clone(), open()), Err(Refused::Personal));
    assert_eq!(ask(person, listed(&["acme"])), Ok(()));
    assert_eq!(ask(fork, open()), Err(Refused::Stranger));
    let elsewhere = Job {
        host: Host::of(&"https://git.acme.test".parse().unwrap()).unwrap(),
        ..job(Forge::Gitlab, "acme/web")
    };
    let claim = |job: Job, policy: &Policy| Office::default().ask(&claimed("acme", job), policy, 1).map(drop);
    assert_eq!(claim(elsewhere, &open()), Err(Refused::UnknownForge));
    let strict = Policy { require_proof: true, ..open() };
    assert_eq!(claim(job(Forge::Gitlab, "acme/web"), &strict), Err(Refused::ProofRequired));
}

#[test]
fn s43_a_fork_makes_no_project_and_gets_no_token() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let fork = |token: &str, project| Facts {
        token: token.into(),
        project,
        stranger: Some(Stranger::Fork),
        ..facts()
    };
    assert_eq!(
        office.ask(&proven(fork("x", 21), Some("acme")), &open(), 2000).unwrap_err(),
        Refused::Stranger
    );
    let known = office.ask(&proven(fork("y", 20), Some("acme")), &open(), 3000).unwrap();
    assert_eq!(known.check_in.token, None);
}

#[test]
fn a_rejected_account_stays_out_and_keeps_nobody_else_from_it() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    office.connections.get_mut("gitlab-acme").unwrap().value.rejected_at = Some(at(1500));
    let token = |token: &str| Facts { token: token.into(), ..facts() };
    let again = office.ask(&proven(token("x"), Some("acme")), &open(), 2000).unwrap_err();
    assert_eq!(again, Refused::Rejected);
    assert_eq!(office.ask(&proven(token("y"), None), &open(), 2000).unwrap_err(), Refused::NotRecorded);
    let other = office.ask(&proven(token("z"), Some("other")), &open(), 2000).unwrap();
    assert_ne!(other.check_in.connection.as_str(), "gitlab-acme");
}

#[test]
fn what_was_answered_before_is_refused_once_a_rule_forbids_it() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    office.ask(&claimed("acme", job(Forge::Gitlab, "acme/api")), &open(), 1000).unwrap();
    let decided = |office: &Office, witness: &Witness, policy: &Policy| {
        let lookup = JobLookup::of(witness, check_in_id(witness, ""), wanted_keys(witness));
        check_in(witness, &lookup, &office.known(&lookup), policy, at(2000))
    };
    let claim = claimed("acme", job(Forge::Gitlab, "acme/api"));
    let strict = Policy { require_proof: true, ..open() };
    assert!(matches!(decided(&office, &claim, &open()), Decided::Again(_)));
    assert_eq!(decided(&office, &claim, &strict), Decided::Refuse(Refused::ProofRequired));
    assert!(matches!(decided(&office, &proven(facts(), Some("acme")), &strict), Decided::Again(_)));
    office.connections.get_mut("gitlab-acme").unwrap().value.rejected_at = Some(at(1500));
    for witness in [proven(facts(), Some("acme")), claim] {
        assert_eq!(decided(&office, &witness, &open()), Decided::Refuse(Refused::Rejected), "{witness:?}");
    }
    assert_eq!(decided(&office, &proven(facts(), None), &open()), Decided::Refuse(Refused::NotRecorded));
}

#[test]
fn a_rejected_account_stays_out_under_another_name() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    office.connections.get_mut("gitlab-acme").unwrap().value.rejected_at = Some(at(1500));
    let renamed = Facts { token: "x".into(), project: 21, job: job(Forge::Gitlab, "acme-2/api"), ..facts() };
    assert_eq!(office.ask(&proven(renamed, Some("acme")), &open(), 2000).unwrap_err(), Refused::Rejected);
    assert_eq!(office.connections.len(), 1);
}

#[test]
fn a_token_older_than_the_last_word_renames_nothing() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let renamed = |token: &str, path: &str, issued| Facts {
        token: token.into(),
        issued_at: at(issued),
        job: job(Forge::Gitlab, path),
        ..facts()
    };
    office.ask(&proven(renamed("b", "acme/site", 3000), Some("acme")), &open(), 3000).unwrap();
    office.ask(&proven(renamed("c", "acme/web", 2000), Some("acme")), &open(), 4000).unwrap();
    let project = office.only_project();
    assert_eq!(
        (project.full_path.as_str(), &project.previous_paths[..]),
        ("acme/site", &["acme/web".to_owned()][..])
    );
}

#[test]
fn a_forge_of_another_organizations_own_proves_nothing_by_its_numbers() {
    let mut office = Office::default();
    office.ask(&proven(facts(), Some("acme")), &open(), 1000).unwrap();
    let of = |token: &str, organization: &str| Facts {
        token: token.into(),
        counts: Counts::In(vec![org(organization)]),
        ..facts()
    };
    assert_eq!(office.ask(&proven(of("x", "evil"), None), &open(), 2000).unwrap_err(), Refused::NotRecorded);
    assert!(office.ask(&proven(of("y", "acme"), None), &open(), 2000).unwrap().check_in.token.is_some());
}
