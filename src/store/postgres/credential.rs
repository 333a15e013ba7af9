//! [`Credentials`] on PostgreSQL.

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::PgConnection;

use super::find::{SOURCE, all, named, parsed};
use super::{PostgresStore, keys, record};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, SealedCredential};
use crate::domain::known::Versioned;
use crate::domain::organization::Source;
use crate::domain::{SourceKey, Timestamp};
use crate::seal::key_number;
use crate::store::StoreError;
use crate::store::credential::{Credential, Credentials, close, open};

const PUT: &str = "
    insert into credential (owner, kind, organization, record)
    select $1, $2, $3, $4::json from data_key where id = $5 and sealing for key share
    on conflict (owner, kind) do update set organization = excluded.organization, record = excluded.record
";
const ONE: &str = "select record::text from credential where owner = $1 and kind = $2";
const OF_OWNER: &str = "select record::text from credential where owner = $1";

/// Writes a credential, in place of the one before.
pub(super) async fn put(connection: &mut PgConnection, one: &SealedCredential) -> Result<(), StoreError> {
    let key = hex::decode(&one.sealed).ok().and_then(|sealed| key_number(&sealed)).unwrap_or(0);
    let put = sqlx::query(PUT)
        .bind(one.about.owner.to_string())
        .bind(one.about.kind.as_str())
        .bind(one.about.organization.as_str())
        .bind(record::json(one)?)
        .bind(key.cast_signed());
    if put.execute(connection).await?.rows_affected() == 0 {
        return Err(StoreError::Unavailable("the keys were rotated this moment; try again".into()));
    }
    Ok(())
}

/// Destroys a credential, if it is there.
pub(super) async fn erase(
    connection: &mut PgConnection,
    owner: &CredentialOwner,
    kind: CredentialKind,
) -> Result<(), StoreError> {
    let erased = sqlx::query("delete from credential where owner = $1 and kind = $2");
    erased.bind(owner.to_string()).bind(kind.as_str()).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Credentials for PostgresStore {
    async fn seal_credential(
        &self,
        about: CredentialAbout,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<SealedCredential, StoreError> {
        let (scope, ..) = about.place();
        // Another process may have put newer keys in force.
        keys::refresh(&self.pool, &self.keyring).await?;
        keys::ensure(&self.pool, &self.keyring, &scope, now).await?;
        close(&self.keyring, about, secret, now)
    }

    async fn credential(
        &self,
        owner: &CredentialOwner,
        kind: CredentialKind,
    ) -> Result<Option<Credential>, StoreError> {
        let query = sqlx::query(ONE).bind(owner.to_string()).bind(kind.as_str());
        let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
        let kept: SealedCredential = parsed(&row)?;
        if hex::decode(&kept.sealed).is_ok_and(|sealed| !self.keyring.knows(&sealed)) {
            keys::refresh(&self.pool, &self.keyring).await?;
        }
        open(&self.keyring, kept).map(Some)
    }

    async fn versioned_source(&self, key: &SourceKey) -> Result<Option<Versioned<Source>>, StoreError> {
        named(&self.pool, SOURCE, key.as_str()).await
    }

    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<CredentialAbout>, StoreError> {
        let rows = sqlx::query(OF_OWNER).bind(owner.to_string()).fetch_all(&self.pool).await?;
        let mut found = all(&rows, |row| parsed::<SealedCredential>(row).map(|kept| kept.about))?;
        found.sort_by_key(|about| about.kind);
        Ok(found)
    }
}
