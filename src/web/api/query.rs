//! Query parameters: known, once, and valid; anything else is an error that names it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::LIMIT_MAX;
use crate::domain::Timestamp;
use crate::store::Page;
use crate::web::describe::Operation;
use crate::web::error::Problem;
use crate::web::refused::harmless;

const LIMIT_DEFAULT: usize = 50;
/// Bytes of what tells a cursor of ours from one that somebody made up.
const MARK_BYTES: usize = 6;
/// How a list is paged; everything else says which list it is.
const PAGING: [&str; 2] = ["limit", "cursor"];

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query {
    /// Of which route.
    of: &'static str,
    given: BTreeMap<String, String>,
}

impl Query {
    /// Of a route: it accepts the parameters by which it is described.
    pub(crate) fn of(text: &str, about: &Operation) -> Result<Self, Problem> {
        let is_known = |name: &str| about.query().any(|parameter| parameter.name == name);
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()).into_owned() {
            if !is_known(&name) {
                unknown.push(harmless(&name));
            } else if found.insert(name.clone(), value).is_some() {
                return Err(Problem::bad("repeated-parameter", format!("{name} may be given once")));
            }
        }
        unknown.truncate(10);
        if unknown.is_empty() {
            return Ok(Self { of: about.id, given: found });
        }
        Err(Problem::bad("unknown-parameter", format!("not known here: {}", unknown.join(", "))))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.given.get(name).cloned()
    }

    /// A value that has to be one of a type's words.
    pub(crate) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let value = serde_json::from_value(serde_json::Value::String(text.to_owned()));
        value.map(Some).map_err(|_| invalid(name))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.get(name).map(|text| text.parse().map_err(|_| invalid(name))).transpose()
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        Timestamp::parse_rfc3339(text).map(Some).ok_or_else(|| invalid(name))
    }

    /// Which part of the list.
    pub(crate) fn page(&self) -> Result<Page, Problem> {
        let limit = match self.get("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => text.parse().map_err(|_| limit_invalid())?,
        };
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(limit_invalid());
        }
        let Some(text) = self.get("cursor") else { return Ok(Page { limit, cursor: None }) };
        let place = text.rsplit_once('.').filter(|(place, mark)| self.mark(place) == *mark);
        let (place, _) = place.ok_or_else(|| {
            let message = "cursor is none that this list gave with these filters";
            Problem::bad("parameter-invalid", message)
                .help("begin without it, and pass next_cursor as it came")
        })?;
        Ok(Page { limit, cursor: Some(place.to_owned()) })
    }

    /// A place where a page of the store ended, as clients get it.
    pub(crate) fn cursor(&self, place: &str) -> String {
        format!("{place}.{}", self.mark(place))
    }

    /// A place means something in one list with its filters only: so a cursor that was made up, cut, or taken from another
    /// list is told from one that leads behind the end. It opens nothing, and so needs no key.
    fn mark(&self, place: &str) -> String {
        let mut hash = Sha256::new();
        let filters = self.given.iter().filter(|(name, _)| !PAGING.contains(&name.as_str()));
        let parts = filters.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        for part in [self.of, place].into_iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize().first_chunk::<MARK_BYTES>().unwrap_or(&[0; MARK_BYTES]))
    }
}

fn limit_invalid() -> Problem {
    Problem::bad("limit-invalid", format!("limit is a number from 1 to {LIMIT_MAX}"))
}

/// What is said of a parameter that has no such value.
pub(super) fn invalid(name: &str) -> Problem {
    Problem::bad("parameter-invalid", format!("{name} has a value that is not possible"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::describe::Parameter;

    const LIST: Operation = Operation::list("list", "", &[], &[Parameter::text("state", "", "")]);

    fn code(text: &str) -> &'static str {
        match Query::of(text, &LIST).and_then(|query| query.page()) {
            Ok(_) => "fine",
            Err(problem) => problem.code(),
        }
    }

    #[test]
    fn s40_what_a_list_does_not_know_is_refused_by_name() {
        assert_eq!(code("tenant=other"), "unknown-parameter");
        let problem = Query::of("limit=5&rol\u{1b}e=x", &LIST).unwrap_err().to_string();
        assert!(problem.contains("rol") && problem.is_ascii(), "{problem}");
    }

    #[test]
    fn limits_are_1_to_200() {
        let table =
            [("", "fine"), ("limit=1", "fine"), ("limit=200&state=x", "fine"), ("limit=0", "limit-invalid")];
        for (text, expected) in table {
            assert_eq!(code(text), expected, "{text}");
        }
        for text in ["limit=201", "limit=-1", "limit=ten", "limit="] {
            assert_eq!(code(text), "limit-invalid", "{text}");
        }
        assert_eq!(code("limit=5&limit=6"), "repeated-parameter");
    }

    #[test]
    fn a_cursor_is_taken_by_the_list_and_the_filters_that_gave_it_only() {
        let given = Query::of("state=x&limit=1", &LIST).unwrap().cursor("6162");
        let page = Query::of(&format!("limit=9&cursor={given}&state=x"), &LIST).unwrap().page().unwrap();
        assert_eq!((page.limit, page.cursor.as_deref()), (9, Some("6162")));
        let (place, mark) = given.split_once('.').unwrap();
        for made_up in ["", "1", "6162", ".", "6162.", &given[1..], &given[..given.len() - 1]] {
            assert_eq!(code(&format!("state=x&cursor={made_up}")), "parameter-invalid", "{made_up}");
        }
        for text in [
            format!("cursor={given}"),
            format!("state=y&cursor={given}"),
            format!("state=x&cursor={mark}.{place}"),
        ] {
            assert_eq!(code(&text), "parameter-invalid", "{text}");
        }
        const OTHER: Operation = Operation::list("other", "", &[], &[Parameter::text("state", "", "")]);
        let elsewhere = Query::of(&format!("state=x&cursor={given}"), &OTHER).unwrap();
        assert_eq!(elsewhere.page().unwrap_err().code(), "parameter-invalid");
    }
}
