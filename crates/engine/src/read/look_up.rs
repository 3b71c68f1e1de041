// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look-up of a key in the cache, judged.

use std::sync::Arc;

use throughline_core::{Cache, Key, Lookup, Slot};

use super::{Bypass, Read};
use crate::lease::HeldLease;
use crate::space::Space;

/// What a look-up means for a reader.
pub(super) enum Found {
    /// The answer.
    Answer(Read),
    /// Nothing; the reader may load and fill.
    Leased(HeldLease),
    /// Somebody is at work on the key: wait a little, or bypass for this reason.
    Wait(Bypass),
    /// The cache is of no use for this read.
    Past(Bypass),
}

/// Looks `key` up once.
pub(super) async fn look_up(space: &Arc<Space>, cache: &Arc<dyn Cache>, key: &Key) -> Found {
    let slot = match space.reader_slot(key) {
        Ok(slot) => slot,
        Err(why) => return Found::Past(why),
    };
    let answer = cache.get(&slot).await;
    judge(space, cache, &slot, answer).await
}

/// Decides what an answer of the cache means.
pub(super) async fn judge(
    space: &Arc<Space>,
    cache: &Arc<dyn Cache>,
    slot: &Slot,
    answer: throughline_core::Result<Lookup>,
) -> Found {
    space.cache_outage.note("cache", space.name(), answer.as_ref());
    match answer {
        Ok(Lookup::Hit(hit)) => {
            if let Err(why) = space.still_reads(slot) {
                return Found::Past(why);
            }
            if space.may_use(&hit) {
                space.count_hit(&hit);
                return Found::Answer(Read::from_hit(hit));
            }
            // An entry from before an ALTER, of another database, or too old to be trusted: it must go, whoever
            // reads next.
            drop(cache.invalidate(std::slice::from_ref(slot)).await);
            let is_ours = hit.fingerprint() == space.parts.fingerprint;
            Found::Past(if is_ours { Bypass::Old } else { Bypass::Foreign })
        }
        Ok(Lookup::Leased(lease)) => Found::Leased(HeldLease::new(cache.clone(), lease)),
        Ok(Lookup::Busy) => Found::Wait(Bypass::Busy),
        Ok(Lookup::Marked) => Found::Wait(Bypass::Marked),
        Ok(Lookup::Refused) => Found::Past(Bypass::Refused),
        Err(error) => {
            tracing::debug!(resource = %space.name(), %error, "look-up failed, the source answers");
            Found::Past(Bypass::CacheError)
        }
    }
}
