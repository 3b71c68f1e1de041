// SPDX-License-Identifier: MIT OR Apache-2.0
//! One resource, as bytes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use throughline_core::{
    Access, BoxFuture, Cache, Clock, Effect, Entry, Error, ErrorKind, Fill, Fingerprint, Generation, Hit,
    Key, Loader, LocalCache, Mode, Nodes, Record, ResourceName, Result, Rng, SlotRef, Tasks, Tick, Touch,
    Ttl, Write, Writer,
};
use throughline_resilience::{Rate, SingleFlight};

use crate::elsewhere::Elsewhere;
use crate::freshness::Freshness;
use crate::mode::ModeCell;
use crate::outage::Outage;
use crate::owed::Owed;
use crate::policy::{Generations, Policy};
use crate::read::{self, Get, Read};
use crate::stats::SpaceStats;
use crate::write;

/// What a [`Space`] is made of.
#[derive(Debug)]
pub struct SpaceParts {
    /// The resource's name.
    pub name: ResourceName,
    /// The source's read side.
    pub loader: Arc<dyn Loader>,
    /// The source's write side, if it has one.
    pub writer: Option<Arc<dyn Writer>>,
    /// The cache; `None` serves everything from the source.
    pub cache: Option<Arc<dyn Cache>>,
    /// The same cache's look-up without waiting, if it is in this process.
    pub local: Option<Arc<dyn LocalCache>>,
    /// The same cache's servers, if it is on several; `None` keeps everything on the only one.
    pub nodes: Option<Arc<dyn Nodes>>,
    /// What the bytes of an entry mean.
    pub fingerprint: Fingerprint,
    /// Who decides on the generation.
    pub generations: Generations,
    /// The settings.
    pub policy: Policy,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub rng: Arc<Rng>,
    /// Background work.
    pub tasks: Arc<dyn Tasks>,
    /// How many loads per second may go past the cache where they should not have to; `None` for any number.
    pub bypass_rate: Option<Arc<Rate>>,
}

/// One resource, as bytes: reads by its strategy, writes by its strategy, the switch, the counters.
pub struct Space {
    pub(crate) parts: SpaceParts,
    pub(crate) mode: Arc<ModeCell>,
    generation: AtomicU64,
    /// Resources over the same table, whose keys of a written row are marked too.
    siblings: OnceLock<Vec<Weak<Space>>>,
    /// Flights that begin with a look-up.
    pub(crate) flights: SingleFlight<Result<Read>>,
    /// Flights that must not be answered by the cache; apart from the others, so that nobody who wants the
    /// source joins a flight that may find an entry.
    pub(crate) bypass_flights: SingleFlight<Result<Read>>,
    /// The keys that are being written.
    pub(crate) writing: write::Queues,
    pub(crate) owed: Owed,
    freshness: Freshness,
    pub(crate) elsewhere: Elsewhere,
    pub(crate) cache_outage: Outage,
    pub(crate) source_outage: Outage,
    pub(crate) stats: SpaceStats,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("name", &self.parts.name)
            .field("policy", &self.parts.policy)
            .finish_non_exhaustive()
    }
}

impl Space {
    /// A resource made of `parts`, in mode `cache`.
    pub fn new(parts: SpaceParts) -> Arc<Self> {
        let start = match parts.generations {
            Generations::Own(start) | Generations::Shared(start) => start,
            Generations::Fleet(_) => 0,
        };
        let mode = Arc::new(ModeCell::default());
        if let Generations::Fleet(fence) = &parts.generations {
            fence.enlist(&parts.name, &mode);
        }
        Arc::new(Self {
            parts,
            mode,
            generation: AtomicU64::new(start),
            siblings: OnceLock::new(),
            flights: SingleFlight::default(),
            bypass_flights: SingleFlight::default(),
            writing: write::Queues::default(),
            owed: Owed::default(),
            freshness: Freshness::default(),
            elsewhere: Elsewhere::default(),
            cache_outage: Outage::default(),
            source_outage: Outage::default(),
            stats: SpaceStats::default(),
        })
    }

    /// Names the other resources over the same table, once, before anything is served: a write of a row
    /// marks its key in each of them.
    ///
    /// # Panics
    /// When it is called twice.
    pub fn set_siblings(&self, siblings: Vec<Weak<Self>>) {
        self.siblings.set(siblings).expect("assembly names the siblings once");
    }

    pub(crate) fn siblings(&self) -> impl Iterator<Item = Arc<Self>> {
        self.siblings.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// The resource's name.
    pub fn name(&self) -> &ResourceName {
        &self.parts.name
    }

    /// The settings.
    pub fn policy(&self) -> &Policy {
        &self.parts.policy
    }

    /// The counters.
    pub fn stats(&self) -> &SpaceStats {
        &self.stats
    }

    /// Whether entries are kept anywhere.
    pub fn has_cache(&self) -> bool {
        self.parts.cache.is_some()
    }

    /// Where reads go.
    pub fn mode(&self) -> Mode {
        self.mode.get()
    }

    /// The generation that this process alone decides on.
    pub(crate) fn own_generation(&self) -> Generation {
        Generation { node: 0, resource: self.generation.load(Ordering::Acquire) }
    }

    /// What the cache is to keep of a key.
    pub(crate) fn entry(&self, record: Option<Record>) -> Entry {
        Entry { record, fingerprint: self.parts.fingerprint }
    }

    /// Answers from this process's memory at once, or not at all. Neither allocates nor waits.
    ///
    /// `None` does not mean that there is no such record: use [`Space::get`].
    #[inline]
    pub fn try_get(&self, key: &str) -> Option<Hit> {
        let local = self.parts.local.as_ref()?;
        // What the fleet agrees on is looked up by the key's server.
        if self.mode.get() != Mode::Cache
            || self.owed.any()
            || self.freshness.is_limited()
            || self.elsewhere.is_set()
            || self.fence().is_some()
        {
            return None;
        }
        let slot = SlotRef { resource: &self.parts.name, generation: self.own_generation(), key };
        let hit = local.try_get(slot)?;
        if hit.fingerprint() != self.parts.fingerprint {
            return None;
        }
        self.count_hit(&hit);
        Some(hit)
    }

    /// Reads a record by the resource's strategy and mode.
    ///
    /// # Errors
    /// Those of the source; the cache's never, because without the cache the source answers.
    ///
    /// # Cancel safety
    /// Dropping the future gives the lease back and hands its joiners to another leader.
    #[inline]
    pub fn get<'a>(self: &'a Arc<Self>, key: &'a Key) -> Get<'a> {
        Get::new(self, key)
    }

    /// Reads several records (at most 1,000): look-ups in one go, and one bulk load for what is missing.
    /// Answers in the order of `keys`.
    pub async fn get_many(self: &Arc<Self>, keys: &[Key]) -> Vec<Result<Read>> {
        read::get_many(self, keys).await
    }

    /// Reads a record at the source, past the cache, and leaves the cache as it is.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn get_fresh(self: &Arc<Self>, key: &Key) -> Result<Read> {
        self.parts.loader.canonical(key)?;
        read::bypass(self, key, read::Bypass::Asked).await
    }

    /// What the cache holds, without ever asking the source.
    ///
    /// # Errors
    /// Those of the cache.
    pub async fn get_cached(self: &Arc<Self>, key: &Key) -> Result<Option<Read>> {
        read::cached(self, key).await
    }

    /// Writes by the resource's strategy. The effect is committed when this returns `Ok`, unless it is
    /// [`Effect::Refused`].
    ///
    /// While a key is being written, other writes of the same key wait, and are then committed together: in the order of their
    /// arrival, each with its own condition and effect. An error that one of them causes is its own; when the source or
    /// the cache fails, all get the error.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]; [`ErrorKind::Unavailable`] after [`Space::yield_to`]; [`ErrorKind::Unmarkable`] for a strict write whose mark was not confirmed (nothing
    /// was written); [`ErrorKind::OutcomeUnknown`]; [`ErrorKind::Overloaded`] when 1,000 writes of the resource wait for
    /// another one of their key, [`ErrorKind::Timeout`] when one has waited so for 5 s; otherwise those of [`Writer::prepare`].
    ///
    /// # Cancel safety
    /// Dropped before the commit was sent, nothing is written; afterwards the commit takes place. A write that waited for others
    /// of its key belongs to a group from the moment that the group begins: dropped after that, it is written with
    /// the others, unless all of them are dropped before the commit was sent. Dropping one never harms the others.
    pub async fn write(self: &Arc<Self>, write: Write) -> Result<Effect> {
        if self.parts.policy.access == Access::Read {
            return Err(self.read_only());
        }
        self.refuse_if_yielded()?;
        write::write(self, write).await
    }

    pub(crate) fn read_only(&self) -> Error {
        let detail = format!(
            "resource `{}` is read-only; set `access = \"write\"` or serve with `--write`",
            self.name()
        );
        Error::new(ErrorKind::ReadOnly, "write a record", detail)
    }

    /// Drops the entry of `key` in this resource and in every other over the same table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`]; those of the cache, when it did not confirm.
    pub async fn invalidate(&self, key: &Key) -> Result<()> {
        let key = self.parts.loader.canonical(key)?.of(key);
        self.stats.invalidations.add(1);
        for space in self.siblings() {
            space.invalidate_entry(&key).await?;
        }
        self.invalidate_entry(&key).await
    }

    /// For how long, in milliseconds from now, another process may still use an entry of `key` from before the last
    /// write by this one; 0 when there can be none. In this process nobody does.
    pub fn stale_elsewhere_ms(&self, key: &Key) -> u64 {
        let owed_ms = if self.owed.holds(key) { self.parts.policy.ttl.entry_ms } else { 0 };
        owed_ms.max(self.parts.policy.copies_ms)
    }

    pub(crate) async fn invalidate_entry(&self, key: &Key) -> Result<()> {
        self.invalidate_entries(std::slice::from_ref(key)).await.pop().unwrap_or(Ok(()))
    }

    /// Gives the entry of `key` another life, never the record; counted from its fill, it lives at most as
    /// long as the resource's ttl says, which bounds how old an answer may be.
    ///
    /// # Errors
    /// Those of the cache.
    pub async fn touch(&self, key: &Key, ttl_ms: u64) -> Result<Touch> {
        let Some(cache) = &self.parts.cache else { return Ok(Touch::Absent) };
        let Ok(slot) = self.reader_slot(key) else { return Ok(Touch::Absent) };
        let Some(hit) = cache.peek(&slot).await? else { return Ok(Touch::Absent) };
        let ttl = &self.parts.policy.ttl;
        let longest = if hit.is_negative() { ttl.negative_ms } else { ttl.entry_ms };
        let left = longest.saturating_sub(hit.age_ms());
        if left < Ttl::MS_MIN {
            // It is about to expire, and no cache counts so finely.
            return Ok(Touch::Done);
        }
        cache.touch(&slot, ttl_ms.clamp(Ttl::MS_MIN, left)).await
    }

    /// Makes every entry of the resource from before this call unreachable, for every daemon; returns when that
    /// is so, which takes a little longer than a reader's lease where daemons share the entries.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where daemons share the entries without control tables by which to agree;
    /// otherwise those of the control tables.
    pub async fn invalidate_all(&self, why: &str) -> Result<()> {
        match &self.parts.generations {
            _ if self.parts.cache.is_none() => {}
            Generations::Fleet(fence) => {
                fence.bump(self.name()).await?;
                self.stats.generations.add(1);
                tracing::info!(resource = %self.name(), why, "all entries dropped, in every daemon");
            }
            Generations::Own(_) => drop(self.drop_own_entries(why)),
            Generations::Shared(_) => {
                let detail = format!(
                    "daemons share the entries of resource `{}` and have no control tables to agree by: run \
                     `throughline init` with the database's URL, then start them again",
                    self.name()
                );
                return Err(Error::new(ErrorKind::Configuration, "invalidate every entry", detail));
            }
        }
        Ok(())
    }

    /// Makes every entry of the resource unreachable at once, if this process alone uses them; whether it does.
    pub fn drop_own_entries(&self, why: &str) -> bool {
        if !matches!(self.parts.generations, Generations::Own(_)) {
            return false;
        }
        // Numbers never repeat: a random step keeps two processes that once shared a server apart.
        let step = 1 + self.parts.rng.below(1 << 20);
        self.generation.fetch_add(step, Ordering::AcqRel);
        self.stats.generations.add(1);
        tracing::info!(resource = %self.name(), why, "all entries dropped");
        true
    }

    /// Lets no entry be used that may hold what was read before `event`: a whole table changed then.
    pub(crate) fn forget_older(&self, event: Tick) {
        if !self.drop_own_entries("another program changed the table") {
            self.freshness.raise_floor(event);
        }
    }

    /// Notes that news of other programs' writes were last complete `late_ms` ago.
    pub(crate) fn note_news(&self, late_ms: u64) {
        let limit_ms = self.parts.policy.staleness_ms_max;
        let late = late_ms >= limit_ms;
        if !self.freshness.set_late(late) {
            return;
        }
        if late {
            let text =
                "news of other programs' writes are late: older entries are not used until they come again";
            tracing::warn!(resource = %self.name(), limit_ms, "{text}");
        } else {
            tracing::info!(resource = %self.name(), "news of other programs' writes are in time again");
        }
    }

    /// Whether news of other programs' writes are late, so that entries older than the resource's
    /// `staleness_ms_max` are not used.
    pub fn is_news_late(&self) -> bool {
        self.freshness.is_late()
    }

    /// Whether the entry that was found may be used, as far as its age and schema tell.
    pub(crate) fn may_use(&self, hit: &Hit) -> bool {
        hit.fingerprint() == self.parts.fingerprint
            && (!self.freshness.is_limited()
                || self.freshness.allows(hit, self.parts.clock.now(), self.parts.policy.staleness_ms_max))
    }

    /// The life of a new entry: shortened by chance, so that what was filled together does not expire together.
    pub(crate) fn ttl_ms(&self, negative: bool) -> u64 {
        let ttl = &self.parts.policy.ttl;
        let life = if negative { ttl.negative_ms } else { ttl.entry_ms };
        let spread = life / 100 * u64::from(ttl.jitter_percent);
        (life - self.parts.rng.below(spread + 1)).max(Ttl::MS_MIN)
    }

    pub(crate) fn count_hit(&self, hit: &Hit) {
        if hit.is_negative() {
            self.stats.negative_hits.add(1);
        } else {
            self.stats.hits.add(1);
        }
    }

    pub(crate) fn count_fill(&self, outcome: &Result<Fill>) {
        match outcome {
            Ok(Fill::Stored) => self.stats.fills.add(1),
            Ok(Fill::Refused) | Err(_) => self.stats.fills_refused.add(1),
            Ok(Fill::TooLarge) => self.stats.fills_too_large.add(1),
        }
    }

    /// Counts an outcome that is not known yet, without anybody waiting for it.
    pub(crate) fn count_later(
        self: &Arc<Self>,
        outcome: BoxFuture<'static, Result<Fill>>,
        count: fn(&Self, &Result<Fill>),
    ) {
        let space = self.clone();
        self.parts.tasks.spawn("count a fill", Box::pin(async move { count(&space, &outcome.await) }));
    }

    pub(crate) fn count_publish(&self, outcome: &Result<Fill>) {
        match outcome {
            Ok(Fill::Stored) => self.stats.publishes.add(1),
            _ => self.stats.publishes_refused.add(1),
        }
    }
}
