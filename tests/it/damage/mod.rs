//! A closed store is damaged on disk. Afterwards every answer is the one of before, or an error that says what is
//! wrong: never a wrong answer, a missing record, a hang, or a panic (reliability R9).

mod subject;
mod wound;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use scm_connect::store::Health as _;

use crate::harness::dice::Dice;
use crate::harness::is_full;
use subject::Answers;
use wound::Way;

/// Longer than any start or read takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a damaged store did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Every answer is as before.
    NoEffect,
    /// It did not start, and said why.
    Refused(String),
    /// It started; some answers are errors, the others as before, and `verify` names the damage.
    Named(String),
    /// Something is missing or another, and nobody said so.
    Silent(String),
    /// It panicked.
    Panicked(String),
    /// It did not come to an end.
    Hung,
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::NoEffect => "no effect",
            Self::Refused(_) => "refused",
            Self::Named(_) => "named",
            Self::Silent(_) => "SILENT",
            Self::Panicked(_) => "PANICKED",
            Self::Hung => "HUNG",
        }
    }

    const fn is_bad(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Panicked(_) | Self::Hung)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Opens the store, asks for everything, verifies and closes it.
fn look(dir: &Path) -> Result<(Answers, Result<Vec<String>, String>), String> {
    let runtime = runtime();
    let store = subject::reopen(dir).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let answers = subject::ask(&store).await;
        let verified = store.verify(&|_, _| {}).await.map_err(|error| error.to_string());
        store.close().await.unwrap();
        Ok((answers, verified))
    })
}

fn judge(dir: &Path, before: &Answers) -> Verdict {
    let (answers, verified) = match look(dir) {
        Ok(found) => found,
        // A sentence, not a word.
        Err(why) if why.split_whitespace().count() >= 5 => return Verdict::Refused(why),
        Err(why) => return Verdict::Silent(format!("it refused without a sentence: {why}")),
    };
    let mut errors = Vec::new();
    for (what, expected) in before {
        match (expected, answers.get(what)) {
            (expected, Some(found)) if found == expected => {}
            (_, Some(Err(error))) => errors.push(format!("{what}: {error}")),
            (_, Some(Ok(_))) => return Verdict::Silent(format!("another answer: {what}")),
            // What hangs on a list is not asked for when the list is an error.
            (_, None) if answers.get("deliveries").is_some_and(Result::is_err) => {}
            (_, None) => return Verdict::Silent(format!("no answer: {what}")),
        }
    }
    let unnamed = matches!(&verified, Ok(wrong) if wrong.is_empty());
    match errors.first() {
        Some(error) if unnamed => Verdict::Silent(format!("verify finds nothing, but {error}")),
        Some(error) => Verdict::Named(error.clone()),
        None => Verdict::NoEffect,
    }
}

/// Judges on a thread of its own, so that a hang is a verdict too.
fn judge_in_time(dir: &Path, before: &Answers) -> Verdict {
    let (send, receive) = channel();
    let (dir, before) = (dir.to_owned(), before.clone());
    std::thread::spawn(move || {
        let verdict = catch_unwind(AssertUnwindSafe(|| judge(&dir, &before)));
        let text = |panic: Box<dyn std::any::Any + Send>| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        };
        let _ = send.send(verdict.unwrap_or_else(|panic| Verdict::Panicked(text(panic))));
    });
    receive.recv_timeout(PATIENCE).unwrap_or(Verdict::Hung)
}

/// Prints how often each way met each verdict, and fails on a bad one.
fn report(counts: &BTreeMap<(Way, &str), usize>, bad: &[String]) {
    for ((way, word), count) in counts {
        println!("r09 {way:?}: {word} {count}");
    }
    assert!(bad.is_empty(), "{} of the damages were not met well:\n{}", bad.len(), bad.join("\n"));
}

fn campaign(ways: &[Way], seed: u64) {
    let mut dice = Dice::new("r09", seed);
    let original = tempfile::tempdir().unwrap();
    runtime().block_on(subject::make(original.path(), &mut dice, is_full()));
    // It only holds space, and copying it would take most of the time.
    let _ = std::fs::remove_file(original.path().join("store/reserve"));
    let before = {
        let copy = tempfile::tempdir().unwrap();
        wound::copy(original.path(), copy.path());
        let (answers, verified) = look(copy.path()).unwrap();
        assert_eq!(verified, Ok(Vec::new()));
        assert!(answers.values().all(Result::is_ok) && answers.len() > 150, "{}", answers.len());
        answers
    };
    let (mut counts, mut bad) = (BTreeMap::new(), Vec::new());
    for way in ways {
        for at in 0..way.times(is_full()) {
            let copy = tempfile::tempdir().unwrap();
            wound::copy(original.path(), copy.path());
            let done = wound::hurt(&copy.path().join("store"), *way, at, &mut dice);
            let verdict = judge_in_time(copy.path(), &before);
            *counts.entry((*way, verdict.word())).or_insert(0) += 1;
            if verdict.is_bad() {
                bad.push(format!("{done}: {verdict:?}"));
            }
        }
    }
    report(&counts, &bad);
}

#[test]
fn r09_bits_flipped_in_a_closed_store_change_no_answer_unnoticed() {
    campaign(&[Way::Flip], 901);
}

#[test]
fn r09_files_cut_short_or_gone_change_no_answer_unnoticed() {
    campaign(&[Way::Truncate, Way::Delete, Way::DeleteFolder], 902);
}

#[test]
fn r09_pages_zeroed_or_swapped_change_no_answer_unnoticed() {
    // Not every seed meets a page of the inbox log that holds a frame.
    campaign(&[Way::Zero, Way::Swap], 2);
}

/// What accepting the loss of a damaged store brought; `None` when it was refused with a sentence.
fn let_go(dir: &Path) -> Option<Vec<String>> {
    let runtime = runtime();
    let (store, key) = (dir.join("store"), dir.join("master.key"));
    let work = move || scm_connect::store::sled::accept_loss(&store, &key, subject::NOON);
    match runtime.block_on(runtime.spawn_blocking(work)).unwrap() {
        Ok(told) => Some(told),
        Err(error) if error.to_string().split_whitespace().count() >= 5 => None,
        Err(error) => panic!("it refused without a sentence: {error}"),
    }
}

/// After it, the store opens, nothing is damaged, and what was not named as lost is as before.
fn judge_rest(done: &str, dir: &Path, before: &Answers, told: &[String]) -> usize {
    let (answers, verified) =
        look(dir).unwrap_or_else(|why| panic!("{done}: it does not open: {why}, {told:?}"));
    assert_eq!(verified, Ok(Vec::new()), "{done}: {told:?}");
    let is_loss = |sentence: &&String| {
        ["have lost their bytes", "lost whole", "groups of changes", "is not known"]
            .iter()
            .any(|word| sentence.contains(word))
    };
    let named = told.iter().any(|sentence| is_loss(&sentence));
    let mut lost = 0;
    // The audit log has lines about the loss itself.
    for (what, expected) in before.iter().filter(|(what, _)| !what.starts_with("audit")) {
        let found = answers.get(what);
        if found == Some(expected) {
            continue;
        }
        assert!(named, "{done}: {what} is {found:?} instead of {expected:?}, and {told:?} does not say so");
        assert!(found.is_none_or(Result::is_ok), "{done}: {what} is still an error: {found:?}");
        lost += usize::from(what.starts_with("body"));
    }
    lost
}

#[test]
fn r09_what_cannot_be_read_is_let_go_and_everything_else_is_as_before() {
    let mut dice = Dice::new("r09", 904);
    let original = tempfile::tempdir().unwrap();
    runtime().block_on(subject::make(original.path(), &mut dice, false));
    let _ = std::fs::remove_file(original.path().join("store/reserve"));
    let before = {
        let copy = tempfile::tempdir().unwrap();
        wound::copy(original.path(), copy.path());
        look(copy.path()).unwrap().0
    };
    let mut counts: BTreeMap<(Way, &str), usize> = BTreeMap::new();
    for way in [Way::Flip, Way::Truncate, Way::Zero, Way::Delete, Way::DeleteFolder] {
        for at in 0..way.times(is_full()) {
            let copy = tempfile::tempdir().unwrap();
            wound::copy(original.path(), copy.path());
            let done = wound::hurt(&copy.path().join("store"), way, at, &mut dice);
            let Some(told) = let_go(copy.path()) else {
                *counts.entry((way, "refused")).or_default() += 1;
                assert!(!done.contains("inbox/0"), "{done}: it is refused");
                continue;
            };
            let lost = judge_rest(&done, copy.path(), &before, &told);
            assert!(way != Way::Flip || lost <= 1, "{done}: {lost} bodies are lost, {told:?}");
            let word = if told.is_empty() { "nothing to let go" } else { "let go" };
            *counts.entry((way, word)).or_default() += 1;
        }
    }
    for ((way, word), count) in &counts {
        println!("r09 {way:?}: {word} {count}");
    }
    assert!(counts.iter().any(|((_, word), count)| *word == "let go" && *count > 5), "{counts:?}");
}
