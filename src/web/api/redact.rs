//! A stored body as a person may see it: secrets and e-mail addresses out, by the names of their keys.

use base64::Engine as _;
use serde_json::Value;

use crate::domain::delivery::Encoding;

/// Bodies above this are not taken apart for a view.
const SHOWN_BYTES_MAX: usize = 4 * 1024 * 1024;
const HIDDEN: &str = "(hidden)";

/// What can be shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    /// The document without what is nobody's business.
    Json(Value),
    /// Not a document, so nothing in it can be told apart.
    Opaque(String),
    /// Not shown, and why.
    Omitted(&'static str),
}

/// Takes a body apart. `opaque`: the caller may see bytes in which nothing can be hidden.
pub(crate) fn body(bytes: &[u8], encoding: Encoding, opaque: bool) -> Shown {
    if bytes.len() > SHOWN_BYTES_MAX {
        return Shown::Omitted("too-large");
    }
    let parsed = match encoding {
        Encoding::Json => serde_json::from_slice(bytes).ok(),
        Encoding::Form => payload_field(bytes).and_then(|text| serde_json::from_str(&text).ok()),
    };
    match parsed {
        Some(mut document) => {
            hide(&mut document);
            Shown::Json(document)
        }
        None if opaque => Shown::Opaque(base64::engine::general_purpose::STANDARD.encode(bytes)),
        None => Shown::Omitted("unreadable"),
    }
}

fn payload_field(bytes: &[u8]) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(bytes);
    fields.find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned())
}

/// The reader's own limit of nesting bounds the depth of this.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                if is_secret(name) && !inner.is_null() {
                    *inner = Value::String(HIDDEN.to_owned());
                } else {
                    hide(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 9] = [
        "token",
        "secret",
        "password",
        "passwd",
        "email",
        "authorization",
        "private_key",
        "api_key",
        "credential",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    // `…_url` of a token or an e-mail is an address template of the forge, but may carry one all the same.
    PARTS.iter().any(|part| name.contains(part)) || name == "key"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_addresses_are_hidden_at_any_depth() {
        let text = br#"{"id":1,"user":{"email":"a@example.com","login":"a"},"jobs":[{"Runners_Token":"x"}],"secret":null}"#;
        let Shown::Json(shown) = body(text, Encoding::Json, false) else { panic!("not shown") };
        let shown = shown.to_string();
        assert!(!shown.contains("example.com") && !shown.contains("\"x\""), "{shown}");
        assert!(shown.contains("\"login\":\"a\"") && shown.contains("\"secret\":null"), "{shown}");
    }

    #[test]
    fn a_form_is_opened_and_then_hidden_like_json() {
        let text = b"payload=%7B%22email%22%3A%22a%40example.com%22%7D";
        let Shown::Json(shown) = body(text, Encoding::Form, false) else { panic!("not shown") };
        assert!(!shown.to_string().contains("example.com"));
    }

    #[test]
    fn bytes_without_structure_are_for_the_operator_alone() {
        assert_eq!(body(b"{\"email\":", Encoding::Json, false), Shown::Omitted("unreadable"));
        assert!(matches!(body(b"{\"email\":", Encoding::Json, true), Shown::Opaque(_)));
    }
}
