//! `SCM_CONNECT__SECTION__KEY`: single values of the environment laid over the file's.

use std::collections::BTreeMap;

use super::file::{Entry, Node, Origin};
use super::keys::{self, Key, Shape};
use super::problem::{Place, Problem, nearest};

/// What every override begins with. `SCM_CONNECT_TOKEN` and `SCM_CONNECT_LOG` do not, and are no config.
const PREFIX: &str = "SCM_CONNECT__";

/// Lays the overrides over the tree.
pub(super) fn overlay(
    tree: &mut BTreeMap<String, Entry>,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        match target(name) {
            Ok(path) => put(tree, &path, name, value),
            Err(problem) => problems.push(problem),
        }
    }
}

/// The path that a variable names, checked against the keys there are.
fn target(name: &str) -> Result<Vec<&'static str>, Problem> {
    let place = Place { file: "environment".into(), line: None, key: name.to_owned() };
    let words = name.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
    let words: Vec<&str> = words.split("__").collect();
    if let [section, key] = words.as_slice()
        && keys::is_master_key(section, key)
    {
        return Err(place.problem(keys::MASTER_KEY_REFUSED, None));
    }
    let mut keys = keys::ROOT;
    let mut path = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let Some(key) = keys.iter().find(|key| key.name == *word) else {
            return Err(unknown(&place, name));
        };
        path.push(key.name);
        let last = index.saturating_add(1) == words.len();
        match key.shape {
            Shape::Scalar if last => return Ok(path),
            Shape::Table(inner) if !last => keys = inner,
            Shape::Scalar => return Err(unknown(&place, name)),
            Shape::Table(inner) => return Err(refuse_whole(&place, &path, Some(inner))),
            Shape::List => return Err(refuse_whole(&place, &path, None)),
        }
    }
    Err(unknown(&place, name))
}

fn refuse_whole(place: &Place, path: &[&str], inner: Option<&'static [Key]>) -> Problem {
    let path = path.join(".");
    match inner {
        None => place.problem(
            format!("{path} is a list, and lists come from the file alone; the environment overrides single values"),
            None,
        ),
        Some(keys) => {
            let inner: Vec<&str> = keys::names(keys).collect();
            let message = format!("{path} is a table; the environment overrides single values inside it");
            place.problem(message, Some(inner.join(", ")))
        }
    }
}

fn unknown(place: &Place, name: &str) -> Problem {
    let known = variables(String::from(PREFIX), keys::ROOT);
    let message = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("there is no such setting; did you mean {near}?"),
        None => "there is no such setting".into(),
    };
    place.problem(message, Some(format!("{PREFIX}SECTION__KEY for the single values of the file")))
}

/// Every variable that means something.
fn variables(prefix: String, keys: &'static [Key]) -> Vec<String> {
    let mut all = Vec::new();
    for key in keys {
        let name = format!("{prefix}{}", key.name.to_ascii_uppercase());
        match key.shape {
            Shape::Scalar => all.push(name),
            Shape::Table(inner) => all.extend(variables(format!("{name}__"), inner)),
            Shape::List => {}
        }
    }
    all
}

fn put(tree: &mut BTreeMap<String, Entry>, path: &[&'static str], name: &str, value: &str) {
    let origin = || Origin::Environment(name.to_owned());
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        tree.insert((*key).into(), Entry { origin: origin(), node: Node::Text(value.to_owned()) });
        return;
    }
    let empty = || Entry { origin: origin(), node: Node::Table(BTreeMap::new()) };
    // A section that the file gives as anything but a table stays, so that the file's mistake is still reported.
    if let Node::Table(inner) = &mut tree.entry((*key).into()).or_insert_with(empty).node {
        put(inner, rest, name, value);
    }
}
