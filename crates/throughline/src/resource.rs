// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource as typed records.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use throughline_core::{
    Change, Condition, Effect, Error, ErrorKind, Key, Mode, Record, Refusal, Result, Target, Version, Write,
};
use throughline_engine::{Behind, Space};

use crate::listing::Listing;
use crate::receipt::Receipt;
use crate::record_key::RecordKey;
use crate::tasks::TrackedTasks;

/// A record with the version that [`Resource::compare_and_set`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<V> {
    /// The record.
    pub value: V,
    /// Its version.
    pub version: Version,
}

/// A named set of records of type `V`, read and written by the strategies that were configured.
///
/// `K` is a number, a text, a tuple of these for a primary key of several columns, or a prepared [`Key`].
pub struct Resource<K: ?Sized, V> {
    space: Arc<Space>,
    /// Its accepted writes, if it is written behind.
    behind: Option<Arc<Behind>>,
    tasks: TrackedTasks,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> Clone for Resource<K, V> {
    fn clone(&self) -> Self {
        Self {
            space: self.space.clone(),
            behind: self.behind.clone(),
            tasks: self.tasks.clone(),
            types: PhantomData,
        }
    }
}

impl<K: ?Sized, V> fmt::Debug for Resource<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resource").field(self.space.name()).finish()
    }
}

impl<K: RecordKey + ?Sized, V: Serialize + DeserializeOwned> Resource<K, V> {
    pub(crate) fn new(listing: &Listing, tasks: &TrackedTasks) -> Self {
        Self {
            space: listing.space.clone(),
            behind: listing.behind.clone(),
            tasks: tasks.clone(),
            types: PhantomData,
        }
    }

    /// The same resource as bytes.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Reads a record; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`], [`ErrorKind::InvalidValue`] when the record is no `V`, and the source's. Never the
    /// cache's: without it the source answers.
    pub async fn get(&self, key: &K) -> Result<Option<V>> {
        Ok(self.get_versioned(key).await?.map(|versioned| versioned.value))
    }

    /// Reads a record together with its version.
    ///
    /// # Errors
    /// As [`Resource::get`].
    pub async fn get_versioned(&self, key: &K) -> Result<Option<Versioned<V>>> {
        let read = self.space.get(&key.key()?).await?;
        read.record().map(decode).transpose()
    }

    /// Reads several records (at most 1,000), in the order of `keys`: look-ups in one go, and one bulk load for
    /// what is missing. Each key has its own result.
    pub async fn get_many(&self, keys: &[&K]) -> Vec<Result<Option<V>>> {
        let parsed: Vec<Result<Key>> = keys.iter().map(|key| key.key()).collect();
        let sound: Vec<Key> = parsed.iter().filter_map(|key| key.as_ref().ok().cloned()).collect();
        let mut reads = self.space.get_many(&sound).await.into_iter();
        let answers = parsed.into_iter().map(|key| {
            key?;
            let read = reads.next().expect("every sound key is answered")?;
            read.record().map(|record| decode(record).map(|versioned| versioned.value)).transpose()
        });
        answers.collect()
    }

    /// Replaces the whole record, or inserts it; what is stored afterwards (defaults and generated columns
    /// included), when the source could read it back.
    ///
    /// # Errors
    /// See [`Space::write`]. Nothing was written, except for [`ErrorKind::OutcomeUnknown`].
    pub async fn put(&self, key: &K, value: &V) -> Result<Option<V>> {
        match self.write(key, Some(value), Condition::Always).await? {
            Effect::Stored { record, .. } | Effect::Accepted { record, .. } => {
                record.as_ref().map(|record| Ok(decode(record)?.value)).transpose()
            }
            Effect::Deleted { .. } | Effect::Refused(_) => Ok(None),
        }
    }

    /// Replaces the whole record, or inserts it, where it is written behind: ready when the write is on disk in the journal
    /// and shown to readers. The receipt tells when it is applied.
    ///
    /// ```
    /// # use throughline::{Resource, Result};
    /// # async fn pay(payments: Resource<u64, String>, payment: String) -> Result<()> {
    /// let receipt = payments.accept(&7, &payment).await?; // as quick as the disk; nothing that was accepted is lost
    /// receipt.applied().await?; // as slow as the source; for whom it matters
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when the resource is not written behind. See [`Space::write`] for the others; nothing was
    /// accepted, except for [`ErrorKind::OutcomeUnknown`].
    ///
    /// # Cancel safety
    /// Dropped, it leaves open whether the write was accepted. If it was, it is applied as every other.
    pub async fn accept(&self, key: &K, value: &V) -> Result<Receipt> {
        let Some(behind) = &self.behind else {
            let detail = format!(
                "resource `{}` is not written behind; set write = \"write-behind\", or use `put`",
                self.space.name()
            );
            return Err(Error::new(ErrorKind::Configuration, "accept a write", detail));
        };
        let effect = self.write(key, Some(value), Condition::Always).await?;
        let position = match effect {
            Effect::Accepted { receipt, .. } => receipt.position(),
            Effect::Stored { .. } | Effect::Deleted { .. } | Effect::Refused(_) => None,
        };
        let position =
            position.expect("a write behind without a condition is accepted when it is journalled");
        Ok(Receipt::new(behind.clone(), position, self.tasks.clone()))
    }

    /// Inserts the record; `false` when there is one already.
    ///
    /// # Errors
    /// As [`Resource::put`].
    pub async fn insert_if_absent(&self, key: &K, value: &V) -> Result<bool> {
        let effect = self.write(key, Some(value), Condition::Absent).await?;
        Ok(!matches!(effect, Effect::Refused(_)))
    }

    /// Replaces the record; `false` when there is none.
    ///
    /// # Errors
    /// As [`Resource::put`].
    pub async fn update_if_present(&self, key: &K, value: &V) -> Result<bool> {
        let effect = self.write(key, Some(value), Condition::Present).await?;
        Ok(!matches!(effect, Effect::Refused(_)))
    }

    /// Replaces the record if it still has `version` (compare-and-set); otherwise says why not.
    ///
    /// The truth is the row, compared under its lock; the cache plays no part. Without a version column a
    /// record that went from A to B and back to A counts as unchanged.
    ///
    /// # Errors
    /// As [`Resource::put`].
    pub async fn compare_and_set(
        &self,
        key: &K,
        version: Version,
        value: &V,
    ) -> Result<std::result::Result<(), Refusal>> {
        match self.write(key, Some(value), Condition::Unchanged(vec![version])).await? {
            Effect::Refused(refusal) => Ok(Err(refusal)),
            Effect::Stored { .. } | Effect::Deleted { .. } | Effect::Accepted { .. } => Ok(Ok(())),
        }
    }

    /// Removes the record; `false` when there was none.
    ///
    /// # Errors
    /// As [`Resource::put`].
    pub async fn delete(&self, key: &K) -> Result<bool> {
        let effect = self.write(key, None, Condition::Always).await?;
        Ok(!matches!(effect, Effect::Refused(_)))
    }

    /// Drops the cached entry, so that the next read asks the source.
    ///
    /// # Errors
    /// Those of the cache, when it did not confirm.
    pub async fn invalidate(&self, key: &K) -> Result<()> {
        self.space.invalidate(&key.key()?).await
    }

    /// Sends reads elsewhere from now on; see [`Space::set_mode`].
    ///
    /// # Errors
    /// See [`Space::set_mode`].
    pub async fn set_mode(&self, mode: Mode) -> Result<Mode> {
        self.space.set_mode(mode).await
    }

    async fn write(&self, key: &K, value: Option<&V>, condition: Condition) -> Result<Effect> {
        let change = match value {
            Some(value) => Change::Put { value: encode(value)?, flags: 0 },
            None => Change::Delete,
        };
        self.space.write(Write { target: Target::Key(key.key()?), change, condition }).await
    }
}

pub(crate) fn encode<V: Serialize>(value: &V) -> Result<Bytes> {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::InvalidValue, "write a record", "the value cannot be written as JSON")
            .with_cause(error)
    })?;
    Ok(bytes.into())
}

pub(crate) fn decode<V: DeserializeOwned>(record: &Record) -> Result<Versioned<V>> {
    let value = serde_json::from_slice(&record.value).map_err(|error| {
        let detail =
            format!("the record does not fit the type: {:?} at column {}", error.classify(), error.column());
        Error::new(ErrorKind::InvalidValue, "read a record", detail)
    })?;
    Ok(Versioned { value, version: record.version })
}
