// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mg`.

use futures_util::FutureExt as _;
use throughline::{PlainItem, Record, Served};
use throughline_wire::memcached::reply::{self, MetaItem};
use throughline_wire::memcached::request::{MetaFlags, MetaRequest};
use throughline_wire::memcached::{KEY_LEN_MAX, MetaCode};

use super::answer::Failure;
use super::exptime::{Life, whole_seconds};
use super::get::{self, Found};
use super::output::Output;
use super::route::{Route, Target};
use super::session::Session;
use super::touch::give_life;

/// What a key holds, with its life.
struct Held {
    found: Found,
    ttl_s: Option<u32>,
    fetched: bool,
}

impl Held {
    fn record(record: Record, ttl_left_ms: u64, fetched: bool) -> Self {
        Self { found: Found::record(record), ttl_s: Some(whole_seconds(ttl_left_ms)), fetched }
    }

    fn item(item: PlainItem) -> Self {
        Self { ttl_s: item.ttl_left_ms.map(whole_seconds), fetched: false, found: Found::item(item) }
    }
}

/// Answers if nothing must be waited for; whether it did.
pub(super) fn at_once(session: &mut Session, meta: &MetaRequest<'_>, out: &mut Vec<u8>) -> bool {
    let mut scratch = [0; KEY_LEN_MAX];
    let held = match session.route(meta.key.bytes(&mut scratch)) {
        _ if meta.flags.ttl.is_some() => None,
        Ok(Route::Record(space, text)) => space
            .try_get(text)
            .map(|hit| hit.record().map(|record| Held::record(record.clone(), hit.ttl_left_ms(), true))),
        Ok(Route::Item(plain, key)) if refused_flag(&meta.flags).is_none() => {
            plain.get(key).now_or_never().and_then(Result::ok).map(|item| item.map(Held::item))
        }
        _ => None,
    };
    if let Some(held) = &held {
        compose(session, meta, held.as_ref(), out);
    }
    held.is_some()
}

pub(super) async fn answer(session: &mut Session, meta: &MetaRequest<'_>, out: &mut Output<'_>) {
    match read(session, meta).await {
        Ok(held) => compose(session, meta, held.as_ref(), out.response()),
        Err(failure) => session.fail(&failure, out),
    }
}

fn compose(session: &Session, meta: &MetaRequest<'_>, held: Option<&Held>, out: &mut Vec<u8>) {
    session.counters().cmd_meta.add(1);
    get::count(session, held.is_some());
    match held {
        Some(Held { found, ttl_s, fetched }) => {
            let item = MetaItem {
                value: &found.value,
                client_flags: found.flags,
                cas: found.cas,
                ttl_s: *ttl_s,
                idle_s: 0,
                fetched: *fetched,
                won: false,
                already_won: false,
                stale: false,
            };
            reply::meta_hit(out, meta, &item);
        }
        None if reply::is_hidden(&meta.flags, MetaCode::Miss, true) => {}
        None => reply::meta_code(out, meta, MetaCode::Miss, None),
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
            let (ttl_left_ms, fetched) = (read.ttl_left_ms(), read.served == Served::Hit);
            Ok(read.into_record().map(|record| Held::record(record, ttl_left_ms, fetched)))
        }
        Target::Item(plain, key) => match refused_flag(flags) {
            Some(letter) => Err(Failure::Flag(letter)),
            None => Ok(plain.get(key).await?.map(Held::item)),
        },
    }
}

/// Both hand out the right to fill a key, of which an item without a source cannot keep account.
fn refused_flag(flags: &MetaFlags<'_>) -> Option<char> {
    flags.vivify.map(|_| 'N').or(flags.recache.map(|_| 'R'))
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
