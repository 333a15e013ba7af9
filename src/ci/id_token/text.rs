//! A token's three parts, taken apart without believing anything in them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::Rejected;

/// A GitLab token that lists 200 groups stays below.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
const HEADER_BYTES_MAX: usize = 4 * 1024;
const NAME_BYTES_MAX: usize = 1024;

/// A JSON object in which no name stands twice: which of the two would count is decided differently by every reader.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object(BTreeMap<String, Value>);

impl Object {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text that is there.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Rejected> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(Rejected::Claim(name))
    }

    /// A text that may be absent.
    pub(super) fn maybe(&self, name: &'static str) -> Result<Option<&str>, Rejected> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Rejected::Claim(name)),
        }
    }
}

struct UniqueNames;

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which no name stands twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Object(all))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNames)
    }
}

/// A token, read but not believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    message: &'a str,
    signature: &'a str,
    key: String,
    issuer: String,
    claims: Object,
}

impl<'a> Token<'a> {
    /// Takes it apart.
    pub(super) fn read(text: &'a str) -> Result<Self, Rejected> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Rejected::Malformed("it is too long"));
        }
        let not_three = Rejected::Malformed("it has not three parts");
        let (message, signature) = text.rsplit_once('.').ok_or(not_three)?;
        let (header, claims) = message.split_once('.').ok_or(not_three)?;
        if header.is_empty() || claims.is_empty() || claims.contains('.') {
            return Err(not_three);
        }
        if header.len() > HEADER_BYTES_MAX {
            return Err(Rejected::Malformed("its header is too long"));
        }
        let key = check_header(&object(header, "its header is no JSON object")?)?;
        let claims = object(claims, "its claims are no JSON object")?;
        let issuer = claims.text("iss")?.to_owned();
        Ok(Self { message, signature, key, issuer, claims })
    }

    /// What was signed, and the signature.
    pub(super) const fn signed(&self) -> (&'a str, &'a str) {
        (self.message, self.signature)
    }

    /// The name of its key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Who claims to have signed it: to choose among those whom we know.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its claims. Nothing in them holds before the signature is checked.
    pub(super) const fn claims(&self) -> &Object {
        &self.claims
    }
}

fn object(part: &str, what: &'static str) -> Result<Object, Rejected> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejected::Malformed("it is not in base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| Rejected::Malformed(what))
}

/// The key's name. A header that brings a key along, or names a place to find one, is no header of these forges.
fn check_header(header: &Object) -> Result<String, Rejected> {
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(Rejected::Algorithm);
    }
    if ["jku", "jwk", "x5u", "x5c", "crit", "zip", "enc"].iter().any(|name| header.get(name).is_some()) {
        return Err(Rejected::Malformed("its header brings a key or a rule along"));
    }
    let is_jwt = |typ: &Value| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("jwt"));
    if header.get("typ").is_some_and(|typ| !is_jwt(typ)) {
        return Err(Rejected::Malformed("its type is not JWT"));
    }
    let key = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    if key.is_empty() || key.len() > NAME_BYTES_MAX {
        return Err(Rejected::Malformed("it names no key"));
    }
    Ok(key.to_owned())
}
