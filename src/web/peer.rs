//! Who is at the other end, and how many requests each peer has open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use super::Front;
use super::error::Problem;

/// The address that limits and logs speak of: the socket's, unless that is a trusted proxy's. Then it is the nearest
/// address to us, in the forwarding header, that is no trusted proxy.
pub(crate) fn address(socket: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let socket = socket.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
    if !is_trusted(socket, trusted) {
        return socket;
    }
    let listed = nearest_stranger(&list(headers, "x-forwarded-for"), trusted);
    let standard = nearest_stranger(&forwarded(headers), trusted);
    match (listed, standard) {
        (Some(one), None) | (None, Some(one)) => one,
        (Some(one), Some(other)) if one == other => one,
        // A proxy appends to one of the two; the other then is the stranger's own writing, and nobody can tell which.
        _ => socket,
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let texts = headers.get_all(name).map(|value| value.to_str().unwrap_or("?"));
    texts.flat_map(|text| text.split(',')).map(|part| part.trim().to_owned()).collect()
}

/// The `for=` of each element of `Forwarded`; an element without one stands as an unreadable address.
fn forwarded(headers: &HeaderMap) -> Vec<String> {
    let of_element = |element: &String| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        found.map_or_else(String::new, |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    list(headers, "forwarded").iter().map(of_element).collect()
}

/// Walks from us outwards over trusted proxies. An unreadable address ends the walk without an answer.
fn nearest_stranger(addresses: &[String], trusted: &[IpNet]) -> Option<IpAddr> {
    for text in addresses.iter().rev() {
        let address = parse(text)?;
        if !is_trusted(address, trusted) {
            return Some(address);
        }
    }
    None
}

fn parse(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    let plain = inner.unwrap_or(text).parse::<IpAddr>().ok();
    plain
        .or_else(|| text.parse::<SocketAddr>().ok().map(|found| found.ip()))
        .map(|found| found.to_canonical())
}

/// What limits count as one peer: an IPv4 address, or a whole IPv6 /64, of which one customer holds at least one.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Open requests per peer.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One open request; ends when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// `None`: this peer has `most` requests open already.
    pub(crate) fn enter(&self, peer: IpAddr, most: usize) -> Option<Visit> {
        let peer = neighbourhood(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        drop(open);
        Some(Visit { peers: self.clone(), peer })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&self.peer).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            open.remove(&self.peer);
        } else {
            open.insert(self.peer, left);
        }
    }
}

/// Who sends a request, and the request as one more that they have open; `None`: they have too many.
pub(crate) fn knock(request: &HttpRequest, front: &Front) -> (IpAddr, Option<Visit>) {
    let address = address(request.peer_addr(), request.headers(), &front.trusted_proxies);
    (address, front.peers.enter(address, front.limits.peer_requests_max))
}

/// The same, and refuses who has too many.
pub(crate) fn enter(request: &HttpRequest, front: &Front) -> Result<(IpAddr, Visit), Problem> {
    let (address, visit) = knock(request, front);
    Ok((address, visit.ok_or_else(Problem::busy)?))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn seen(socket: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        address(Some(format!("{socket}:1").parse().unwrap()), &map, &trusted).to_string()
    }

    #[test]
    fn s12_a_strangers_forwarded_header_has_no_effect() {
        assert_eq!(seen("9.9.9.9", &[("x-forwarded-for", "7.7.7.7")], &["10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(seen("9.9.9.9", &[("forwarded", "for=7.7.7.7")], &[]), "9.9.9.9");
    }

    #[test]
    fn s12_behind_a_trusted_proxy_the_nearest_stranger_counts() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(
            seen("10.0.0.1", &[("x-forwarded-for", "7.7.7.7, 8.8.8.8, 10.0.0.2")], trusted),
            "8.8.8.8"
        );
        let two = [("x-forwarded-for", "7.7.7.7"), ("x-forwarded-for", "8.8.8.8")];
        assert_eq!(seen("10.0.0.1", &two, trusted), "8.8.8.8");
        assert_eq!(
            seen("10.0.0.1", &[("forwarded", "for=\"[2001:db8::1]:99\";proto=https")], trusted),
            "2001:db8::1"
        );
        assert_eq!(seen("10.0.0.1", &[("x-forwarded-for", "8.8.8.8:4711")], trusted), "8.8.8.8");
    }

    #[test]
    fn s12_two_headers_that_disagree_or_cannot_be_read_are_not_believed() {
        let trusted = &["10.0.0.0/8"];
        let both = [("x-forwarded-for", "8.8.8.8"), ("forwarded", "for=7.7.7.7")];
        assert_eq!(seen("10.0.0.1", &both, trusted), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[("x-forwarded-for", "7.7.7.7, nonsense")], trusted), "10.0.0.1");
    }

    #[test]
    fn a_peer_has_only_so_many_requests_open() {
        let peers = Peers::default();
        let here = "2001:db8::1".parse().unwrap();
        let first = peers.enter(here, 2);
        let second = peers.enter("2001:db8::2".parse().unwrap(), 2);
        assert!(first.is_some() && second.is_some());
        assert!(peers.enter(here, 2).is_none());
        drop(first);
        assert!(peers.enter(here, 2).is_some());
        drop(second);
        assert!(peers.open.lock().unwrap().is_empty());
    }
}
