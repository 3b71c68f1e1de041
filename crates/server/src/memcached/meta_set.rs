// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ms`.

use throughline_wire::memcached::request::{MetaRequest, StoreMode};
use throughline_wire::memcached::{KEY_LEN_MAX, MetaCode, reply};

use super::answer::Failure;
use super::output::Output;
use super::session::Session;
use super::store::{Put, Stored, put_at};

pub(super) async fn answer(
    session: &mut Session,
    meta: &MetaRequest<'_>,
    mode: StoreMode,
    value: &[u8],
    out: &mut Output<'_>,
) {
    session.counters().cmd_meta.add(1);
    let (code, cas) = match put(session, meta, mode, value).await {
        Ok(Stored::Done(cas)) => (MetaCode::Done, cas.unwrap_or(0)),
        Ok(Stored::Unmet) => (MetaCode::NotStored, 0),
        Ok(Stored::Exists) => (MetaCode::Exists, 0),
        Ok(Stored::NotFound) => (MetaCode::NotFound, 0),
        Err(failure) => return session.fail(&failure, out),
    };
    if !reply::is_hidden(&meta.flags, code, false) {
        reply::meta_code(out.response(), meta, code, Some(cas));
    }
}

async fn put(
    session: &mut Session,
    meta: &MetaRequest<'_>,
    mode: StoreMode,
    value: &[u8],
) -> Result<Stored, Failure> {
    if meta.flags.invalidate {
        // It would keep a value that is known to be old.
        return Err(Failure::Flag('I'));
    }
    let put = Put {
        mode,
        value,
        flags: meta.flags.client_flags.unwrap_or(0),
        life: session.life(meta.flags.ttl.unwrap_or(0)),
        cas: meta.flags.cas,
    };
    put_at(session, meta.key.bytes(&mut [0; KEY_LEN_MAX]), &put).await
}
