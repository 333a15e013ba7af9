//! What the operator takes out of a running daemon: everything, line by line, while work goes on.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, parse};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::store::keep::archive::Writer;
use crate::store::keep::{Frozen, Rotated};
use crate::store::{Store, StoreError};
use crate::web::auth::{Call, OperatorOnly};
use crate::web::describe::{Body, Content, Good, Operation, Shape};
use crate::web::error::Problem;

pub(crate) const EXPORT: Operation = Operation::new(
    "exportStore",
    "Take everything out, line by line",
    &[Good {
        status: 200,
        help: "Everything as it was when this was asked for. Without its last line it is not whole; a line with \
               `error` then says why.",
        content: Content::Lines,
    }],
);

pub(crate) const VERIFY: Operation = Operation::new(
    "verifyStore",
    "Read everything that is kept, and tell how far it is",
    &[Good {
        status: 200,
        help: "Lines of `done` and `all`; the last one has `problems`, a sentence for each damage and none when all \
               is well, or an `error` when it could not be read to its end.",
        content: Content::Lines,
    }],
);

/// How keys are to be rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRotation)]
struct Rotation {
    /// Only put the new master key into its file, so that the file can be given to other machines first.
    #[serde(default)]
    prepare: bool,
}

pub(crate) const ROTATE: Operation = Operation::new(
    "rotateKeys",
    "Put a new master key and new data keys in force, and seal everything anew",
    &[Good {
        status: 200,
        help: "Lines of `done` and `all`; the last one has `sealed`, how many values were sealed anew, or `prepared`, \
               or an `error` that says why it did not end. It goes on when nobody listens; asking again goes on where \
               it was interrupted.",
        content: Content::Lines,
    }],
)
.body(Body::Json(Shape::of::<Rotation>()))
.codes(&["body-invalid"]);

/// An export under way.
struct Telling {
    view: Box<dyn Frozen>,
    writer: Writer,
    cursor: Option<String>,
}

/// What is told next.
enum Next {
    Line(Vec<u8>, Telling),
    Items(Telling),
    End(Writer),
    Over,
}

/// Everything as it was when this was asked for. Without its last line the answer is not whole; a line with `error`
/// then says why.
pub(crate) async fn export(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &EXPORT)?;
    let store = &call.front.store;
    let at = call.front.now();
    let view = store.freeze().await?;
    let (writer, head) = Writer::begin(store.keyring(), view.items_about(), at).map_err(Problem::from)?;
    let begin = Next::Line(head, Telling { view, writer, cursor: None });
    let lines = stream::unfold(begin, |next| async move {
        let (line, next) = tell(next).await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), next))
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines))
}

async fn tell(next: Next) -> Option<(Vec<u8>, Next)> {
    let told = match next {
        Next::Line(line, telling) => Ok((line, Next::Items(telling))),
        Next::Items(telling) => items(telling).await,
        Next::End(writer) => writer.end().map(|line| (line, Next::Over)),
        Next::Over => return None,
    };
    Some(told.unwrap_or_else(|error| {
        let mut line = json!({ "error": error.to_string() }).to_string().into_bytes();
        line.push(b'\n');
        (line, Next::Over)
    }))
}

async fn items(mut telling: Telling) -> Result<(Vec<u8>, Next), StoreError> {
    let piece = telling.view.piece(telling.cursor.as_deref()).await?;
    let lines = telling.writer.items(&piece.items)?;
    telling.cursor = piece.next;
    Ok(match telling.cursor {
        Some(_) => (lines, Next::Items(telling)),
        None => (lines, Next::End(telling.writer)),
    })
}

/// Reads everything that is kept. Tells how far it is as lines of `done` and `all`; the last line has `problems`, or an
/// `error` when it could not be read to its end.
pub(crate) async fn verify(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &VERIFY)?;
    let (tell, heard) = mpsc::channel(16);
    tokio::spawn(read_all(Arc::clone(&call.front.store), tell));
    Ok(told(heard))
}

/// Puts new keys in force. Tells how far it is as [`verify`] does.
pub(crate) async fn rotate(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &ROTATE)?;
    let wanted: Rotation = parse(&call.body)?;
    let (store, now) = (Arc::clone(&call.front.store), call.front.now());
    let entry = AuditEntry {
        at: now,
        actor: call.caller.actor(),
        action: "keys.rotate".to_owned(),
        subject: "instance".to_owned(),
        detail: if wanted.prepare { "only prepared".to_owned() } else { String::new() },
        ..AuditEntry::default()
    };
    store.apply(vec![Change::Audit(entry)], Vec::new()).await?;
    let (tell, heard) = mpsc::channel(16);
    tokio::spawn(rotate_all(store, wanted.prepare, now, tell));
    Ok(told(heard))
}

/// Lines as they are heard.
fn told(heard: mpsc::Receiver<Value>) -> HttpResponse {
    let lines = stream::unfold(heard, |mut heard| async move {
        let line: Value = heard.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))), heard))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines)
}

async fn rotate_all(store: Arc<dyn Store>, prepare: bool, now: Timestamp, tell: mpsc::Sender<Value>) {
    let step = tell.clone();
    let hear = move |done, all| {
        let _ = step.try_send(json!({ "done": done, "all": all }));
    };
    let last = match store.rotate_keys(prepare, now, &hear).await {
        Ok(Rotated::Prepared) => json!({ "prepared": true }),
        Ok(Rotated::Done { sealed }) => json!({ "sealed": sealed }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    // Nobody listening means that nobody wants to know any more.
    let _ = tell.send(last).await;
}

async fn read_all(store: Arc<dyn Store>, tell: mpsc::Sender<Value>) {
    let step = tell.clone();
    let found = store
        .verify(&|done, all| {
            // A step that nobody has taken up yet is as good as the next one.
            let _ = step.try_send(json!({ "done": done, "all": all }));
        })
        .await;
    let last = match found {
        Ok(problems) => json!({ "problems": problems }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    // Nobody listening means that nobody wants to know any more.
    let _ = tell.send(last).await;
}
