//! The one table of addresses that are not called. The settings check and the dialler both read it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A range of addresses that no forge is expected to live on.
struct Range {
    net: IpNet,
    /// What lives there, to be said to people.
    what: &'static str,
    opens: Opens,
}

/// Whether an operator may say that a forge of theirs does live there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// By a network of the config that lies within the range.
    ByName,
    Never,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8, what: &'static str, opens: Opens) -> Range {
    Range { net: IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits), what, opens }
}

const fn v6(head: [u16; 4], tail: [u16; 4], bits: u8, what: &'static str, opens: Opens) -> Range {
    let ([a, b, c, d], [e, f, g, h]) = (head, tail);
    Range { net: IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits), what, opens }
}

use Opens::{ByName, Never};

const METADATA: &str = "a cloud's metadata service";
const LOOPBACK: &str = "this machine itself";
const LINK_LOCAL: &str = "a link-local address";
const PRIVATE: &str = "a private network";
const RESERVED: &str = "a reserved network";
const EXAMPLES: &str = "a network for examples";
const MULTICAST: &str = "a group of machines";
const TRANSLATED: &str = "another address in disguise";
const NONE: [u16; 4] = [0; 4];

/// Narrower ranges stand out from wider ones by their length; the narrowest that fits decides.
const FORBIDDEN: &[Range] = &[
    v4(0, 0, 0, 0, 8, "no machine at all", Never),
    v4(10, 0, 0, 0, 8, PRIVATE, ByName),
    v4(100, 64, 0, 0, 10, "a carrier's own network", ByName),
    v4(100, 100, 100, 200, 32, METADATA, Never),
    v4(127, 0, 0, 0, 8, LOOPBACK, ByName),
    v4(168, 63, 129, 16, 32, METADATA, Never),
    v4(169, 254, 0, 0, 16, LINK_LOCAL, ByName),
    v4(169, 254, 169, 254, 32, METADATA, Never),
    v4(169, 254, 170, 2, 32, METADATA, Never),
    v4(169, 254, 170, 23, 32, METADATA, Never),
    v4(172, 16, 0, 0, 12, PRIVATE, ByName),
    v4(192, 0, 0, 0, 24, RESERVED, Never),
    v4(192, 0, 2, 0, 24, EXAMPLES, Never),
    v4(192, 88, 99, 0, 24, TRANSLATED, Never),
    v4(192, 168, 0, 0, 16, PRIVATE, ByName),
    v4(198, 18, 0, 0, 15, "a network for benchmarks", Never),
    v4(198, 51, 100, 0, 24, EXAMPLES, Never),
    v4(203, 0, 113, 0, 24, EXAMPLES, Never),
    v4(224, 0, 0, 0, 4, MULTICAST, Never),
    v4(240, 0, 0, 0, 4, RESERVED, Never),
    // All that is not handed out as public; the narrower lines say what it is.
    v6(NONE, NONE, 0, RESERVED, Never),
    v6(NONE, [0, 0, 0, 1], 128, LOOPBACK, ByName),
    v6(NONE, NONE, 96, TRANSLATED, Never),
    v6(NONE, [0, 0xffff, 0, 0], 96, TRANSLATED, Never),
    v6([0x64, 0xff9b, 0, 0], NONE, 96, TRANSLATED, ByName),
    v6([0x64, 0xff9b, 1, 0], NONE, 48, TRANSLATED, Never),
    v6([0x2001, 0, 0, 0], NONE, 23, TRANSLATED, Never),
    v6([0x2001, 0xdb8, 0, 0], NONE, 32, EXAMPLES, Never),
    v6([0x2002, 0, 0, 0], NONE, 16, TRANSLATED, Never),
    v6([0x3fff, 0, 0, 0], NONE, 20, EXAMPLES, Never),
    v6([0xfc00, 0, 0, 0], NONE, 7, PRIVATE, ByName),
    v6([0xfd00, 0xec2, 0, 0], [0, 0, 0, 0x254], 128, METADATA, Never),
    v6([0xfd20, 0xce, 0, 0], [0, 0, 0, 0x254], 128, METADATA, Never),
    v6([0xfe80, 0, 0, 0], NONE, 10, LINK_LOCAL, Never),
    v6([0xff00, 0, 0, 0], NONE, 8, MULTICAST, Never),
];

/// What is handed out as public in version 6.
const PUBLIC_V6: IpNet = IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), 3);
/// Where a translator puts the addresses of version 4.
const NAT64: IpNet = IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)), 96);

/// The narrowest range that holds the address; `None`: it is public.
fn range(address: IpAddr) -> Option<&'static Range> {
    let holding = FORBIDDEN.iter().filter(|range| range.net.contains(&address));
    let narrowest = holding.max_by_key(|range| range.net.prefix_len())?;
    let rest_of_v6 = narrowest.net.prefix_len() == 0;
    (!rest_of_v6 || !PUBLIC_V6.contains(&address)).then_some(narrowest)
}

/// The networks, besides the public ones, that a forge may be in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Allowed(Vec<IpNet>);

impl Allowed {
    /// These networks. One opens a forbidden range only where it lies within it: `0.0.0.0/0` opens nothing.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let mut networks: Vec<IpNet> = networks.into_iter().map(|net| net.trunc()).collect();
        networks.sort_unstable();
        networks.dedup();
        Self(networks)
    }

    /// Whether this address may be dialled.
    ///
    /// # Errors
    /// With what lives there, when it may not.
    pub fn admit(&self, address: IpAddr) -> Result<(), &'static str> {
        let Some(range) = range(address) else { return Ok(()) };
        let named = |net: &IpNet| net.contains(&address) && range.net.contains(net);
        if range.opens == Never || !self.0.iter().any(named) {
            return Err(range.what);
        }
        match address {
            IpAddr::V6(translated) if NAT64.contains(&address) => {
                let [.., a, b, c, d] = translated.octets();
                self.admit(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            _ => Ok(()),
        }
    }
}

/// Checks a network of the config by the same table.
///
/// # Errors
/// When it would open nothing; says why, in words that follow the network's name.
pub fn check_network(network: &IpNet) -> Result<(), String> {
    let network = network.trunc();
    let within = FORBIDDEN.iter().filter(|range| range.net.contains(&network));
    match within.max_by_key(|range| range.net.prefix_len()) {
        Some(range) if range.opens == ByName => Ok(()),
        Some(range) if range.net.prefix_len() > 0 => {
            Err(format!("is {}, where no forge lives and nothing is ever called", range.what))
        }
        _ if range(network.addr()).is_none() => Err("is public, where forges may be anyway".into()),
        _ => Err("is wider than any private network, and would open nothing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(networks: &[&str]) -> Allowed {
        Allowed::new(networks.iter().map(|net| net.parse().unwrap()))
    }

    fn admits(allowed: &Allowed, address: &str) -> bool {
        allowed.admit(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn s18_public_addresses_are_called_and_all_others_are_not() {
        let nothing = Allowed::default();
        for public in ["140.82.112.3", "1.1.1.1", "172.65.251.78", "2606:50c0:8000::153", "2a00:1450::1"] {
            assert!(admits(&nothing, public), "{public}");
        }
        for forbidden in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:140.82.112.3",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!admits(&nothing, forbidden), "{forbidden}");
        }
    }

    #[test]
    fn s18_a_network_of_the_config_opens_itself_and_nothing_else() {
        let office = allowed(&["10.20.0.0/16", "fd12::/16"]);
        assert!(admits(&office, "10.20.3.4") && admits(&office, "fd12::7"));
        assert!(
            !admits(&office, "10.21.0.1") && !admits(&office, "192.168.0.1") && !admits(&office, "fd13::7")
        );
    }

    #[test]
    fn s18_no_network_opens_metadata_services_or_everything() {
        let wide =
            allowed(&["0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254/32", "fc00::/7", "::/96"]);
        for forbidden in
            ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "10.0.0.1", "127.0.0.1", "::ffff:10.0.0.1"]
        {
            assert!(!admits(&wide, forbidden), "{forbidden}");
        }
        assert!(admits(&wide, "169.254.7.7"));
    }

    #[test]
    fn s18_a_translated_address_is_judged_by_what_it_stands_for() {
        let translated = allowed(&["64:ff9b::/96"]);
        assert!(admits(&translated, "64:ff9b::8c52:7003"));
        assert!(!admits(&translated, "64:ff9b::7f00:1") && !admits(&translated, "64:ff9b::a9fe:a9fe"));
    }

    #[test]
    fn s18_the_settings_check_says_what_a_network_would_open() {
        let check = |net: &str| check_network(&net.parse().unwrap());
        for good in ["10.0.0.0/8", "10.20.0.0/16", "192.168.1.1/32", "127.0.0.0/8", "fd12::/16", "fc00::/7"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("169.254.169.254/32", "metadata"),
            ("224.0.0.0/4", "a group of machines"),
            ("::ffff:0:0/96", "disguise"),
            ("0.0.0.0/0", "wider"),
            ("::/0", "wider"),
            ("140.82.112.0/20", "public"),
        ] {
            let said = check(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
