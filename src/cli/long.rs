//! What takes long: the daemon tells line by line how far it is, and with the last line what came of it.

use serde_json::{Value, json};

use super::arguments::KeysCommand;
use super::client::Client;
use super::exit::{Exit, Failure};
use super::progress::Bar;
use super::terminal::Terminal;

/// Has everything read that is kept.
///
/// # Errors
/// When the daemon does not say what it found.
pub async fn verify(json: bool, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let last = follow("reading the store", &["store", "verify"], None, client).await?;
    let problems = last.get("problems").and_then(Value::as_array).cloned();
    let problems = problems.ok_or_else(|| Failure::failed("the daemon did not say what it found"))?;
    if json {
        terminal.json(&last)?;
    } else {
        for problem in &problems {
            terminal.line(problem.as_str().unwrap_or("something unnamed is damaged"))?;
        }
        if problems.is_empty() {
            terminal.remark("everything that is kept is as it was written")?;
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Store })
}

pub(super) async fn keys(
    command: KeysCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let KeysCommand::Rotate { prepare, json } = command;
    let wanted = json!({ "prepare": prepare });
    let last = follow("sealing everything anew", &["keys", "rotate"], Some(&wanted), client).await?;
    if last.get("sealed").or(last.get("prepared")).is_none() {
        return Err(Failure::failed("the daemon did not say what came of it; run the same command again"));
    }
    if json.json {
        terminal.json(&last)?;
        return Ok(Exit::Done);
    }
    match last.get("sealed").and_then(Value::as_u64) {
        Some(sealed) => {
            terminal.remark(&format!("new keys are in force; {sealed} values were sealed anew"))?;
            terminal.remark(
                "copy the master key's file again. The old key opens nothing here any more, but the backups \
                 made before: keep your copy of it as long as those",
            )?;
        }
        None => terminal.remark(
            "the new master key is in its file, and not in use: copy the file to every machine, then run \
             this without --prepare",
        )?,
    }
    Ok(Exit::Done)
}

/// Follows what the daemon does to its last line.
async fn follow(
    what: &'static str,
    path: &[&str],
    body: Option<&Value>,
    client: &Client,
) -> Result<Value, Failure> {
    let bar = Bar::begin(what);
    let mut answer = client.stream(path, body).await?;
    let (mut text, mut last) = (Vec::new(), Value::Null);
    while let Some(piece) = answer.next().await? {
        text.extend_from_slice(&piece);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            last = line(&text.drain(..=end).collect::<Vec<u8>>());
            let number = |key: &str| last.get(key).and_then(Value::as_u64).unwrap_or(0);
            bar.at(number("done"), number("all"));
        }
    }
    bar.end();
    if !text.is_empty() {
        last = line(&text);
    }
    match last.get("error").and_then(Value::as_str) {
        Some(why) => Err(Failure { exit: Exit::Store, message: why.to_owned() }),
        None => Ok(last),
    }
}

fn line(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_default()
}
