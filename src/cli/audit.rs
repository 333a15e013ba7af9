//! The audit log: shown, exported line by line, and checked here, by this program, whoever the lines came from.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};

use serde_json::{Value, json};

use super::answer::{list, moment, query};
use super::arguments::AuditCommand;
use super::client::{Client, Items, strange};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::domain::audit::{Link, Walk};
use crate::domain::change::AuditEntry;
use crate::domain::{OrganizationSlug, Timestamp};

/// Lines asked for at once.
const LINES: usize = 200;

pub(super) async fn audit(
    command: AuditCommand,
    client: &Client,
    terminal: &mut Terminal,
    now: Timestamp,
) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List { choice, list: part } => {
            let columns: &[Column] = &[
                ("AT", "at"),
                ("ORGANIZATION", "organization"),
                ("ACTOR", "actor"),
                ("ACTION", "action"),
                ("SUBJECT", "subject"),
                ("DETAIL", "detail"),
            ];
            let query = query([
                ("organization", choice.organization.map(String::from)),
                ("actor", choice.actor),
                ("action", choice.action),
                ("since", moment(choice.since.as_deref(), now)?),
                ("until", moment(choice.until.as_deref(), now)?),
            ]);
            list(client, terminal, "audit", &query, &part, columns).await
        }
        AuditCommand::Export { organization, to } => export(client, terminal, organization, &to).await,
        AuditCommand::Verify { organization, file: Some(file), json } => {
            let told = from_file(&file, organization.as_ref())?;
            tell(told, json.json, terminal)
        }
        AuditCommand::Verify { organization, file: None, json } => {
            let told = from_daemon(client, organization).await?;
            tell(told, json.json, terminal)
        }
    }
}

/// What was found of one chain.
struct Found {
    chain: String,
    lines: u64,
    hash: String,
    broken: Option<String>,
}

/// The chains that the daemon has.
async fn heads(
    client: &Client,
    organization: Option<OrganizationSlug>,
) -> Result<Vec<(Option<String>, Link)>, Failure> {
    let query = query([("organization", organization.map(String::from))]);
    let Items { items, .. } = client.list(&["audit", "chains"], &query, usize::MAX, None).await?;
    let head = |item: &Value| {
        let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = item.get("lines").and_then(Value::as_u64)?;
        Some((text("organization"), Link { number, hash: text("hash")? }))
    };
    items.iter().map(|item| head(item).ok_or_else(strange)).collect()
}

/// Hands a chain's lines on, some at a time, until there are no more or whoever takes them wants none.
async fn read_chain(
    client: &Client,
    name: Option<String>,
    mut take: impl FnMut(&[Value]) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let query = query([("organization", name)]);
    let mut cursor = None;
    let mut seen = HashSet::new();
    loop {
        let page = client.list(&["audit", "lines"], &query, LINES, cursor).await?;
        let wants_more = take(&page.items)?;
        let Some(next) = page.next_cursor.filter(|_| wants_more) else { return Ok(()) };
        // Lists that lead in a circle, or on and on with nothing in them, would be read for ever.
        if page.items.is_empty() || !seen.insert(next.clone()) {
            return Err(strange());
        }
        cursor = Some(next);
    }
}

async fn from_daemon(client: &Client, organization: Option<OrganizationSlug>) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for (name, head) in heads(client, organization).await? {
        let mut check = Check::default();
        let walk = |items: &[Value]| {
            items.iter().try_for_each(|item| check.step(item))?;
            Ok(check.broken.is_none())
        };
        read_chain(client, name.clone(), walk).await?;
        // Lines that came while the others were read are no fault of the chain.
        let told = (check.walk.number() <= head.number).then_some(&head);
        found.push(check.end(name, told));
    }
    Ok(found)
}

fn from_file(path: &std::path::Path, only: Option<&OrganizationSlug>) -> Result<Vec<Found>, Failure> {
    let unread =
        |error: std::io::Error| Failure::failed(format!("{} cannot be read: {error}", path.display()));
    let mut chains: BTreeMap<String, Check> = BTreeMap::new();
    for (number, line) in BufReader::new(std::fs::File::open(path).map_err(unread)?).lines().enumerate() {
        let wrong = || Failure::failed(format!("line {} of the file is no line of an audit log", number + 1));
        let item: Value = serde_json::from_str(&line.map_err(unread)?).map_err(|_| wrong())?;
        let name = item.get("organization").and_then(Value::as_str).unwrap_or_default().to_owned();
        if only.is_none_or(|only| only.as_str() == name) {
            chains.entry(name).or_default().step(&item).map_err(|_| wrong())?;
        }
    }
    let found = chains.into_iter().map(|(name, check)| {
        let name = (!name.is_empty()).then_some(name);
        check.end(name, None)
    });
    Ok(found.collect())
}

/// One chain, as far as it was walked.
#[derive(Default)]
struct Check {
    walk: Walk,
    hash: String,
    broken: Option<String>,
}

impl Check {
    fn step(&mut self, item: &Value) -> Result<(), Failure> {
        if self.broken.is_some() {
            return Ok(());
        }
        let entry = entry(item).ok_or_else(strange)?;
        match self.walk.step(&entry) {
            Ok(()) => self.hash = entry.link.map(|link| link.hash).unwrap_or_default(),
            Err(broken) => self.broken = Some(broken.to_string()),
        }
        Ok(())
    }

    fn end(self, name: Option<String>, head: Option<&Link>) -> Found {
        let cut = head.and_then(|head| self.walk.end(Some(head)).err()).map(|broken| broken.to_string());
        Found {
            chain: name.unwrap_or_else(|| "the operator's own".into()),
            lines: self.walk.number(),
            hash: self.hash,
            broken: self.broken.or(cut),
        }
    }
}

fn tell(found: Vec<Found>, as_json: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let is_whole = found.iter().all(|chain| chain.broken.is_none());
    if as_json {
        let chain =
            |it: &Found| json!({"chain": it.chain, "lines": it.lines, "hash": it.hash, "broken": it.broken});
        terminal.json(&json!({ "chains": found.iter().map(chain).collect::<Vec<_>>() }))?;
    } else {
        for chain in &found {
            match &chain.broken {
                Some(why) => terminal.line(&format!("{}: {why}", chain.chain))?,
                None => terminal.line(&format!("{}: {} lines, {}", chain.chain, chain.lines, chain.hash))?,
            }
        }
        if is_whole {
            terminal
                .remark("every line is as it was written; keep the hashes elsewhere to prove it later")?;
        }
    }
    Ok(if is_whole { Exit::Done } else { Exit::Store })
}

async fn export(
    client: &Client,
    terminal: &mut Terminal,
    organization: Option<OrganizationSlug>,
    to: &std::path::Path,
) -> Result<Exit, Failure> {
    let unwritten =
        |error: std::io::Error| Failure::failed(format!("{} cannot be written: {error}", to.display()));
    let file = std::fs::File::create_new(to).map_err(unwritten)?;
    let mut out = BufWriter::new(file);
    let written = write_chains(client, organization, |line| writeln!(out, "{line}").map_err(unwritten)).await;
    let lines = written.inspect_err(|_| {
        // Half a log is worse than none: it looks like a whole one.
        let _ = std::fs::remove_file(to);
    })?;
    let file = out.into_inner().map_err(|error| unwritten(error.into_error()))?;
    file.sync_all().map_err(unwritten)?;
    terminal.remark(&format!(
        "{lines} lines; check them with scm-connect audit verify --file {}",
        to.display()
    ))?;
    Ok(Exit::Done)
}

/// Writes the lines of all chains; each must come to where the daemon says that it ends.
async fn write_chains(
    client: &Client,
    organization: Option<OrganizationSlug>,
    mut write: impl FnMut(&Value) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut all: u64 = 0;
    for (name, head) in heads(client, organization).await? {
        let mut lines: u64 = 0;
        let take = |items: &[Value]| {
            lines = lines.saturating_add(items.len() as u64);
            items.iter().try_for_each(&mut write).map(|()| true)
        };
        read_chain(client, name.clone(), take).await?;
        if lines < head.number {
            let chain = name.unwrap_or_else(|| "the operator's own".into());
            return Err(Failure::failed(format!(
                "of the chain {chain} {lines} lines came, and it has {}; no file was written: audit verify says more",
                head.number
            )));
        }
        all = all.saturating_add(lines);
    }
    Ok(all)
}

/// A line as the daemon shows it, as the record that its hash covers.
fn entry(item: &Value) -> Option<AuditEntry> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(AuditEntry {
        at: Timestamp::parse_rfc3339(&text("at")?)?,
        organization: text("organization").map(|slug| OrganizationSlug::parse(&slug)).transpose().ok()?,
        actor: text("actor")?,
        action: text("action")?,
        subject: text("subject")?,
        detail: text("detail")?,
        before: text("before"),
        after: text("after"),
        why: text("why"),
        link: Some(Link { number: item.get("number").and_then(Value::as_u64)?, hash: text("hash")? }),
    })
}
