//! Bytes that begin as something real and are then damaged.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One damage. Places are fractions of the length that the bytes have by then, so shrinking keeps them valid.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Flip {
        at: Index,
        bit: u8,
    },
    Set {
        at: Index,
        byte: u8,
    },
    Insert {
        at: Index,
        bytes: Vec<u8>,
    },
    Repeat {
        at: Index,
        len: u8,
        times: u8,
    },
    Remove {
        at: Index,
        len: u16,
    },
    Cut {
        at: Index,
    },
    /// A piece of another seed.
    Splice {
        at: Index,
        seed: Index,
        from: Index,
        len: u16,
    },
    /// A word of the target's language.
    Word {
        at: Index,
        word: Index,
    },
}

/// A seed and what is done to it.
#[derive(Debug, Clone)]
pub(super) struct Damaged {
    pub(super) seed: Index,
    pub(super) damages: Vec<Damage>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set { at, byte }),
        (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        (at(), any::<u8>(), any::<u8>()).prop_map(|(at, len, times)| Damage::Repeat { at, len, times }),
        (at(), 1u16..600).prop_map(|(at, len)| Damage::Remove { at, len }),
        at().prop_map(|at| Damage::Cut { at }),
        (at(), at(), at(), 1u16..600).prop_map(|(at, seed, from, len)| Damage::Splice {
            at,
            seed,
            from,
            len
        }),
        (at(), at()).prop_map(|(at, word)| Damage::Word { at, word }),
    ]
}

/// Up to `most` damages, seldom none.
pub(super) fn damaged(most: usize) -> impl Strategy<Value = Damaged> {
    (any::<Index>(), vec(damage(), 0..=most)).prop_map(|(seed, damages)| Damaged { seed, damages })
}

impl Damaged {
    /// Carries it out.
    pub(super) fn bytes(&self, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = self.seed.get(seeds).clone();
        for damage in &self.damages {
            apply(damage, &mut bytes, seeds, words);
        }
        bytes
    }
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    let ends = bytes.len().saturating_add(1);
    match damage {
        Damage::Flip { at, bit } => change(bytes, at, |byte| byte ^ (1 << bit)),
        Damage::Set { at, byte } => change(bytes, at, |_| *byte),
        Damage::Insert { at, bytes: new } => insert(bytes, at.index(ends), new),
        Damage::Repeat { at, len, times } => {
            let from = at.index(ends);
            let piece: Vec<u8> = bytes.iter().skip(from).take(usize::from(*len)).copied().collect();
            insert(bytes, from, &piece.repeat(usize::from(*times)));
        }
        Damage::Remove { at, len } => {
            let from = at.index(ends);
            let to = from.saturating_add(usize::from(*len)).min(bytes.len());
            bytes.drain(from..to);
        }
        Damage::Cut { at } => bytes.truncate(at.index(ends)),
        Damage::Splice { at, seed, from, len } => {
            let other = seed.get(seeds);
            let from = from.index(other.len().saturating_add(1));
            let piece: Vec<u8> = other.iter().skip(from).take(usize::from(*len)).copied().collect();
            insert(bytes, at.index(ends), &piece);
        }
        Damage::Word { at, word } if !words.is_empty() => {
            insert(bytes, at.index(ends), word.get(words).as_bytes());
        }
        Damage::Word { .. } => {}
    }
}

fn change(bytes: &mut [u8], at: &Index, to: impl Fn(u8) -> u8) {
    let len = bytes.len();
    if len > 0
        && let Some(byte) = bytes.get_mut(at.index(len))
    {
        *byte = to(*byte);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    bytes.splice(at..at, new.iter().copied());
}

/// Recorded bodies of one forge with their event headers, none larger than 20 kB.
pub(super) fn recorded(forge: &str, map: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture").join(forge);
    let map = std::fs::read(dir.join(map)).unwrap();
    let events: std::collections::BTreeMap<String, String> = serde_json::from_slice(&map).unwrap();
    let read = |(file, event)| (event, std::fs::read(dir.join(file)).unwrap());
    let found: Vec<_> = events.into_iter().map(read).filter(|(_, body)| body.len() < 20_000).collect();
    assert!(found.len() > 30, "{} recorded bodies", found.len());
    found
}
