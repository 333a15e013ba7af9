//! `healthcheck`: one request to the ops listener, for container images without curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `/readyz`.
    Ready,
    /// `/livez`.
    Alive,
}

/// Asks the daemon that listens there.
///
/// # Errors
/// When it does not answer.
pub async fn healthcheck(
    mut ops: SocketAddr,
    what: Question,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    // "Everywhere" is an address to listen on, not one to ask.
    match ops.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => ops.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => ops.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let (path, yes, no) = match what {
        Question::Ready => ("readyz", "ready", "not ready"),
        Question::Alive => ("livez", "alive", "not well"),
    };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
    let answer = client.get(format!("http://{ops}/{path}")).send().await;
    let answer =
        answer.map_err(|_| Failure::failed(format!("nobody answers at {ops}; is the daemon running?")))?;
    if answer.status().is_success() {
        terminal.line(yes)?;
        Ok(Exit::Done)
    } else {
        terminal.line(no)?;
        Ok(Exit::Failed)
    }
}
