//! Lists: pages by the server's own links, tags, and what is counted.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::super::{Asked, Reply};
use super::Github;
use super::door::{Caller, credential, refusal};
use super::hook::gone;

impl Github {
    /// One page of these rows; `wrap` puts them where the real answer has them.
    pub(super) fn page(
        &self,
        asked: &Asked,
        rows: &[Value],
        wrap: impl Fn(Vec<Value>, usize) -> Value,
    ) -> Reply {
        let per_page: usize = asked.query("per_page").and_then(|it| it.parse().ok()).unwrap_or(30);
        let page: usize = asked.query("page").and_then(|it| it.parse().ok()).unwrap_or(1);
        let begin = (page - 1) * per_page;
        let here: Vec<Value> = rows.iter().skip(begin).take(per_page).cloned().collect();
        let more = rows.len() > begin + here.len();
        let reply = Reply::json(200, &wrap(here, rows.len()));
        if !more {
            return reply;
        }
        let kept = asked.query.iter().filter(|(key, _)| key != "page" && key != "after");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        kept.for_each(|(key, value)| {
            query.append_pair(key, value);
        });
        // The cursor is what makes a made-up page number useless.
        query.append_pair("page", &(page + 1).to_string()).append_pair("after", "Y3Vyc29yOnYyOpHOAA");
        let url = self.api().join(&asked.path).unwrap();
        let last = "rel=\"last\"";
        let query = query.finish();
        reply.with("link", format!("<{url}?page=9&after=x>; {last}, <{url}?{query}>; rel=\"next\""))
    }

    /// The answer to a request that kept the rules, with what every answer carries.
    pub(super) fn right(&self, asked: &Asked) -> Reply {
        let keys = "/_services/token/.well-known/jwks";
        let keys = self.id_token_keys.told(asked, keys, &self.book).filter(|_| self.version.is_some());
        let page = keys.or_else(|| self.web(asked));
        let place = if page.is_some() { self.site() } else { self.api() };
        if asked.header("host") != place.authority() {
            self.book.broken(format!("{} is asked for at {}", asked.path, asked.header("host")));
            return gone();
        }
        if let Some(reply) = page {
            return reply;
        }
        if let Err(reply) = self.wire(asked) {
            return reply;
        }
        let path = asked.segments(self.base());
        if let ["applications", client_id, "token"] = path.iter().map(String::as_str).collect::<Vec<_>>()[..]
            && asked.method == "DELETE"
        {
            return self.ends_token(asked, client_id);
        }
        let caller = match self.caller(asked) {
            Ok(caller) => caller,
            Err(reply) => return self.versioned(reply),
        };
        let name = credential(asked);
        let hourly = *self.hourly.lock().unwrap();
        let budget = match self.version {
            // Off by default on a server; a planted limit closes it all the same.
            Some(_) => self.book.spend(&name, u64::MAX),
            None => self.book.spend(&name, hourly),
        };
        let Some(budget) = budget else {
            let closed = self.book.budget(&name, hourly);
            return refusal(403, "API rate limit exceeded")
                .with("x-ratelimit-limit", closed.limit)
                .with("x-ratelimit-remaining", 0)
                .with("x-ratelimit-reset", closed.reset_s.max(closed.closed_until_s));
        };
        let mut reply = self.tagged(asked, self.route(asked, &caller));
        if self.version.is_none() {
            let mut left = budget.left;
            if reply.status == 304 {
                // What has not changed is free.
                left += 1;
                self.book.set_budget(&name, super::super::Budget { left, ..budget.clone() });
            }
            reply = reply
                .with("x-ratelimit-limit", budget.limit)
                .with("x-ratelimit-remaining", left)
                .with("x-ratelimit-reset", budget.reset_s);
        }
        if let Caller::Person(_, Some(scopes)) = &caller {
            reply = reply.with("x-oauth-scopes", scopes.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        self.versioned(reply)
    }

    fn versioned(&self, reply: Reply) -> Reply {
        match self.version {
            Some(version) => reply.with("x-github-enterprise-version", version),
            None => reply,
        }
    }

    fn tagged(&self, asked: &Asked, reply: Reply) -> Reply {
        if asked.method != "GET" || reply.status != 200 {
            return reply;
        }
        let mut hasher = DefaultHasher::new();
        (reply.text(), credential(asked)).hash(&mut hasher);
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        if asked.header("if-none-match") == tag {
            return Reply::empty(304).with("etag", tag);
        }
        reply.with("etag", tag)
    }
}
