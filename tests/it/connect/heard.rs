//! Deliveries that come while a story goes on: proven by the door that a source has, kept and listed.

use bytes::Bytes;
use scm_connect::domain::SourceKey;
use scm_connect::domain::delivery::{Delivery, Lane, RawDelivery};
use scm_connect::domain::organization::Forge;
use scm_connect::provider::github::hook::sign;
use scm_connect::provider::{Door, LiveSecret, Secrets};
use scm_connect::store::Indexed;

use super::bench::Bench;

impl Bench {
    /// A GitHub's hook tells something that means nothing here, signed by one of the secrets that prove what it sends.
    pub(crate) async fn hears(&self, source: &str, id: &str, secrets: &[&str], by: usize) {
        let source = SourceKey::parse(source).unwrap();
        let live = |text: &&str| LiveSecret { secret: (*text).into(), not_after: None };
        let webhook = secrets.iter().map(live).collect();
        let secrets_kept = Secrets { webhook, signing: Vec::new() };
        let door = Door::new(Forge::Github, source.clone(), secrets_kept).unwrap();
        let body = Bytes::from(format!("{{\"zen\":\"{id}\"}}"));
        let header = |name: &str, value: &str| (name.to_owned(), Bytes::from(value.to_owned()));
        let headers = vec![
            header("content-type", "application/json"),
            header("x-github-event", "star"),
            header("x-github-delivery", id),
            header("x-github-hook-id", "1"),
            header("x-hub-signature-256", &sign(&secrets[by].into(), &body)),
        ];
        let raw = RawDelivery { source, headers, body };
        let delivery = Delivery::authenticate(raw, &door, self.now()).unwrap();
        assert_eq!(usize::from(delivery.envelope().secret_slot), by);
        self.store.accept(delivery, self.now()).await.unwrap();
        let unindexed = self.store.unindexed(10).await.unwrap();
        let row = |id| Indexed {
            id,
            event: "star".into(),
            action: None,
            provider: "github".into(),
            lane: Lane { key: format!("star {id}"), blocks: false },
            ended: None,
        };
        self.store.index(unindexed.iter().map(|one| row(one.id)).collect(), self.now()).await.unwrap();
    }
}
