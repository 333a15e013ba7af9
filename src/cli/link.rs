//! `connections link`: the one-time link that an admin opens in a browser.

use serde_json::{Value, json};

use super::answer::add;
use super::arguments::NewLink;
use super::client::Client;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Has the daemon make a link, and prints it.
pub(super) async fn link(new: NewLink, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let kind = new.forge.is_some().then(|| "github_enterprise_server".to_owned());
    let mut wish = json!({});
    add(&mut wish, "kind", new.kind.or(kind));
    add(&mut wish, "url", new.forge);
    add(&mut wish, "account", new.account);
    add(&mut wish, "source", new.source);
    add(&mut wish, "connection", new.connection);
    let made = client.post_within(Some(new.organization.as_str()), &["connect-links"], &wish).await?;
    if new.json.json {
        terminal.json(&made)?;
        return Ok(Exit::Done);
    }
    let text = |key: &str| made.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    // The link alone goes to the output, so that it can be piped; the rest is for people.
    terminal.line(&text("link"))?;
    terminal.remark(&format!("open it in a browser, once, until {}", text("expires_at")))?;
    Ok(Exit::Done)
}
