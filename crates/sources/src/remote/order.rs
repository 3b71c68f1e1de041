// SPDX-License-Identifier: MIT OR Apache-2.0
//! Orders: the writes of one caller, read and checked as far as that goes without asking the server.

use std::sync::Arc;

use throughline_core::{Change, Condition, Error, ErrorKind, Key, Result, Target, Write};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Asked, RemotePrepared};
use crate::queue::Job;
use crate::sql::{Assignments, Mapping};

/// One write.
#[derive(Debug)]
pub(crate) struct Step {
    /// The row's key; `None` for a new row.
    pub(crate) asked: Option<Asked>,
    /// What the row becomes; `None` removes it.
    pub(crate) assignments: Option<Assignments>,
    pub(crate) condition: Condition,
}

impl Step {
    /// Reads a write; `asked` reads its key, `fresh` is the key of a new row for which nobody else makes one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] and [`ErrorKind::InvalidValue`].
    pub(crate) fn new(
        mapping: &Mapping,
        asked: impl FnOnce(&Key) -> Result<Asked>,
        write: &Write,
        fresh: Uuid,
    ) -> Result<Self> {
        let (asked, assignments) = match (&write.target, &write.change) {
            (Target::Key(key), Change::Put { value, flags }) => {
                let assignments = mapping.replace(key, value, *flags)?;
                (Some(asked(key)?), Some(assignments))
            }
            (Target::Key(key), Change::Delete) => (Some(asked(key)?), None),
            (Target::New, Change::Put { value, flags }) => {
                (None, Some(mapping.create(value, *flags, fresh)?))
            }
            (Target::New, Change::Delete) => {
                let detail = format!("table `{}`: a new record cannot be deleted", mapping.table().name);
                return Err(Error::new(ErrorKind::InvalidKey, "write a row", detail));
            }
        };
        Ok(Self { asked, assignments, condition: write.condition.clone() })
    }
}

/// One caller's writes to the table of plan `P`, for one transaction.
#[derive(Debug)]
pub(crate) struct Order<P> {
    pub(crate) plan: Arc<P>,
    pub(crate) steps: Vec<Step>,
    pub(crate) reply: oneshot::Sender<Result<RemotePrepared>>,
}

impl<P: Send + Sync + 'static> Job for Order<P> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn weight(&self) -> usize {
        1
    }

    fn joins(&self, _other: &Self) -> bool {
        false
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer.
        let _ = self.reply.send(Err(error));
    }
}
