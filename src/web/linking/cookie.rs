//! The cookie of a browser's session. Its name has browsers refuse it from anywhere but this host, over TLS (or this
//! very machine), for all paths; so it cannot be planted from beside us.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;

const NAME: &str = "__Host-scm-connect";
/// As long as the session.
const LIFE_S: u32 = 3600;

/// `Set-Cookie` for a session. `Lax`: it comes back when the forge sends the browser here.
pub(super) fn set(session: &str) -> String {
    format!("{NAME}={session}; Path=/; Max-Age={LIFE_S}; Secure; HttpOnly; SameSite=Lax")
}

/// `Set-Cookie` that takes it away.
pub(super) fn clear() -> String {
    format!("{NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

/// The session that a request names. Two of them name none.
pub(super) fn get(request: &HttpRequest) -> Option<String> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned());
    let first = named.next()?;
    named.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn s13_the_session_cookie_is_for_this_host_over_tls_and_out_of_reach_of_scripts() {
        for cookie in [set("x"), clear()] {
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            for word in ["; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                assert!(cookie.contains(word), "{cookie}");
            }
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }

    #[test]
    fn s25_a_second_cookie_of_the_name_is_no_session() {
        let get_of = |headers: &[&str]| {
            let mut request = TestRequest::get();
            for header in headers {
                request = request.append_header((COOKIE, *header));
            }
            get(&request.to_http_request())
        };
        assert_eq!(get_of(&["a=1; __Host-scm-connect=x; b=2"]), Some("x".into()));
        assert_eq!(get_of(&["__Host-scm-connect=x; __Host-scm-connect=y"]), None);
        assert_eq!(get_of(&["__Host-scm-connect=x", "__Host-scm-connect=y"]), None);
        assert_eq!(get_of(&["scm-connect=x"]), None);
    }
}
