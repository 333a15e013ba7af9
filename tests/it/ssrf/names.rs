//! A name server that lies as it is told: rebinding, several records, aliases, mapped addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

use super::world::FORGE;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// How often each name's address was asked for.
pub(super) type Asked = Arc<Mutex<HashMap<String, u32>>>;

/// Answers until the test ends.
pub(super) async fn serve(asked: Asked) {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            if let Some(answer) = answer(&packet[..length], &asked) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
}

/// What one name leads to.
struct Found {
    alias: Option<String>,
    addresses: Vec<IpAddr>,
}

/// `a-10-0-0-1.test` leads to 10.0.0.1 (for version 6 the colons are dashes, after `b-`); a prefix says how.
fn found(name: &str, earlier: u32) -> Option<Found> {
    let label = name.strip_suffix(".test")?;
    let forge = IpAddr::V4(FORGE);
    let only = |address| Some(Found { alias: None, addresses: vec![address] });
    match label {
        "forge" => return only(forge),
        "alias" => return Some(Found { alias: Some("forge.test".into()), addresses: vec![forge] }),
        "nobody" => return Some(Found { alias: None, addresses: Vec::new() }),
        "rebind-once" => return only(if earlier == 0 { forge } else { Ipv4Addr::LOCALHOST.into() }),
        _ => {}
    }
    let (how, rest) = label.split_once('.')?;
    let address = address(rest)?;
    match how {
        "one" => only(address),
        "behind" => Some(Found { alias: None, addresses: vec![forge, address] }),
        "before" => Some(Found { alias: None, addresses: vec![address, forge] }),
        "alias" => Some(Found { alias: Some(format!("one.{rest}.test")), addresses: vec![address] }),
        "rebind" => only(if earlier == 0 { forge } else { address }),
        _ => None,
    }
}

fn address(label: &str) -> Option<IpAddr> {
    let (family, digits) = label.split_once('-')?;
    match family {
        "a" => digits.replace('-', ".").parse().ok().map(IpAddr::V4),
        "b" => digits.replace('-', ":").parse().ok().map(IpAddr::V6),
        _ => None,
    }
}

fn answer(question: &[u8], asked: &Asked) -> Option<Vec<u8>> {
    let (name, end) = name(question, 12)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    // Both families are asked for at once; the first of the two begins a new round.
    let earlier = {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(name.clone()).or_default();
        let earlier = if kind == A { *count } else { count.saturating_sub(1) };
        *count += u32::from(kind == A);
        earlier
    };
    let found = found(&name, earlier);
    let mut records = Vec::new();
    let mut owner = name;
    if let Some(alias) = found.as_ref().and_then(|found| found.alias.clone()) {
        records.push(record(&owner, CNAME, &spelled(&alias)));
        owner = alias;
    }
    for address in found.iter().flat_map(|found| &found.addresses) {
        match address {
            IpAddr::V4(it) if kind == A => records.push(record(&owner, A, &it.octets())),
            IpAddr::V6(it) if kind == AAAA => records.push(record(&owner, AAAA, &it.octets())),
            _ => {}
        }
    }
    let mut packet = question.get(..2)?.to_vec();
    let no_such_name = u8::from(found.is_none()) * 3;
    packet.extend([0x84, no_such_name, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    packet.extend(question.get(12..end + 4)?);
    packet.extend(records.concat());
    Some(packet)
}

/// Reads a name in the packet; returns it and where it ends.
fn name(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_ascii_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).into_owned());
        at += length;
    }
}

fn spelled(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    let mut spelled: Vec<u8> = name.split('.').flat_map(label).collect();
    spelled.push(0);
    spelled
}

/// One record that must not be remembered: its time to live is zero.
fn record(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = spelled(name);
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0]);
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

/// The label that leads to an address.
pub(super) fn label(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => format!("a-{}", it.to_string().replace('.', "-")),
        IpAddr::V6(it) => format!("b-{}", whole(it).replace(':', "-")),
    }
}

/// Version 6 without shortening: two dashes in a row would be read as something else.
fn whole(address: Ipv6Addr) -> String {
    address.segments().map(|part| format!("{part:x}")).join(":")
}
