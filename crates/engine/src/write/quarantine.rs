// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a write, as types: row lock → control rows → confirmed mark → COMMIT.
//!
//! [`Locked`] is made by prepare only, [`Quarantined`] from a [`Locked`] only, and only [`Quarantined`] can commit.

use std::sync::Arc;

use throughline_core::{Effect, ErrorKind, Key, Prepared, Record, Result};

use crate::mark::{HeldMarks, Manner, Unplaced};
use crate::space::Space;

/// Writes of one transaction whose statements have run and whose row locks were granted.
pub(super) struct Locked {
    prepared: Box<dyn Prepared>,
    rows: Rows,
}

/// Writes of which no reader can find an old value in a cache: it is marked or emptied wherever readers may look.
pub(super) struct Quarantined {
    prepared: Box<dyn Prepared>,
    rows: Rows,
    marks: HeldMarks,
}

/// The canonical keys of the changed rows, each once, with what the last change made of it, if that is known and not a deletion. Mostly
/// one, because the writes of a transaction have one target; a row that was deleted may come back in another spelling.
pub(super) struct Rows(Vec<(Key, Option<Record>)>);

impl Rows {
    fn of(effects: &[Effect]) -> Self {
        let mut rows: Vec<(Key, Option<Record>)> = Vec::with_capacity(1);
        for effect in effects {
            let (key, record) = match effect {
                Effect::Stored { key, record, .. } => (key, record.clone()),
                Effect::Accepted { key, record, .. } => (key, record.clone()),
                Effect::Deleted { key } => (key, None),
                Effect::Refused(_) => continue,
            };
            match rows.iter_mut().find(|(known, _)| known == key) {
                Some((_, last)) => *last = record,
                None => rows.push((key.clone(), record)),
            }
        }
        Self(rows)
    }

    /// What may be published of a row.
    pub(super) fn record(&self, key: &Key) -> Option<&Record> {
        self.0.iter().find(|(known, _)| known == key)?.1.as_ref()
    }
}

impl Locked {
    /// # Errors
    /// The transaction, if none of its writes changed anything.
    pub(super) fn new(prepared: Box<dyn Prepared>) -> std::result::Result<Self, Box<dyn Prepared>> {
        let rows = Rows::of(prepared.effects());
        if rows.0.is_empty() { Err(prepared) } else { Ok(Self { prepared, rows }) }
    }

    /// Reads the control rows and places the marks, as [`HeldMarks::place`] says.
    ///
    /// # Errors
    /// Why not, with the writes, which must be rolled back.
    pub(super) async fn quarantine(
        self,
        space: &Arc<Space>,
        manner: Manner,
    ) -> std::result::Result<Quarantined, (Self, Unplaced)> {
        let rows: Vec<_> = self.rows.0.iter().map(|(key, _)| (space.clone(), key.clone())).collect();
        match HeldMarks::place(&rows, manner).await {
            Ok(marks) => Ok(Quarantined { prepared: self.prepared, rows: self.rows, marks }),
            Err(why) => Err((self, why)),
        }
    }

    /// Undoes the writes; returns when the locks are released.
    pub(super) async fn roll_back(self) -> Result<()> {
        self.prepared.roll_back().await
    }
}

impl Quarantined {
    /// Commits, and then gives the marks to `publish`. Nothing is awaited between the two (invariant 5).
    pub(super) async fn commit(self, publish: impl FnOnce(HeldMarks, &Rows)) -> Result<Vec<Effect>> {
        let Self { prepared, rows, marks } = self;
        let effects = prepared.effects().to_vec();
        match prepared.commit().await {
            Ok(()) => {
                publish(marks, &rows);
                Ok(effects)
            }
            Err(error) => {
                if error.kind() == ErrorKind::OutcomeUnknown {
                    marks.leave();
                }
                Err(error)
            }
        }
    }

    /// Undoes the writes and takes the marks away.
    pub(super) async fn roll_back(self) -> Result<()> {
        self.prepared.roll_back().await
    }
}
