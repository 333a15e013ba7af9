//! S41: the keys of issuers are fetched from themselves, kept, changed, and never at a sender's whim.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use scm_connect::ci::id_token::Issuer;
use scm_connect::ci::keys::{Issuers, Keys, NoKey};
use scm_connect::domain::Timestamp;
use scm_connect::domain::organization::Forge;
use scm_connect::outbound::{Limits, Outbound, Rules};
use serde_json::{Value, json};
use url::Url;

use crate::forge::{Answers, Asked, Reply, serve};

const MODULUS: &str = include_str!("../../fixture/keys/rfc7515-a2.modulus");

/// An issuer whose keys and words can be changed.
#[derive(Debug)]
struct Fake {
    url: OnceLock<Url>,
    keys: Mutex<Vec<Value>>,
    /// What it says of itself, where that is not the truth.
    lies: Mutex<Value>,
    down: Mutex<bool>,
    fetches: AtomicU32,
}

fn key(name: &str) -> Value {
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "e": "AQAB", "n": MODULUS.trim()})
}

impl Fake {
    fn begin(keys: Vec<Value>) -> Arc<Self> {
        let fake = Arc::new(Self {
            url: OnceLock::new(),
            keys: Mutex::new(keys),
            lies: Mutex::new(json!({})),
            down: Mutex::new(false),
            fetches: AtomicU32::new(0),
        });
        fake.url.set(serve(Arc::clone(&fake) as Arc<dyn Answers>)).unwrap();
        fake
    }

    fn name(&self) -> String {
        self.url.get().unwrap().as_str().trim_end_matches('/').to_owned()
    }

    fn fetches(&self) -> u32 {
        self.fetches.load(Ordering::SeqCst)
    }

    fn keys(&self) -> Keys {
        let outbound = Outbound::new(Rules {
            plain_http: true,
            private: vec!["127.0.0.0/8".parse().unwrap()],
            limits: Limits::default(),
            clock: Arc::new(|| Timestamp::from_ms(1_780_272_000_000)),
        });
        let issuer = Issuer { name: self.name(), forge: Forge::Gitlab, es256: false };
        let endpoint = outbound.declared(self.url.get().unwrap().clone(), None, None, &[]);
        Keys::of(&outbound, issuer, endpoint, None).unwrap()
    }
}

impl Answers for Fake {
    fn answer(&self, asked: &Asked) -> Reply {
        if *self.down.lock().unwrap() {
            return Reply::empty(503);
        }
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                let mut told = json!({"issuer": self.name(), "jwks_uri": format!("{}/oauth/discovery/keys", self.name())});
                for (name, lie) in self.lies.lock().unwrap().as_object().unwrap() {
                    told[name] = lie.clone();
                }
                Reply::json(200, &told)
            }
            "/oauth/discovery/keys" => {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                Reply::json(200, &json!({"keys": *self.keys.lock().unwrap()}))
            }
            _ => Reply::empty(404),
        }
    }

    fn begin(&self, _: &Asked) {}

    fn end(&self, _: &Asked) {}

    fn latency_ms(&self) -> u64 {
        0
    }
}

async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn s41_a_flood_of_made_up_key_names_fetches_once_a_minute() {
    let fake = Fake::begin(vec![key("one")]);
    let keys = Arc::new(fake.keys());
    let names: Vec<String> = (0..1000).map(|number| format!("made-up-{number}")).collect();
    let asked = names.iter().map(|name| keys.key(name));
    for ended in futures_util::future::join_all(asked).await {
        assert_eq!(ended.err(), Some(NoKey::Unknown));
    }
    assert!(keys.key("one").await.is_ok());
    assert_eq!(fake.fetches(), 1);
    pass(61).await;
    assert!(keys.key("made-up-again").await.is_err());
    assert!(keys.key("and-again").await.is_err());
    assert_eq!(fake.fetches(), 2);
}

#[tokio::test]
async fn s41_a_new_key_is_found_within_a_minute_and_an_old_one_goes() {
    let fake = Fake::begin(vec![key("one")]);
    let keys = fake.keys();
    assert!(keys.key("one").await.is_ok());
    *fake.keys.lock().unwrap() = vec![key("two")];
    assert!(keys.key("two").await.is_err());
    pass(61).await;
    assert!(keys.key("two").await.is_ok());
    assert_eq!(keys.key("one").await.err(), Some(NoKey::Unknown));
}

#[tokio::test]
async fn s41_an_issuer_that_is_away_is_believed_for_a_day_and_no_longer() {
    let fake = Fake::begin(vec![key("one")]);
    let keys = fake.keys();
    assert!(keys.key("one").await.is_ok());
    *fake.down.lock().unwrap() = true;
    pass(80_000).await;
    assert!(keys.key("one").await.is_ok());
    pass(6_500).await;
    assert!(matches!(keys.key("one").await, Err(NoKey::Away(_) | NoKey::Unknown)));
    *fake.down.lock().unwrap() = false;
    pass(61).await;
    assert!(keys.key("one").await.is_ok());
}

#[tokio::test]
async fn s41_s22_an_issuer_speaks_for_itself_and_from_its_own_place() {
    let canary = Fake::begin(vec![key("one")]);
    for lie in [
        json!({"issuer": "https://gitlab.com"}),
        json!({"issuer": format!("{}/", canary.name())}),
        json!({"jwks_uri": format!("{}/oauth/discovery/keys", canary.name())}),
        json!({"jwks_uri": "http://169.254.169.254/keys"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
    ] {
        let fake = Fake::begin(vec![key("one")]);
        *fake.lies.lock().unwrap() = lie.clone();
        assert_eq!(fake.keys().key("one").await.err(), Some(NoKey::Foreign), "{lie}");
    }
    assert_eq!(canary.fetches(), 0);
}

#[tokio::test]
async fn s41_only_named_signing_keys_of_accepted_kinds_are_kept() {
    let mut encrypts = key("encrypts");
    encrypts["use"] = json!("enc");
    let mut nameless = key("x");
    nameless.as_object_mut().unwrap().remove("kid");
    let new = json!({"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "x"});
    let shared = json!({"kty": "oct", "kid": "shared", "k": "c2VjcmV0"});
    let fake = Fake::begin(vec![new, shared, encrypts, nameless, json!(7), key("one")]);
    let keys = fake.keys();
    assert!(keys.key("one").await.is_ok());
    for name in ["new", "shared", "encrypts", "", "x"] {
        assert!(keys.key(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn s41_only_an_issuer_of_the_list_is_ever_asked() {
    let fake = Fake::begin(vec![key("one")]);
    let issuers = Issuers::new([fake.keys()]);
    assert!(issuers.get(&fake.name()).is_some());
    for other in
        [format!("{}/", fake.name()), fake.name().to_uppercase(), String::new(), "https://gitlab.com".into()]
    {
        assert!(issuers.get(&other).is_none(), "{other}");
    }
    assert_eq!(fake.fetches(), 0);
}
