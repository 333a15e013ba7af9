//! Published and own vectors: T5, T6 and every row of T7.

use super::*;
use crate::provider::gitlab::hook::sign;

const BOTH: &str =
    "v1,KhK8OPOlXgop+OCLm8C2883Ttw+OL3AsvIWNDSiSkKc= v1,tOfDKeklqclDMnLGsMQ7VaXQUDbIcBQ9GzuCcB9LLtw=";

#[test]
fn t05_and_t06_the_published_vectors_are_accepted() {
    let rows = [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ];
    for (token, id, time, body, signature) in rows {
        let raw = signed(id, &time.to_string(), signature, body);
        let at = Timestamp::from_ms(time * 1000);
        let envelope = verifier(&[], &[token]).authenticate(&raw, at).unwrap();
        assert_eq!(envelope.external_id, id);
        assert_eq!(sign(token, id, time, body.as_bytes()).unwrap(), signature);
        assert_eq!(verifier(&[], &[TOKEN_A]).authenticate(&raw, at), Err(Rejected::ProofWrong));
    }
}

#[test]
fn t07_every_row_that_is_to_be_accepted_is() {
    assert_eq!(BODY.len(), 141);
    let rows = [
        ("correct", RIGHT, vec![TOKEN_A], 0),
        ("rotation, the old key", BOTH, vec![TOKEN_A], 0),
        ("rotation, the new key", BOTH, vec![TOKEN_B], 0),
        ("rotation, both keys", BOTH, vec![TOKEN_B, TOKEN_A], 0),
        ("one signature, its key second", RIGHT, vec![TOKEN_B, TOKEN_A], 1),
        (
            "unknown version first",
            "v2,AAAA v1,tOfDKeklqclDMnLGsMQ7VaXQUDbIcBQ9GzuCcB9LLtw=",
            vec![TOKEN_A],
            0,
        ),
    ];
    for (case, signature, tokens, slot) in rows {
        let envelope = ask(&verifier(&[], &tokens), &t7(signature)).expect(case);
        assert_eq!((envelope.external_id.as_str(), envelope.secret_slot), (ID, slot), "{case}");
        assert_eq!(envelope.same_within_ms, None, "{case}");
    }
}

#[test]
fn t07_every_row_that_is_to_be_refused_is() {
    let door = verifier(&[PLAIN], &[TOKEN_A]);
    let rows = [
        ("only unknown versions", "v2,AAAA"),
        ("empty", ""),
        ("the key is the whole token text", "v1,gISJ/kAsPQyJncfeAZIVR1NffL8CfG3ci+tPMxSHM7I="),
        ("the key is the base64 text", "v1,sG8lK4LbwLSifDpL8BLZTiq2eawhytExP4FDafVEqKo="),
        ("the message is the body only", "v1,xBD+iIEeltumuORMMxbzK49O/rU5udZYrHTpbZolydA="),
        ("hex", "v1,b4e7c329e925a9c9433272c6b0c43b55a5d05036c870143d1b3b82701f4b2edc"),
        ("another key alone", "v1,KhK8OPOlXgop+OCLm8C2883Ttw+OL3AsvIWNDSiSkKc="),
    ];
    for (case, signature) in rows {
        assert_eq!(refused(&door, &t7(signature)), Rejected::ProofWrong, "{case}");
    }
}

#[test]
fn t07_another_time_or_id_needs_another_signature() {
    let door = verifier(&[], &[TOKEN_A]);
    let other = "00000000-0000-0000-0000-000000000000";
    let rows = [
        (ID, "1744578124", "v1,ufynCOlz/hZE4HlhTyYIoFN3yvHBRBRh+K8uwFrR+uE="),
        (other, "1744578123", "v1,6ifHAMsQDnRQjGXamHwYHqPDrdcN6itwlRFKs1W9WSU="),
    ];
    for (id, time, valid) in rows {
        assert_eq!(refused(&door, &signed(id, time, RIGHT, BODY)), Rejected::ProofWrong, "{id} {time}");
        assert_eq!(ask(&door, &signed(id, time, valid, BODY)).unwrap().external_id, id);
    }
}

#[test]
fn a_delivery_signed_by_us_is_a_delivery_signed_by_gitlab() {
    assert_eq!(sign(TOKEN_A, ID, TIME, BODY.as_bytes()).unwrap(), RIGHT);
    let body = b"\xff not even text \x00";
    let signature = sign(TOKEN_B, "x", TIME, body).unwrap();
    let time = TIME.to_string();
    let headers =
        [("webhook-id", "x"), ("webhook-timestamp", time.as_str()), ("webhook-signature", &signature)];
    let raw = request(&headers.map(|(name, value)| (name, value.as_bytes())), body);
    assert!(ask(&verifier(&[], &[TOKEN_B]), &raw).is_ok());
}

#[test]
fn nothing_is_signed_with_what_is_no_signing_token() {
    for token in ["", "hunter2-hunter2", "whsec_", "whsec_dGVzdA=="] {
        let error = sign(token, ID, TIME, b"{}").unwrap_err();
        assert!(error.starts_with("cannot sign"), "{error}");
        assert!(token.is_empty() || token == "whsec_" || !error.contains(token), "{error}");
    }
}
