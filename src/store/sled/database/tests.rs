//! Rows read the same wherever they lie, and whoever writes them.

use proptest::prelude::*;

use super::*;
use crate::store::sled::digest::Digest;
use crate::store::sled::key::Table;
use crate::store::sled::mover::Mover;

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Option<u8>)>),
    Move,
    /// A move that ends in the middle, and is begun again by the next one.
    HalfAMove,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..12_u8, proptest::option::of(any::<u8>()));
    prop_oneof![
        4 => proptest::collection::vec(row, 1..6).prop_map(Step::Write),
        1 => Just(Step::Move),
        1 => Just(Step::HalfAMove),
    ]
}

fn holds(database: &Database, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let rows: Vec<Found> = model.clone().into_iter().collect();
    let back: Vec<Found> = rows.iter().cloned().rev().collect();
    assert_eq!(database.scan(&[], Some(&[12]), 100).unwrap(), rows);
    assert_eq!(database.scan_back(&[], Some(&[12]), 100).unwrap(), back);
    for key in 0..12_u8 {
        assert_eq!(database.raw(&[key]).unwrap(), model.get(&vec![key]).cloned());
        let from = database.scan(&[key], Some(&[12]), 2).unwrap();
        assert_eq!(from, rows.iter().filter(|(row, _)| row[0] >= key).take(2).cloned().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_read_the_same_wherever_they_lie(steps in proptest::collection::vec(step(), 1..40)) {
        let sled = sled::Config::new().temporary(true).open().unwrap();
        let database = Database::new(sled, 0);
        let mut mover = Mover::new(database.clone(), Digest::default());
        let (mut model, mut sequence, mut begun) = (BTreeMap::new(), 0, None);
        for step in steps {
            match step {
                Step::Write(rows) => {
                    sequence += 1;
                    let mut writes = Writes::new();
                    for (key, value) in rows {
                        writes.insert(vec![key], value.map(|value| vec![value]));
                    }
                    for (key, value) in &writes {
                        match value {
                            Some(value) => model.insert(key.clone(), value.clone()),
                            None => model.remove(key),
                        };
                    }
                    database.write(writes, sequence).unwrap();
                }
                Step::Move => prop_assert_eq!(mover.run().unwrap(), begun.take().unwrap_or(sequence)),
                Step::HalfAMove => {
                    let moving = database.begin_move();
                    begun = moving.writes().next().map(|_| moving.sequence());
                }
            }
            holds(&database, &model);
        }
        mover.run().unwrap();
        prop_assert_eq!(mover.run().unwrap(), sequence);
        prop_assert_eq!(Digest::counted(database.sled(), sequence).unwrap(), mover.digest());
        prop_assert_eq!(mover.digest().rows() as usize, model.len());
    }
}

#[test]
fn a_row_whose_move_begins_while_it_is_deleted_stays_deleted() {
    for has_ended in [false, true] {
        let sled = sled::Config::new().temporary(true).open().unwrap();
        let database = Database::new(sled, 0);
        let mut mover = Mover::new(database.clone(), Digest::default());
        let row = |value: Option<&[u8]>| Writes::from([(b"q".to_vec(), value.map(<[u8]>::to_vec))]);
        database.write(row(Some(b"due")), 1).unwrap();
        // The committer has looked, and before it writes, the mover takes the row away.
        let looked = database.look_below(&row(None)).unwrap();
        if has_ended {
            mover.run().unwrap();
        } else {
            database.begin_move();
        }
        let again = database.lay(row(None), &looked, 2).unwrap_err();
        database.write(again, 2).unwrap();
        assert_eq!(database.raw(b"q").unwrap(), None);
        mover.run().unwrap();
        mover.run().unwrap();
        assert_eq!((database.raw(b"q").unwrap(), database.sled().raw(b"q").unwrap()), (None, None));
    }
}

#[test]
fn a_decoded_record_is_what_its_row_says_whoever_writes_it() {
    let sled = sled::Config::new().temporary(true).open().unwrap();
    let database = Database::new(sled, 0);
    let mut mover = Mover::new(database.clone(), Digest::default());
    let key = Key::of(Table::Organization).text("acme");
    let row = |value: Option<&str>| {
        let value = value.map(|text| row::encode(&text).unwrap());
        Writes::from([(key.as_bytes().to_vec(), value)])
    };
    let says = || database.hot::<String>(&key, row::decode).unwrap().map(|text| text.to_string());
    for (step, text) in (1..).zip([None, Some("one"), Some("two"), None, Some("three")]) {
        database.write(row(text), step).unwrap();
        for _ in 0..2 {
            assert_eq!(says().as_deref(), text);
            assert_eq!(database.decoded::<String>(&key).map(|text| text.to_string()).as_deref(), text);
        }
        mover.run().unwrap();
        assert_eq!(says().as_deref(), text);
    }
    assert!(database.decoded::<Vec<u8>>(&key).is_none(), "it is no such record");
}

#[test]
fn a_row_that_came_and_went_before_its_move_leaves_nothing_to_move() {
    let sled = sled::Config::new().temporary(true).open().unwrap();
    let database = Database::new(sled, 0);
    let row = |value: Option<&[u8]>| Writes::from([(b"q".to_vec(), value.map(<[u8]>::to_vec))]);
    assert!(database.write(row(Some(b"due")), 1).unwrap() > 0);
    assert_eq!(database.write(row(None), 2).unwrap(), 0);
    assert_eq!(database.begin_move().writes().count(), 0);
}
