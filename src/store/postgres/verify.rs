//! Reading everything, and comparing it with its checksums and with itself, in small steps.

use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::{delivery, find, keys, list};
use crate::domain::pipeline::Pipeline;
use crate::seal::Keyring;
use crate::store::{
    AuditFilter, ConnectionFilter, MemberFilter, Page, ProjectFilter, Scrubbed, StoreError, frame,
};

/// Rows read at once.
const STEP: i64 = 64;

/// Called with what is done and what there is in all.
pub(super) type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// How far a pass has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    last: Uuid,
    done: u64,
    /// Frames when the pass began.
    all: u64,
}

impl Pass {
    async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        let all: i64 = sqlx::query_scalar("select count(*) from payload").fetch_one(pool).await?;
        Ok(Self { all: all.unsigned_abs(), ..Self::default() })
    }
}

/// Names what is wrong.
pub(super) async fn verify(
    pool: &PgPool,
    keyring: &Keyring,
    progress: Progress<'_>,
) -> Result<Vec<String>, StoreError> {
    let mut pass = Pass::default();
    let mut wrong = Vec::new();
    loop {
        let piece = scrub(pool, keyring, &mut pass).await?;
        wrong.extend(piece.found);
        progress(piece.done, piece.all);
        if piece.is_last {
            return Ok(wrong);
        }
    }
}

/// Looks at the next piece: some frames, or, after the last of them, everything that is small.
pub(super) async fn scrub(pool: &PgPool, keyring: &Keyring, pass: &mut Pass) -> Result<Scrubbed, StoreError> {
    if pass.last.is_nil() {
        *pass = Pass::begin(pool).await?;
        keys::refresh(pool, keyring).await?;
    }
    let mut found = Vec::new();
    if frames(pool, keyring, pass, &mut found).await? {
        return Ok(Scrubbed { done: pass.done, all: pass.all.max(pass.done), found, is_last: false });
    }
    for (sql, what) in INVARIANTS {
        let count: i64 = sqlx::query_scalar(*sql).fetch_one(pool).await?;
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    found.extend(records(pool).await?);
    let done = pass.done;
    *pass = Pass::default();
    Ok(Scrubbed { done, all: done, found, is_last: true })
}

/// About a megabyte, but always one.
const FRAMES: &str = "
    select p.delivery, p.frame, d.body_hash, d.source
    from (
        select a.delivery, sum(octet_length(a.frame)) over (order by a.delivery) - octet_length(a.frame) as before
        from (select delivery, frame from payload where delivery > $1 order by delivery limit $2) a
    ) s join payload p on p.delivery = s.delivery left join delivery d on d.id = p.delivery
    where s.before < 1048576 order by p.delivery
";

/// Opens the next frames where they lie: each must be its delivery's own. `false`: there are none.
async fn frames(
    pool: &PgPool,
    keyring: &Keyring,
    pass: &mut Pass,
    wrong: &mut Vec<String>,
) -> Result<bool, StoreError> {
    let rows = sqlx::query(FRAMES).bind(pass.last).bind(STEP).fetch_all(pool).await?;
    let Some(end) = rows.last() else { return Ok(false) };
    pass.last = end.try_get("delivery")?;
    pass.done = pass.done.saturating_add(rows.len() as u64);
    for row in rows {
        let (id, bytes): (Uuid, Vec<u8>) = (row.try_get("delivery")?, row.try_get("frame")?);
        if !frame::knows_key(keyring, &bytes) {
            // Another process has made it since the pass began.
            keys::refresh(pool, keyring).await?;
        }
        let (hash, source): (Option<Uuid>, Option<String>) =
            (row.try_get("body_hash")?, row.try_get("source")?);
        match frame::open(keyring, &bytes) {
            Err(error) => wrong.push(format!("delivery {id}: {error}")),
            Ok(opened) => {
                let body = Uuid::from_bytes(frame::body_hash(&opened.delivery));
                let same = opened.id == delivery::id(id)
                    && hash == Some(body)
                    && source.as_deref() == Some(opened.delivery.source().as_str());
                if !same {
                    wrong.push(format!("delivery {id}: its bytes belong to another delivery"));
                }
            }
        }
    }
    Ok(true)
}

/// What counts rows that must not be, and what they are.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "select count(*) from (select lane from queue group by lane having count(*) filter (where turn) <> 1) l",
        "lanes have nobody whose turn it is",
    ),
    (
        "select count(*) from delivery d left join queue q on q.delivery = d.id
            where (d.state in (1, 2) or (d.state = 3 and d.reason is distinct from 'unbound'))
                <> (q.delivery is not null)",
        "deliveries are unfinished and stand in no lane, or finished and stand in one",
    ),
    (
        "select count(*) from delivery d left join payload p on p.delivery = d.id
            where d.state in (0, 1, 2, 3, 7) and p.delivery is null",
        "deliveries are unfinished and have no bytes",
    ),
    (
        "select count(*) from (
            select state, tally_key(state, reason) as reason, count(*) as n from delivery group by 1, 2
        ) d full join (
            select state, reason, sum(n) as n from tally group by 1, 2 having sum(n) <> 0
        ) t using (state, reason) where d.n is distinct from t.n",
        "counters do not match what they count",
    ),
];

/// Every record must be readable.
async fn records(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut note = |what: &str, error: StoreError| match error {
        StoreError::Corrupt(why) => {
            wrong.push(format!("{what}: {why}"));
            Ok(())
        }
        other => Err(other),
    };
    if let Err(error) = find::sources(pool).await {
        note("sources", error)?;
    }
    let page = |cursor: Option<String>| Page { limit: 200, cursor };
    macro_rules! walk {
        ($what:literal, $read:expr) => {
            let mut cursor = None;
            loop {
                match $read(page(cursor)).await {
                    Ok(found) => cursor = found.next,
                    Err(error) => {
                        note($what, error)?;
                        break;
                    }
                }
                if cursor.is_none() {
                    break;
                }
            }
        };
    }
    walk!("organizations", async |page| find::organizations(pool, &page).await);
    walk!("connections", async |page| list::connections(pool, &ConnectionFilter::default(), &page).await);
    walk!("projects", async |page| list::projects(pool, &ProjectFilter::default(), &page).await);
    walk!("members", async |page| list::members(pool, &MemberFilter::default(), &page).await);
    walk!("audit", async |page| list::audit(pool, &AuditFilter::default(), &page).await);
    if let Err(error) = pipelines(pool).await {
        note("pipelines", error)?;
    }
    Ok(wrong)
}

const PIPELINES: &str = "
    select organization, host, project, external_id, kind, record::text from pipeline
    where (organization, host, project, external_id, kind) > ($1, $2, $3, $4, $5)
    order by organization, host, project, external_id, kind limit $6
";

async fn pipelines(pool: &PgPool) -> Result<(), StoreError> {
    let mut after = (String::new(), String::new(), i64::MIN, i64::MIN, String::new());
    loop {
        let rows = sqlx::query(PIPELINES)
            .bind(&after.0)
            .bind(&after.1)
            .bind(after.2)
            .bind(after.3)
            .bind(&after.4)
            .bind(STEP)
            .fetch_all(pool)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = (
            last.try_get("organization")?,
            last.try_get("host")?,
            last.try_get("project")?,
            last.try_get("external_id")?,
            last.try_get("kind")?,
        );
        rows.iter().try_for_each(|row| find::parsed::<Pipeline>(row).map(drop))?;
    }
}
