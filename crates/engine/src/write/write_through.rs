// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-through: the source first, then the cache gets what was written.
//!
//! 1. The statements run in a transaction and hold the row's lock, so that nobody may fill its old value.
//! 2. The key is marked in the cache, confirmed: the old value is gone, and older leases are void.
//! 3. Commit, then acknowledge. Nothing is waited for in between, and nothing has to happen afterwards.
//! 4. The written value replaces the mark, on its way before the acknowledgement but not awaited.
//!
//! A crash before 3 rolls back and leaves at most a mark that expires; a crash after 3 leaves a mark or
//! nothing. No step leaves an old value behind.

use std::sync::Arc;

use throughline_core::{Effect, ErrorKind, Result, Write};

use super::{FirstHalf, Ready, prepare};
use crate::mark::HeldMarks;
use crate::space::Space;

pub(super) async fn write(space: &Arc<Space>, write: &Write) -> Result<Effect> {
    let Ready { prepared, effect, key } = match prepare(space, write).await? {
        FirstHalf::Ready(ready) => ready,
        FirstHalf::Refused(effect) => return Ok(effect),
    };
    let marks = match HeldMarks::place(&[(space.clone(), key)]).await {
        Ok(marks) => marks,
        Err(error) => {
            prepared.roll_back().await?;
            return Err(error);
        }
    };
    match prepared.commit().await {
        Ok(()) => {
            let record = match &effect {
                Effect::Stored { record, .. } => record.as_ref(),
                Effect::Deleted { .. } | Effect::Refused(_) => None,
            };
            // Resources over the same table show the row differently.
            marks.publish(|target, _| record.filter(|_| Arc::ptr_eq(target, space)));
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
