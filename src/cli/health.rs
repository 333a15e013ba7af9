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

/// Asks the daemon that listens there, and prints what it says.
///
/// # Errors
/// When it does not answer.
pub async fn healthcheck(ops: SocketAddr, what: Question, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let (yes, no) = match what {
        Question::Ready => ("ready", "not ready"),
        Question::Alive => ("alive", "not well"),
    };
    let is_well = ask(ops, what).await?;
    terminal.line(if is_well { yes } else { no })?;
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

/// Whether the daemon that listens there says yes.
///
/// # Errors
/// When it does not answer.
pub async fn ask(mut ops: SocketAddr, what: Question) -> Result<bool, Failure> {
    // "Everywhere" is an address to listen on, not one to ask.
    match ops.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => ops.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => ops.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let path = match what {
        Question::Ready => "readyz",
        Question::Alive => "livez",
    };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
    let answer = client.get(format!("http://{ops}/{path}")).send().await;
    let answer =
        answer.map_err(|_| Failure::failed(format!("nobody answers at {ops}; is the daemon running?")))?;
    Ok(answer.status().is_success())
}
