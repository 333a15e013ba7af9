//! What is missing, what is told of it, and when a gap closes.

use super::*;

const fn at(s: i64) -> Timestamp {
    Timestamp::from_ms(1_780_000_000_000 + s * 1000)
}

fn attempt(number: u64, id: &str, s: i64, arrived: bool) -> Attempt {
    Attempt { number, external_id: id.into(), at: Some(at(s)), arrived, refused: false }
}

fn sifted(attempts: &[Attempt]) -> Vec<Missing> {
    let mut sieve = Sieve::default();
    attempts.iter().for_each(|one| sieve.take(one.clone()));
    sieve.missing()
}

#[test]
fn r24_a_thing_is_missing_when_none_of_its_attempts_arrived() {
    let log = [
        attempt(103, "c", 90, false),
        attempt(102, "b", 80, true),
        attempt(101, "c", 70, false),
        attempt(3, "c", 30, false),
        attempt(2, "b", 20, false),
        attempt(1, "a", 10, false),
    ];
    let missing = sifted(&log);
    let ids: Vec<_> =
        missing.iter().map(|one| (one.external_id.as_str(), one.number, one.attempts)).collect();
    assert_eq!(ids, [("a", 1, 1), ("c", 103, 3)], "the oldest first, by its newest attempt");
    assert!(missing.iter().all(|one| !one.is_lost()));
}

#[test]
fn a_thing_that_was_asked_for_three_times_in_vain_is_lost() {
    let log: Vec<_> = (101..105).rev().map(|number| attempt(number, "a", 10, false)).collect();
    assert!(sifted(&log)[0].is_lost());
}

#[test]
fn r25_what_our_own_door_refuses_is_told_and_never_lost() {
    let refused = |number| Attempt { refused: true, ..attempt(number, "a", 10, false) };
    let mut sieve = Sieve::default();
    (1..9).rev().for_each(|number| sieve.take(refused(number)));
    assert!(sieve.refuses());
    assert!(!sieve.missing()[0].is_lost());
    let mut sieve = Sieve::default();
    sieve.take(attempt(9, "b", 20, true));
    sieve.take(refused(8));
    assert!(!sieve.refuses(), "a newer one was taken: the secrets agree again");
}

#[test]
fn r24_a_gap_is_named_by_the_dark_and_counts_what_came_back() {
    let mut state = CatchUp::default();
    let dark = Some(Dark { from: at(0), until: at(1020) });
    let found = Looked { new: 41, still: 41, has_log: true, ..Looked::default() };
    let opened = state.looked(found, dark, at(1030), at(1040)).unwrap();
    assert_eq!((opened.missed, opened.recovered, opened.closed_at), (41, 0, None));
    assert_eq!(state.read_until, None, "what is missing is looked for from the same place again");
    let found = Looked { still: 1, has_log: true, ..Looked::default() };
    assert_eq!(state.looked(found, None, at(1090), at(1100)), None);
    assert_eq!(state.open_gap().unwrap().recovered, 40);
    let found = Looked { has_log: true, ..Looked::default() };
    let closed = state.looked(found, None, at(1150), at(1160)).unwrap();
    let said = closed.sentence("GitHub");
    assert_eq!(said, "not listening 2026-05-28 20:26–20:43; GitHub 41 missed, 41 recovered");
    assert_eq!(state.read_until, Some(at(1150)));
    assert_eq!(state.looked(Looked::default(), None, at(1400), at(1410)), None, "nothing to be told");
}

#[test]
fn what_is_lost_is_told_and_stands_in_nobodys_way() {
    let mut state = CatchUp::default();
    let span = Some((at(0), at(60)));
    let found = Looked { new: 3, lost: 1, still: 2, span, has_log: true, walk: None };
    state.looked(found, None, at(100), at(110));
    let found = Looked { has_log: true, ..Looked::default() };
    let closed = state.looked(found, None, at(200), at(210)).unwrap();
    assert_eq!((closed.missed, closed.recovered, closed.lost), (3, 2, 1));
    assert!(closed.sentence("GitHub").starts_with("not reached "), "{}", closed.sentence("GitHub"));
}

#[test]
fn a_look_that_was_cut_off_goes_on_and_concludes_nothing() {
    let mut state = CatchUp { read_until: Some(at(0)), ..CatchUp::default() };
    let walk = Walk { began_at: at(100), log: "app".into(), next: Some("c=2".into()), still: 0 };
    let found = Looked { new: 2, still: 0, has_log: true, walk: Some(walk.clone()), ..Looked::default() };
    state.looked(found, None, at(100), at(110));
    assert_eq!((state.read_until, state.walk.as_ref()), (Some(at(0)), Some(&walk)));
    assert_eq!(state.open_gap().unwrap().closed_at, None);
}

#[test]
fn what_is_lost_opens_no_second_gap_however_long_the_log_holds_it() {
    let mut state = CatchUp::default();
    assert_eq!(state.see("a", at(0)), Some(true));
    assert!(state.lose("a"));
    for minute in 1..120 {
        let now = at(minute * 60);
        assert!(state.meets_lost("a", now), "{minute}");
        assert!(!state.meets_lost("b", now));
        state.looked(Looked { has_log: true, ..Looked::default() }, None, now, now);
    }
    let later = at(200 * 60);
    state.looked(Looked { has_log: true, ..Looked::default() }, None, later, later);
    assert!(!state.meets_lost("a", later), "the log holds it no more");
}

#[test]
fn r41_a_clock_that_is_set_back_neither_skips_a_while_nor_waits_for_it() {
    let walk = Walk { began_at: at(9_000), log: "app".into(), next: None, still: 0 };
    let mut state = CatchUp { read_until: Some(at(9_000)), walk: Some(walk), ..CatchUp::default() };
    state.see("a", at(9_000));
    state.asked("a", at(9_000));
    state.set_back(at(60));
    assert_eq!((state.read_until, state.walk.as_ref().unwrap().began_at), (Some(at(60)), at(60)));
    assert!(!state.is_on_its_way("a", at(60)), "it was asked for at no time that there was");
    assert!(state.is_on_its_way("a", at(9_060)));
    state.set_back(at(120));
    assert_eq!(state.read_until, Some(at(60)));
}
