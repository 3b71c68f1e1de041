// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a write, as types: row lock → control rows → confirmed mark → COMMIT.
//!
//! [`Locked`] is made by prepare only, [`Quarantined`] from a [`Locked`] only, and only [`Quarantined`] can commit.

use std::sync::Arc;

use throughline_core::{Effect, ErrorKind, Key, Prepared, Record, Result};

use crate::mark::{HeldMarks, Manner, Unplaced};
use crate::space::Space;

/// A write whose statements have run and whose row locks were granted.
pub(super) struct Locked {
    prepared: Box<dyn Prepared>,
    effect: Effect,
    /// The row's canonical key.
    key: Key,
}

/// A write of which no reader can find the old value in a cache: it is marked or emptied wherever readers may look.
pub(super) struct Quarantined {
    prepared: Box<dyn Prepared>,
    effect: Effect,
    marks: HeldMarks,
}

impl Locked {
    pub(super) fn new(prepared: Box<dyn Prepared>, effect: Effect, key: Key) -> Self {
        Self { prepared, effect, key }
    }

    /// Reads the control rows and places the marks, as [`HeldMarks::place`] says.
    ///
    /// # Errors
    /// Why not, with the write, which must be rolled back.
    pub(super) async fn quarantine(
        self,
        space: &Arc<Space>,
        manner: Manner,
    ) -> std::result::Result<Quarantined, (Self, Unplaced)> {
        match HeldMarks::place(&[(space.clone(), self.key.clone())], manner).await {
            Ok(marks) => Ok(Quarantined { prepared: self.prepared, effect: self.effect, marks }),
            Err(why) => Err((self, why)),
        }
    }

    /// Undoes the write; returns when the locks are released.
    pub(super) async fn roll_back(self) -> Result<()> {
        self.prepared.roll_back().await
    }
}

impl Quarantined {
    /// Commits, and then gives the marks to `publish`. Nothing is awaited between the two (invariant 5).
    pub(super) async fn commit(self, publish: impl FnOnce(HeldMarks, Option<&Record>)) -> Result<Effect> {
        let Self { prepared, effect, marks } = self;
        match prepared.commit().await {
            Ok(()) => {
                let record = match &effect {
                    Effect::Stored { record, .. } => record.as_ref(),
                    Effect::Deleted { .. } | Effect::Refused(_) => None,
                };
                publish(marks, record);
                Ok(effect)
            }
            Err(error) => {
                if error.kind() == ErrorKind::OutcomeUnknown {
                    marks.leave();
                }
                Err(error)
            }
        }
    }
}
