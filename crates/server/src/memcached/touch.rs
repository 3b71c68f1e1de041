// SPDX-License-Identifier: MIT OR Apache-2.0
//! `touch`, `gat` and `gats`.

use std::io;

use throughline_wire::memcached::request::Keys;
use throughline_wire::memcached::{Status, reply};

use super::answer::Failure;
use super::exptime::Life;
use super::get::{self, Found};
use super::output::Output;
use super::route::Target;
use super::session::Session;

pub(super) async fn touch(session: &mut Session, key: &[u8], exptime: i64) -> Result<Status, Failure> {
    session.counters().cmd_touch.add(1);
    let life = session.life(exptime);
    let found = match session.target(key)? {
        Target::Item(plain, key) => plain.touch(key, life.plain_ttl_ms()).await?,
        Target::Record(space, key) => {
            // A record without an entry is loaded first. An entry that says that there is no record has a
            // life too, but not one that a client could ask for.
            let found = space.get(&key).await?.record().is_some();
            if found {
                life.apply(&space, &key).await?;
            }
            found
        }
    };
    count(session, found);
    Ok(if found { Status::Touched } else { Status::NotFound })
}

pub(super) async fn get_and_touch(
    session: &mut Session,
    keys: Keys<'_>,
    with_cas: bool,
    exptime: i64,
    out: &mut Output<'_>,
) -> io::Result<()> {
    let life = session.life(exptime);
    for key in keys {
        let found = match read_and_touch(session, key, life).await {
            Ok(found) => found,
            Err(failure) => {
                session.fail(&failure, out);
                return Ok(());
            }
        };
        session.counters().cmd_touch.add(1);
        count(session, found.is_some());
        get::count(session, found.is_some());
        if let Some(Found { value, flags, cas }) = found {
            reply::value(out.response(), key, flags, with_cas.then_some(cas), &value);
        }
        if out.is_over_kept_max() {
            out.flush().await?;
        }
    }
    reply::status(out.response(), Status::End);
    Ok(())
}

async fn read_and_touch(session: &mut Session, key: &[u8], life: Life) -> Result<Option<Found>, Failure> {
    let target = session.target(key)?;
    let found = get::read(&target).await?;
    if found.is_some() {
        give_life(&target, life).await?;
    }
    Ok(found)
}

/// Gives the entry or the item another life, for a caller who has already read it.
pub(super) async fn give_life(target: &Target<'_>, life: Life) -> Result<(), Failure> {
    match target {
        // The record was read, with or without its cache; the life of an entry is no reason to withhold it.
        Target::Record(space, key) => drop(life.apply(space, key).await),
        Target::Item(plain, key) => drop(plain.touch(key, life.plain_ttl_ms()).await?),
    }
    Ok(())
}

fn count(session: &Session, found: bool) {
    let counters = session.counters();
    if found {
        counters.touch_hits.add(1);
    } else {
        counters.touch_misses.add(1);
    }
}
