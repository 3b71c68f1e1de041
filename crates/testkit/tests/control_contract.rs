// SPDX-License-Identifier: MIT OR Apache-2.0
//! The suite of control stores accepts an honest one and convicts those that are not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::sync::Arc;

use throughline_core::{BoxFuture, ControlStore, ControlView, Result, Transition};
use throughline_testkit::MapControl;
use throughline_testkit::contract::control::{ControlSubject, broken_promises};

throughline_testkit::control_contract!(map_subject());

async fn map_subject() -> ControlSubject {
    let control = MapControl::new(2_000);
    ControlSubject { store: control.door(), another: control.door(), keep: Box::new(()) }
}

/// Changes rows without looking at what they are.
#[derive(Debug)]
struct Unconditional(MapControl, Arc<dyn ControlStore>);

impl ControlStore for Unconditional {
    fn view(&self) -> BoxFuture<'_, Result<ControlView>> {
        self.1.view()
    }

    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>> {
        let mut transition = transition.clone();
        let rows = self.0.now();
        let present = |node| rows.node(node).map_or(0, |row| row.generation);
        match &mut transition {
            Transition::StartFence { node, generation, .. }
            | Transition::Readmit { node, generation, .. } => {
                *generation = present(node);
            }
            _ => {}
        }
        Box::pin(async move { self.1.apply(&transition).await })
    }
}

/// Answers with what it saw last time.
#[derive(Debug)]
struct Remembering(Arc<dyn ControlStore>, std::sync::Mutex<Option<ControlView>>);

impl ControlStore for Remembering {
    fn view(&self) -> BoxFuture<'_, Result<ControlView>> {
        Box::pin(async {
            let fresh = self.0.view().await?;
            let before = self.1.lock().unwrap().replace(fresh.clone());
            Ok(before.unwrap_or(fresh))
        })
    }

    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>> {
        self.0.apply(transition)
    }
}

#[test]
fn the_suite_convicts_a_store_that_looks_at_no_generation() {
    let broken = broken_promises(|| async {
        let control = MapControl::new(2_000);
        let store = Arc::new(Unconditional(control.clone(), control.door()));
        ControlSubject { store, another: control.door(), keep: Box::new(()) }
    });
    assert!(broken.contains(&"a_transition_from_another_state_or_generation_changes_nothing"), "{broken:?}");
}

#[test]
fn the_suite_convicts_a_store_that_shows_what_it_knew() {
    let broken = broken_promises(|| async {
        let control = MapControl::new(2_000);
        let another = Arc::new(Remembering(control.door(), std::sync::Mutex::default()));
        ControlSubject { store: control.door(), another, keep: Box::new(()) }
    });
    assert!(broken.contains(&"a_change_is_in_every_view_that_begins_after_it"), "{broken:?}");
}
