// SPDX-License-Identifier: MIT OR Apache-2.0
//! `me`: what is known about a key without asking the source.

use throughline_wire::memcached::reply::{self, MetaDetail};
use throughline_wire::memcached::{KEY_LEN_MAX, MetaKey};

use super::answer::Failure;
use super::exptime::whole_seconds;
use super::get::cas_of;
use super::output::Output;
use super::route::Target;
use super::session::Session;

pub(super) async fn answer(session: &mut Session, key: &MetaKey<'_>, out: &mut Output<'_>) {
    session.counters().cmd_meta.add(1);
    match detail(session, key).await {
        Ok(Some(detail)) => reply::meta_detail(out.response(), key, &detail),
        Ok(None) => reply::meta_miss(out.response()),
        Err(failure) => session.fail(&failure, out),
    }
}

async fn detail(session: &mut Session, key: &MetaKey<'_>) -> Result<Option<MetaDetail>, Failure> {
    let mut scratch = [0; KEY_LEN_MAX];
    Ok(match session.target(key.bytes(&mut scratch))? {
        Target::Record(space, key) => space.get_cached(&key).await?.and_then(|read| {
            let record = read.record()?;
            Some(MetaDetail {
                ttl_s: Some(whole_seconds(read.ttl_left_ms())),
                idle_s: 0,
                cas: cas_of(record.version),
                fetched: true,
                size: record.value.len() as u64,
            })
        }),
        Target::Item(plain, key) => plain.get(key).await?.map(|item| MetaDetail {
            ttl_s: item.ttl_left_ms.map(whole_seconds),
            idle_s: 0,
            cas: item.cas,
            fetched: false,
            size: item.value.len() as u64,
        }),
    })
}
