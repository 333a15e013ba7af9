//! Lists that come in pages: the server's own links are followed, at home only, and only a whole list counts as one.

use std::collections::HashSet;

use url::Url;

use super::ProviderError;
use crate::outbound::{Answer, Endpoint, Odd, header};

/// Pages of one list. The largest documented list has a thousand.
const PAGES_MAX: usize = 5_000;
/// Rows of a page, the most that both forges give.
pub(super) const PER_PAGE: u32 = 100;

/// Where the next page is, relative to the API's base. May be stored, so that a long walk goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Next(String);

impl Next {
    /// Reads the `Link` header: the one named `next`, if it leads to the same API.
    ///
    /// # Errors
    /// When it leads anywhere else.
    pub(super) fn of(answer: &Answer, endpoint: &Endpoint) -> Result<Option<Self>, ProviderError> {
        let links = answer.headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(target) = links.flat_map(links_of).find_map(|(target, rel)| rel.then_some(target)) else {
            return Ok(None);
        };
        let elsewhere = || ProviderError::Odd(answer.odd(Odd::LinkElsewhere));
        let target = answer.url.join(target).map_err(|_| elsewhere())?;
        let base = endpoint.base();
        let bare = target.username().is_empty() && target.password().is_none();
        if target.origin() != base.origin() || !bare {
            return Err(elsewhere());
        }
        let path = target.path().strip_prefix(base.path()).ok_or_else(elsewhere)?;
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Some(Self(format!("{path}{query}"))))
    }

    /// One that was kept as a text. Wherever it leads, it is followed at home only.
    pub(super) fn kept(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// To be kept.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Its address at this API.
    pub(super) fn path(&self) -> &str {
        &self.0
    }
}

/// The links of one header, each with whether it is the next page.
fn links_of(header: &str) -> impl Iterator<Item = (&str, bool)> {
    header.split(',').filter_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
            let words = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && words.split(' ').any(|word| word.eq_ignore_ascii_case("next"))
        });
        Some((target, next))
    })
}

/// The shape in which a forge sends a page.
pub(super) trait List: serde::Serialize + serde::de::DeserializeOwned {
    /// A row.
    type Item;

    /// How many rows the whole list has, where the forge says so.
    fn total(&self) -> Option<u64>;

    /// Takes the rows.
    fn into_items(self) -> Vec<Self::Item>;
}

impl<T: serde::Serialize + serde::de::DeserializeOwned> List for Vec<T> {
    type Item = T;

    fn total(&self) -> Option<u64> {
        None
    }

    fn into_items(self) -> Vec<T> {
        self
    }
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where the next one is; `None`: this was the last.
    pub next: Option<Next>,
    /// How many rows the whole list has, where the forge says so.
    pub total: Option<u64>,
}

/// A list that was read to its end. Nothing else may be compared with what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole<T> {
    items: Vec<T>,
    total: Option<u64>,
}

impl<T> Whole<T> {
    /// Its rows.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Takes its rows.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Whether the forge counts as many rows as it gave; true where it does not count.
    #[must_use]
    pub fn counts_agree(&self) -> bool {
        self.total.is_none_or(|total| usize::try_from(total).is_ok_and(|total| total == self.items.len()))
    }
}

/// A walk over the pages of a list, which ends with the whole of it or not at all.
#[derive(Debug)]
pub(super) struct Walk<T> {
    items: Vec<T>,
    seen: HashSet<Next>,
}

/// What the walk does next.
pub(super) enum Step<T> {
    Read(Next),
    Done(Whole<T>),
}

impl<T> Walk<T> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), seen: HashSet::new() }
    }

    /// Takes a page; says which one comes next. A page that was there before would come again for ever.
    pub(super) fn take(&mut self, page: Page<T>) -> Result<Step<T>, ProviderError> {
        self.items.extend(page.items);
        let Some(next) = page.next else {
            return Ok(Step::Done(Whole { items: std::mem::take(&mut self.items), total: page.total }));
        };
        if self.seen.len() >= PAGES_MAX || !self.seen.insert(next.clone()) {
            return Err(ProviderError::Endless);
        }
        Ok(Step::Read(next))
    }
}

/// Joins a path to the API's base. Each variable part must have been through [`segment`].
pub(super) fn at(endpoint: &Endpoint, path: &str) -> Result<Url, ProviderError> {
    let refused =
        || ProviderError::Refused { status: 0, why: Some("a name that cannot stand in an address") };
    let url = endpoint.base().join(path).map_err(|_| refused())?;
    // A part that climbs out of the API, or to another place, is no name of anything.
    let inside = url.origin() == endpoint.base().origin() && url.path().starts_with(endpoint.base().path());
    inside.then_some(url).ok_or_else(refused)
}

/// A name as one segment of a path: everything that is not plain is percent-encoded, slashes and dots-only names too.
pub(super) fn segment(name: &str) -> String {
    let dots_only = name.chars().all(|c| c == '.');
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
        if plain && !dots_only {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::header::{HeaderMap, HeaderValue};

    fn endpoint() -> Endpoint {
        Endpoint::typed(Url::parse("https://git.example.com/api/v3").unwrap())
    }

    fn next(links: &[&'static str]) -> Result<Option<Next>, ProviderError> {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append(header::LINK, HeaderValue::from_static(link));
        }
        let url = Url::parse("https://git.example.com/api/v3/orgs/acme/members?page=1").unwrap();
        Next::of(&Answer { status: 200, headers, body: "".into(), url }, &endpoint())
    }

    #[test]
    fn the_next_page_is_where_the_server_says() {
        for (links, path) in [
            (
                vec!["<https://git.example.com/api/v3/orgs/acme/members?page=2>; rel=\"next\""],
                Some("orgs/acme/members?page=2"),
            ),
            (
                vec![
                    "<https://git.example.com/api/v3/x?a=1>; rel=\"last\", <https://git.example.com/api/v3/x?cursor=v1_7>; rel=\"next\"",
                ],
                Some("x?cursor=v1_7"),
            ),
            (vec!["<?page=3>; title=\"a\"; REL=next"], Some("orgs/acme/members?page=3")),
            (
                vec!["<https://git.example.com/api/v3/x>; rel=\"prev\"", "</api/v3/y>; rel=\"next\""],
                Some("y"),
            ),
            (vec!["<https://git.example.com/api/v3/x>; rel=\"last\""], None),
            (vec!["garbage"], None),
            (vec![], None),
        ] {
            assert_eq!(next(&links).unwrap(), path.map(|path| Next(path.into())), "{links:?}");
        }
    }

    #[test]
    fn s22_a_next_page_elsewhere_is_refused() {
        for link in [
            "<https://evil.example.com/api/v3/x>; rel=\"next\"",
            "<http://git.example.com/api/v3/x>; rel=\"next\"",
            "<https://git.example.com:8443/api/v3/x>; rel=\"next\"",
            "<https://user@git.example.com/api/v3/x>; rel=\"next\"",
            "<https://git.example.com/other/x>; rel=\"next\"",
            "<//evil.example.com/api/v3/x>; rel=\"next\"",
            "</api/v3/../../x>; rel=\"next\"",
            "<\\\\evil.example.com/api/v3/x>; rel=\"next\"",
        ] {
            assert!(matches!(next(&[link]), Err(ProviderError::Odd(_))), "{link}");
        }
    }

    #[test]
    fn r33_a_walk_that_meets_a_page_again_is_no_list() {
        let page = |next: &str| Page { items: vec![1], next: Some(Next(next.into())), total: None };
        let mut walk = Walk::new();
        assert!(matches!(walk.take(page("a")), Ok(Step::Read(_))));
        assert!(matches!(walk.take(page("b")), Ok(Step::Read(_))));
        assert_eq!(walk.take(page("a")).err(), Some(ProviderError::Endless));
    }

    #[test]
    fn a_name_never_becomes_a_part_of_the_path() {
        for (name, encoded) in [
            ("acme", "acme"),
            ("group/sub", "group%2Fsub"),
            ("..", "%2E%2E"),
            ("a.b", "a.b"),
            ("x?admin=1#y", "x%3Fadmin%3D1%23y"),
            ("ü", "%C3%BC"),
            ("%2e", "%252e"),
        ] {
            assert_eq!(segment(name), encoded);
        }
        assert!(at(&endpoint(), "orgs/acme").is_ok());
        for path in [
            "../../x",
            "/x",
            "https://evil.example.com/",
            "//evil.example.com/",
            "orgs/%2E%2E/%2e%2e/%2e%2e/x",
        ] {
            assert!(at(&endpoint(), path).is_err(), "{path}");
        }
    }
}
