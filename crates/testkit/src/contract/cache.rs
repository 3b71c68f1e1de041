// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every [`Cache`] promises.
//!
//! A backend lists itself with [`cache_contract!`](crate::cache_contract), which makes one test of each
//! promise. A promise is a function that takes a fresh, empty cache and panics when it is broken.

#![allow(missing_docs, reason = "the name of a promise is the promise")]

pub mod fills;
pub mod lives;
pub mod looks;
pub mod marks;
pub mod model;
pub mod shapes;

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use throughline_core::{
    Cache, Entry, Fill, Fingerprint, Generation, Hit, Key, Lease, Lookup, Mark, NodeId, Record, ResourceName,
    Route, Slot,
};

use crate::ManualClock;

/// The life of entries whose life does not matter.
const TTL_MS: u64 = 60_000;
/// How much later than promised something may expire on a server that counts whole seconds.
const REAL_SLACK: Duration = Duration::from_secs(3);

/// How time passes for a cache.
#[derive(Debug)]
pub enum Passage {
    /// When this clock is advanced.
    Manual(Arc<ManualClock>),
    /// By itself: the cache is a server with a clock of its own.
    Real,
}

/// A cache to be tested: fresh, empty, and nobody else's.
pub struct CacheSubject {
    /// The cache.
    pub cache: Arc<dyn Cache>,
    /// How time passes for it.
    pub passage: Passage,
    /// When its leases expire.
    pub lease_ms: u64,
    /// When its marks expire.
    pub mark_ms: u64,
    /// The length of a large value that it takes.
    pub large_len: usize,
    /// The length of a value that is too large for it.
    pub too_large_len: usize,
    /// What must live as long as the cache, a server for example.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for CacheSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSubject").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// A promise by its name, for whoever runs the suite as a table.
pub type Promise = (&'static str, fn(CacheSubject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Every promise.
pub const PROMISES: &[Promise] = crate::cache_contract!(@promises table ());

/// Makes a test of every promise of [`Cache`]; `$subject` is a future of a [`CacheSubject`], made anew for each.
///
/// The crate that calls it needs tokio.
#[macro_export]
macro_rules! cache_contract {
    (@promises $then:ident $args:tt) => {
        $crate::cache_contract! { @$then $args
            looks::an_empty_slot_is_leased_to_one_caller_at_a_time,
            looks::of_many_callers_one_gets_the_lease,
            looks::what_was_filled_is_found_whole,
            looks::a_negative_entry_is_found_as_one,
            looks::the_fingerprint_survives,
            looks::peek_finds_entries_only_and_takes_no_lease,
            looks::get_many_answers_in_order,
            looks::a_dropped_look_up_shifts_nobodys_answer,
            fills::a_lease_fills_once,
            fills::a_fill_after_invalidate_is_refused,
            fills::a_fill_after_a_mark_is_refused,
            fills::a_fill_after_release_is_refused,
            fills::an_older_lease_does_not_fill_under_a_newer_one,
            fills::a_lease_of_elsewhere_is_refused,
            fills::a_released_lease_goes_to_the_next_caller,
            fills::releasing_an_old_lease_leaves_the_newer_one,
            fills::a_fill_takes_place_before_every_later_call,
            fills::a_fill_takes_place_although_its_future_is_dropped,
            marks::a_mark_removes_the_entry_and_is_seen,
            marks::marks_are_confirmed_in_order,
            marks::a_mark_without_an_entry_voids_the_lease,
            marks::a_published_entry_is_found,
            marks::a_mark_publishes_once,
            marks::a_publish_under_a_superseded_mark_is_refused,
            marks::a_publish_after_invalidate_is_refused,
            marks::an_unmarked_slot_is_empty,
            marks::a_superseded_mark_does_not_unmark,
            marks::releasing_an_old_lease_leaves_the_mark,
            marks::an_invalidated_slot_is_empty,
            lives::a_lease_expires,
            lives::a_mark_expires,
            lives::an_entry_expires,
            lives::a_hit_tells_age_and_time_left,
            lives::touch_gives_an_entry_another_life,
            lives::touch_never_touches_a_lease_or_a_mark,
            shapes::generations_are_apart,
            shapes::resources_are_apart,
            shapes::keys_of_every_shape_are_apart,
            shapes::values_of_every_shape_survive,
            shapes::a_large_entry_survives,
            shapes::what_is_too_large_leaves_the_slot_empty,
            model::random_calls_agree_with_a_model,
        }
    };
    (@table () $($topic:ident::$promise:ident,)*) => {
        &[$((stringify!($promise), |subject| Box::pin($crate::contract::cache::$topic::$promise(subject))),)*]
    };
    (@tests ($subject:expr) $($topic:ident::$promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::cache::$topic::$promise($subject.await).await;
            }
        )*
    };
    ($subject:expr) => {
        $crate::cache_contract! { @promises tests ($subject) }
    };
}

/// The slot of `key` in resource `item`.
fn slot(key: &str) -> Slot {
    Slot { resource: resource("item"), route: Route::default(), key: Key::parse(key).expect("a short key") }
}

fn resource(name: &str) -> ResourceName {
    ResourceName::new(name).expect("a valid name")
}

fn route(node: u64, resource: u64) -> Route {
    Route { node: NodeId::default(), generation: Generation { node, resource } }
}

fn entry(value: impl Into<Bytes>) -> Entry {
    Entry { record: Some(Record::from_content(value)), fingerprint: Fingerprint::of(b"contract") }
}

/// A second lease with the same proof, as nobody but this suite makes one.
fn copied(lease: &Lease) -> Lease {
    Lease { slot: lease.slot.clone(), token: lease.token }
}

impl CacheSubject {
    async fn get(&self, slot: &Slot) -> Lookup {
        self.cache.get(slot).await.expect("a healthy cache answers")
    }

    #[track_caller]
    fn leased(look: Lookup) -> Lease {
        match look {
            Lookup::Leased(lease) => lease,
            other => panic!("expected a lease, got {other:?}"),
        }
    }

    async fn lease(&self, slot: &Slot) -> Lease {
        Self::leased(self.get(slot).await)
    }

    async fn hit(&self, slot: &Slot) -> Hit {
        match self.get(slot).await {
            Lookup::Hit(hit) => hit,
            other => panic!("expected a hit of {slot:?}, got {other:?}"),
        }
    }

    async fn fill(&self, lease: Lease, entry: Entry) -> Fill {
        self.cache.fill(lease, entry, TTL_MS).await.expect("a healthy cache answers")
    }

    /// Fills an empty slot.
    async fn put(&self, slot: &Slot, entry: Entry) {
        let lease = self.lease(slot).await;
        assert_eq!(self.fill(lease, entry).await, Fill::Stored);
    }

    async fn mark(&self, slot: &Slot) -> Mark {
        let mut marks = self.cache.mark(std::slice::from_ref(slot)).await;
        marks.pop().expect("one answer for one slot").expect("a healthy cache confirms")
    }

    async fn publish(&self, mark: Mark, entry: Entry) -> Fill {
        self.cache.publish(mark, entry, TTL_MS).await.expect("a healthy cache answers")
    }

    async fn invalidate(&self, slot: &Slot) {
        let mut answers = self.cache.invalidate(std::slice::from_ref(slot)).await;
        answers.pop().expect("one answer for one slot").expect("a healthy cache confirms");
    }

    /// Waits until `look` finds something, which must be when `ms` have passed and not before.
    async fn after_ms<T>(&self, ms: u64, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        match &self.passage {
            Passage::Manual(clock) => {
                clock.advance_ms(ms - 1);
                assert!(look().await.is_none(), "happened before {ms} ms had passed");
                clock.advance_ms(1);
                look().await.unwrap_or_else(|| panic!("did not happen after {ms} ms"))
            }
            Passage::Real => {
                assert!(look().await.is_none(), "happened at once instead of after {ms} ms");
                let late = tokio::time::Instant::now() + Duration::from_millis(ms) + REAL_SLACK;
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    match look().await {
                        Some(found) => return found,
                        None => assert!(tokio::time::Instant::now() < late, "did not happen after {ms} ms"),
                    }
                }
            }
        }
    }
}
