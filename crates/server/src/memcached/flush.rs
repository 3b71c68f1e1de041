// SPDX-License-Identifier: MIT OR Apache-2.0
//! `flush_all`.

use std::time::Duration;

use throughline::{Tasks as _, Throughline};
use throughline_wire::memcached::Status;
use tokio_util::sync::CancellationToken;

use super::answer::Failure;
use super::exptime::Life;
use super::session::Session;

/// Flushes now, or later; as in memcached, each flush takes the place of one that is still to come.
pub(super) async fn flush_all(session: &mut Session, delay_s: i64) -> Result<Status, Failure> {
    session.counters().cmd_flush.add(1);
    let called_off = CancellationToken::new();
    let door = &session.door;
    std::mem::replace(&mut *door.flush_later.lock(), called_off.clone()).cancel();
    match session.life(delay_s) {
        Life::Unlimited | Life::Over => flush(&door.throughline).await?,
        Life::Ms(delay_ms) => later(&door.throughline, called_off, Duration::from_millis(delay_ms)),
    }
    Ok(Status::Ok)
}

fn later(throughline: &Throughline, called_off: CancellationToken, delay: Duration) {
    let throughline_later = throughline.clone();
    let work = async move {
        if tokio::time::timeout(delay, called_off.cancelled()).await.is_ok() {
            return;
        }
        if let Err(error) = flush(&throughline_later).await {
            tracing::warn!(%error, "the flush that a client asked for did not take place");
        }
    };
    throughline.tasks().spawn("flush later", Box::pin(work));
}

/// Empties the plain space and makes the entries of resources unreachable, the source's records never.
async fn flush(throughline: &Throughline) -> throughline::Result<()> {
    if let Some(plain) = throughline.plain() {
        plain.clear().await?;
    }
    for listing in throughline.listings() {
        let space = &listing.space;
        if space.has_cache() && !space.drop_own_entries("flush_all") {
            tracing::warn!(
                resource = %space.name(),
                "flush_all leaves the entries: other processes share them"
            );
        }
    }
    Ok(())
}
