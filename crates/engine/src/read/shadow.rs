// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shadow: the source answers, and the answer is compared with what the cache would have said.
//!
//! A write between the look-up and the load makes the two differ although nothing is wrong. So a
//! difference is looked at again: it counts only if the entry is still the same and the source still says
//! the same, both after the first comparison.

use std::sync::Arc;

use throughline_core::{Cache, Intent, Key, Record, Result, Sent};

use super::look_up::{Found, look_up};
use super::{Bypass, Read, Served, bypass, load};
use crate::space::Space;

pub(super) async fn get(space: &Arc<Space>, cache: &Arc<dyn Cache>, key: &Key) -> Result<Read> {
    let cached = match look_up(space, cache, key).await {
        Found::Answer(read) => read.into_record(),
        // The cache is kept warm, so that there is something to compare and to come back to.
        Found::Leased(lease) => return load::load_and_fill(space, key, lease, Sent::new()).await,
        Found::Wait(why) | Found::Past(why) => return bypass(space, key, why).await,
    };
    space.stats.shadow_compared.add(1);
    let truth = read_source(space, key).await?;
    if truth == cached || !persists(space, cache, key, &cached, &truth).await? {
        return Ok(Read::from_source(space.entry(truth), Served::Bypass(Bypass::Mode)));
    }
    space.stats.shadow_differences.add(1);
    tracing::warn!(resource = %space.name(), %key, "the cached entry differs from the source; it was dropped");
    drop(space.invalidate_entry(key).await);
    Ok(Read::from_source(space.entry(truth), Served::Bypass(Bypass::Mode)))
}

async fn read_source(space: &Arc<Space>, key: &Key) -> Result<Option<Record>> {
    let loaded = load::load(space, key, Intent { fill: false, sent: Sent::new() }).await?;
    Ok(loaded.record)
}

/// Whether the difference is still there: the same entry, and the same answer of the source.
async fn persists(
    space: &Arc<Space>,
    cache: &Arc<dyn Cache>,
    key: &Key,
    cached: &Option<Record>,
    truth: &Option<Record>,
) -> Result<bool> {
    let Ok(slot) = space.reader_slot(key) else { return Ok(false) };
    let again = cache.peek(&slot).await;
    let same_entry = matches!(again, Ok(Some(hit)) if hit.record() == cached.as_ref());
    Ok(same_entry && read_source(space, key).await? == *truth)
}
