//! How long the difference between a roster and the recorded members takes: `cargo run --release --example roster`.

use std::error::Error;
use std::time::Instant;

use scm_connect::domain::organization::{Member, MemberState, Role};
use scm_connect::domain::roster::{
    List, Listed, MemberRules, PageRead, Reading, Roster, Rows, Standing, plan,
};
use scm_connect::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};

const PEOPLE: u64 = 100_000;
const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);

/// Of three people one has left, one has joined, and one stays: every seventh of these as something else.
fn roster() -> Result<Roster, Box<dyn Error>> {
    let mut reading = Reading::begin(1, &[List::Members], NOON);
    let mut kept = Vec::new();
    let pages = PEOPLE / 100;
    for number in 0..pages {
        let ids = (number * 100..(number + 1) * 100).map(|at| at * 3 / 2);
        let rows: Vec<Listed> =
            ids.map(|id| Listed { id, login: format!("person-{id}"), standing: Standing::Member }).collect();
        let next = (number + 1 < pages).then(|| format!("members?page={}", number + 2));
        kept.extend(reading.take(PageRead { rows: Rows::People(rows), given: 100, next, total: None })?);
    }
    Ok(Roster::of(&reading, kept)?)
}

fn member(id: u64) -> Result<Member, Box<dyn Error>> {
    Ok(Member {
        organization: OrganizationSlug::parse("acme")?,
        host: Host::of(&url::Url::parse("https://github.com")?)?,
        external_id: id,
        login: format!("person-{id}"),
        previous_logins: Vec::new(),
        role: Some(if id.is_multiple_of(7) { Role::Admin } else { Role::Member }),
        role_source: "forge".into(),
        state: MemberState::Active,
        source: ConnectionKey::parse("acme-github")?,
        seen_at: None,
        last_confirmed_at: Some(NOON),
        removed_at: None,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let roster = roster()?;
    let members = (0..PEOPLE).map(|at| member(at * 3 / 2 + 1)).collect::<Result<Vec<_>, _>>()?;
    let rules = MemberRules::default();
    let mut times = Vec::new();
    let mut steps = 0;
    for _ in 0..21 {
        let began = Instant::now();
        steps = plan(&roster, &members, &rules, NOON).steps.len();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let line = format!(
        "{PEOPLE} x {PEOPLE}: {steps} steps, median {:?}, longest {:?}\n",
        times.get(10),
        times.last()
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}
