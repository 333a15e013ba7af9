//! The matrix of S3: what proves a delivery when signing is set, and when it is not.

use super::*;
use crate::provider::gitlab::hook::sign;

fn with_token(mut raw: RawDelivery, token: &str) -> RawDelivery {
    raw.headers.push(("x-gitlab-token".into(), Bytes::copy_from_slice(token.as_bytes())));
    raw
}

#[test]
fn s03_with_a_signing_token_a_plain_token_proves_nothing() {
    let door = verifier(&[PLAIN], &[TOKEN_A]);
    let plain = with_token(request(&[("webhook-id", ID.as_bytes())], BODY.as_bytes()), PLAIN);
    assert_eq!(refused(&door, &plain), Rejected::ProofMissing);
    assert_eq!(refused(&door, &with_token(t7("v1,AAAA"), PLAIN)), Rejected::ProofWrong);
    assert_eq!(refused(&door, &with_token(t7(""), PLAIN)), Rejected::ProofWrong);
    assert!(ask(&door, &with_token(t7(RIGHT), PLAIN)).is_ok());
    assert!(ask(&door, &with_token(t7(RIGHT), "a wrong one")).is_ok(), "the signature is the stronger proof");
}

#[test]
fn s03_a_signing_token_that_has_ended_does_not_open_the_weaker_door() {
    let mut secrets = Secrets { webhook: live(&[PLAIN]), signing: live(&[TOKEN_A]) };
    secrets.signing[0].not_after = Some(now());
    let door = Verifier::new(source(), secrets).unwrap();
    assert_eq!(refused(&door, &with_token(t7(RIGHT), PLAIN)), Rejected::ProofWrong);
    assert_eq!(refused(&door, &with_token(request(&[], BODY.as_bytes()), PLAIN)), Rejected::ProofMissing);
}

#[test]
fn s03_without_a_signing_token_a_signature_is_not_looked_at() {
    let door = verifier(&[PLAIN], &[]);
    assert!(ask(&door, &with_token(t7("v1,AAAA"), PLAIN)).is_ok());
    assert_eq!(refused(&door, &t7(RIGHT)), Rejected::ProofMissing);
    assert_eq!(refused(&door, &with_token(t7(RIGHT), "a wrong one")), Rejected::ProofWrong);
}

#[test]
fn s03_a_signed_time_may_lie_300_seconds_off_and_no_more() {
    let door = verifier(&[], &[TOKEN_A]);
    let rows = [(-300_001, false), (-300_000, true), (0, true), (300_000, true), (300_001, false)];
    for (off, good) in rows {
        let answer = door.authenticate(&t7(RIGHT), now().plus_ms(off));
        assert_eq!(answer.is_ok(), good, "{off}");
        assert_eq!(answer.err(), (!good).then_some(Rejected::Stale), "{off}");
    }
    // What is both old and wrongly signed is wrong: the time of a stranger is no news.
    assert_eq!(door.authenticate(&t7("v1,AAAA"), now().plus_ms(600_000)), Err(Rejected::ProofWrong));
}

#[test]
fn s03_a_signed_time_that_is_no_number_of_seconds_is_stale() {
    use crate::provider::gitlab::hook::signing::{Key, entry};
    let door = verifier(&[], &[TOKEN_A]);
    let rows = [
        "",
        "+1744578123",
        "-1744578123",
        "1744578123.0",
        "1744578123 ",
        "0x67fc1fcb",
        "99999999999999999999",
    ];
    for time in rows {
        let tag = Key::parse(TOKEN_A).unwrap().tag(ID, time, BODY.as_bytes()).unwrap();
        assert_eq!(refused(&door, &signed(ID, time, &entry(&tag), BODY)), Rejected::Stale, "{time:?}");
    }
    let far = sign(TOKEN_A, ID, i64::MAX, BODY.as_bytes()).unwrap();
    assert_eq!(refused(&door, &signed(ID, &i64::MAX.to_string(), &far, BODY)), Rejected::Stale);
}

#[test]
fn s03_only_padded_base64_under_v1_is_a_signature() {
    let door = verifier(&[], &[TOKEN_A]);
    let text = RIGHT.strip_prefix("v1,").unwrap();
    let rows = [
        RIGHT.trim_end_matches('=').to_owned(),
        format!("{RIGHT}="),
        RIGHT.replace('+', "-").replace('/', "_").replace("tOfDKe", "tOfDK-"),
        format!("v1a,{text}"),
        format!("V1,{text}"),
        format!("v1, {text}"),
        format!("v1={text}"),
        format!("v1,v1,{text}"),
        text.to_owned(),
        format!("v1\t{text}"),
        format!("v2,{text}"),
    ];
    for signature in rows {
        assert_eq!(refused(&door, &t7(&signature)), Rejected::ProofWrong, "{signature}");
    }
    assert!(ask(&door, &t7(&format!("v1a,{text} v1,!!! {RIGHT}"))).is_ok());
}

#[test]
fn s03_the_first_sixteen_entries_are_looked_at_and_no_more() {
    let door = verifier(&[], &[TOKEN_A]);
    let behind = |others: usize| format!("{}{RIGHT}", "v1,AAAA ".repeat(others));
    assert!(ask(&door, &t7(&behind(15))).is_ok());
    assert_eq!(refused(&door, &t7(&behind(16))), Rejected::ProofWrong);
}

#[test]
fn s03_a_secret_proves_until_its_end_and_not_from_then_on() {
    let end = now();
    let ending = |text: &str| LiveSecret { secret: text.into(), not_after: Some(end) };
    let mut signing = live(&[TOKEN_B]);
    signing.push(ending(TOKEN_A));
    let door = Verifier::new(source(), Secrets { webhook: vec![], signing }).unwrap();
    assert_eq!(door.authenticate(&t7(RIGHT), end.plus_ms(-1)).unwrap().secret_slot, 1);
    assert_eq!(door.authenticate(&t7(RIGHT), end), Err(Rejected::ProofWrong));

    let mut webhook = live(&["the new one"]);
    webhook.push(ending("the old one"));
    let door = Verifier::new(source(), Secrets { webhook, signing: vec![] }).unwrap();
    let old = with_token(request(&[], BODY.as_bytes()), "the old one");
    let new = with_token(request(&[], BODY.as_bytes()), "the new one");
    assert_eq!(door.authenticate(&old, end.plus_ms(-1)).unwrap().secret_slot, 1);
    assert_eq!(door.authenticate(&old, end), Err(Rejected::ProofWrong));
    assert_eq!(door.authenticate(&new, end).unwrap().secret_slot, 0);
}

#[test]
fn s10_ended_tokens_are_hashed_for_too() {
    let end = now();
    let ended = LiveSecret { secret: TOKEN_A.into(), not_after: Some(end) };
    let with = |signing| Verifier::new(source(), Secrets { webhook: live(&["plain"]), signing }).unwrap();
    assert_eq!(with(vec![ended.clone(), ended]).passes(), 2);
    assert_eq!(with(vec![]).passes(), 1, "a plain token needs none, and its refusal does one for nothing");
}
