// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of what is known.

use throughline_core::{
    ControlView, FenceState, Generation, Level, Lineage, Mode, NodeId, NodeName, NodeRow, Nonce,
    ResourceName, ResourceRow, Tick,
};

use super::{Known, Place, Promise};
use crate::policy::Policy;
use crate::read::Bypass;

fn name() -> NodeName {
    NodeName::new("a").unwrap()
}

fn person() -> ResourceName {
    ResourceName::new("person").unwrap()
}

fn view(generation: u64, state: FenceState, revision: u64) -> ControlView {
    let node = NodeRow {
        name: name(),
        generation,
        previous: generation - 1,
        state,
        nonce: Nonce(7),
        lineage: Lineage::new("first"),
        map_version: 1,
        revision,
    };
    let resource = ResourceRow {
        name: person(),
        mode: Mode::Cache,
        generation: 50,
        previous: 49,
        state: FenceState::Active,
        revision: 1,
    };
    ControlView {
        lineage: Lineage::new("first"),
        lease_ms: 2_000,
        rho_ppm: 10_000,
        nodes: vec![node],
        resources: vec![resource],
    }
}

struct Bed(Known);

impl Bed {
    fn new() -> Self {
        Self(Known::new(1))
    }

    fn learn(&mut self, view: &ControlView, sent: u64, received: u64) {
        self.0.learn(&[name()], view, Tick::from_ms(sent), Tick::from_ms(received));
    }

    fn readable(&self, level: Level, now: u64) -> Result<Generation, Bypass> {
        self.readable_by(&Policy { level, ..Policy::default() }, now)
    }

    fn readable_by(&self, policy: &Policy, now: u64) -> Result<Generation, Bypass> {
        self.0.readable(NodeId(0), &person(), Promise::of(policy), Tick::from_ms(now))
    }
}

#[test]
fn a_lease_counts_from_the_request_and_ends() {
    let mut bed = Bed::new();
    assert_eq!(bed.readable(Level::Strict, 0), Err(Bypass::Fenced), "nothing is known");
    bed.learn(&view(10, FenceState::Active, 1), 1_000, 1_900);
    assert_eq!(bed.readable(Level::Strict, 2_999), Ok(Generation { node: 10, resource: 50 }));
    assert_eq!(bed.readable(Level::Strict, 3_000), Err(Bypass::ControlLost));
    assert!(bed.readable(Level::Bounded, 3_000).is_ok(), "bounded goes on with what it knew");
}

#[test]
fn an_older_answer_that_comes_late_changes_nothing() {
    let mut bed = Bed::new();
    bed.learn(&view(11, FenceState::Fencing, 2), 1_000, 1_100);
    // Its request left before that answer came, and its snapshot was older.
    bed.learn(&view(10, FenceState::Active, 1), 1_050, 1_500);
    assert_eq!(bed.readable(Level::Strict, 1_600), Err(Bypass::Fenced));
    assert_eq!(bed.0.nodes[0].fencing_since, Some(Tick::from_ms(1_100)));
}

#[test]
fn a_lease_that_has_ended_is_relied_on_for_as_long_as_the_policy_says_and_never_when_a_fence_is_known() {
    let patient = Policy { level: Level::Strict, control_lost_ms: 500, ..Policy::default() };
    let mut bed = Bed::new();
    bed.learn(&view(10, FenceState::Active, 1), 1_000, 1_900);
    assert!(bed.readable_by(&patient, 3_499).is_ok());
    assert_eq!(bed.readable_by(&patient, 3_500), Err(Bypass::ControlLost));
    bed.learn(&view(11, FenceState::Fencing, 2), 2_000, 2_300);
    assert_eq!(bed.readable_by(&patient, 2_400), Err(Bypass::Fenced));
    let mut bed = Bed::new();
    bed.learn(&view(20, FenceState::Active, 9), 1_000, 1_010);
    bed.learn(&view(10, FenceState::Active, 1), 1_500, 1_510);
    assert_eq!(bed.readable_by(&patient, 1_600), Err(Bypass::ControlLost), "the database forgot");
}

#[test]
fn an_older_answer_does_not_shorten_a_lease() {
    let mut bed = Bed::new();
    bed.learn(&view(10, FenceState::Active, 1), 2_000, 2_010);
    bed.learn(&view(10, FenceState::Active, 1), 1_000, 2_020);
    assert!(bed.readable(Level::Strict, 3_999).is_ok());
}

#[test]
fn a_fence_counts_from_the_answer_that_first_showed_it() {
    let mut bed = Bed::new();
    bed.learn(&view(10, FenceState::Active, 1), 0, 10);
    bed.learn(&view(11, FenceState::Fencing, 2), 1_000, 1_300);
    bed.learn(&view(11, FenceState::Fencing, 2), 2_000, 2_300);
    assert_eq!(bed.0.nodes[0].fencing_since, Some(Tick::from_ms(1_300)));
    bed.learn(&view(12, FenceState::Fencing, 5), 3_000, 3_300);
    assert_eq!(bed.0.nodes[0].fencing_since, Some(Tick::from_ms(3_300)), "another fence");
}

#[test]
fn rows_that_went_back_or_belong_to_another_history_void_the_lease() {
    let mut bed = Bed::new();
    bed.learn(&view(20, FenceState::Active, 9), 1_000, 1_010);
    bed.learn(&view(10, FenceState::Active, 1), 1_500, 1_510);
    assert_eq!(bed.readable(Level::Strict, 1_600), Err(Bypass::ControlLost));
    assert!(bed.0.nodes[0].is_of_another_history(Some(&Lineage::new("first"))));

    let mut bed = Bed::new();
    let other = ControlView { lineage: Lineage::new("second"), ..view(10, FenceState::Active, 1) };
    bed.learn(&other, 1_000, 1_010);
    assert_eq!(bed.readable(Level::Strict, 1_100), Err(Bypass::ControlLost));
    assert!(bed.0.nodes[0].is_of_another_history(bed.0.lineage.as_ref()));
}

#[test]
fn the_longest_wait_that_was_ever_asked_for_holds() {
    let mut bed = Bed::new();
    bed.learn(&view(10, FenceState::Active, 1), 0, 10);
    let shorter = ControlView { lease_ms: 100, ..view(10, FenceState::Active, 1) };
    bed.learn(&shorter, 20, 30);
    assert_eq!((bed.0.lease_ms, bed.0.wait_ms), (100, 2_090));
}

#[test]
fn a_mark_goes_where_readers_may_still_read() {
    let of = |state, resource_state| {
        let mut view = view(11, state, 1);
        view.resources[0].state = resource_state;
        Place::of(view.nodes.first(), view.resources.first())
    };
    let under = |node, resource| Place::Under(Generation { node, resource }, Nonce(7));
    use FenceState::{Active, Fenced, Fencing};
    assert_eq!(of(Active, Active), under(11, 50));
    assert_eq!(of(Fencing, Active), under(10, 50));
    assert_eq!(of(Active, Fencing), under(11, 49));
    assert_eq!(of(Fencing, Fencing), under(10, 49));
    assert_eq!(of(Fenced, Active), Place::Nowhere);
    assert_eq!(Place::of(None, None), Place::Nowhere);
}
