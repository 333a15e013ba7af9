//! S19 to S22: a credential stays at home, redirects and links are followed at home only, nothing is shown raw.

use std::sync::{Arc, Mutex};

use scm_connect::outbound::{Carried, Credential, Method, Odd, Outbound, OutboundError, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::{LIMITS, client, endpoint, rules, server};

/// What a server heard, request by request.
type Heard = Arc<Mutex<Vec<String>>>;

/// Answers with what `act` makes of the path.
async fn answering(act: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> (Url, Heard) {
    let heard = Heard::default();
    let noted = Arc::clone(&heard);
    let url = server(move |mut stream: TcpStream| {
        let (act, noted) = (act.clone(), Arc::clone(&noted));
        async move {
            let mut bytes = vec![0; 8192];
            let length = stream.read(&mut bytes).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            noted.lock().unwrap().push(text);
            let answer = format!("{}connection: close\r\ncontent-length: 0\r\n\r\n", act(&path));
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (url.await, heard)
}

fn lines(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|text| text.lines().next().unwrap_or_default().to_owned()).collect()
}

fn with_secret(outbound: &Outbound, base: &Url, method: Method, url: Url) -> Request {
    let credential = Credential::new("canary-7f3a".into(), Carried::Bearer, &endpoint(outbound, base));
    Request { method, credential: Some(credential), ..Request::get(url) }
}

#[tokio::test]
async fn s21_a_redirect_at_home_keeps_method_and_credential() {
    let (base, heard) = answering(|path| match path {
        "/old" => "HTTP/1.1 308 Moved\r\nlocation: /new?x=1\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\n".into(),
    })
    .await;
    let outbound = Outbound::new(rules(LIMITS));
    let mut request = with_secret(&outbound, &base, Method::POST, base.join("old").unwrap());
    request.body = Some("{\"a\":1}".into());
    assert_eq!(client(&outbound, &base).send(request).await.unwrap().status, 200);
    assert_eq!(lines(&heard), ["POST /old HTTP/1.1", "POST /new?x=1 HTTP/1.1"]);
    let second = heard.lock().unwrap()[1].to_ascii_lowercase();
    assert!(
        second.contains("authorization: bearer canary-7f3a") && second.contains("scm-connect/"),
        "{second}"
    );
}

#[tokio::test]
async fn s21_three_redirects_are_followed_and_a_fourth_is_not() {
    let (base, heard) = answering(|path| {
        let step: u32 = path.trim_start_matches('/').parse().unwrap_or_default();
        if step == 0 {
            "HTTP/1.1 200 OK\r\n".into()
        } else {
            format!("HTTP/1.1 302 On\r\nlocation: /{}\r\n", step - 1)
        }
    })
    .await;
    let outbound = Outbound::new(rules(LIMITS));
    let three = client(&outbound, &base).send(Request::get(base.join("3").unwrap())).await;
    assert_eq!(three.unwrap().status, 200);
    let four = client(&outbound, &base).send(Request::get(base.join("4").unwrap())).await;
    assert!(matches!(four, Err(OutboundError::Odd { why: Odd::RedirectEndless, .. })), "{four:?}");
    assert_eq!(lines(&heard).len(), 8);
}

#[tokio::test]
async fn s21_s22_no_redirect_and_no_link_carries_a_credential_elsewhere() {
    let (canary, sung) = answering(|_| "HTTP/1.1 200 OK\r\n".into()).await;
    let elsewhere = canary.to_string();
    let (base, _) = answering(move |path| {
        let status = path.trim_start_matches('/');
        format!("HTTP/1.1 {status} Away\r\nlocation: {elsewhere}\r\n")
    })
    .await;
    let outbound = Outbound::new(rules(LIMITS));
    let asking = client(&outbound, &base);
    for status in ["301", "302", "303", "307", "308"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = with_secret(&outbound, &base, method, base.join(status).unwrap());
            let ended = asking.send(request).await;
            assert!(
                matches!(ended, Err(OutboundError::Odd { why: Odd::RedirectElsewhere, .. })),
                "{ended:?}"
            );
        }
    }
    let linked = asking.send(with_secret(&outbound, &base, Method::GET, canary)).await;
    assert!(matches!(linked, Err(OutboundError::Odd { why: Odd::LinkElsewhere, .. })), "{linked:?}");
    assert_eq!(lines(&sung), Vec::<String>::new());
}

#[tokio::test]
async fn s19_a_credential_of_another_address_is_not_sent() {
    let (canary, sung) = answering(|_| "HTTP/1.1 200 OK\r\n".into()).await;
    let outbound = Outbound::new(rules(LIMITS));
    let home = Url::parse("https://git.example.com/").unwrap();
    let kept = with_secret(&outbound, &home, Method::GET, canary.clone());
    let ended = client(&outbound, &canary).send(kept).await;
    assert_eq!(ended.unwrap_err(), OutboundError::Elsewhere);
    assert_eq!(lines(&sung), Vec::<String>::new());
}

#[tokio::test]
async fn s20_no_word_of_an_answer_is_in_an_error() {
    let (base, _) = answering(|path| match path {
        "/status" => "HTTP/1.1 200 canary-7f3a\r\ncontent-type: text/canary-7f3a\r\n".into(),
        "/away" => "HTTP/1.1 302 x\r\nlocation: https://canary-7f3a.example.com/\r\n".into(),
        "/nowhere" => "HTTP/1.1 302 x\r\nlocation: http://[canary-7f3a\r\n".into(),
        "/broken" => "HTTP/1.1 canary-7f3a\r\n".into(),
        _ => "canary-7f3a\r\n".into(),
    })
    .await;
    let outbound = Outbound::new(rules(LIMITS));
    for path in ["status", "away", "nowhere", "broken", "garbage"] {
        let answered = client(&outbound, &base).send(Request::get(base.join(path).unwrap())).await;
        let error = answered.and_then(|answer| answer.json::<serde_json::Value>()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{path}: {error:?}");
    }
}
