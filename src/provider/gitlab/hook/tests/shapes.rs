//! S1: no secret, no door; and what is not exactly a proof is none.

use super::*;

#[test]
fn s01_a_source_without_a_secret_is_not_opened() {
    let cases: [(&[&str], &[&str], &str); 11] = [
        (&[], &[], "has no secret"),
        (&[""], &[], "webhook_secrets[0] is empty"),
        (&["good", ""], &[], "webhook_secrets[1] is empty"),
        (&["good"], &[""], "signing_tokens[0] is empty"),
        (&["good"], &[TOKEN_A, ""], "signing_tokens[1] is empty"),
        (&[""], &[TOKEN_A], "webhook_secrets[0] is empty"),
        (&[], &["whsec_"], "signing_tokens[0] is not"),
        (&[], &["hunter2-no-prefix"], "signing_tokens[0] is not"),
        (&[], &["whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q"], "signing_tokens[0] is not"),
        (&[], &["whsk_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="], "signing_tokens[0] is not"),
        (&[], &[TOKEN_A, " whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="], "signing_tokens[1] is not"),
    ];
    for (plain, signing, why) in cases {
        let error = built(plain, signing).unwrap_err();
        assert!(error.starts_with("source \"acme-gitlab\"") && error.contains(why), "{error}");
        let secrets = plain.iter().chain(signing).filter(|text| text.len() > 6);
        for secret in secrets {
            assert!(!error.contains(secret.trim()), "{error}");
        }
    }
}

#[test]
fn s01_a_signing_key_has_24_to_64_bytes() {
    use base64::Engine;
    let token =
        |bytes| format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(vec![7_u8; bytes]));
    for (bytes, good) in [(0, false), (23, false), (24, true), (32, true), (64, true), (65, false)] {
        assert_eq!(built(&[], &[&token(bytes)]).is_ok(), good, "{bytes}");
    }
}

#[test]
fn s01_a_verifier_does_not_show_its_secrets() {
    let shown = format!("{:?}", verifier(&[PLAIN], &[TOKEN_A]));
    assert_eq!(shown, "Verifier { plain: 1, signing: 1, .. }");
}

#[test]
fn s01_no_other_shape_of_a_token_opens_the_door() {
    let door = verifier(&[PLAIN], &[]);
    let p = PLAIN.as_bytes();
    let with = |before: &[u8], after: &[u8]| [before, p, after].concat();
    let twice = |other: &[u8]| vec![("x-gitlab-token", p.to_vec()), ("x-gitlab-token", other.to_vec())];
    let one = |value: Vec<u8>| vec![("x-gitlab-token", value)];
    let shapes: Vec<Vec<(&str, Vec<u8>)>> = vec![
        vec![],
        one(vec![]),
        one(b" ".to_vec()),
        one(b"null".to_vec()),
        one(with(b" ", b"")),
        one(with(b"", b" ")),
        one(with(b"", b"\n")),
        one(with(b"\"", b"\"")),
        one(with(b"Bearer ", b"")),
        one(with(b"sha256=", b"")),
        one(with(b"", b"\0")),
        one(with(b"", p)),
        one(with(b"", b",x")),
        one([p, b", ", p].concat()),
        one(p[1..].to_vec()),
        one(p[..p.len() - 1].to_vec()),
        one(p.to_ascii_uppercase()),
        one(vec![b'a'; 100_000]),
        one(b"another tenant's secret, as long".to_vec()),
        one(hex::encode(p).into_bytes()),
        one([p, b"\xff"].concat()),
        twice(b"another"),
        twice(b""),
        vec![("x-gitlab-token-", p.to_vec()), ("authorization", with(b"Bearer ", b""))],
        vec![("x-hub-signature-256", p.to_vec())],
    ];
    assert!(shapes.len() >= 24);
    for shape in &shapes {
        let headers: Vec<(&str, &[u8])> =
            shape.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let refusal = refused(&door, &request(&headers, BODY.as_bytes()));
        let absent = !headers.iter().any(|(name, _)| *name == "x-gitlab-token");
        let expected = if absent { Rejected::ProofMissing } else { Rejected::ProofWrong };
        assert_eq!(refusal, expected, "{shape:?}");
    }
    let same = [("x-gitlab-token", p), ("x-gitlab-token", p)];
    assert!(ask(&door, &request(&same, BODY.as_bytes())).is_ok(), "the same value twice says one thing");
}

#[test]
fn s01_no_other_shape_of_a_signature_opens_the_door() {
    let door = verifier(&[], &[TOKEN_A]);
    let text = RIGHT.strip_prefix("v1,").unwrap();
    let time = TIME.to_string();
    let all = [("webhook-id", ID), ("webhook-timestamp", &time), ("webhook-signature", RIGHT)];
    let signature = |value: &str| {
        let mut headers = all.map(|(name, value)| (name, value.to_owned())).to_vec();
        headers[2].1 = value.to_owned();
        headers
    };
    let without = |name: &str| {
        all.iter().filter(|(n, _)| *n != name).map(|(n, v)| (*n, (*v).to_owned())).collect::<Vec<_>>()
    };
    let also = |name: &'static str, value: &str| [signature(RIGHT), vec![(name, value.to_owned())]].concat();
    let mut shapes = vec![
        vec![],
        without("webhook-id"),
        without("webhook-timestamp"),
        without("webhook-signature"),
        also("webhook-signature", "v1,AAAA"),
        also("webhook-id", "another"),
        also("webhook-timestamp", "1744578124"),
        vec![("x-hub-signature-256", RIGHT.to_owned())],
    ];
    let values = [
        "",
        " ",
        "v1",
        "v1,",
        "v1,=",
        "sha1=",
        "sha256=",
        text,
        "v1,null",
        &format!(",{text}"),
        &format!("v1,{}", &text[1..]),
        &format!("v1,A{text}"),
        &format!("v1,{RIGHT}"),
        &format!("{RIGHT},v1,AAAA"),
        &format!("v1,AAAA,{RIGHT}"),
        &format!("\"{RIGHT}\""),
        &format!("{RIGHT}\0"),
        &RIGHT.to_ascii_lowercase(),
        &RIGHT.repeat(2),
        "v1,KhK8OPOlXgop+OCLm8C2883Ttw+OL3AsvIWNDSiSkKc=",
        &"v1,AAAA ".repeat(10_000),
    ];
    shapes.extend(values.map(signature));
    assert!(shapes.len() >= 24);
    for shape in &shapes {
        let headers: Vec<(&str, &[u8])> =
            shape.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let refusal = refused(&door, &request(&headers, BODY.as_bytes()));
        let whole = all.iter().all(|(name, _)| headers.iter().any(|(n, _)| n == name));
        let expected = if whole { Rejected::ProofWrong } else { Rejected::ProofMissing };
        assert_eq!(refusal, expected, "{shape:?}");
    }
    assert!(ask(&door, &t7(&format!(" {RIGHT}  v9,x "))).is_ok(), "empty entries are unknown ones");
}
