//! GitHub's own vectors, every wrong shape of a signature, and what the headers may hold.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const SECRET: &str = "scm-connect-test-secret";
const UTF8: &str = r#"{"action":"created","sender":{"login":"zoë-✓"}}"#;
const FORM: &str = "payload=%7B%22zen%22%3A%22Keep+it+logically+awesome.%22%2C%22hook_id%22%3A1%7D";

fn source() -> SourceKey {
    SourceKey::parse("acme-github").unwrap()
}

fn live(secret: &str, not_after: Option<i64>) -> LiveSecret {
    LiveSecret { secret: secret.into(), not_after: not_after.map(Timestamp::from_ms) }
}

fn verifier(secrets: &[&str]) -> Verifier {
    let webhook = secrets.iter().map(|secret| live(secret, None)).collect();
    Verifier::new(source(), Secrets { webhook, signing: Vec::new() }).unwrap()
}

fn request(body: impl Into<Bytes>, headers: &[(&str, &str)]) -> RawDelivery {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    RawDelivery { source: source(), headers: headers.collect(), body: body.into() }
}

fn delivered(body: impl Into<Bytes>, signature: &str) -> RawDelivery {
    let named = [("x-github-event", "ping"), ("x-github-delivery", "72d3162e"), ("x-github-hook-id", "7")];
    let mut headers = vec![("content-type", "application/json"), (SIGNATURE, signature)];
    headers.extend(named);
    request(body, &headers)
}

fn tag(hex: &str) -> String {
    format!("sha256={hex}")
}

#[test]
fn t1_to_t4_the_published_vectors_verify_and_are_what_we_sign() {
    let vectors = [
        (
            "It's a Secret to Everybody",
            "Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        ("mysecret", r#"{"foo":"bar"}"#, "4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3"),
        (SECRET, UTF8, "ff3620ee4259ca91f6f3d536fb259d76e55b5008704b38b885043bd1a28c2327"),
        (SECRET, "", "6b6e6ce8a693171572b54ce7024f141f9c8589b267cbb05c6b53f972ad7dc447"),
        (SECRET, FORM, "11282766603f0e82a816c045896afb3022c5e9628d1498b849f5b6c140115ec7"),
    ];
    for (secret, body, hex) in vectors {
        assert_eq!(sign(&secret.into(), body.as_bytes()), tag(hex));
        let envelope = verifier(&[secret]).authenticate(&delivered(body, &tag(hex)), NOW);
        assert_eq!(envelope.map(|envelope| envelope.external_id).as_deref(), Ok("72d3162e"), "{body}");
    }
    assert_eq!(UTF8.len(), 50);
}

#[test]
fn t3_t4_a_signature_over_anything_but_the_raw_bytes_is_refused() {
    let wrong = [
        (UTF8, "8cbd45b031c1d9a199dca3f0f65645aadd9177dc0fa61d781bd5732e3fe13838"),
        (UTF8, "647527fe2214b340b768d40cfae8f02043aaa884cb0ab07c4d1e31d612a35fa7"),
        (FORM, "ba6327056128cadab4aa318c602b9e3965a9679ed4a9dbc13c416158417fb3c5"),
    ];
    for (body, hex) in wrong {
        let refused = verifier(&[SECRET]).authenticate(&delivered(body, &tag(hex)), NOW);
        assert_eq!(refused.err(), Some(Rejected::ProofWrong), "{hex}");
    }
    // Each of them is right for what a naive receiver would have hashed.
    let ascii = r#"{"action": "created", "sender": {"login": "zo\u00eb-\u2713"}}"#;
    assert_eq!(sign(&SECRET.into(), ascii.as_bytes()), tag(wrong[0].1));
    assert_eq!(sign(&SECRET.into(), format!("{UTF8}\n").as_bytes()), tag(wrong[1].1));
    let json = br#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    assert_eq!(sign(&SECRET.into(), json), tag(wrong[2].1));
}

/// The wrong shapes of the one header; none of them holds what GitHub would send.
fn wrong_shapes(hex: &str) -> Vec<String> {
    let sha1 = "01dc10d0c83e72ed246219cdd91669667fe2ca59";
    vec![
        String::new(),
        "sha256".to_owned(),
        "sha256=".to_owned(),
        hex.to_owned(),
        format!("={hex}"),
        format!("sha1={sha1}"),
        format!("sha1={hex}"),
        format!("sha512={hex}"),
        format!("SHA256={hex}"),
        format!("Sha256={hex}"),
        format!("sha-256={hex}"),
        format!("hmac-sha256={hex}"),
        format!("sha256:{hex}"),
        format!("sha256={}", &hex[..63]),
        format!("sha256={}", &hex[..62]),
        format!("sha256={hex}0"),
        format!("sha256={hex}00"),
        format!("sha256={}g", &hex[..63]),
        format!("sha256={}", hex.to_ascii_uppercase()),
        format!("sha256=0x{hex}"),
        format!("sha256= {hex}"),
        format!(" sha256={hex}"),
        format!("sha256={hex} "),
        format!("sha256={hex},sha256={hex}"),
        format!("sha256={hex};v=1"),
        format!("\"sha256={hex}\""),
        format!("sha256={}", "0".repeat(64)),
        format!("sha256={}é", &hex[..62]),
    ]
}

#[test]
fn s01_every_wrong_shape_of_a_signature_is_refused_and_the_right_one_is_not() {
    let verifier = verifier(&[SECRET]);
    let right = sign(&SECRET.into(), UTF8.as_bytes());
    assert!(verifier.authenticate(&delivered(UTF8, &right), NOW).is_ok());
    let shapes = wrong_shapes(right.trim_start_matches("sha256="));
    assert!(shapes.len() >= 24);
    for shape in &shapes {
        let refused = verifier.authenticate(&delivered(UTF8, shape), NOW);
        assert_eq!(refused.err(), Some(Rejected::ProofWrong), "{shape}");
    }
    let other = sign(&"another tenant's secret".into(), UTF8.as_bytes());
    assert_eq!(verifier.authenticate(&delivered(UTF8, &other), NOW).err(), Some(Rejected::ProofWrong));
}

#[test]
fn s01_a_missing_signature_is_refused_even_with_the_old_sha1_header() {
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "ping"),
        ("x-github-delivery", "1"),
        ("x-hub-signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"),
    ];
    let raw = request("Hello, World!", &headers);
    let refused = verifier(&["It's a Secret to Everybody"]).authenticate(&raw, NOW);
    assert_eq!(refused.err(), Some(Rejected::ProofMissing));
}

#[test]
fn s01_two_different_signatures_are_refused_and_the_same_one_twice_is_not() {
    let right = sign(&SECRET.into(), UTF8.as_bytes());
    let wrong = tag(&"ab".repeat(32));
    for (first, second) in [(&right, &wrong), (&wrong, &right)] {
        let mut raw = delivered(UTF8, first);
        raw.headers.push((SIGNATURE.to_owned(), second.clone().into()));
        assert_eq!(verifier(&[SECRET]).authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
    }
    let mut raw = delivered(UTF8, &right);
    raw.headers.push((SIGNATURE.to_owned(), right.into()));
    assert!(verifier(&[SECRET]).authenticate(&raw, NOW).is_ok());
}

#[test]
fn s01_a_signature_that_is_no_text_is_refused() {
    let mut raw = delivered(UTF8, "");
    raw.headers.retain(|(name, _)| name != SIGNATURE);
    raw.headers.push((SIGNATURE.to_owned(), Bytes::from_static(b"sha256=\xff\xfe")));
    assert_eq!(verifier(&[SECRET]).authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
}

#[test]
fn s01_a_source_without_a_secret_cannot_be_made_and_the_refusal_shows_no_value() {
    let made = |webhook: Vec<LiveSecret>, signing: Vec<LiveSecret>| {
        Verifier::new(source(), Secrets { webhook, signing }).err()
    };
    let none = made(Vec::new(), Vec::new()).unwrap();
    assert!(none.contains("acme-github"), "{none}");
    for blank in ["", "  ", "\n"] {
        let why = made(vec![live("good-secret", None), live(blank, None)], Vec::new()).unwrap();
        assert!(why.contains("secret 1 of source acme-github is empty"), "{why}");
        assert!(!why.contains("good-secret"), "{why}");
    }
    let signing = made(vec![live("good-secret", None)], vec![live("whsec_AAAA", None)]).unwrap();
    assert!(!signing.contains("whsec_"), "{signing}");
    assert!(made((0..257).map(|n| live(&format!("{n}"), None)).collect(), Vec::new()).is_some());
}

#[test]
fn a_verifier_does_not_print_its_secrets() {
    assert!(!format!("{:?}", verifier(&[SECRET])).contains(SECRET));
}

#[test]
fn every_live_secret_proves_and_its_slot_is_told() {
    let verifier = verifier(&["old", "new", "new"]);
    for (secret, slot) in [("old", 0), ("new", 1)] {
        let raw = delivered(UTF8, &sign(&secret.into(), UTF8.as_bytes()));
        assert_eq!(verifier.authenticate(&raw, NOW).unwrap().secret_slot, slot);
    }
    let raw = delivered(UTF8, &sign(&"older".into(), UTF8.as_bytes()));
    assert_eq!(verifier.authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
}

#[test]
fn a_secret_proves_nothing_from_its_end_on() {
    let webhook = vec![live("old", Some(NOW.ms())), live("new", None)];
    let verifier = Verifier::new(source(), Secrets { webhook, signing: Vec::new() }).unwrap();
    let raw = delivered(UTF8, &sign(&"old".into(), UTF8.as_bytes()));
    assert_eq!(verifier.authenticate(&raw, NOW.plus_ms(-1)).unwrap().secret_slot, 0);
    assert_eq!(verifier.authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
}

/// A rightly signed request with exactly these other headers.
fn signed(headers: &[(&str, &str)]) -> Result<Envelope, Rejected> {
    let right = sign(&SECRET.into(), UTF8.as_bytes());
    let mut all = vec![(SIGNATURE, right.as_str())];
    all.extend(headers);
    verifier(&[SECRET]).authenticate(&request(UTF8, &all), NOW)
}

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENT: (&str, &str) = ("x-github-event", "push");
const GUID: (&str, &str) = ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");

#[test]
fn the_envelope_says_what_the_headers_say() {
    let envelope = signed(&[JSON, EVENT, GUID, ("x-github-hook-id", "292430182")]).unwrap();
    let expected = Envelope {
        external_id: GUID.1.to_owned(),
        hook_id: "292430182".to_owned(),
        event: "push".to_owned(),
        encoding: Encoding::Json,
        secret_slot: 0,
        same_within_ms: None,
    };
    assert_eq!(envelope, expected);
    assert_eq!(signed(&[JSON, EVENT, GUID]).unwrap().hook_id, "");
}

#[test]
fn json_and_forms_are_taken_in_utf8_and_nothing_else_is() {
    let taken = |kind: &str| signed(&[("content-type", kind), EVENT, GUID]).map(|envelope| envelope.encoding);
    for json in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
        assert_eq!(taken(json), Ok(Encoding::Json), "{json}");
    }
    for form in ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=\"UTF-8\""] {
        assert_eq!(taken(form), Ok(Encoding::Form), "{form}");
    }
    for other in [
        "",
        "text/plain",
        "application/xml",
        "application/jsonp",
        "application/json, text/html",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "multipart/form-data",
    ] {
        assert_eq!(taken(other), Err(Rejected::MediaType), "{other}");
    }
    assert_eq!(signed(&[EVENT, GUID]), Err(Rejected::MediaType));
}

#[test]
fn s07_a_delivery_without_event_or_id_is_none() {
    let is_malformed = |headers: &[(&str, &str)]| matches!(signed(headers), Err(Rejected::Malformed(_)));
    assert!(is_malformed(&[JSON, EVENT]));
    assert!(is_malformed(&[JSON, GUID]));
    let long = "x".repeat(129);
    for bad in ["", " ", "a\tb", "a\u{7f}", "ä", &long] {
        for name in ["x-github-event", "x-github-delivery"] {
            let other = if name == EVENT.0 { GUID } else { EVENT };
            assert!(is_malformed(&[JSON, other, (name, bad)]), "{name}: {bad:?}");
        }
    }
    assert!(is_malformed(&[JSON, EVENT, GUID, ("x-github-delivery", "another")]));
    assert!(is_malformed(&[JSON, EVENT, GUID, ("x-github-hook-id", &long)]));
    assert!(signed(&[JSON, EVENT, ("x-github-delivery", &long[..128])]).is_ok());
}

#[test]
fn the_proof_comes_before_every_other_header() {
    let raw = request(UTF8, &[(SIGNATURE, &tag(&"00".repeat(32))), ("content-type", "text/plain")]);
    assert_eq!(verifier(&[SECRET]).authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s02_one_flipped_bit_of_body_or_tag_is_refused_and_the_true_one_is_accepted(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
        in_tag in any::<bool>(),
    ) {
        let door = verifier(&[SECRET]);
        let right = sign(&SECRET.into(), &body);
        prop_assert!(door.authenticate(&delivered(body.clone(), &right), NOW).is_ok());
        let flip = |bytes: &mut Vec<u8>| {
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << bit;
        };
        let (mut body, mut tag) = (body, hex::decode(right.trim_start_matches("sha256=")).unwrap());
        flip(if in_tag { &mut tag } else { &mut body });
        let raw = delivered(body, &format!("sha256={}", hex::encode(tag)));
        prop_assert_eq!(door.authenticate(&raw, NOW).err(), Some(Rejected::ProofWrong));
    }
}
