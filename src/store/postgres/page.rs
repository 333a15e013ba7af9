//! Where a page ended, as text that means nothing to anybody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Page, Paged};

/// The place after which the page begins; one that cannot be read is as none.
pub(super) fn after<K: DeserializeOwned>(page: &Page) -> Option<K> {
    let bytes = URL_SAFE_NO_PAD.decode(page.cursor.as_deref()?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// How many rows are read for a page: one more than it holds, to know whether there is another.
pub(super) fn rows(page: &Page) -> i64 {
    i64::try_from(page.limit).unwrap_or(i64::MAX - 1).saturating_add(1)
}

/// Cuts the row too many off, and names the place of the last one shown.
pub(super) fn cut<T, K: Serialize>(page: &Page, mut found: Vec<(K, T)>) -> Paged<T> {
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = if more { found.last().map(|(key, _)| cursor(key)) } else { None };
    Paged { items: found.into_iter().map(|(_, item)| item).collect(), next }
}

/// A place as text.
pub(super) fn cursor<K: Serialize>(place: &K) -> String {
    // Plain data of our own: writing it as JSON cannot fail.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_way_to_the_client_and_back_and_nonsense_is_the_beginning() {
        let page = Page { limit: 1, cursor: None };
        let first = cut(&page, vec![(("a".to_owned(), 1), 'x'), (("b".to_owned(), 2), 'y')]);
        assert_eq!(first.items, ['x']);
        let next = Page { limit: 1, cursor: first.next };
        assert_eq!(after::<(String, i32)>(&next), Some(("a".to_owned(), 1)));
        for nonsense in ["", "%", "AAAA", "eyJhIjoxfQ"] {
            let page = Page { limit: 1, cursor: Some(nonsense.into()) };
            assert_eq!(after::<(String, i32)>(&page), None, "{nonsense}");
        }
    }
}
