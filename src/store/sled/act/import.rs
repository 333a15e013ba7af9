//! Writing what another store held, as it was there: versions, times and places in line stay.

use serde::Serialize;

use super::super::dedupe::{self, Dedupe};
use super::super::journal::Position;
use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::record::{self, Row};
use super::{Stored, access, blocked, index, lane_key, own_lane, save, scan, unbound};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::credential::SealedCredential;
use crate::domain::delivery::DeliveryState;
use crate::domain::known::Versioned;
use crate::store::StoreError;
use crate::store::keep::{BodySeen, Fact, ImportMark, KeptDelivery};

/// The row of an unfinished import.
pub(in super::super) fn mark() -> Key {
    key::meta("import")
}

/// Whether nothing is kept that an import could meet. A setup code does not count.
pub(in super::super) fn is_empty<R: Rows>(rows: &R) -> Result<bool, StoreError> {
    let behind_meta = key::behind(Key::of(Table::Meta).as_bytes()).unwrap_or_default();
    Ok(rows.scan(&behind_meta, None, 1)?.is_empty())
}

/// Whether the import may go on to this mark from what is there.
pub(in super::super) fn check<R: Rows>(rows: &R, next: &ImportMark) -> Result<(), StoreError> {
    let refused = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
    match rows.read::<ImportMark>(&mark())? {
        None if is_empty(rows)? => Ok(()),
        None => refused("an import needs an empty store"),
        Some(before) if before.from == next.from && before.items < next.items => Ok(()),
        Some(_) => refused("the store holds another unfinished import"),
    }
}

/// Writes all of them and the mark. Each delivery comes with the place to which its bytes were copied.
pub(in super::super) fn import(
    stage: &mut Stage<'_>,
    facts: Vec<(Fact, Option<Position>)>,
    sealed: Vec<SealedCredential>,
    next: &ImportMark,
) -> Result<(), StoreError> {
    check(stage, next)?;
    if stage.read::<ImportMark>(&mark())?.is_none() {
        stage.delete(access::setup_code())?;
    }
    for (fact, position) in facts {
        place(stage, fact, position)?;
    }
    let sealed = sealed.into_iter().map(|one| Change::PutCredential(Box::new(one)));
    record::apply(stage, sealed.collect())?;
    stage.put(mark(), next)
}

fn place(stage: &mut Stage<'_>, fact: Fact, position: Option<Position>) -> Result<(), StoreError> {
    match fact {
        Fact::Organization(one) => put(stage, key::organization(&one.value.slug), &one, Vec::new(), &[]),
        Fact::Source(one) => put(stage, key::source(&one.value.key), &one, Vec::new(), &[]),
        Fact::Connection(one) => {
            let (key, indexes) = (key::connection(&one.value.key), record::connection_indexes(&one.value));
            put(stage, key, &one, indexes, one.value.key.as_str().as_bytes())
        }
        Fact::Project(one) => {
            let key = key::project(&one.value.organization, &one.value.host, one.value.external_id);
            let value = key.as_bytes().to_vec();
            put(stage, key, &one, record::project_indexes(&one.value), &value)
        }
        Fact::Member(one) => {
            let key = key::member(&one.value.organization, &one.value.host, one.value.external_id);
            let value = key.as_bytes().to_vec();
            put(stage, key, &one, record::member_indexes(&one.value), &value)
        }
        Fact::Pipeline(one) => {
            let run = &one.value;
            let key = key::run(&run.organization, &run.host, run.project, run.kind, run.external_id);
            let value = key.as_bytes().to_vec();
            put(stage, key, &one, record::run_indexes(run), &value)
        }
        Fact::CheckIn(one) => {
            let (key, indexes) = (key::check_in(&one.value.id), record::check_in_indexes(&one.value));
            put(stage, key, &one, indexes, one.value.id.as_bytes())
        }
        Fact::Scan(one) => {
            let index = key::scan_numbered(one.value.number);
            scan::keep_number(stage, one.value.number)?;
            put(stage, key::scan(&one.value.unique_id), &one, vec![index], one.value.unique_id.as_bytes())
        }
        Fact::Finding(one) => put(stage, scan::finding_key(&one.value), &one, Vec::new(), &[]),
        Fact::Token(token) => access::put_token(stage, &token),
        // It comes sealed, beside the facts.
        Fact::Credential(_) => Ok(()),
        Fact::Task(task) => super::task::save(stage, None, &task),
        Fact::SetupCode(code) => access::put_setup_code(stage, code.hash, code.expires_at),
        Fact::Audit(entry) => record::apply(stage, vec![Change::Audit(entry)]),
        Fact::Body(BodySeen { hash, first, at }) => {
            stage.mark(Key::of(Table::Body).bytes(&hash), &index::first_with(first, at));
            Ok(())
        }
        Fact::Delivery(one) => delivery(stage, *one, position),
        // It is in the log, where the indexer finds it.
        Fact::Unindexed(_) => Ok(()),
    }
}

fn put<T: Serialize + Clone>(
    stage: &mut Stage<'_>,
    key: Key,
    record: &Versioned<T>,
    indexes: Vec<Key>,
    value: &[u8],
) -> Result<(), StoreError> {
    indexes.into_iter().for_each(|key| stage.mark(key, value));
    stage.put(key, &Row { v: record.version, r: record.value.clone() })
}

fn delivery(stage: &mut Stage<'_>, kept: KeptDelivery, position: Option<Position>) -> Result<(), StoreError> {
    let in_line = kept.is_in_line();
    let KeptDelivery {
        record,
        mut attempts,
        blocks,
        aside,
        turn,
        failing_since,
        attempts_forgiven,
        fence,
        ..
    } = kept;
    let id = record.id;
    let lane = if aside { own_lane(id) } else { lane_key(record.source.as_str(), &record.lane) };
    let dedupe = Dedupe::new(&record.source, &record.hook_id, &record.external_id);
    stage.mark(dedupe.row(id), &dedupe::received(record.received_at));
    stage.mark(key::by_source(&record.source).id(id), &[]);
    let attempt = attempts.pop();
    for attempt in &attempts {
        stage.put(key::attempt(id, attempt.number), attempt)?;
    }
    if in_line {
        stage.mark(key::lane(&lane).id(id), &[]);
    }
    if let (true, Some(due)) = (in_line && turn, record.due_at) {
        stage.mark(key::queue(due, &lane), id.as_bytes());
        if blocks && !aside && record.state == DeliveryState::Waiting {
            stage.mark(blocked(&lane), &[]);
        }
    }
    if record.state == DeliveryState::Waiting && !in_line {
        stage.mark(unbound(id), &[]);
    }
    if let Some(position) = position {
        note_place(stage, position, record.received_at)?;
    }
    let position = position.unwrap_or(super::NOWHERE);
    let stored = Stored {
        record,
        position,
        fence,
        aside,
        lane_before: None,
        blocks,
        failing_since,
        attempt,
        attempts_forgiven,
    };
    save(stage, None, &stored)
}

/// The frame needs no index any more, and its file is needed as long as this delivery's bytes are.
fn note_place(stage: &mut Stage<'_>, at: Position, received_at: Timestamp) -> Result<(), StoreError> {
    let file = index::file_key(at.file);
    let newest = stage.read::<Timestamp>(&file)?.map_or(received_at, |before| before.max(received_at));
    stage.put(file, &newest)?;
    let indexed = stage.read::<u64>(&index::watermark())?.unwrap_or(0).max(at.seq);
    stage.put(index::watermark(), &indexed)
}
