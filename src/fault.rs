//! Named places where a test may make the program die, stall, or be lied to.
//!
//! Code calls [`point`] at each step whose order matters. A release build compiles it to nothing; a development build
//! (`cfg(faults)`, see `build.rs`) reads `SCM_CONNECT_FAULT` once: `name=abort|stall:MS|skip|error|panic[@N][#TAG]`,
//! several separated by `,`; `@N` means at the N-th hit only, otherwise at each; `#TAG` means for this one thing only.

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The step, as always.
    Go,
    /// Leave the step out and go on as if it had been done: a disk that lies.
    Skip,
    /// Behave as if the step had failed.
    Error,
}

/// Every point: its name, and what it stands before (and what `error` means there, where that is not obvious).
pub const POINTS: &[(&str, &str)] = &[
    ("journal.before-write", "a batch is written to its log file; error: half of it, then the disk is full"),
    ("journal.after-write", "the written batch is counted as written"),
    ("journal.before-sync", "the log file is synced"),
    ("journal.after-sync", "the synced batch is counted as synced"),
    ("journal.before-seal", "the seal of the batch is written and synced"),
    ("journal.after-seal", "the batch is acknowledged"),
    ("journal.before-roll", "a new log file is created; error: the disk is full"),
    ("journal.after-roll", "the first batch is written to a new log file"),
    ("journal.before-drop", "the raised floor is written to the seal"),
    ("journal.after-floor", "the log files under the new floor are unlinked"),
    ("inbox.before-commit", "a batch of deliveries is brought to stable storage"),
    ("inbox.before-answer", "the senders of a committed batch are answered"),
    ("records.before-apply", "a logged group of writes is laid over the rows"),
    ("records.after-apply", "the callers of an applied group are answered"),
    ("indexer.before-read", "a stored delivery is read for its index; tagged with the forge's id of it"),
    ("attempt.before-read", "a claimed delivery is read to be handled; tagged with the forge's id of it"),
    ("move.after-chunk", "the next rows are moved to sled, or the last ones are counted as moved"),
    ("checkpoint.before-flush", "sled is flushed and synced"),
    ("checkpoint.before-mark", "the checkpoint is marked"),
    ("keys.before-renew", "the new master key, which is in its file, is taken into use"),
    ("keys.before-reseal", "what older keys have sealed is sealed anew"),
    ("keys.after-copy", "deliveries that were sealed anew are found at their new place"),
    ("keys.before-forget", "the older data keys are forgotten"),
    ("keys.before-clear", "the older master key leaves its file"),
];

#[cfg(not(faults))]
/// Goes on: this build has no faults.
#[inline(always)]
#[must_use]
pub const fn point(_name: &str) -> Action {
    Action::Go
}

#[cfg(not(faults))]
/// Goes on: this build has no faults.
#[inline(always)]
#[must_use]
pub const fn point_for(_name: &str, _tag: &str) -> Action {
    Action::Go
}

#[cfg(all(faults, test))]
pub(crate) use planted::arm;
#[cfg(faults)]
pub use planted::{point, point_for};

#[cfg(faults)]
mod planted {
    //! The development build's half.

    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::{Action, POINTS};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Deed {
        Abort,
        Stall(Duration),
        Skip,
        Error,
        Panic,
    }

    /// One planted fault.
    #[derive(Debug)]
    struct Rule {
        name: String,
        deed: Deed,
        only_at: Option<u64>,
        only_for: Option<String>,
        hits: AtomicU64,
    }

    fn parse(spec: &str) -> Option<Vec<Rule>> {
        spec.split(',').filter(|part| !part.is_empty()).map(parse_rule).collect()
    }

    fn parse_rule(part: &str) -> Option<Rule> {
        let (part, only_for) = match part.split_once('#') {
            Some((part, tag)) => (part, Some(tag.to_owned())),
            None => (part, None),
        };
        let (name, deed) = part.split_once('=')?;
        let (deed, only_at) = match deed.split_once('@') {
            Some((deed, at)) => (deed, Some(at.parse().ok()?)),
            None => (deed, None),
        };
        let deed = match deed.split_once(':') {
            Some(("stall", ms)) => Deed::Stall(Duration::from_millis(ms.parse().ok()?)),
            Some(_) => return None,
            None => match deed {
                "abort" => Deed::Abort,
                "skip" => Deed::Skip,
                "error" => Deed::Error,
                "panic" => Deed::Panic,
                _ => return None,
            },
        };
        known(name).then(|| Rule { name: name.to_owned(), deed, only_at, only_for, hits: AtomicU64::new(0) })
    }

    fn known(name: &str) -> bool {
        POINTS.iter().any(|(known, _)| *known == name)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a planted fault is no setting: config.rs must not know of it"
    )]
    fn from_environment() -> &'static [Rule] {
        static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
        RULES.get_or_init(|| {
            let spec = std::env::var("SCM_CONNECT_FAULT").unwrap_or_default();
            let rules = parse(&spec);
            // A misspelt fault would plant nothing, and the test that asked for it would pass.
            assert!(rules.is_some(), "SCM_CONNECT_FAULT is not understood: {spec}");
            rules.unwrap_or_default()
        })
    }

    /// What a planted fault wants here.
    ///
    /// # Panics
    /// When the name is not listed in [`POINTS`], or a planted fault says so.
    #[must_use]
    pub fn point(name: &str) -> Action {
        point_for(name, "")
    }

    /// What a planted fault wants here, for what is named by `tag`.
    ///
    /// # Panics
    /// As [`point`].
    #[must_use]
    pub fn point_for(name: &str, tag: &str) -> Action {
        assert!(known(name), "fault point {name} is not listed in POINTS");
        #[cfg(test)]
        if let Some(deed) = armed_deed(name, tag) {
            return act(name, deed);
        }
        due(from_environment(), name, tag).map_or(Action::Go, |deed| act(name, deed))
    }

    fn due(rules: &[Rule], name: &str, tag: &str) -> Option<Deed> {
        let meant = |rule: &&Rule| rule.name == name && rule.only_for.as_ref().is_none_or(|only| only == tag);
        rules.iter().filter(meant).find_map(|rule| {
            let hit = rule.hits.fetch_add(1, Ordering::Relaxed) + 1;
            rule.only_at.is_none_or(|at| at == hit).then_some(rule.deed)
        })
    }

    #[expect(clippy::panic, reason = "a planted panic is what was asked for")]
    fn act(name: &str, deed: Deed) -> Action {
        match deed {
            Deed::Abort => std::process::abort(),
            Deed::Stall(time) => {
                std::thread::sleep(time);
                Action::Go
            }
            Deed::Skip => Action::Skip,
            Deed::Error => Action::Error,
            Deed::Panic => panic!("planted panic at {name}"),
        }
    }

    #[cfg(test)]
    thread_local! {
        static ARMED: std::cell::RefCell<Vec<Rule>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[cfg(test)]
    fn armed_deed(name: &str, tag: &str) -> Option<Deed> {
        ARMED.with_borrow(|rules| due(rules, name, tag))
    }

    /// Faults planted for this thread; taken away when dropped.
    #[cfg(test)]
    #[derive(Debug)]
    #[must_use]
    pub(crate) struct Armed(());

    #[cfg(test)]
    impl Drop for Armed {
        fn drop(&mut self) {
            ARMED.with_borrow_mut(Vec::clear);
        }
    }

    /// Plants faults for this thread only, as unit tests share one process and cannot set its environment.
    #[cfg(test)]
    pub(crate) fn arm(spec: &str) -> Armed {
        let rules = parse(spec).unwrap_or_else(|| panic!("not understood: {spec}"));
        ARMED.with_borrow_mut(|armed| *armed = rules);
        Armed(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_spec_names_points_deeds_and_hits() {
            let rules = parse("journal.before-sync=stall:20@3,journal.before-seal=abort").unwrap();
            assert_eq!(rules.len(), 2);
            assert_eq!(rules[0].deed, Deed::Stall(Duration::from_millis(20)));
            assert_eq!(rules[0].only_at, Some(3));
            assert_eq!((rules[1].deed, rules[1].only_at), (Deed::Abort, None));
            for wrong in [
                "journal.before-sync",
                "nowhere=abort",
                "journal.before-sync=kill",
                "journal.before-sync=skip@x",
            ] {
                assert!(parse(wrong).is_none(), "{wrong}");
            }
        }

        #[test]
        fn a_fault_at_the_second_hit_strikes_once() {
            let _armed = arm("journal.before-sync=skip@2");
            let seen: Vec<_> = (0..3).map(|_| point("journal.before-sync")).collect();
            assert_eq!(seen, [Action::Go, Action::Skip, Action::Go]);
        }

        #[test]
        fn a_fault_for_one_thing_leaves_the_others_alone() {
            let _armed = arm("indexer.before-read=skip#poison");
            let seen: Vec<_> = ["a", "poison", "b"].map(|tag| point_for("indexer.before-read", tag)).into();
            assert_eq!(seen, [Action::Go, Action::Skip, Action::Go]);
            assert_eq!(point("indexer.before-read"), Action::Go);
        }

        #[test]
        #[should_panic(expected = "not listed")]
        fn an_unlisted_point_is_refused() {
            let _action = point("nowhere");
        }

        #[test]
        fn r03_each_listed_point_stands_somewhere_in_the_code() {
            let mut source = String::new();
            let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if !path.ends_with("fault.rs") {
                        source.push_str(&std::fs::read_to_string(&path).unwrap());
                    }
                }
            }
            for (name, _) in POINTS {
                let calls = [format!("fault::point(\"{name}\")"), format!("fault::point_for(\"{name}\"")];
                assert!(calls.iter().any(|call| source.contains(call)), "no code passes {name}");
            }
        }
    }
}
