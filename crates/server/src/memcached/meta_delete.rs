// SPDX-License-Identifier: MIT OR Apache-2.0
//! `md`.

use throughline_wire::memcached::request::MetaRequest;
use throughline_wire::memcached::{KEY_LEN_MAX, MetaCode, reply};

use super::answer::Failure;
use super::delete::{Removed, remove_at};
use super::output::Output;
use super::route::Target;
use super::session::Session;

pub(super) async fn answer(session: &mut Session, meta: &MetaRequest<'_>, out: &mut Output<'_>) {
    session.counters().cmd_meta.add(1);
    let code = match remove(session, meta).await {
        Ok(Removed::Done) => MetaCode::Done,
        Ok(Removed::NotFound) => MetaCode::NotFound,
        Ok(Removed::Exists) => MetaCode::Exists,
        Err(failure) => return session.fail(&failure, out),
    };
    if !reply::is_hidden(&meta.flags, code, false) {
        reply::meta_code(out.response(), meta, code, None);
    }
}

async fn remove(session: &mut Session, meta: &MetaRequest<'_>) -> Result<Removed, Failure> {
    let mut scratch = [0; KEY_LEN_MAX];
    let key = meta.key.bytes(&mut scratch);
    if !meta.flags.invalidate {
        return remove_at(session, key, meta.flags.cas).await;
    }
    match session.target(key)? {
        Target::Record(space, key) => {
            space.invalidate(&key).await?;
            Ok(Removed::Done)
        }
        // memcached keeps such an item and marks it as old; the plain space has no such mark.
        Target::Item(..) => Err(Failure::Flag('I')),
    }
}
