// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every [`ControlStore`] promises.
//!
//! A store lists itself with [`control_contract!`](crate::control_contract), which makes one test of each
//! promise. A promise is a function that takes fresh, empty tables and panics when it is broken.

#![allow(missing_docs, reason = "the name of a promise is the promise")]

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use throughline_core::{
    ControlStore, FenceState, Lineage, Mode, NodeName, NodeRow, Nonce, ResourceName, ResourceRow, Transition,
};

/// Control tables to be tested: fresh, with no row but the settings', and nobody else's.
pub struct ControlSubject {
    /// The store as one daemon has it.
    pub store: Arc<dyn ControlStore>,
    /// The same rows as another daemon has them.
    pub another: Arc<dyn ControlStore>,
    /// What must live as long as the stores, a server for example.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for ControlSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlSubject").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A promise by its name, for whoever runs the suite as a table.
pub type Promise = (&'static str, fn(ControlSubject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Every promise.
pub const PROMISES: &[Promise] = crate::control_contract!(@promises table ());

/// Makes a test of every promise of [`ControlStore`]; `$subject` is a future of a [`ControlSubject`], made anew
/// for each.
///
/// The crate that calls it needs tokio.
#[macro_export]
macro_rules! control_contract {
    (@promises $then:ident $args:tt) => {
        $crate::control_contract! { @$then $args
            fresh_tables_hold_the_settings_and_no_rows,
            a_server_is_enrolled_active_and_once,
            a_fence_goes_through_its_states,
            a_transition_from_another_state_or_generation_changes_nothing,
            of_concurrent_fences_one_takes_place,
            a_fenced_server_can_be_fenced_again,
            a_change_is_in_every_view_that_begins_after_it,
            a_nonce_is_adopted_only_in_place_of_the_one_that_was_seen,
            a_resource_is_enrolled_once_and_its_mode_is_the_fleets,
            a_bump_keeps_the_generation_before_until_it_ends,
            large_numbers_survive,
            names_are_told_apart_exactly,
        }
    };
    (@table () $($promise:ident,)*) => {
        &[$((stringify!($promise), |subject| Box::pin($crate::contract::control::$promise(subject))),)*]
    };
    (@tests ($subject:expr) $($promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::control::$promise($subject.await).await;
            }
        )*
    };
    ($subject:expr) => {
        $crate::control_contract! { @promises tests ($subject) }
    };
}

/// The promises that the subjects which `make` makes break, by name: to show that the suite convicts.
pub fn broken_promises<F: Future<Output = ControlSubject>>(make: impl Fn() -> F) -> Vec<&'static str> {
    let is_broken = |promise: &&Promise| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let run = || runtime.block_on(async { promise.1(make().await).await });
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    PROMISES.iter().filter(is_broken).map(|promise| promise.0).collect()
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).expect("a server's name")
}

fn resource(name: &str) -> ResourceName {
    ResourceName::new(name).expect("a resource's name")
}

fn enroll(name: &str, generation: u64) -> Transition {
    Transition::Enroll { node: node(name), generation, nonce: Nonce(7), lineage: Lineage::new("first") }
}

fn start(name: &str, generation: u64, next: u64) -> Transition {
    let lineage = Lineage::new("second");
    Transition::StartFence { node: node(name), generation, next, lineage, why: "a test" }
}

fn end(name: &str, generation: u64) -> Transition {
    Transition::EndFence { node: node(name), generation }
}

fn readmit(name: &str, generation: u64) -> Transition {
    Transition::Readmit { node: node(name), generation, nonce: Nonce(8) }
}

async fn apply(store: &Arc<dyn ControlStore>, transition: Transition) -> bool {
    store.apply(&transition).await.expect("the store answers")
}

async fn row(store: &Arc<dyn ControlStore>, name: &str) -> NodeRow {
    let view = store.view().await.expect("the store answers");
    view.node(&node(name)).expect("the row").clone()
}

async fn resource_row(store: &Arc<dyn ControlStore>, name: &str) -> ResourceRow {
    let view = store.view().await.expect("the store answers");
    view.resource(&resource(name)).expect("the row").clone()
}

pub async fn fresh_tables_hold_the_settings_and_no_rows(subject: ControlSubject) {
    let view = subject.store.view().await.expect("the store answers");
    assert!(view.lease_ms >= 100 && view.rho_ppm > 0, "{view:?}");
    assert!(!view.lineage.as_str().is_empty());
    assert_eq!((view.nodes.len(), view.resources.len()), (0, 0));
}

pub async fn a_server_is_enrolled_active_and_once(subject: ControlSubject) {
    assert!(apply(&subject.store, enroll("a", 100)).await);
    assert!(!apply(&subject.another, enroll("a", 200)).await);
    let row = row(&subject.store, "a").await;
    assert_eq!((row.generation, row.state, row.nonce), (100, FenceState::Active, Nonce(7)));
    assert_eq!(row.lineage, Lineage::new("first"));
}

pub async fn a_fence_goes_through_its_states(subject: ControlSubject) {
    let store = &subject.store;
    apply(store, enroll("a", 100)).await;
    apply(store, enroll("b", 500)).await;
    let before = row(store, "a").await;
    assert!(apply(store, start("a", 100, 111)).await);
    let fencing = row(store, "a").await;
    assert_eq!((fencing.state, fencing.generation, fencing.previous), (FenceState::Fencing, 111, 100));
    assert_eq!(fencing.lineage, Lineage::new("second"), "it is valid from here on");
    assert!(apply(store, end("a", 111)).await);
    let fenced = row(store, "a").await;
    assert_eq!((fenced.state, fenced.generation), (FenceState::Fenced, 111));
    assert!(apply(store, readmit("a", 111)).await);
    let active = row(store, "a").await;
    assert_eq!((active.state, active.generation, active.nonce), (FenceState::Active, 111, Nonce(8)));
    let revisions = [before.revision, fencing.revision, fenced.revision, active.revision];
    assert!(revisions.is_sorted_by(|earlier, later| earlier < later), "{revisions:?}");
    assert_eq!(row(store, "b").await.state, FenceState::Active, "another server's row is its own");
}

pub async fn a_transition_from_another_state_or_generation_changes_nothing(subject: ControlSubject) {
    let store = &subject.store;
    assert!(!apply(store, start("a", 100, 111)).await, "there is no such row");
    apply(store, enroll("a", 100)).await;
    for refused in [start("a", 99, 111), end("a", 100), readmit("a", 100), start("b", 100, 111)] {
        assert!(!apply(store, refused.clone()).await, "{refused:?}");
    }
    assert_eq!(row(store, "a").await.revision, row(&subject.another, "a").await.revision);
    apply(store, start("a", 100, 111)).await;
    for refused in [start("a", 100, 112), start("a", 111, 112), end("a", 100), readmit("a", 111)] {
        assert!(!apply(store, refused.clone()).await, "{refused:?}");
    }
    apply(store, end("a", 111)).await;
    for refused in [end("a", 111), readmit("a", 100), start("a", 100, 112)] {
        assert!(!apply(store, refused.clone()).await, "{refused:?}");
    }
    let row = row(store, "a").await;
    assert_eq!((row.state, row.generation, row.previous), (FenceState::Fenced, 111, 100));
}

pub async fn of_concurrent_fences_one_takes_place(subject: ControlSubject) {
    apply(&subject.store, enroll("a", 100)).await;
    let (one, two) = (start("a", 100, 111), start("a", 100, 222));
    let (one, two) = tokio::join!(subject.store.apply(&one), subject.another.apply(&two));
    let (one, two) = (one.expect("the store answers"), two.expect("the store answers"));
    assert!(one != two, "one of them");
    assert_eq!(row(&subject.store, "a").await.generation, if one { 111 } else { 222 });
}

pub async fn a_fenced_server_can_be_fenced_again(subject: ControlSubject) {
    let store = &subject.store;
    apply(store, enroll("a", 100)).await;
    apply(store, start("a", 100, 111)).await;
    apply(store, end("a", 111)).await;
    assert!(apply(store, start("a", 111, 122)).await);
    let row = row(store, "a").await;
    assert_eq!((row.state, row.generation, row.previous), (FenceState::Fencing, 122, 111));
}

pub async fn a_change_is_in_every_view_that_begins_after_it(subject: ControlSubject) {
    apply(&subject.store, enroll("a", 1)).await;
    row(&subject.another, "a").await;
    apply(&subject.store, enroll("b", 1)).await;
    row(&subject.another, "b").await;
    // Views that are under way meanwhile must not be handed to whoever asks later.
    let other = subject.another.clone();
    let reading = tokio::spawn(async move {
        for _ in 0..200 {
            other.view().await.expect("the store answers");
        }
    });
    for round in 0..50_u64 {
        let generation = 1 + round * 10;
        assert!(apply(&subject.store, start("a", generation, generation + 10)).await);
        let seen = row(&subject.another, "a").await;
        assert_eq!((seen.generation, seen.state), (generation + 10, FenceState::Fencing));
        apply(&subject.store, end("a", generation + 10)).await;
        assert_eq!(row(&subject.another, "a").await.state, FenceState::Fenced);
    }
    reading.await.expect("it ends");
}

pub async fn a_nonce_is_adopted_only_in_place_of_the_one_that_was_seen(subject: ControlSubject) {
    let store = &subject.store;
    apply(store, enroll("a", 100)).await;
    let adopt = |generation, before, nonce| Transition::AdoptNonce {
        node: node("a"),
        generation,
        before: Nonce(before),
        nonce: Nonce(nonce),
    };
    assert!(!apply(store, adopt(100, 6, 9)).await, "another was adopted meanwhile");
    assert!(!apply(store, adopt(99, 7, 9)).await);
    assert!(apply(store, adopt(100, 7, 9)).await);
    let row = row(store, "a").await;
    assert_eq!((row.nonce, row.generation, row.state), (Nonce(9), 100, FenceState::Active));
    apply(store, start("a", 100, 111)).await;
    assert!(!apply(store, adopt(111, 9, 10)).await, "it is being fenced");
}

pub async fn a_resource_is_enrolled_once_and_its_mode_is_the_fleets(subject: ControlSubject) {
    let (store, person) = (&subject.store, resource("person"));
    assert!(apply(store, Transition::EnrollResource { resource: person.clone(), generation: 40 }).await);
    assert!(!apply(store, Transition::EnrollResource { resource: person.clone(), generation: 41 }).await);
    for mode in Mode::ALL {
        let set = Transition::SetMode { resource: person.clone(), mode: *mode };
        assert!(apply(store, set.clone()).await);
        assert_eq!(resource_row(&subject.another, "person").await.mode, *mode);
    }
    let row = resource_row(store, "person").await;
    assert_eq!((row.generation, row.state), (40, FenceState::Active));
    let unknown = Transition::SetMode { resource: resource("persons"), mode: Mode::Cache };
    assert!(!apply(store, unknown).await);
}

pub async fn a_bump_keeps_the_generation_before_until_it_ends(subject: ControlSubject) {
    let (store, person) = (&subject.store, resource("person"));
    apply(store, Transition::EnrollResource { resource: person.clone(), generation: 40 }).await;
    let bump = |generation, next| Transition::StartBump { resource: person.clone(), generation, next };
    let done = |generation| Transition::EndBump { resource: person.clone(), generation };
    assert!(!apply(store, bump(39, 50)).await);
    assert!(!apply(store, done(40)).await, "there is none");
    assert!(apply(store, bump(40, 50)).await);
    let row = resource_row(store, "person").await;
    assert_eq!((row.state, row.generation, row.previous), (FenceState::Fencing, 50, 40));
    assert!(!apply(store, bump(50, 60)).await, "one at a time");
    assert!(apply(store, done(50)).await);
    let ended = resource_row(store, "person").await;
    assert_eq!((ended.state, ended.generation), (FenceState::Active, 50));
    assert!(ended.revision > row.revision);
}

pub async fn large_numbers_survive(subject: ControlSubject) {
    let last = (1 << 63) - 1;
    let lineage = Lineage::new(&"l".repeat(Lineage::LEN_MAX));
    let name = node(&"n".repeat(NodeName::LEN_MAX));
    let enroll = |generation, nonce| Transition::Enroll {
        node: name.clone(),
        generation,
        nonce: Nonce(nonce),
        lineage: lineage.clone(),
    };
    assert!(apply(&subject.store, enroll(last, u64::MAX)).await);
    let row = row(&subject.another, name.as_str()).await;
    assert_eq!((row.generation, row.nonce, &row.lineage), (last, Nonce(u64::MAX), &lineage));
    let person = resource(&"p".repeat(ResourceName::LEN_MAX));
    apply(&subject.store, Transition::EnrollResource { resource: person.clone(), generation: last }).await;
    assert_eq!(resource_row(&subject.another, person.as_str()).await.generation, last);
}

pub async fn names_are_told_apart_exactly(subject: ControlSubject) {
    for (place, name) in
        ["a", "A", "a'; DROP TABLE tl_node; --".replace(' ', "_").as_str()].iter().enumerate()
    {
        assert!(apply(&subject.store, enroll(name, place as u64 + 1)).await, "{name}");
    }
    assert_eq!(row(&subject.store, "A").await.generation, 2);
    for name in ["p", "P"] {
        let enroll = Transition::EnrollResource { resource: resource(name), generation: 1 };
        assert!(apply(&subject.store, enroll).await, "{name}");
    }
}
