// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mg`.

use throughline::Served;
use throughline_wire::memcached::reply::{self, MetaItem};
use throughline_wire::memcached::request::{MetaFlags, MetaRequest};
use throughline_wire::memcached::{KEY_LEN_MAX, MetaCode};

use super::answer::Failure;
use super::exptime::{Life, whole_seconds};
use super::get::{self, Found, cas_of};
use super::output::Output;
use super::route::Target;
use super::session::Session;
use super::touch::give_life;

/// What a key holds, with its life.
struct Held {
    found: Found,
    ttl_s: Option<u32>,
    fetched: bool,
}

pub(super) async fn answer(session: &mut Session, meta: &MetaRequest<'_>, out: &mut Output<'_>) {
    session.counters().cmd_meta.add(1);
    let held = match read(session, meta).await {
        Ok(held) => held,
        Err(failure) => return session.fail(&failure, out),
    };
    get::count(session, held.is_some());
    match held {
        Some(held) => {
            let item = MetaItem {
                value: &held.found.value,
                client_flags: held.found.flags,
                cas: held.found.cas,
                ttl_s: held.ttl_s,
                idle_s: 0,
                fetched: held.fetched,
                won: false,
                already_won: false,
                stale: false,
            };
            reply::meta_hit(out.response(), meta, &item);
        }
        None if reply::is_hidden(&meta.flags, MetaCode::Miss, true) => {}
        None => reply::meta_code(out.response(), meta, MetaCode::Miss, None),
    }
}

async fn read(session: &mut Session, meta: &MetaRequest<'_>) -> Result<Option<Held>, Failure> {
    let mut scratch = [0; KEY_LEN_MAX];
    let target = session.target(meta.key.bytes(&mut scratch))?;
    let Some(mut held) = look_up(&target, &meta.flags).await? else {
        return Ok(None);
    };
    if let Some(exptime) = meta.flags.ttl {
        let life = session.life(exptime);
        give_life(&target, life).await?;
        session.counters().cmd_touch.add(1);
        session.counters().touch_hits.add(1);
        if !shows_ttl_before_it_is_set(&meta.flags) {
            held.ttl_s = life_of(&target, life).map(whole_seconds);
        }
    }
    Ok(Some(held))
}

async fn look_up(target: &Target<'_>, flags: &MetaFlags<'_>) -> Result<Option<Held>, Failure> {
    match target {
        Target::Record(space, key) => {
            let read = space.get(key).await?;
            Ok(read.record.map(|record| Held {
                ttl_s: Some(whole_seconds(read.ttl_left_ms)),
                fetched: read.served == Served::Hit,
                found: Found { cas: cas_of(record.version), flags: record.flags, value: record.value },
            }))
        }
        Target::Item(plain, key) => {
            // Both hand out the right to fill a key, which an item without a source cannot keep account of.
            for (asked, letter) in [(flags.vivify, 'N'), (flags.recache, 'R')] {
                if asked.is_some() {
                    return Err(Failure::Flag(letter));
                }
            }
            Ok(plain.get(key).await?.map(|item| Held {
                ttl_s: item.ttl_left_ms.map(whole_seconds),
                fetched: false,
                found: Found::item(item),
            }))
        }
    }
}

/// Flags act in the order of their writing: a `t` before the `T` shows the life that was.
pub(super) fn shows_ttl_before_it_is_set(flags: &MetaFlags<'_>) -> bool {
    let mut letters = flags.in_order().map(|flag| flag.letter);
    letters.find(|letter| matches!(letter, b't' | b'T')) == Some(b't')
}

/// How long the entry or the item now lives.
fn life_of(target: &Target<'_>, life: Life) -> Option<u64> {
    match target {
        Target::Record(space, _) => Some(life.entry_ttl_ms(space.policy().ttl)),
        Target::Item(..) => life.plain_ttl_ms(),
    }
}
