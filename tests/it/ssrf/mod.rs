//! S18: whatever is typed, resolved or answered, no connection arrives at an address that is not called.
//!
//! The proof runs in a network of its own, in which *every* address of both families leads to one listener, so that a
//! connection to any forbidden address is seen; names are answered by a name server of ours. The test starts itself
//! again inside of that network.

mod cases;
mod names;
mod world;

use std::process::Command;
use std::sync::Arc;

use scm_connect::domain::Timestamp;
use scm_connect::outbound::{
    Carried, Credential, Endpoint, Limits, Outbound, OutboundError, Request, Rules, header,
};
use url::Url;

use cases::{Case, Way};
use world::World;

/// Set inside of the network.
const INSIDE: &str = "SCM_CONNECT_TEST_NETWORK";

/// Starts the named test again in a network and with mounts of its own; `false` when it already is there.
fn outside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let ended = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    let ended = ended.expect("unshare (util-linux) is missing: run `bash tests/tools`");
    assert!(ended.success(), "the test failed inside of its network; this needs root");
    true
}

fn outbound() -> Outbound {
    Outbound::new(Rules {
        // The scheme must not be what saves us.
        plain_http: true,
        private: Vec::new(),
        limits: Limits::default(),
        clock: Arc::new(|| Timestamp::from_ms(1_780_000_000_000)),
    })
}

/// Does what a hostile setting or answer would make us do.
async fn attempt(outbound: &Outbound, case: &Case) -> Result<u16, String> {
    let base = match &case.way {
        Way::Typed | Way::Again => Url::parse(&case.url).map_err(|error| error.to_string())?,
        Way::Redirect(..) | Way::Link | Way::Proxy(_) => Url::parse(world::FORGE_URL).unwrap(),
    };
    let endpoint = match &case.way {
        Way::Proxy(proxy) => Endpoint::declared(base.clone(), None, Some(Url::parse(proxy).unwrap()), []),
        _ => Endpoint::typed(base.clone()),
    };
    let client = outbound.open(endpoint.clone(), "github").map_err(|error| error.to_string())?;
    let url = match &case.way {
        Way::Redirect(status, _) => {
            let mut url = base.join("redirect").unwrap();
            url.query_pairs_mut().append_pair("status", &status.to_string()).append_pair("to", &case.url);
            url
        }
        Way::Link => Url::parse(&case.url).map_err(|error| error.to_string())?,
        _ => base,
    };
    let mut request = Request::get(url);
    request.credential = Some(Credential::new("s18-canary".into(), Carried::Bearer, &endpoint));
    if let Way::Redirect(_, method) = &case.way {
        request.method = method.clone();
    }
    request.headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    if case.way == Way::Again {
        client.send(request.clone()).await.map_err(|error| format!("the first call: {error}"))?;
    }
    client.send(request).await.map(|answer| answer.status).map_err(|error: OutboundError| error.to_string())
}

#[test]
fn s18_no_case_of_two_hundred_reaches_a_canary() {
    if outside("ssrf::s18_no_case_of_two_hundred_reaches_a_canary") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let world = World::begin().await;
        world.canaries_sing().await;
        let cases = cases::all();
        assert!(cases.len() >= 200, "only {} cases", cases.len());
        for case in &cases {
            // Each with its own client: a breaker that opened must not be what saves us.
            let ended = attempt(&outbound(), case).await;
            let sung = world.sung();
            assert!(sung.is_empty(), "{case:?} reached {sung:?}");
            assert!(ended.is_err(), "{case:?} was answered {ended:?}");
        }
        assert_eq!(world.secrets_elsewhere(), 0);
        println!("{} cases, 0 connections at canaries", cases.len());
    });
}

#[test]
fn s18_what_is_allowed_is_reached_and_what_was_checked_is_what_is_dialled() {
    if outside("ssrf::s18_what_is_allowed_is_reached_and_what_was_checked_is_what_is_dialled") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let world = World::begin().await;
        for url in ["http://forge.test:8080/", "http://140.82.112.3:8080/", "http://alias.test:8080/"] {
            let case = Case { url: url.into(), way: Way::Typed };
            assert_eq!(attempt(&outbound(), &case).await, Ok(200), "{url}");
        }
        let home = "http://140.82.112.3:8080/".to_owned();
        for status in [301, 302, 303, 307, 308] {
            let case =
                Case { url: home.clone(), way: Way::Redirect(status, scm_connect::outbound::Method::GET) };
            assert_eq!(attempt(&outbound(), &case).await, Ok(200), "{status}");
        }
        // The first answer is public and every later one is not; one call asks once and dials what it was told.
        let rebinding = Case { url: "http://rebind-once.test:8080/".into(), way: Way::Typed };
        assert_eq!(attempt(&outbound(), &rebinding).await, Ok(200));
        assert_eq!(world.asked("rebind-once.test"), 1);
        assert!(world.sung().is_empty());
    });
}
