// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ma`.

use throughline_wire::memcached::request::{ArithmeticMode, MetaRequest};
use throughline_wire::memcached::{KEY_LEN_MAX, MetaCode, reply};

use super::answer::Failure;
use super::counter::{Count, Counted, count_at};
use super::exptime::whole_seconds;
use super::meta_get::shows_ttl_before_it_is_set;
use super::output::Output;
use super::session::Session;
use super::touch::give_life;

pub(super) async fn answer(
    session: &mut Session,
    meta: &MetaRequest<'_>,
    mode: ArithmeticMode,
    out: &mut Output<'_>,
) {
    session.counters().cmd_meta.add(1);
    let code = match count(session, meta, mode).await {
        Err(failure) => return session.fail(&failure, out),
        Ok(Counted::Done(_)) if reply::is_hidden(&meta.flags, MetaCode::Done, false) => return,
        Ok(Counted::Done(sum)) => {
            let ttl_s = sum.ttl_left_ms.map(whole_seconds);
            return reply::meta_number(out.response(), meta, sum.number, sum.cas, ttl_s);
        }
        Ok(Counted::NotFound) => MetaCode::NotFound,
        Ok(Counted::Exists) => MetaCode::Exists,
    };
    reply::meta_code(out.response(), meta, code, None);
}

async fn count(
    session: &mut Session,
    meta: &MetaRequest<'_>,
    mode: ArithmeticMode,
) -> Result<Counted, Failure> {
    let flags = &meta.flags;
    let mut scratch = [0; KEY_LEN_MAX];
    let key = meta.key.bytes(&mut scratch);
    let start = flags.vivify.map(|exptime| (flags.initial.unwrap_or(0), session.life(exptime)));
    let count = Count { mode, delta: flags.delta.unwrap_or(1), cas: flags.cas, start };
    let mut counted = count_at(session, key, &count).await?;
    if let (Counted::Done(sum), Some(exptime)) = (&mut counted, flags.ttl) {
        let life = session.life(exptime);
        give_life(&session.target(key)?, life).await?;
        if !shows_ttl_before_it_is_set(flags) {
            sum.ttl_left_ms = life.plain_ttl_ms();
        }
    }
    Ok(counted)
}
