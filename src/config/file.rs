//! The TOML file as a tree that remembers where each value stands.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// No config is that long; a log or a disk image named by mistake is.
const BYTES_MAX: u64 = 4 << 20;

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line of the file.
    Line(usize),
    /// A variable of the environment.
    Environment(String),
}

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    pub(super) node: Node,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Integer(String),
    Boolean(bool),
    Float,
    Array(Vec<Entry>),
    Table(BTreeMap<String, Entry>),
}

impl Node {
    /// What it is, for a message.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Float => "a number with a fraction",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads the file's text.
pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let place = Place { file: path.display().to_string(), ..Place::default() };
    let refuse = |message: String| place.problem(message, None);
    let about =
        std::fs::metadata(path).map_err(|error| refuse(format!("the file cannot be read: {error}")))?;
    if about.len() > BYTES_MAX {
        return Err(refuse(format!("the file has {} bytes, which is no config", about.len())));
    }
    std::fs::read_to_string(path).map_err(|error| refuse(format!("the file cannot be read: {error}")))
}

/// Reads TOML. Of a syntax error only the parser's own words are shown, never the line: it may hold a secret.
pub(super) fn parse(file: &str, text: &str) -> Result<BTreeMap<String, Entry>, Problem> {
    let lines = Lines(text);
    match DeTable::parse(text) {
        Ok(root) => Ok(lines.table(root.into_inner())),
        Err(error) => {
            let line = error.span().map(|span| lines.at(span.start));
            let place = Place { file: file.to_owned(), line, key: String::new() };
            Err(place
                .problem(format!("this is no valid TOML: {}", error.message().replace('\n', ", ")), None))
        }
    }
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn at(&self, offset: usize) -> usize {
        let before = self.0.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count().saturating_add(1)
    }

    fn table(&self, table: DeTable<'_>) -> BTreeMap<String, Entry> {
        let entries = table.into_iter().map(|(key, value)| {
            let line = self.at(key.span().start);
            (key.into_inner().into_owned(), Entry { origin: Origin::Line(line), node: self.node(value) })
        });
        entries.collect()
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        match value.into_inner() {
            DeValue::String(text) => Node::Text(text.into_owned()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Node::Integer(number.to_string()),
                Err(_) => Node::Integer(number.as_str().to_owned()),
            },
            DeValue::Float(_) => Node::Float,
            DeValue::Boolean(yes) => Node::Boolean(yes),
            DeValue::Datetime(at) => Node::Text(at.to_string()),
            DeValue::Array(items) => Node::Array(
                items
                    .into_iter()
                    .map(|item| {
                        let line = self.at(item.span().start);
                        Entry { origin: Origin::Line(line), node: self.node(item) }
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Node::Table(self.table(table)),
        }
    }
}
