// SPDX-License-Identifier: MIT OR Apache-2.0
//! `get` and `gets`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use throughline::{Key, PlainItem, Read, Record, Space, Version};
use throughline_wire::memcached::request::Keys;
use throughline_wire::memcached::{Status, reply};

use super::answer::Failure;
use super::output::{KEPT_MAX, Output};
use super::route::{Route, Target};
use super::session::Session;

/// How many keys are read together. One bulk load takes up to 1,000; fewer bound what a connection holds.
const KEYS_AT_ONCE: usize = 250;

/// What a key holds, as clients see it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) value: Bytes,
    pub(super) flags: u32,
    pub(super) cas: u64,
}

impl Found {
    pub(super) fn record(record: Record) -> Self {
        Self { cas: cas_of(record.version), flags: record.flags, value: record.value }
    }

    pub(super) fn item(item: PlainItem) -> Self {
        Self { value: item.value, flags: item.flags, cas: item.cas }
    }
}

/// The cas number of a record. Never 0, which clients take for "none".
pub(super) fn cas_of(version: Version) -> u64 {
    version.0.max(1)
}

/// Answers keys from the first on for which nothing must be waited; those that are left.
///
/// This is the path of every hit: it allocates nothing but the room in `out`.
pub(super) fn at_once<'k>(
    session: &mut Session,
    keys: Keys<'k>,
    with_cas: bool,
    out: &mut Vec<u8>,
) -> Option<Keys<'k>> {
    let (mut hits, mut misses) = (0, 0);
    let mut left = keys;
    let left = loop {
        let before = left;
        let Some(key) = left.next() else {
            reply::status(out, Status::End);
            break None;
        };
        if out.len() >= KEPT_MAX {
            break Some(before);
        }
        match answer_one(session, key, with_cas, out) {
            Some(true) => hits += 1,
            Some(false) => misses += 1,
            None => break Some(before),
        }
    };
    let counters = session.counters();
    if hits > 0 {
        counters.get_hits.add(hits);
    }
    if misses > 0 {
        counters.get_misses.add(misses);
    }
    left
}

/// Whether the key holds something, if that can be said without waiting; if so, it is appended.
fn answer_one(session: &mut Session, key: &[u8], with_cas: bool, out: &mut Vec<u8>) -> Option<bool> {
    match session.route(key).ok()? {
        Route::Record(space, text) => {
            let hit = space.try_get(text)?;
            let record = hit.record();
            if let Some(record) = record {
                let cas = with_cas.then(|| cas_of(record.version));
                reply::value(out, key, record.flags, cas, &record.value);
            }
            Some(record.is_some())
        }
        Route::Item(plain, _) => {
            // The space in this process's memory answers at once; any other is asked again, and waited for.
            let item = plain.get(key).now_or_never()?.ok()?;
            if let Some(item) = &item {
                reply::value(out, key, item.flags, with_cas.then_some(item.cas), &item.value);
            }
            Some(item.is_some())
        }
    }
}

/// Answers the keys that [`at_once`] has left, of the same response.
pub(super) async fn answer(
    session: &mut Session,
    mut keys: Keys<'_>,
    with_cas: bool,
    out: &mut Output<'_>,
) -> io::Result<()> {
    loop {
        let together: Vec<&[u8]> = keys.by_ref().take(KEYS_AT_ONCE).collect();
        if together.is_empty() {
            reply::status(out.response(), Status::End);
            return Ok(());
        }
        let found = match read_many(session, &together).await {
            Ok(found) => found,
            Err(failure) => {
                session.fail(&failure, out);
                return Ok(());
            }
        };
        for (key, found) in together.into_iter().zip(found) {
            count(session, found.is_some());
            let Some(Found { value, flags, cas }) = found else {
                continue;
            };
            reply::value(out.response(), key, flags, with_cas.then_some(cas), &value);
            if out.is_over_kept_max() {
                out.flush().await?;
            }
        }
    }
}

/// Counts a look-up. A record that had to be loaded counts as a hit: the client got what he asked for.
pub(super) fn count(session: &Session, found: bool) {
    let counters = session.counters();
    if found {
        counters.get_hits.add(1);
    } else {
        counters.get_misses.add(1);
    }
}

/// Reads what one target holds.
pub(super) async fn read(target: &Target<'_>) -> Result<Option<Found>, Failure> {
    Ok(match target {
        Target::Record(space, key) => space.get(key).await?.into_record().map(Found::record),
        Target::Item(plain, key) => plain.get(key).await?.map(Found::item),
    })
}

/// The keys of one resource, with their places in the request.
struct Group {
    space: Arc<Space>,
    keys: Vec<Key>,
    places: Vec<usize>,
}

/// Reads what several keys hold, in their order. One that fails fails all.
async fn read_many(session: &mut Session, keys: &[&[u8]]) -> Result<Vec<Option<Found>>, Failure> {
    let mut found = vec![None; keys.len()];
    let mut groups: Vec<Group> = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        match session.target(key)? {
            Target::Item(plain, key) => found[place] = plain.get(key).await?.map(Found::item),
            Target::Record(space, key) => {
                match groups.iter_mut().find(|group| Arc::ptr_eq(&group.space, &space)) {
                    Some(group) => {
                        group.keys.push(key);
                        group.places.push(place);
                    }
                    None => groups.push(Group { space, keys: vec![key], places: vec![place] }),
                }
            }
        }
    }
    for group in groups {
        for (place, read) in group.places.iter().zip(read_group(&group).await) {
            found[*place] = read?.into_record().map(Found::record);
        }
    }
    Ok(found)
}

async fn read_group(group: &Group) -> Vec<throughline::Result<Read>> {
    match group.keys.as_slice() {
        // Readers of one key join each other's flight; a bulk load is nobody's to join.
        [key] => vec![group.space.get(key).await],
        keys => group.space.get_many(keys).await,
    }
}
