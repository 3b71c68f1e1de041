// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes: prepare at the source, tell the cache, commit.

mod quarantine;
mod write_around;
mod write_through;

use std::sync::Arc;

use throughline_core::{Effect, Error, ErrorKind, Result, Write, WriteStrategy};

use crate::mark::Unplaced;
use crate::space::Space;
use quarantine::Locked;

/// Writes by the resource's strategy.
pub(crate) async fn write(space: &Arc<Space>, write: Write) -> Result<Effect> {
    let outcome = run(space, &write).await;
    let stats = &space.stats;
    match &outcome {
        Ok(Effect::Refused(_)) => stats.write_refusals.add(1),
        Ok(_) => stats.writes.add(1),
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => stats.writes_unknown.add(1),
        Err(error) if error.kind() == ErrorKind::Unmarkable => {}
        Err(_) => stats.write_errors.add(1),
    }
    outcome
}

/// How the first half of a write went.
enum FirstHalf {
    Locked(Locked),
    /// Nothing is to be written.
    Refused(Effect),
}

/// Prepare, quarantine, commit. When a cache server cannot be marked, the write is rolled back, the server is fenced,
/// and the write is tried again from the beginning: its marks need not be placed then.
async fn run(space: &Arc<Space>, write: &Write) -> Result<Effect> {
    let mut deadline = space.fence().map(|fence| fence.deadline());
    loop {
        let locked = match prepare(space, write).await? {
            FirstHalf::Locked(locked) => locked,
            FirstHalf::Refused(effect) => return Ok(effect),
        };
        let manner = match space.policy().write {
            WriteStrategy::WriteThrough => write_through::MANNER,
            WriteStrategy::WriteAround => write_around::MANNER,
        };
        let (locked, why) = match locked.quarantine(space, manner).await {
            Ok(quarantined) => {
                return match space.policy().write {
                    WriteStrategy::WriteThrough => write_through::commit(quarantined, space).await,
                    WriteStrategy::WriteAround => write_around::commit(quarantined).await,
                };
            }
            Err(not) => not,
        };
        // The locks are given back before anything is waited for.
        locked.roll_back().await?;
        match why {
            Unplaced::Failed(error) => return Err(error),
            Unplaced::Blocked(blocked) => {
                let fence = &blocked.fence;
                let deadline = *deadline.get_or_insert_with(|| fence.deadline());
                let unblocked = fence.unblock(&blocked, deadline).await;
                unblocked.inspect_err(|_| space.stats.writes_unmarkable.add(1))?;
            }
        }
    }
}

/// Runs the statements. A refused write is rolled back, and the entry that may have misled the caller is
/// dropped, so that the next read shows the truth.
async fn prepare(space: &Arc<Space>, write: &Write) -> Result<FirstHalf> {
    let writer = space.parts.writer.as_ref().ok_or_else(|| read_only_source(space))?;
    let prepared = writer.prepare(std::slice::from_ref(write)).await?;
    let effect = prepared.effects().first().cloned().expect("a prepared write has an effect per write");
    let key = match &effect {
        Effect::Stored { key, .. } | Effect::Deleted { key } => key.clone(),
        Effect::Refused(_) => {
            prepared.roll_back().await?;
            if let throughline_core::Target::Key(key) = &write.target {
                drop(space.invalidate_entry(key).await);
            }
            return Ok(FirstHalf::Refused(effect));
        }
    };
    Ok(FirstHalf::Locked(Locked::new(prepared, effect, key)))
}

fn read_only_source(space: &Space) -> Error {
    let detail = format!("the source of resource `{}` cannot be written", space.name());
    Error::new(ErrorKind::ReadOnly, "write a record", detail)
}
