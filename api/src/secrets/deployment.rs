#![expect(clippy::disallowed_methods, reason = "deployment keys belong to no tenant; re-wrapping passes over all of them")]
//! The keys of the whole deployment: made once, kept sealed, found again at every start; and the rotation of the master key.

use chrono::{DateTime, Utc};
use entity::{deployment_key, project, provider};
use policy::bundle::SigningKey;
use policy::seal::KEY_LEN;
use ring::rand::{SecureRandom as _, SystemRandom};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use zeroize::Zeroizing;

use super::envelope::{find_master, text};
use super::{MasterKey, Secrets, SecretsError};
use crate::clock::Clock;
use crate::database::Database;

const SIGNING: &str = "bundle_signing";
const POOL: &str = "worker_pool";

impl Secrets {
    /// Finds the deployment's keys, or makes them on the first start. `previous` master keys are only read with.
    ///
    /// # Errors
    /// When the database does not answer, or the keys are wrapped with a master key that was not given.
    pub async fn open(database: &Database, clock: &Clock, master: MasterKey, previous: Vec<MasterKey>) -> Result<Self, SecretsError> {
        let transaction = database.begin().await?;
        let keys = Keys { connection: &transaction, now: clock.now(), master: &master, previous: &previous };
        let pkcs8 = keys.find_or_create(SIGNING, || SigningKey::generate().map_err(SecretsError::SigningKey)).await?;
        let signing = SigningKey::from_pkcs8(&pkcs8).map_err(SecretsError::SigningKey)?;
        let pool = keys.find_or_create(POOL, random_key).await?;
        let pool: [u8; KEY_LEN] = pool.as_slice().try_into().map_err(|_| SecretsError::Malformed)?;
        transaction.commit().await?;
        Ok(Self { master, previous, signing, pool: Zeroizing::new(pool) })
    }

    /// Wraps everything that an earlier master key wrapped with the present one. Gives the number of rows changed. Secrets
    /// themselves are not touched, so no bundle changes.
    ///
    /// # Errors
    /// When the database does not answer, or something is wrapped with a key that was not given.
    pub async fn rewrap_all(&self, connection: &impl ConnectionTrait) -> Result<u64, SecretsError> {
        let current = self.master.id();
        let mut changed = 0_u64;
        let old = provider::Entity::find().filter(provider::Column::SecretKeyId.ne(current)).all(connection).await?;
        for row in old {
            let (Some(wrapped), Some(key_id)) = (&row.secret_wrapped_key, &row.secret_key_id) else { continue };
            let wrapped = self.rewrap(&row.id, wrapped, key_id)?;
            let mut row = row.into_active_model();
            row.secret_wrapped_key = Set(Some(wrapped));
            row.secret_key_id = Set(Some(current.to_owned()));
            provider::Entity::update(row).exec(connection).await?;
            changed = changed.saturating_add(1);
        }
        changed = changed.saturating_add(self.rewrap_webhooks(connection).await?);
        let old = deployment_key::Entity::find().filter(deployment_key::Column::SecretKeyId.ne(current)).all(connection).await?;
        for row in old {
            let plain = open_row(&self.master, &self.previous, &row)?;
            let sealed = policy::seal::seal(self.master.bytes(), row.name.as_bytes(), &plain)?;
            let mut row = row.into_active_model();
            row.secret_sealed = Set(sealed.into_bytes());
            row.secret_key_id = Set(current.to_owned());
            deployment_key::Entity::update(row).exec(connection).await?;
            changed = changed.saturating_add(1);
        }
        Ok(changed)
    }

    /// What questions to webhooks of projects are signed with.
    async fn rewrap_webhooks(&self, connection: &impl ConnectionTrait) -> Result<u64, SecretsError> {
        let current = self.master.id();
        let mut changed = 0_u64;
        let old = project::Entity::find().filter(project::Column::WebhookSecretKeyId.ne(current)).all(connection).await?;
        for row in old {
            let (Some(wrapped), Some(key_id)) = (&row.webhook_secret_wrapped_key, &row.webhook_secret_key_id) else { continue };
            let wrapped = self.rewrap(&row.id, wrapped, key_id)?;
            let mut row = row.into_active_model();
            row.webhook_secret_wrapped_key = Set(Some(wrapped));
            row.webhook_secret_key_id = Set(Some(current.to_owned()));
            project::Entity::update(row).exec(connection).await?;
            changed = changed.saturating_add(1);
        }
        Ok(changed)
    }
}

/// What finding or making a key needs.
struct Keys<'a, C> {
    connection: &'a C,
    now: DateTime<Utc>,
    master: &'a MasterKey,
    previous: &'a [MasterKey],
}

impl<C: ConnectionTrait> Keys<'_, C> {
    async fn find_or_create(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, SecretsError>,
    ) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        if let Some(row) = deployment_key::Entity::find_by_id(name).one(self.connection).await? {
            return open_row(self.master, self.previous, &row);
        }
        let plain = Zeroizing::new(make()?);
        let row = deployment_key::ActiveModel {
            name: Set(name.to_owned()),
            public_key: Set(None),
            secret_sealed: Set(policy::seal::seal(self.master.bytes(), name.as_bytes(), &plain)?.into_bytes()),
            secret_key_id: Set(self.master.id().to_owned()),
            created_at: Set(self.now),
        };
        // Where several control planes start at once the first row wins, and everyone reads that one.
        let keep_first = OnConflict::column(deployment_key::Column::Name).do_nothing().to_owned();
        deployment_key::Entity::insert(row).on_conflict(keep_first).exec_without_returning(self.connection).await?;
        match deployment_key::Entity::find_by_id(name).one(self.connection).await? {
            Some(row) => open_row(self.master, self.previous, &row),
            None => Err(SecretsError::Malformed),
        }
    }
}

fn open_row(master: &MasterKey, previous: &[MasterKey], row: &deployment_key::Model) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    let master = find_master(master, previous, &row.secret_key_id)?;
    let plain = policy::seal::open(master.bytes(), row.name.as_bytes(), text(&row.secret_sealed)?)?;
    Ok(Zeroizing::new(plain))
}

fn random_key() -> Result<Vec<u8>, SecretsError> {
    let mut bytes = vec![0_u8; KEY_LEN];
    SystemRandom::new().fill(&mut bytes).map_err(|_| policy::seal::SealError::Seal)?;
    Ok(bytes)
}
