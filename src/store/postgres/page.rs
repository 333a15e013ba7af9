//! Where a page ended, as text that means nothing to anybody else; and pages of what is not picked by the database.

use std::future::Future;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::list::SEEN_MAX;
use crate::store::{Page, Paged, StoreError};

/// Rows read at once when those before held too little of what is wanted.
const STEP: i64 = 256;

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

/// A page of what is wanted out of rows that come in the order of their keys: `read` gives so many behind a key. What is
/// picked here, by the record itself, needs no column and no index of its own; and no statement looks far for it.
pub(super) async fn sift<T, K, Read>(
    page: &Page,
    wants: impl Fn(&T) -> bool,
    read: impl Fn(Option<K>, i64) -> Read,
) -> Result<Paged<T>, StoreError>
where
    K: Serialize + DeserializeOwned + Clone,
    Read: Future<Output = Result<Vec<(K, T)>, StoreError>>,
{
    let (mut place, mut step) = (after::<K>(page), rows(page));
    let (mut items, mut seen) = (Vec::new(), 0_usize);
    loop {
        let found = read(place.clone(), step).await?;
        let is_end = found.len() < usize::try_from(step).unwrap_or(usize::MAX);
        for (key, item) in found {
            if items.len() >= page.limit || seen >= SEEN_MAX.max(page.limit) {
                return Ok(Paged { items, next: place.as_ref().map(cursor) });
            }
            seen = seen.saturating_add(1);
            place = Some(key);
            items.extend(Some(item).filter(&wants));
        }
        if is_end {
            return Ok(Paged { items, next: None });
        }
        step = STEP;
    }
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

    #[tokio::test]
    async fn a_sifted_list_is_whole_and_no_page_looks_at_too_many_rows() {
        let read = async |place: Option<usize>, limit: i64| -> Result<Vec<(usize, usize)>, StoreError> {
            let from = place.map_or(0, |place| place + 1);
            Ok((from..12_000).take(limit as usize).map(|number| (number, number)).collect())
        };
        let mut page = Page { limit: 3, cursor: None };
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            let paged = sift(&page, |number| number % 4_000 == 1, read).await.unwrap();
            all.extend(paged.items);
            pages += 1;
            page.cursor = paged.next;
            if page.cursor.is_none() {
                break;
            }
        }
        assert_eq!((all, pages), (vec![1, 4_001, 8_001], 3));
        let one = sift(&Page { limit: 2, cursor: None }, |_| true, read).await.unwrap();
        assert_eq!(one.items, [0, 1]);
        assert_eq!(after::<usize>(&Page { limit: 2, cursor: one.next }), Some(1));
    }
}
