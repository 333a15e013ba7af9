//! Query parameters: known, once, and valid; anything else is an error that names it.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::LIMIT_MAX;
use crate::domain::Timestamp;
use crate::store::Page;
use crate::web::describe::Operation;
use crate::web::error::Problem;
use crate::web::refused::harmless;

const LIMIT_DEFAULT: usize = 50;
/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    /// Of a route: it accepts the parameters by which it is described.
    pub(crate) fn of(text: &str, about: &Operation) -> Result<Self, Problem> {
        let is_known = |name: &str| about.query().any(|parameter| parameter.name == name);
        let mut found = HashMap::new();
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
            return Ok(Self(found));
        }
        Err(Problem::bad("unknown-parameter", format!("not known here: {}", unknown.join(", "))))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A value that has to be one of a type's words.
    pub(crate) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let value = serde_json::from_value(serde_json::Value::String(text.to_owned()));
        value.map(Some).map_err(|_| invalid(name))
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
        let cursor = self.owned("cursor");
        let sane = cursor.as_ref().is_none_or(|text| !text.is_empty() && text.len() <= 1024);
        if sane { Ok(Page { limit, cursor }) } else { Err(invalid("cursor")) }
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
}
