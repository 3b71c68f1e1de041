// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads: which way an answer takes, and what came of it.

mod bulk;
mod cache_aside;
mod get;
mod load;
mod look_up;
mod read_through;
mod shadow;

use std::sync::Arc;

use throughline_core::{
    Canonical, Entry, Error, ErrorKind, Hit, Intent, Key, Mode, ReadStrategy, Record, Result,
};

use crate::space::Space;

pub(crate) use bulk::get_many;
pub use get::Get;
pub(crate) use load::fits;

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The entry that answered, or what was loaded as an entry without a life.
    hit: Hit,
    /// Where the answer comes from.
    pub served: Served,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// An entry of the cache.
    Hit,
    /// The source, on a miss; `stored` says whether it was given to the cache.
    Miss {
        /// Whether a fill was sent.
        stored: bool,
    },
    /// The source, past the cache, for this reason.
    Bypass(Bypass),
}

/// Why a read went past the cache. Each has its counter in [`crate::SpaceStats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// The resource has no cache.
    NoCache,
    /// The mode is `source`, or `shadow` after a comparison.
    Mode,
    /// The caller wanted an answer from the source.
    Asked,
    /// The key is not the canonical one of its row.
    Key,
    /// A write of this key could not be invalidated yet.
    Owed,
    /// The cache did not answer.
    CacheError,
    /// Another reader held the lease for longer than `lease_wait`.
    Busy,
    /// A writer held the key for longer than `lease_wait`.
    Marked,
    /// The cache gave no lease.
    Refused,
    /// The key's cache server is fenced, or the resource is being emptied.
    Fenced,
    /// The control tables did not answer in time, so nothing may be relied on.
    ControlLost,
    /// The entry was made under another schema or by a stranger.
    Foreign,
    /// The entry is older than it may be while news of other programs' writes are late.
    Old,
}

impl Read {
    /// The record; `None` when the source has no such key.
    pub fn record(&self) -> Option<&Record> {
        self.hit.record()
    }

    /// The record to keep. Its bytes are shared, not copied.
    pub fn into_record(self) -> Option<Record> {
        self.hit.into_entry().record
    }

    /// Age of the entry that answered, in milliseconds; 0 for what was just loaded.
    pub fn age_ms(&self) -> u64 {
        self.hit.age_ms()
    }

    /// Milliseconds until the entry expires; 0 when the answer is not in the cache.
    pub fn ttl_left_ms(&self) -> u64 {
        self.hit.ttl_left_ms()
    }

    #[inline]
    pub(crate) fn from_hit(hit: Hit) -> Self {
        Self { hit, served: Served::Hit }
    }

    fn from_source(entry: Entry, served: Served) -> Self {
        Self { hit: Hit::new(entry, 0, 0), served }
    }
}

/// Reads by mode and strategy, after the look-up in this process's memory found nothing.
pub(crate) async fn get(space: &Arc<Space>, key: &Key) -> Result<Read> {
    space.refuse_if_yielded()?;
    let canonical = space.parts.loader.canonical(key)?;
    let Some(cache) = &space.parts.cache else {
        return bypass(space, key, Bypass::NoCache).await;
    };
    if space.mode() == Mode::Source {
        return bypass(space, key, Bypass::Mode).await;
    }
    if canonical != Canonical::Same {
        return bypass(space, key, Bypass::Key).await;
    }
    if space.owed.holds(key) {
        return bypass(space, key, Bypass::Owed).await;
    }
    match (space.mode(), space.policy().read) {
        (Mode::Shadow, _) => shadow::get(space, cache, key).await,
        (_, ReadStrategy::CacheAside) => cache_aside::get(space, cache, key).await,
        (_, ReadStrategy::ReadThrough) => read_through::get(space, cache, key).await,
    }
}

/// Reads at the source and leaves the cache as it is. Concurrent ones of a key are one load.
pub(crate) async fn bypass(space: &Arc<Space>, key: &Key, why: Bypass) -> Result<Read> {
    space.refuse_if_yielded()?;
    space.count_bypass(why);
    let flown = space.bypass_flights.run(key, |sent| async {
        space.afford_bypass(why)?;
        let loaded = load::load(space, key, Intent { fill: false, sent }).await?;
        Ok(Read::from_source(space.entry(loaded.record), Served::Bypass(why)))
    });
    let flown = flown.await;
    if flown.joined {
        space.stats.joined.add(1);
    }
    // The joined flight may have had another reason for its bypass than this caller has.
    flown.value.map(|read| Read { served: Served::Bypass(why), ..read })
}

/// What the cache holds, without a lease and without the source.
pub(crate) async fn cached(space: &Arc<Space>, key: &Key) -> Result<Option<Read>> {
    space.refuse_if_yielded()?;
    let canonical = space.parts.loader.canonical(key)?;
    let Some(cache) = &space.parts.cache else {
        return Ok(None);
    };
    if space.mode() != Mode::Cache || canonical != Canonical::Same || space.owed.holds(key) {
        return Ok(None);
    }
    let slot = space.reader_slot(key).map_err(|_| {
        let detail =
            format!("the cache server of this key of resource `{}` may not be read now", space.name());
        Error::new(ErrorKind::Unavailable, "look an entry up", detail)
    })?;
    let hit = cache.peek(&slot).await?;
    let hit = hit.filter(|hit| space.still_reads(&slot).is_ok() && space.may_use(hit));
    Ok(hit.map(|hit| {
        space.count_hit(&hit);
        Read::from_hit(hit)
    }))
}

impl Space {
    /// Takes a load past the cache from the budget, if there is one. A reader without a cache, in mode `source`, or
    /// who asked for the source is free of it: for him the source is not what stands in for the cache.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] when this second's loads are spent.
    fn afford_bypass(&self, why: Bypass) -> Result<()> {
        let Some(rate) = &self.parts.bypass_rate else { return Ok(()) };
        if matches!(why, Bypass::NoCache | Bypass::Mode | Bypass::Asked) || rate.take() {
            return Ok(());
        }
        self.stats.bypass_over_rate.add(1);
        let detail = format!(
            "resource `{}`: as many reads as `max_bypass_rate` allows go past the cache",
            self.name()
        );
        Err(Error::new(ErrorKind::Overloaded, "read past the cache", detail))
    }

    fn count_bypass(&self, why: Bypass) {
        let stats = &self.stats;
        let counter = match why {
            Bypass::NoCache => &stats.bypass_no_cache,
            Bypass::Mode => &stats.bypass_mode,
            Bypass::Asked => &stats.bypass_asked,
            Bypass::Key => &stats.bypass_key,
            Bypass::Owed => &stats.bypass_owed,
            Bypass::CacheError => &stats.bypass_cache_error,
            Bypass::Busy => &stats.bypass_busy,
            Bypass::Marked => &stats.bypass_marked,
            Bypass::Refused => &stats.bypass_refused,
            Bypass::Fenced => &stats.bypass_fenced,
            Bypass::ControlLost => &stats.bypass_control_lost,
            Bypass::Foreign => &stats.bypass_foreign,
            Bypass::Old => &stats.bypass_old,
        };
        counter.add(1);
    }
}
