//! R32: slow, dead, wrong. Each ends in time, with a name for what happened, and hurts nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scm_connect::outbound::{Odd, Outbound, OutboundError, Unreachable};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::{LIMITS, client, get, rules, server};

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// Reads the request's head, so that no reset eats the answer.
async fn hear(stream: &mut TcpStream) {
    let mut heard = [0; 4096];
    drop(stream.read(&mut heard).await);
}

async fn say(mut stream: TcpStream, text: String) {
    hear(&mut stream).await;
    drop(stream.write_all(text.as_bytes()).await);
    drop(stream.shutdown().await);
}

fn says(text: impl Into<String>) -> impl Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    let text = text.into();
    move |stream| Box::pin(say(stream, text.clone()))
}

/// Asserts how a call to `base` ends.
async fn ends(base: Url, want: Result<u64, Why>) {
    let outbound = Outbound::new(rules(LIMITS));
    let ended = get(&client(&outbound, &base)).await;
    let ended = ended.map(|json| json["id"].as_u64().unwrap()).map_err(|error| match error {
        OutboundError::Unreachable { why, .. } => Why::Unreachable(why),
        OutboundError::Odd { why, .. } => Why::Odd(why),
        other => panic!("{other}"),
    });
    assert_eq!(ended, want, "{base}");
}

#[derive(Debug, PartialEq)]
enum Why {
    Unreachable(Unreachable),
    Odd(Odd),
}

#[tokio::test]
async fn r32_a_forge_that_never_answers_is_slow() {
    let silent = server(async |mut stream: TcpStream| {
        hear(&mut stream).await;
        std::future::pending::<()>().await;
    });
    ends(silent.await, Err(Why::Unreachable(Unreachable::Slow))).await;
}

#[tokio::test]
async fn r32_a_byte_now_and_then_does_not_hold_a_worker() {
    let dribbling = server(async |mut stream: TcpStream| {
        hear(&mut stream).await;
        drop(stream.write_all(format!("{JSON}content-length: 100000\r\n\r\n").as_bytes()).await);
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    ends(dribbling.await, Err(Why::Unreachable(Unreachable::Slow))).await;
}

#[tokio::test]
async fn r32_an_answer_that_breaks_off_is_no_answer() {
    for text in
        [format!("{JSON}content-length: 100\r\n\r\n{{\"id\": 1"), "HTTP/1.1 200".into(), String::new()]
    {
        ends(server(says(text)).await, Err(Why::Unreachable(Unreachable::Cut))).await;
    }
    let chunked = format!("{JSON}transfer-encoding: chunked\r\n\r\n8\r\n{{\"id\": 1\r\nzz\r\n}}\r\n");
    ends(server(says(chunked)).await, Err(Why::Unreachable(Unreachable::Cut))).await;
}

#[tokio::test]
async fn r32_nobody_there_and_no_such_name_are_told_apart() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let gone = Url::parse(&format!("http://127.0.0.1:{gone}/")).unwrap();
    ends(gone, Err(Why::Unreachable(Unreachable::Connect))).await;
    let nameless = Url::parse("http://no-such-forge.invalid/").unwrap();
    ends(nameless, Err(Why::Unreachable(Unreachable::Name))).await;
}

#[tokio::test]
async fn r32_a_web_page_and_wrong_types_are_odd_and_not_down() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
    ends(server(says(page)).await, Err(Why::Odd(Odd::NotJson))).await;
    let fine = format!("{JSON}content-length: 9\r\n\r\n{{\"id\": 7}}");
    ends(server(says(fine)).await, Ok(7)).await;
}

#[tokio::test]
async fn r32_s23_an_endless_body_is_cut_at_ten_mebibytes() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let endless = server(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            hear(&mut stream).await;
            drop(stream.write_all(format!("{JSON}connection: close\r\n\r\n").as_bytes()).await);
            let chunk = vec![b' '; 1 << 16];
            while stream.write_all(&chunk).await.is_ok() {
                counted.fetch_add(1 << 16, Ordering::SeqCst);
            }
        }
    });
    ends(endless.await, Err(Why::Odd(Odd::TooLarge))).await;
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 32 << 20, "{sent} bytes were taken or are on their way");
    let announced = format!("{JSON}content-length: 10737418240\r\n\r\n");
    ends(server(says(announced)).await, Err(Why::Odd(Odd::TooLarge))).await;
}

#[tokio::test]
async fn s23_a_compressed_answer_is_not_even_unpacked() {
    let bomb = format!("{JSON}content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x7f\x08\x00");
    ends(server(says(bomb)).await, Err(Why::Odd(Odd::Encoded))).await;
}

#[tokio::test]
async fn r32_a_dead_forge_is_left_alone_and_another_one_is_not() {
    let down = "HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n";
    let (dead, alive) = (
        server(says(down)).await,
        server(says(format!("{JSON}content-length: 9\r\n\r\n{{\"id\": 7}}"))).await,
    );
    let outbound = Outbound::new(rules(LIMITS));
    for _ in 0..5 {
        assert!(matches!(get(&client(&outbound, &dead)).await, Err(OutboundError::Odd { .. })));
    }
    // Another client of the same host knows it, too.
    let held = get(&client(&outbound, &dead)).await;
    assert!(matches!(held, Err(OutboundError::Resting { .. })), "{held:?}");
    assert_eq!(get(&client(&outbound, &alive)).await.unwrap()["id"], 7);
}
