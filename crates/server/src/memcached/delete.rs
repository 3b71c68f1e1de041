// SPDX-License-Identifier: MIT OR Apache-2.0
//! `delete`, and what `md` does behind its flags.

use std::sync::Arc;

use bytes::Bytes;
use throughline::{
    Access, Change, Condition, Effect, Key, PlainStore, PlainStored, PlainWhen, Refusal, Space,
    Target as Row, Write,
};
use throughline_wire::memcached::Status;

use super::answer::Failure;
use super::route::Target;
use super::session::Session;
use super::store::versions;

/// How a removal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// It is gone.
    Done,
    /// There was nothing.
    NotFound,
    /// It has another cas number.
    Exists,
}

pub(super) async fn delete(session: &mut Session, key: &[u8]) -> Result<Status, Failure> {
    Ok(match remove_at(session, key, None).await? {
        Removed::Done => Status::Deleted,
        Removed::NotFound | Removed::Exists => Status::NotFound,
    })
}

/// Removes whatever `key` names, if it has the cas number that is given.
pub(super) async fn remove_at(
    session: &mut Session,
    key: &[u8],
    cas: Option<u64>,
) -> Result<Removed, Failure> {
    let removed = match session.target(key)? {
        Target::Record(space, key) => remove_record(&space, key, cas).await?,
        Target::Item(plain, key) => remove_item(&plain, key, cas).await?,
    };
    let counters = session.counters();
    match removed {
        Removed::Done => counters.delete_hits.add(1),
        Removed::NotFound | Removed::Exists => counters.delete_misses.add(1),
    }
    Ok(removed)
}

async fn remove_record(space: &Arc<Space>, key: Key, cas: Option<u64>) -> Result<Removed, Failure> {
    if space.policy().access == Access::Read {
        // Applications delete what they have changed behind us; nothing else can be meant here.
        space.invalidate(&key).await?;
        return Ok(Removed::Done);
    }
    let write = Write {
        target: Row::Key(key),
        change: Change::Delete,
        condition: cas.map_or(Condition::Always, |cas| Condition::Unchanged(versions(cas))),
    };
    Ok(match space.write(write).await? {
        Effect::Refused(Refusal::Absent) => Removed::NotFound,
        Effect::Refused(_) => Removed::Exists,
        Effect::Deleted { .. } | Effect::Stored { .. } | Effect::Accepted { .. } => Removed::Done,
    })
}

async fn remove_item(plain: &Arc<dyn PlainStore>, key: &[u8], cas: Option<u64>) -> Result<Removed, Failure> {
    let Some(cas) = cas else {
        let held = plain.remove(key).await?;
        return Ok(if held { Removed::Done } else { Removed::NotFound });
    };
    // A store that expires at once removes, and it alone compares the number.
    let stored = plain.set(key, Bytes::new(), 0, Some(0), PlainWhen::Cas(cas));
    Ok(match stored.await? {
        PlainStored::Stored(_) => Removed::Done,
        PlainStored::Exists => Removed::Exists,
        PlainStored::NotFound | PlainStored::NotStored | PlainStored::TooLarge => Removed::NotFound,
    })
}
