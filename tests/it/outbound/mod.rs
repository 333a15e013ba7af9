//! What a forge can do to whoever calls it, and what becomes of the call: R32, S19 to S23, certificates.

mod hostile;
mod rough;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use scm_connect::domain::Timestamp;
use scm_connect::outbound::{Client, Endpoint, Limits, Outbound, OutboundError, Request, Rules};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Patience for tests: the shape of the real limits at a thirtieth.
const LIMITS: Limits = Limits {
    connect: Duration::from_millis(170),
    header: Duration::from_millis(330),
    whole: Duration::from_secs(1),
    body_bytes_max: 10 << 20,
};

fn rules(limits: Limits) -> Rules {
    let private = vec!["127.0.0.0/8".parse().unwrap()];
    Rules { plain_http: true, private, limits, clock: Arc::new(|| Timestamp::from_ms(1_780_000_000_000)) }
}

/// A server on this machine that does with each connection what `act` says.
async fn server<F, Fut>(act: F) -> Url
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(stream));
        }
    });
    Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap()
}

fn endpoint(outbound: &Outbound, base: &Url) -> Endpoint {
    outbound.declared(base.clone(), None, None, &[])
}

fn client(outbound: &Outbound, base: &Url) -> Client {
    outbound.open(endpoint(outbound, base), "github").unwrap()
}

async fn get(client: &Client) -> Result<serde_json::Value, OutboundError> {
    client.send(Request::get(client.endpoint().base().clone())).await?.json()
}

#[test]
fn r32_the_limits_are_the_documented_ones() {
    let limits = Limits::default();
    let seconds = [limits.connect, limits.header, limits.whole].map(|it| it.as_secs());
    assert_eq!((seconds, limits.body_bytes_max), ([5, 10, 30], 10 << 20));
}
