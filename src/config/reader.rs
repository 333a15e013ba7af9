//! Reads a table key by key: the known keys into values, the rest into problems.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;

use super::file::{Entry, Node, Origin};
use super::keys::{self, Key};
use super::problem::{Place, Problem, nearest};

/// What reading has at hand, and what it found wrong.
pub(super) struct Log {
    pub(super) file: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) problems: RefCell<Vec<Problem>>,
}

impl Log {
    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn place(&self, origin: &Origin, key: String) -> Place {
        match origin {
            Origin::Line(line) => Place { file: self.file.clone(), line: Some(*line), key },
            Origin::Environment(name) => Place { file: "environment".into(), line: None, key: name.clone() },
        }
    }
}

/// One table that is being read. Each key is taken at most once.
pub(super) struct Reader<'a> {
    pub(super) log: &'a Log,
    /// The table's own place.
    pub(super) place: Place,
    path: String,
    entries: BTreeMap<String, Entry>,
    places: BTreeMap<String, Place>,
}

/// A value that was found, with its place.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) origin: Origin,
    pub(super) node: Node,
}

impl<'a> Reader<'a> {
    /// Refuses the unknown keys and keeps the rest.
    pub(super) fn new(
        log: &'a Log,
        place: Place,
        path: String,
        mut entries: BTreeMap<String, Entry>,
        known: &'static [Key],
    ) -> Self {
        let mut reader = Self { log, place, path, entries: BTreeMap::new(), places: BTreeMap::new() };
        entries.retain(|name, entry| {
            let place = log.place(&entry.origin, reader.key(name));
            let is_known = known.iter().any(|key| key.name == name.as_str());
            if !is_known {
                log.add(unknown(&place, &reader.path, name, known));
            }
            reader.places.insert(name.clone(), place);
            is_known
        });
        reader.entries = entries;
        reader
    }

    /// A key's whole path.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where a key stands, or would stand.
    pub(super) fn place_of(&self, name: &str) -> Place {
        let absent = || Place { key: self.key(name), ..self.place.clone() };
        self.places.get(name).cloned().unwrap_or_else(absent)
    }

    /// Whether the file or the environment gives this key, taken or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Takes a key, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Found> {
        let entry = self.entries.remove(name)?;
        Some(Found { place: self.place_of(name), origin: entry.origin, node: entry.node })
    }

    /// Says that a key must be there.
    pub(super) fn missing(&self, name: &str, allowed: &str) {
        self.log.add(self.place_of(name).problem("is missing", Some(allowed.to_owned())));
    }

    /// A text, as it stands.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.parsed(name, "text that is not empty", |text| {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return Err("is empty or holds control characters".to_owned());
            }
            Ok(text.to_owned())
        })
    }

    /// A text that `parse` makes a value of.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let found = self.take(name)?;
        self.parse_found(found, allowed, parse)
    }

    /// Like [`Self::parsed`], for a key that must be there.
    pub(super) fn needed<T, E: Display>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(found) = self.take(name) else {
            self.missing(name, allowed);
            return None;
        };
        self.parse_found(found, allowed, parse)
    }

    /// Makes a value of what was taken.
    pub(super) fn parse_found<T, E: Display>(
        &self,
        found: Found,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = match found.node {
            Node::Text(text) => text,
            other => {
                let message = format!("is {}, where text is meant", other.what());
                self.log.add(found.place.problem(message, Some(allowed.to_owned())));
                return None;
            }
        };
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.log.add(found.place.problem(error.to_string(), Some(allowed.to_owned())));
                None
            }
        }
    }

    /// A whole number between two bounds.
    pub(super) fn number(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        let found = self.take(name)?;
        let from_environment = matches!(found.origin, Origin::Environment(_));
        let number = match &found.node {
            Node::Integer(digits) => digits.parse().ok(),
            Node::Text(digits) if from_environment => digits.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let allowed = if max == u64::MAX {
                format!("a whole number from {min}")
            } else {
                format!("a whole number from {min} to {max}")
            };
            self.log.add(found.place.problem("is not a number that can be used here", Some(allowed)));
        }
        number
    }

    /// Yes or no.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        let found = self.take(name)?;
        let from_environment = matches!(found.origin, Origin::Environment(_));
        let value = match &found.node {
            Node::Boolean(value) => Some(*value),
            Node::Text(word) if from_environment => word.trim().parse().ok(),
            _ => None,
        };
        if value.is_none() {
            let message = format!("is {}, where yes or no is meant", found.node.what());
            self.log.add(found.place.problem(message, Some("true or false".into())));
        }
        value
    }

    /// A list of texts that `parse` makes values of; empty when it is absent.
    pub(super) fn list<T, E: Display>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let items = self.items(name, allowed);
        items.into_iter().filter_map(|found| self.parse_found(found, allowed, &parse)).collect()
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, name: &str, known: &'static [Key]) -> Option<Reader<'a>> {
        let found = self.take(name)?;
        self.open(found, known)
    }

    /// A section: like [`Self::table`], and empty when it is absent.
    pub(super) fn section(&mut self, name: &str, known: &'static [Key]) -> Reader<'a> {
        let absent = Reader::new(self.log, self.place_of(name), self.key(name), BTreeMap::new(), known);
        self.table(name, known).unwrap_or(absent)
    }

    /// A list of tables; empty when it is absent.
    pub(super) fn tables(&mut self, name: &str, known: &'static [Key]) -> Vec<Reader<'a>> {
        let keys: Vec<&str> = keys::names(known).collect();
        let allowed = format!("tables with {}", keys.join(", "));
        let items = self.items(name, &allowed);
        items.into_iter().filter_map(|found| self.open(found, known)).collect()
    }

    fn items(&mut self, name: &str, allowed: &str) -> Vec<Found> {
        let Some(found) = self.take(name) else { return Vec::new() };
        let Node::Array(items) = found.node else {
            let message = format!("is {}, where a list is meant", found.node.what());
            self.log.add(found.place.problem(message, Some(format!("a list of {allowed}"))));
            return Vec::new();
        };
        let items = items.into_iter().enumerate().map(|(index, item)| Found {
            place: self.log.place(&item.origin, format!("{}[{index}]", self.key(name))),
            origin: item.origin,
            node: item.node,
        });
        items.collect()
    }

    fn open(&self, found: Found, known: &'static [Key]) -> Option<Reader<'a>> {
        match found.node {
            Node::Table(entries) => {
                let path = found.place.key.clone();
                Some(Reader::new(self.log, found.place, path, entries, known))
            }
            // Not what it is: it may be a secret that was written where its table belongs.
            other => {
                let keys: Vec<&str> = keys::names(known).collect();
                let message = format!("is {}, where a table is meant", other.what());
                let allowed = format!("a table with {}", keys.join(", "));
                self.log.add(found.place.problem(message, Some(allowed)));
                None
            }
        }
    }
}

fn unknown(place: &Place, section: &str, name: &str, known: &'static [Key]) -> Problem {
    if keys::is_master_key(section, name) {
        return place.problem(keys::MASTER_KEY_REFUSED, Some("keys.file".into()));
    }
    let message = match nearest(name, keys::names(known)) {
        Some(near) => format!("there is no such key; did you mean \"{near}\"?"),
        None => "there is no such key".into(),
    };
    let all: Vec<&str> = keys::names(known).collect();
    place.problem(message, Some(all.join(", ")))
}
