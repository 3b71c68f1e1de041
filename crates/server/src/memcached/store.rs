// SPDX-License-Identifier: MIT OR Apache-2.0
//! `set`, `add`, `replace`, `append`, `prepend` and `cas`, and what `ms` does behind its flags.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use throughline::{
    Change, Condition, Effect, Key, PlainStore, PlainStored, PlainWhen, Refusal, Space, Target as Row,
    Version, Write,
};
use throughline_wire::memcached::Status;
use throughline_wire::memcached::request::{Store, StoreMode};

use super::answer::Failure;
use super::exptime::Life;
use super::get::cas_of;
use super::route::Target;
use super::session::Session;

/// A store, whichever command asked for it.
#[derive(Debug)]
pub(super) struct Put<'a> {
    pub(super) mode: StoreMode,
    pub(super) value: &'a [u8],
    pub(super) flags: u32,
    pub(super) life: Life,
    /// Store only what still has this cas number.
    pub(super) cas: Option<u64>,
}

/// How a store went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It is stored, with this cas number as far as it is known.
    Done(Option<u64>),
    /// The key holds something and must not, or holds nothing and must.
    Unmet,
    /// It has another cas number.
    Exists,
    /// There is nothing to compare the cas number with.
    NotFound,
}

pub(super) async fn store(session: &mut Session, store: &Store<'_>) -> Result<Status, Failure> {
    let put = Put {
        mode: store.mode,
        value: store.value,
        flags: store.flags,
        life: session.life(store.exptime),
        cas: store.cas,
    };
    let stored = put_at(session, store.key, &put).await?;
    Ok(match stored {
        Stored::Done(_) => Status::Stored,
        Stored::Unmet => Status::NotStored,
        Stored::Exists => Status::Exists,
        Stored::NotFound => Status::NotFound,
    })
}

/// Stores at whatever `key` names.
pub(super) async fn put_at(session: &mut Session, key: &[u8], put: &Put<'_>) -> Result<Stored, Failure> {
    session.counters().cmd_set.add(1);
    let stored = match session.target(key)? {
        Target::Record(space, key) => put_record(&space, key, put).await?,
        Target::Item(plain, key) => put_item(&plain, key, put).await?,
    };
    if put.cas.is_some() {
        let counters = session.counters();
        match stored {
            Stored::Done(_) => counters.cas_hits.add(1),
            Stored::Exists => counters.cas_badval.add(1),
            Stored::NotFound => counters.cas_misses.add(1),
            Stored::Unmet => {}
        }
    }
    Ok(stored)
}

async fn put_record(space: &Arc<Space>, key: Key, put: &Put<'_>) -> Result<Stored, Failure> {
    let condition = match (put.mode, put.cas) {
        (StoreMode::Append, _) => return Err(not_for_records("append", space)),
        (StoreMode::Prepend, _) => return Err(not_for_records("prepend", space)),
        (StoreMode::Add, _) => Condition::Absent,
        (StoreMode::Set | StoreMode::Replace, Some(cas)) => Condition::Unchanged(versions(cas)),
        (StoreMode::Set, None) => Condition::Always,
        (StoreMode::Replace, None) => Condition::Present,
    };
    let write = Write {
        target: Row::Key(key),
        change: Change::Put { value: Bytes::copy_from_slice(put.value), flags: put.flags },
        condition,
    };
    Ok(match space.write(write).await? {
        Effect::Stored { key, record, .. } | Effect::Accepted { key, record, .. } => {
            if put.life != Life::Unlimited {
                // The row is stored whatever becomes of its entry, whose life is the only thing at stake.
                let _ = put.life.apply(space, &key).await;
            }
            Stored::Done(record.map(|record| cas_of(record.version)))
        }
        Effect::Refused(Refusal::Conflict(_)) => Stored::Exists,
        Effect::Refused(Refusal::Absent) if put.cas.is_some() => Stored::NotFound,
        Effect::Refused(Refusal::Absent | Refusal::Exists) | Effect::Deleted { .. } => Stored::Unmet,
    })
}

async fn put_item(plain: &Arc<dyn PlainStore>, key: &[u8], put: &Put<'_>) -> Result<Stored, Failure> {
    let when = match (put.mode, put.cas) {
        (StoreMode::Append | StoreMode::Prepend, Some(cas)) => return join_item(plain, key, put, cas).await,
        (StoreMode::Set | StoreMode::Replace, Some(cas)) => PlainWhen::Cas(cas),
        (StoreMode::Set, None) => PlainWhen::Always,
        (StoreMode::Replace, None) => PlainWhen::Present,
        (StoreMode::Add, _) => PlainWhen::Absent,
        (StoreMode::Append, None) => PlainWhen::Append,
        (StoreMode::Prepend, None) => PlainWhen::Prepend,
    };
    let value = Bytes::copy_from_slice(put.value);
    let stored = plain.set(key, value, put.flags, put.life.plain_ttl_ms(), when);
    stored_item(stored.await?)
}

/// Appends or prepends to exactly the item that has this cas number, which `ms` can ask for.
async fn join_item(
    plain: &Arc<dyn PlainStore>,
    key: &[u8],
    put: &Put<'_>,
    cas: u64,
) -> Result<Stored, Failure> {
    let Some(item) = plain.get(key).await? else {
        return Ok(Stored::Unmet);
    };
    let (front, back) = match put.mode {
        StoreMode::Prepend => (put.value, &item.value[..]),
        _ => (&item.value[..], put.value),
    };
    let mut value = BytesMut::with_capacity(front.len() + back.len());
    value.extend_from_slice(front);
    value.extend_from_slice(back);
    let stored = plain.set(key, value.freeze(), item.flags, item.ttl_left_ms, PlainWhen::Cas(cas));
    stored_item(stored.await?)
}

fn stored_item(stored: PlainStored) -> Result<Stored, Failure> {
    match stored {
        PlainStored::Stored(cas) => Ok(Stored::Done(Some(cas))),
        PlainStored::NotStored => Ok(Stored::Unmet),
        PlainStored::Exists => Ok(Stored::Exists),
        PlainStored::NotFound => Ok(Stored::NotFound),
        PlainStored::TooLarge => Err(Failure::TooLarge),
    }
}

/// The versions that a cas number may stand for.
pub(super) fn versions(cas: u64) -> Vec<Version> {
    match cas {
        // Version 0 is shown as 1.
        1 => vec![Version(1), Version(0)],
        cas => vec![Version(cas)],
    }
}

/// The refusal of a command that changes bytes.
pub(super) fn not_for_records(command: &'static str, space: &Space) -> Failure {
    Failure::NotForRecords { command, resource: space.name().clone() }
}
