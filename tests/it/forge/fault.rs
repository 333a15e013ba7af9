//! What can be wrong with a forge, to be planted at a path and page.

use super::http::{Asked, Body, Reply};

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and nothing else.
    Status(u16),
    /// 200 and `[]`.
    Empty,
    /// The next page is this one.
    Loop,
    /// The next page is at this address.
    NextAt(String),
    /// A redirect to this address.
    RedirectTo(String),
    /// A web page, with status 200.
    Html,
    /// The answer breaks off.
    Cut,
    /// The answer never ends.
    Endless,
    /// No answer.
    Silence,
    /// The right answer, after so many milliseconds.
    Late(u64),
    /// The scopes that the token has from now on.
    Scopes(&'static str),
    /// A limit, with these headers.
    Limit(u16, Vec<(&'static str, i64)>, &'static str),
    /// This JSON.
    Json(&'static str),
}

/// A fault with its place.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) path: &'static str,
    /// Which page it strikes; the first has no cursor.
    pub(crate) page: u32,
    pub(crate) times: u32,
    pub(crate) fault: Fault,
}

impl Planted {
    /// Strikes once, at the first page of this path.
    pub(crate) fn at(path: &'static str, fault: Fault) -> Self {
        Self { path, page: 1, times: 1, fault }
    }

    /// Strikes until it is healed, at every path that ends like this.
    pub(crate) fn always(path: &'static str, fault: Fault) -> Self {
        Self::at(path, fault).times(u32::MAX)
    }

    pub(crate) fn page(self, page: u32) -> Self {
        Self { page, ..self }
    }

    pub(crate) fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub(super) fn strikes(&self, asked: &Asked) -> bool {
        let page = asked.query("page").and_then(|page| page.parse().ok()).unwrap_or(1);
        self.times > 0 && asked.path.ends_with(self.path) && page == self.page
    }
}

impl Fault {
    /// What becomes of the right answer.
    pub(super) fn spoil(self, right: Reply, here: &str) -> Reply {
        let link = |mut reply: Reply, target: &str| {
            reply.headers.retain(|(name, _)| name != "link");
            reply.with("link", format!("<{target}>; rel=\"next\""))
        };
        match self {
            Self::Status(status) => Reply { status, headers: Vec::new(), body: Body::Whole(Vec::new()) },
            Self::Empty => Reply { body: Body::Whole(b"[]".to_vec()), ..right },
            Self::Loop => link(right, here),
            Self::NextAt(target) => link(right, &target),
            Self::RedirectTo(target) => Reply::empty(302).with("location", target),
            Self::Html => Reply {
                status: 200,
                headers: vec![("content-type".into(), "text/html".into())],
                body: Body::Whole(b"<html>sign in</html>".to_vec()),
            },
            Self::Cut => Reply { body: Body::Cut(right.text().to_vec()), ..right },
            Self::Endless => Reply { body: Body::Endless, ..right },
            Self::Silence => Reply { body: Body::Never, ..right },
            Self::Late(ms) => Reply { body: Body::Late(ms, right.text().to_vec()), ..right },
            Self::Json(body) => Reply { body: Body::Whole(body.as_bytes().to_vec()), ..right },
            Self::Limit(status, headers, body) => {
                let reply =
                    Reply { status, headers: Vec::new(), body: Body::Whole(body.as_bytes().to_vec()) };
                let reply = reply.with("content-type", "application/json");
                headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
            }
            // Changes the token, not the answer.
            Self::Scopes(_) => right,
        }
    }
}
