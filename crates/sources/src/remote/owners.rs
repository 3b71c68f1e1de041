// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks whose the lanes of accepted writes are, for daemons that own none.
//!
//! It has a connection of its own, which only reads and is not counted: daemons look once a second, beside whatever they
//! are busy with.

use std::time::Duration;

use throughline_core::{Error, Result};
use tokio::sync::oneshot;

use super::Workers;
use crate::drain::OWNERS;
use crate::queue::Job;
use crate::sql::LaneOwners;

/// How long a look may take, the connection included.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A look that waits for the connection.
#[derive(Debug)]
pub(crate) struct OwnersJob {
    reply: oneshot::Sender<Result<LaneOwners>>,
}

impl OwnersJob {
    /// Answers it. A caller that left needs no answer.
    pub(crate) fn answer(self, owners: Result<LaneOwners>) {
        drop(self.reply.send(owners));
    }
}

impl Job for OwnersJob {
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
        self.answer(Err(error));
    }
}

/// Looks.
///
/// # Errors
/// Those of any statement; none for a missing table or right.
pub(crate) async fn ask(workers: &Workers<OwnersJob>) -> Result<LaneOwners> {
    let late = || "no connection became free in time".to_owned();
    workers.ask(OWNERS, ANSWER_LIMIT, late, |reply| OwnersJob { reply }).await
}
