//! What a hostile setting, name server or answer would like us to call.

use std::net::{IpAddr, Ipv4Addr};

use scm_connect::outbound::Method;

use super::names::label;

/// How we are brought to call it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Way {
    /// As a base URL.
    Typed,
    /// As a base URL, the second time; the first time its name leads to the forge.
    Again,
    /// The forge redirects to it, with this status, a request of this method.
    Redirect(u16, Method),
    /// The forge names it as the next page.
    Link,
    /// Through this proxy.
    Proxy(String),
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) url: String,
    pub(super) way: Way,
}

const V4: [Ipv4Addr; 16] = [
    Ipv4Addr::new(0, 0, 0, 0),
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(100, 64, 0, 1),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 8, 8, 8),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(172, 16, 0, 1),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(192, 168, 1, 1),
    Ipv4Addr::new(198, 18, 0, 1),
    Ipv4Addr::new(203, 0, 113, 7),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::new(255, 255, 255, 255),
];

const V6: [&str; 13] = [
    "::",
    "::1",
    "::7f00:1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
];

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for url in spelled().into_iter().chain(named()).chain(odd()) {
        cases.push(Case { url, way: Way::Typed });
    }
    for address in forbidden() {
        cases.push(Case { url: format!("http://rebind.{}.test:8080/", label(address)), way: Way::Again });
    }
    for target in targets() {
        for status in [301, 302, 303, 307, 308] {
            cases.push(Case { url: target.into(), way: Way::Redirect(status, Method::GET) });
        }
        cases.push(Case { url: target.into(), way: Way::Redirect(307, Method::POST) });
        cases.push(Case { url: target.into(), way: Way::Link });
    }
    for proxy in [
        "http://127.0.0.1:3128",
        "http://one.a-10-0-0-1.test:3128",
        "http://[::1]:3128",
        "http://2130706433:3128",
    ] {
        cases.push(Case { url: "unused".into(), way: Way::Proxy(proxy.into()) });
    }
    cases
}

fn forbidden() -> impl Iterator<Item = IpAddr> {
    let v6 = V6.into_iter().map(|text| text.parse().unwrap());
    V4.into_iter().map(IpAddr::V4).chain(v6)
}

/// Every number in every notation.
fn spelled() -> Vec<String> {
    let mut urls = Vec::new();
    for address in V4 {
        let [a, b, c, d] = address.octets();
        let number = u32::from(address);
        urls.push(format!("http://{address}:8080/"));
        urls.push(format!("http://{number}:8080/"));
        urls.push(format!("http://0x{number:08x}:8080/"));
        urls.push(format!("http://0{a:o}.0{b:o}.0x{c:x}.{d}:8080/"));
        urls.push(format!("http://{a}.{b}.{}.:8080/", u32::from(c) * 256 + u32::from(d)));
        urls.push(format!("http://[::ffff:{address}]:8080/"));
    }
    urls.extend(V6.map(|text| format!("http://[{text}]:8080/")));
    urls
}

/// Names that lead there: alone, behind and before a public address, through an alias.
fn named() -> Vec<String> {
    let hows = ["one", "behind", "before", "alias"];
    let each = |address| hows.map(|how| format!("http://{how}.{}.test:8080/", label(address)));
    forbidden().flat_map(each).collect()
}

fn odd() -> Vec<String> {
    [
        "http://localhost:8080/",
        "http://LOCALHOST.:8080/",
        "http://one.a-127-0-0-1.test.:8080/",
        "http://ONE.A-127-0-0-1.TEST:8080/",
        "http://[::1%25lo]:8080/",
        "http://[fe80::1%25lo]:8080/",
        "http://forge.test@127.0.0.1:8080/",
        "http://user:word@forge.test:8080/",
        "http://127.0.0.1:8080#@forge.test/",
        "http://127.0.0.1:8080\\@forge.test/",
        "http://127.0.0.1:8080?@forge.test/",
        "http://①②⑦.⓪.⓪.①:8080/",
        "http://127。0。0。1:8080/",
        "http://ｌｏｃａｌｈｏｓｔ:8080/",
        "http://%6c%6f%63%61%6c%68%6f%73%74:8080/",
        "http://nobody.test:8080/",
        "http://no-such-name.test:8080/",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:80/",
        "file:///etc/passwd",
        "unix:///run/x.sock",
    ]
    .map(str::to_owned)
    .into()
}

/// Where a redirect or a link may point; the forge itself on another port or scheme is another place as well.
fn targets() -> [&'static str; 13] {
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://[fd00:ec2::254]/",
        "https://127.0.0.1/",
        "http://one.a-169-254-169-254.test/",
        "http://before.a-10-0-0-1.test/",
        "//127.0.0.1:8080/",
        "http://140.82.112.3:80/",
        "https://140.82.112.3:8080/",
        "http://140.82.112.3:8080@127.0.0.1/",
        "http://user:word@140.82.112.3:8080/",
        "http://127.0.0.1\\@140.82.112.3:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
    ]
}
