//! The issuers' keys: read once, read sparingly, kept for a day.

use std::sync::Arc;

use serde_json::{Value, json};

use super::vector::KEY_SET;
use super::{NOW, Rejected, Served, gitlab, header, mint, seconds, sign, verifier, with};
use crate::ci::id_token::{Unproven, Verifier};

/// A token of the good key that lives a day, so that its end is not in the way.
fn long_lived(at: i64) -> String {
    mint(&with(gitlab(), json!({"iat": at, "nbf": at, "exp": at + 86_400})))
}

async fn ask(verifier: &Verifier, token: &str, at: i64) -> Result<(), Unproven> {
    verifier.check(token, None, seconds(at)).await.map(drop)
}

#[tokio::test]
async fn s41_a_flood_of_made_up_keys_asks_once_a_minute() {
    let served = Served::with(KEY_SET);
    let verifier = verifier(&served);
    for second in 0..180 {
        for n in 0..5 {
            let kid = format!("made-up-{second}-{n}");
            let token = sign(&with(header(), json!({"kid": kid})), &gitlab());
            let found = ask(&verifier, &token, NOW + second).await.unwrap_err();
            assert!(matches!(found, Unproven::Rejected(Rejected::Key)), "{found}");
        }
    }
    assert_eq!(served.asked(), 3);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let served = Served::with(KEY_SET);
    let verifier = verifier(&served);
    let token = mint(&gitlab());
    let all = (0..100).map(|_| ask(&verifier, &token, NOW));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(served.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_ends() {
    let mut document: Value = serde_json::from_str(KEY_SET).unwrap();
    document["keys"][0]["kid"] = "old".into();
    let served = Served::with(&document.to_string());
    let verifier = verifier(&served);
    let old = sign(&with(header(), json!({"kid": "old"})), &gitlab());
    ask(&verifier, &old, NOW).await.unwrap();
    served.serve(Some(KEY_SET));
    ask(&verifier, &old, NOW + 30).await.unwrap();
    // An unknown name makes us look; a minute must lie between.
    ask(&verifier, &mint(&gitlab()), NOW + 61).await.unwrap();
    let found = ask(&verifier, &old, NOW + 62).await.unwrap_err();
    assert!(matches!(found, Unproven::Rejected(Rejected::Key)), "{found}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_anew_count_for_a_day() {
    let served = Served::with(KEY_SET);
    let verifier = verifier(&served);
    ask(&verifier, &mint(&gitlab()), NOW).await.unwrap();
    served.serve(None);
    let hour = 3600;
    ask(&verifier, &long_lived(NOW + 23 * hour), NOW + 23 * hour).await.unwrap();
    let found = ask(&verifier, &long_lived(NOW + 25 * hour), NOW + 25 * hour).await.unwrap_err();
    assert!(matches!(found, Unproven::Keys(_)), "{found}");
    served.serve(Some(KEY_SET));
    ask(&verifier, &long_lived(NOW + 26 * hour), NOW + 26 * hour).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_no_proof_and_no_refusal() {
    let served = Arc::new(Served::default());
    let verifier = verifier(&served);
    for (second, asked) in [(0, 1), (5, 1), (10, 2), (11, 2)] {
        let found = ask(&verifier, &mint(&gitlab()), NOW + second).await.unwrap_err();
        assert!(matches!(found, Unproven::Keys(_)), "{found}");
        assert_eq!(served.asked(), asked, "after {second} s");
    }
}

#[tokio::test]
async fn a_key_set_is_read_past_what_is_not_known() {
    let document: Value = serde_json::from_str(KEY_SET).unwrap();
    let good = document["keys"][0].clone();
    let short = with(good.clone(), json!({"kid": "short", "n": "AQAB"}));
    let wrapping = with(good.clone(), json!({"kid": "wraps", "use": "enc"}));
    let all = json!({"keys": [{"kty": "AKP", "kid": "new", "pub": "x"}, 7, null, short, wrapping, good]});
    let served = Served::with(&all.to_string());
    let verifier = verifier(&served);
    ask(&verifier, &mint(&gitlab()), NOW).await.unwrap();
    for kid in ["short", "wraps", "new"] {
        let token = sign(&with(header(), json!({"kid": kid})), &gitlab());
        let found = ask(&verifier, &token, NOW).await.unwrap_err();
        assert!(matches!(found, Unproven::Rejected(Rejected::Key)), "{kid}: {found}");
    }
    for broken in ["", "[]", "{}", "{\"keys\": []}", "<html>"] {
        let served = Served::with(broken);
        let found = ask(&super::verifier(&served), &mint(&gitlab()), NOW).await.unwrap_err();
        assert!(matches!(found, Unproven::Keys(_)), "{broken}: {found}");
    }
}
