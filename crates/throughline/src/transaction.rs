// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several reads and writes that become visible together, as typed records.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use throughline_core::{
    Change, Condition, Effect, Error, ErrorKind, Executed, Hold, Parameter, Refusal, Result, Target, Version,
    Write,
};
use throughline_engine::TransactionSource;

use crate::record_key::RecordKey;
use crate::resource::{Resource, Versioned, decode, encode};
use crate::throughline::Throughline;

/// An open transaction on one source; [`Throughline::begin`] begins it. Dropped without
/// [`Transaction::commit`], it rolls back.
///
/// Reads see its own writes and come from the source, never from a cache. At the commit every changed row is marked in
/// the caches before COMMIT, so that nobody reads an old value from a cache afterwards. The application's own SQL takes part: say
/// which rows it changes with [`Transaction::touch`]. A row that is not touched is somebody else's write, as far as caches
/// know: seen with the next news of an outbox, or when its entry expires.
///
/// The first error ends it: nothing was written, and if [`Error::retry`] is [`throughline_core::Retry::Safe`] (a deadlock, a
/// lock that was not free in time, a transaction that took too long, a cache that did not confirm), begin again.
///
/// Isolation is READ COMMITTED on MySQL, MariaDB and PostgreSQL: read what you will change with
/// [`Transaction::get_locked`], or write with [`Transaction::compare_and_set`]. On SQLite it is serializable; one
/// transaction runs at a time, and all other writers of the file wait for it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use throughline::{Parameter, Resource, Throughline};
///
/// #[derive(Serialize, Deserialize)]
/// struct Account {
///     balance: i64,
/// }
///
/// async fn transfer(
///     throughline: &Throughline,
///     accounts: &Resource<u64, Account>,
///     (from, to): (u64, u64),
///     amount: i64,
/// ) -> throughline::Result<()> {
///     let mut transaction = throughline.begin("bank").await?;
///     if let Some(account) = transaction.get_locked(accounts, &from).await? {
///         transaction.put(accounts, &from, &Account { balance: account.balance - amount }).await?;
///         let add = "UPDATE account SET balance = balance + ? WHERE id = ?";
///         transaction.execute(add, &[Parameter::Integer(amount), Parameter::Integer(to as i64)]).await?;
///         transaction.touch(accounts, &to).await?;
///     }
///     transaction.commit().await
/// }
/// ```
///
/// # Cancel safety
/// Dropping the future of any call but the commit's rolls back. A commit that was sent takes place.
#[derive(Debug)]
pub struct Transaction {
    inner: throughline_engine::Transaction,
}

impl Throughline {
    /// Begins a transaction on the source of this name, over any of its resources.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no such source; the text lists those that there are. Those of the source.
    pub async fn begin(&self, source: &str) -> Result<Transaction> {
        let known = self.transaction_sources().iter().find(|known| known.name() == source);
        let known = known.ok_or_else(|| {
            let names: Vec<&str> = self.transaction_sources().iter().map(|source| source.name()).collect();
            let detail =
                format!("there is no source `{source}` with transactions; there are: {}", names.join(", "));
            Error::new(ErrorKind::Configuration, "begin a transaction", detail)
        })?;
        begin(known).await
    }

    /// Begins a transaction on the source of this resource.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a resource that is not of this program; those of the source.
    pub async fn begin_with<K, V>(&self, resource: &Resource<K, V>) -> Result<Transaction>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let known = self.transaction_sources().iter().find(|source| source.has(resource.space()));
        let known = known.ok_or_else(|| {
            let detail = format!("the source of resource `{}` has no transactions", resource.space().name());
            Error::new(ErrorKind::Configuration, "begin a transaction", detail)
        })?;
        begin(known).await
    }
}

async fn begin(source: &Arc<TransactionSource>) -> Result<Transaction> {
    Ok(Transaction { inner: source.begin().await? })
}

impl Transaction {
    /// Reads a record as this transaction sees it.
    ///
    /// # Errors
    /// As [`Resource::get`]; [`ErrorKind::Configuration`] for a resource of another source.
    pub async fn get<K, V>(&mut self, resource: &Resource<K, V>, key: &K) -> Result<Option<V>>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let read = self.get_versioned(resource, key).await?;
        Ok(read.map(|versioned| versioned.value))
    }

    /// Reads a record together with its version, for [`Transaction::compare_and_set`].
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub async fn get_versioned<K, V>(
        &mut self,
        resource: &Resource<K, V>,
        key: &K,
    ) -> Result<Option<Versioned<V>>>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let record = self.inner.read(resource.space(), &key.key()?, Hold::Free).await?;
        record.as_ref().map(decode).transpose()
    }

    /// Reads a record and locks its row: nobody else changes it before this transaction ends. Transactions that lock
    /// the same rows in different orders can meet in a deadlock, which ends one of them.
    ///
    /// # Errors
    /// As [`Transaction::get`]; [`ErrorKind::Timeout`] when the lock is not free in time, or for a deadlock.
    pub async fn get_locked<K, V>(&mut self, resource: &Resource<K, V>, key: &K) -> Result<Option<V>>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let record = self.inner.read(resource.space(), &key.key()?, Hold::Locked).await?;
        Ok(record.as_ref().map(decode).transpose()?.map(|versioned: Versioned<V>| versioned.value))
    }

    /// Replaces the whole record, or inserts it.
    ///
    /// # Errors
    /// As [`Resource::put`], and as [`Transaction::get`].
    pub async fn put<K, V>(&mut self, resource: &Resource<K, V>, key: &K, value: &V) -> Result<()>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        self.write(resource, key, Some(value), Condition::Always).await.map(drop)
    }

    /// Inserts the record; `false` when there is one already.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub async fn insert_if_absent<K, V>(
        &mut self,
        resource: &Resource<K, V>,
        key: &K,
        value: &V,
    ) -> Result<bool>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let effect = self.write(resource, key, Some(value), Condition::Absent).await?;
        Ok(!matches!(effect, Effect::Refused(_)))
    }

    /// Replaces the record if it still has `version`; otherwise says why not, which does not end the transaction.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub async fn compare_and_set<K, V>(
        &mut self,
        resource: &Resource<K, V>,
        key: &K,
        version: Version,
        value: &V,
    ) -> Result<std::result::Result<(), Refusal>>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        match self.write(resource, key, Some(value), Condition::Unchanged(vec![version])).await? {
            Effect::Refused(refusal) => Ok(Err(refusal)),
            Effect::Stored { .. } | Effect::Deleted { .. } | Effect::Accepted { .. } => Ok(Ok(())),
        }
    }

    /// Removes the record; `false` when there was none.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub async fn delete<K, V>(&mut self, resource: &Resource<K, V>, key: &K) -> Result<bool>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let effect = self.write(resource, key, None, Condition::Always).await?;
        Ok(!matches!(effect, Effect::Refused(_)))
    }

    /// Runs one statement of the application about rows (SELECT, INSERT, UPDATE, DELETE, REPLACE, VALUES, WITH) in the database's
    /// own dialect, its values bound. [`Transaction::touch`] every row that it changes and a resource shows.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] for other statements; [`ErrorKind::TooLarge`] for more than
    /// [`Executed::ROW_COUNT_MAX`] rows; those of the source.
    pub async fn execute(&mut self, sql: &str, parameters: &[Parameter]) -> Result<Executed> {
        self.inner.execute(sql, parameters).await
    }

    /// Says that the application's own SQL changes the row of `key`, in this resource and in every other over its table.
    ///
    /// The order does not matter, except for keys whose spelling only the row tells (text without regard to case, decimals,
    /// dates): touch those before a statement that removes the row, and after one that inserts it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`]; as [`Transaction::get`].
    pub async fn touch<K, V>(&mut self, resource: &Resource<K, V>, key: &K) -> Result<()>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        self.inner.touch(resource.space(), &key.key()?).await
    }

    /// Makes everything visible at once.
    ///
    /// # Errors
    /// See [`throughline_engine::Transaction::commit`]. Nothing was written, except for [`ErrorKind::OutcomeUnknown`].
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await
    }

    /// Undoes everything, and ends when the locks are released.
    ///
    /// # Errors
    /// Those of the source; nothing is written in any case.
    pub async fn roll_back(self) -> Result<()> {
        self.inner.roll_back().await
    }

    async fn write<K, V>(
        &mut self,
        resource: &Resource<K, V>,
        key: &K,
        value: Option<&V>,
        condition: Condition,
    ) -> Result<Effect>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let change = match value {
            Some(value) => Change::Put { value: encode(value)?, flags: 0 },
            None => Change::Delete,
        };
        let write = Write { target: Target::Key(key.key()?), change, condition };
        self.inner.write(resource.space(), &write).await
    }
}
