//! Time tells nothing of secrets (S2), nor of which sources exist (S10). Samples of the classes are taken in random
//! order, so that a busy machine disturbs all alike, and what is judged is the size of the effect: Cliff's delta, the
//! chance that a sample of one class is above one of the other, from -1 to 1. Each proof has a control that must show.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scm_connect::domain::delivery::{Authenticate, RawDelivery, Rejected};
use scm_connect::domain::organization::Forge;
use scm_connect::domain::{SourceKey, Timestamp};
use scm_connect::provider::github::hook::sign;
use scm_connect::provider::{Door, LiveSecret, Secrets};

use crate::harness::bench::Bench;
use crate::harness::dice::Dice;
use crate::harness::sized;

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

/// Cliff's delta of two classes.
fn effect(one: &[u64], other: &[u64]) -> f64 {
    let mut other = other.to_vec();
    other.sort_unstable();
    let above = |sample: &u64| {
        let below = other.partition_point(|it| it < sample) as f64;
        let up_to = other.partition_point(|it| it <= sample) as f64;
        below + up_to - other.len() as f64
    };
    one.iter().map(above).sum::<f64>() / (one.len() * other.len()) as f64
}

/// Times of the acts, each done so often, in random order.
fn sample<const N: usize>(dice: &mut Dice, count: usize, acts: [&mut dyn FnMut(); N]) -> [Vec<u64>; N] {
    let mut times: [Vec<u64>; N] = std::array::from_fn(|_| Vec::with_capacity(count));
    while times.iter().any(|of| of.len() < count) {
        let class = usize::try_from(dice.below(N as u64)).unwrap();
        let began = Instant::now();
        acts[class]();
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap();
        if times[class].len() < count {
            times[class].push(took);
        }
    }
    times
}

fn door(forge: Forge, secrets: &[&str]) -> Door {
    let live = |text: &&str| LiveSecret { secret: (*text).into(), not_after: None };
    let secrets = Secrets { webhook: secrets.iter().map(live).collect(), signing: Vec::new() };
    Door::new(forge, SourceKey::parse("our-app").unwrap(), secrets).unwrap()
}

fn raw(name: &str, value: String) -> RawDelivery {
    let headers = vec![
        ("content-type".to_owned(), Bytes::from_static(b"application/json")),
        (name.to_owned(), Bytes::from(value)),
    ];
    RawDelivery { source: SourceKey::parse("our-app").unwrap(), headers, body: Bytes::from(vec![b'x'; 64]) }
}

/// The text with another character of the same kind at this place: how long it takes to decode a tag may depend on what
/// is written there, for that is the caller's own.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'9' | b'f' => bytes[at] - 1,
        other => other + 1,
    };
    String::from_utf8(bytes).unwrap()
}

/// What must not be written: it stops at the first difference.
fn early_exit(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| black_box(a) == black_box(b))
}

#[test]
fn s02_how_much_of_a_proof_is_right_does_not_show_in_the_time() {
    let mut dice = Dice::new("s02", 2);
    let count = sized(20_000, 500_000);
    let secret = "a secret of the source 0123456789";
    let tag = sign(&secret.into(), &[b'x'; 64]);
    let (first, last) = (flipped(&tag, "sha256=".len()), flipped(&tag, tag.len() - 1));
    let github = door(Forge::Github, &[secret]);
    let gitlab = door(Forge::Gitlab, &[secret]);
    let refused = |door: &Door, raw: &RawDelivery| {
        assert_eq!(door.authenticate(black_box(raw), NOW).err(), Some(Rejected::ProofWrong));
    };
    let (a, b) = (raw("x-hub-signature-256", first.clone()), raw("x-hub-signature-256", last.clone()));
    let [one, other] = sample(&mut dice, count, [&mut || refused(&github, &a), &mut || refused(&github, &b)]);
    let signature = effect(&one, &other);
    let (a, b) =
        (raw("x-gitlab-token", flipped(secret, 0)), raw("x-gitlab-token", flipped(secret, secret.len() - 1)));
    let [one, other] = sample(&mut dice, count, [&mut || refused(&gitlab, &a), &mut || refused(&gitlab, &b)]);
    let token = effect(&one, &other);
    let naive = |claimed: &str| {
        let tag = sign(&secret.into(), black_box(&[b'x'; 64]));
        assert!(!early_exit(black_box(tag.as_bytes()), black_box(claimed.as_bytes())));
    };
    let [one, other] = sample(&mut dice, count / 10, [&mut || naive(&first), &mut || naive(&last)]);
    let control = effect(&one, &other);
    println!(
        "s02: delta of signature {signature:.4}, token {token:.4}, control {control:.4}; {count} of each class"
    );
    assert!(control.abs() > 0.3, "a comparison that stops early is not seen: this proof proves nothing");
    assert!(signature.abs() < 0.05 && token.abs() < 0.05, "signature {signature}, token {token}");
}

/// One caller on one connection; each request comes from an address of its own, as a trusted proxy tells it.
struct Caller {
    stream: TcpStream,
    number: u32,
}

impl Caller {
    fn ask(&mut self, path: &str, body: &[u8]) -> String {
        self.number += 1;
        let [_, a, b, c] = self.number.to_be_bytes();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Forwarded-For: 10.{b}.{c}.{a}\r\n\
             X-Hub-Signature-256: sha256={}\r\nX-Gitlab-Token: wrong\r\nContent-Length: {}\r\n\r\n",
            "0".repeat(64),
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).unwrap();
        self.answer()
    }

    /// The whole answer, without its date.
    fn answer(&mut self) -> String {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&bytes);
            if text.contains("\r\n\r\n") && text.ends_with('}') {
                return text.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
            }
        }
    }
}

/// Two live secrets at one source, one at another, a plain token at a third.
fn config(bench: &Bench) -> String {
    let more = "[[sources]]\nkey = \"rotating\"\norganizations = [\"acme\"]\nprovider = \"github\"\n\
                url = \"https://github.com\"\nwebhook_secrets = [{ value = \"the new secret 0123456789\" }, { value = \"the old secret 0123456789\" }]\n";
    bench.text(more).replace("[listen]", "[listen]\ntrusted_proxies = [\"127.0.0.1/32\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_which_sources_exist_does_not_show_in_the_time() {
    let bench = Bench::new();
    std::fs::write(bench.config(), config(&bench)).unwrap();
    let daemon = bench.daemon().await;
    let address = daemon.public.clone();
    let measure = move || {
        let mut dice = Dice::new("s10", 10);
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let caller = std::cell::RefCell::new(Caller { stream, number: 0 });
        let (body, twice) = (vec![b'x'; 256 << 10], vec![b'x'; 512 << 10]);
        let refused = caller.borrow_mut().ask("/hooks/nobody", &body);
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        let ask =
            |path: &str, body: &[u8]| assert_eq!(caller.borrow_mut().ask(path, body), refused, "{path}");
        sample(
            &mut dice,
            sized(200, 2_000),
            [
                &mut || ask("/hooks/nobody", &body),
                &mut || ask("/hooks/our-app", &body),
                &mut || ask("/hooks/rotating", &body),
                &mut || ask("/hooks/our-group", &body),
                &mut || ask("/hooks/nobody", &twice),
            ],
        )
    };
    let [nobody, known, rotating, token, twice] = tokio::task::spawn_blocking(measure).await.unwrap();
    let effects = [&known, &rotating, &token].map(|class| effect(class, &nobody));
    let control = effect(&twice, &nobody);
    println!(
        "s10: delta to an unknown source {effects:.3?}, control {control:.3}; {} of each class",
        nobody.len()
    );
    assert!(control > 0.5, "a body twice as large is not seen: this proof proves nothing");
    let most = sized(0.25, 0.08);
    assert!(effects.iter().all(|effect| effect.abs() < most), "{effects:?}");
    daemon.stop().await;
}
