// SPDX-License-Identifier: MIT OR Apache-2.0
//! What whoever wrote behind has in hand: the write is safe, and this tells when it is applied.

use std::fmt;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Position, Result};
use throughline_engine::{Behind, Progress};

use crate::tasks::TrackedTasks;

/// The receipt of an accepted write ([`crate::Resource::accept`]): it is on disk in the journal, readers see it, and it
/// will be brought to the source. Dropping the receipt changes nothing of that.
#[derive(Clone)]
pub struct Receipt {
    behind: Arc<Behind>,
    position: Position,
    tasks: TrackedTasks,
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { behind, position, .. } = self;
        f.debug_struct("Receipt").field("resource", behind.resource()).field("number", &position.0).finish()
    }
}

impl Receipt {
    pub(crate) fn new(behind: Arc<Behind>, position: Position, tasks: TrackedTasks) -> Self {
        Self { behind, position, tasks }
    }

    /// The write's number, by which `throughline journal` and `GET /receipts/{resource}/{number}` know it.
    pub fn number(&self) -> u64 {
        self.position.0
    }

    /// What has become of the write so far.
    pub fn progress(&self) -> Progress {
        self.behind.progress(self.position)
    }

    /// Ready when the write is in the source, or a later write of its key took its place there. Waits for as long as
    /// that takes, through every retry: bound it by a time-out.
    ///
    /// # Errors
    /// The source's, when it has refused the write for good; then the write is a dead letter, about which an operator
    /// decides. [`ErrorKind::Unavailable`] when this program shuts down first: the write stays in its journal, for the next
    /// start.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting and nothing else; it may be called again.
    pub async fn applied(&self) -> Result<()> {
        tokio::select! {
            biased;
            applied = self.behind.applied(self.position) => applied,
            // The journal outlives its worker, so nobody else would say that the wait is over.
            () = self.tasks.stopped() => {
                let detail = "the program shut down; the write is in its journal, for the next start";
                Err(Error::new(ErrorKind::Unavailable, "wait until a write is applied", detail))
            }
        }
    }
}
