//! The declared forges: whether they answer, the way they are called later, and what their clocks say of ours.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Finding;
use crate::config::Config;
use crate::domain::organization::Forge;
use crate::domain::{Clock, Host, Timestamp};
use crate::outbound::{Client, Endpoint, Limits, Outbound, Request, Rules};

const PART: &str = "forge";
/// Somebody sits and waits.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(3),
    header: Duration::from_secs(5),
    whole: Duration::from_secs(8),
    body_bytes_max: 1 << 20,
};
/// A forge refuses our tokens when the clocks differ by a minute; half of it is no accident.
const SKEW_MS_MAX: i64 = 30_000;
/// `Date` counts whole seconds.
const DATE_MS: i64 = 1_000;

/// A forge that the file names, and by what.
struct Asked<'a> {
    endpoint: Endpoint,
    forge: Forge,
    host: &'a Host,
    key: &'a str,
}

/// Asks each forge once, all at the same time.
pub(super) async fn ask(config: &Config, clock: &Clock) -> Vec<Finding> {
    let sources = config.sources.iter().map(|it| Asked {
        endpoint: config.source_endpoint(it),
        forge: it.forge,
        host: &it.host,
        key: it.key.as_str(),
    });
    let connections = config.connections.iter().map(|it| Asked {
        endpoint: config.endpoint(it),
        forge: it.kind.forge(),
        host: &it.host,
        key: it.key.as_str(),
    });
    // Many connections of one forge are one question; a connection tells the way to it better than a source.
    let forges: BTreeMap<String, Asked<'_>> =
        sources.chain(connections).map(|it| (it.endpoint.base().to_string(), it)).collect();
    if forges.is_empty() {
        return vec![Finding::info(PART, "no forge is declared")];
    }
    let rules = Rules { limits: LIMITS, ..config.outbound_rules(Clock::clone(clock)) };
    let outbound = Outbound::new(rules);
    let asked = forges.into_values().map(|it| {
        let opened = outbound.open(it.endpoint.clone(), it.forge.as_str());
        async move {
            match opened {
                Ok(client) => one(&client, &it).await,
                Err(error) => vec![unreached(&it, &error.to_string())],
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn unreached(asked: &Asked<'_>, why: &str) -> Finding {
    let message = format!("{} ({}): {why}", asked.host, asked.key);
    let next = "deliveries are taken all the same; mend it before members and projects are synced";
    Finding::warning(PART, message, next)
}

/// Any answer will do: who may ask for what is another question.
async fn one(client: &Client, asked: &Asked<'_>) -> Vec<Finding> {
    let base = client.endpoint().base().clone();
    let (before, began) = (client.now(), Instant::now());
    let answer = match client.send(Request::get(base.clone())).await {
        Ok(answer) => answer,
        Err(error) => return vec![unreached(asked, &error.to_string())],
    };
    let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let message = format!("{base} answers within {took_ms} ms (status {})", answer.status);
    let reached = Finding::info(PART, message);
    let date = answer.header("date").and_then(Timestamp::parse_http_date);
    let clock = date.map(|date| skew(asked.host.as_str(), before, date, took_ms));
    [reached].into_iter().chain(clock).collect()
}

/// What their clock says of ours. It was read somewhere between our question and their answer.
fn skew(host: &str, before: Timestamp, theirs: Timestamp, took_ms: i64) -> Finding {
    let after = before.plus_ms(took_ms);
    let latest = theirs.plus_ms(DATE_MS);
    let ahead = before.since(latest).max(0);
    let behind = theirs.since(after).max(0);
    let (by, word) = if ahead > 0 { (ahead, "ahead of") } else { (behind, "behind") };
    if by == 0 {
        return Finding::info("clock", format!("agrees with the clock of {host}"));
    }
    let message = format!("{}.{:03} s {word} the clock of {host}", by / 1_000, by % 1_000);
    if by <= SKEW_MS_MAX {
        return Finding::info("clock", message);
    }
    let next = "forges refuse tokens, and signed deliveries are refused, when clocks differ: look at the time service";
    Finding::warning("clock", message, next)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_the_answer_can_prove() {
        let at = Timestamp::from_ms;
        let host = "forge.example";
        let agrees =
            |before, theirs, took| skew(host, at(before), at(theirs), took).message.starts_with("agrees");
        assert!(agrees(10_999, 10_000, 5), "a date without its milliseconds");
        assert!(agrees(8_000, 10_000, 2_000), "an answer that took its time");
        assert_eq!(
            skew(host, at(41_001), at(10_000), 5).message,
            "30.001 s ahead of the clock of forge.example"
        );
        assert_eq!(skew(host, at(41_000), at(10_000), 5).level, Level::Info);
        assert_eq!(skew(host, at(41_001), at(10_000), 5).level, Level::Warning);
        let late = skew(host, at(0), at(95_000), 100);
        assert_eq!(
            (late.level, late.message.as_str()),
            (Level::Warning, "94.900 s behind the clock of forge.example")
        );
    }
}
