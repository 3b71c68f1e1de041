// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes: prepare at the source, tell the cache, commit.

mod group;
mod quarantine;
mod write_around;
mod write_through;

use std::slice;
use std::sync::Arc;

use throughline_core::{Effect, Error, ErrorKind, Result, Retry, Target, Write, WriteStrategy};

use crate::mark::Unplaced;
use crate::space::Space;
use group::Entered;
pub(crate) use group::Queues;
use quarantine::Locked;

const OPERATION: &str = "write a record";

/// Writes by the resource's strategy.
pub(crate) async fn write(space: &Arc<Space>, write: Write) -> Result<Effect> {
    let outcome = in_turn(space, write).await;
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

/// Writes at once, unless the key is being written: then together with the others who wait for that.
async fn in_turn(space: &Arc<Space>, write: Write) -> Result<Effect> {
    let Target::Key(key) = &write.target else { return alone(space, &write).await };
    match group::enter(space, key.clone(), write)? {
        Entered::First(turn, write) => {
            let outcome = alone(space, &write).await;
            drop(turn);
            outcome
        }
        Entered::Later(seat) => seat.outcome().await,
    }
}

async fn alone(space: &Arc<Space>, write: &Write) -> Result<Effect> {
    let mut effects = run(space, slice::from_ref(write), || true).await?;
    Ok(effects.pop().expect("a write has an effect"))
}

/// How the first half of a transaction went.
enum FirstHalf {
    Locked(Locked),
    /// Nothing is to be written.
    Refused(Vec<Effect>),
}

/// Prepare, quarantine, commit; the effect of each write. When a cache server cannot be marked, the transaction is rolled back, the
/// server is fenced, and it is tried again from the beginning: the marks need not be placed then.
///
/// `commits` is asked just before the COMMIT is sent; if it says no, everything is rolled back.
async fn run(space: &Arc<Space>, writes: &[Write], commits: impl Fn() -> bool) -> Result<Vec<Effect>> {
    let mut deadline = space.fence().map(|fence| fence.deadline());
    loop {
        let locked = match prepare(space, writes).await? {
            FirstHalf::Locked(locked) => locked,
            FirstHalf::Refused(effects) => return Ok(effects),
        };
        let manner = match space.policy().write {
            WriteStrategy::WriteAround if space.policy().probes => write_around::MANNER,
            _ => write_through::MANNER,
        };
        let (locked, why) = match locked.quarantine(space, manner).await {
            Ok(quarantined) if !commits() => {
                quarantined.roll_back().await?;
                return Err(
                    Error::new(ErrorKind::Timeout, OPERATION, "the callers left").with_retry(Retry::Safe)
                );
            }
            Ok(quarantined) => {
                return match space.policy().write {
                    WriteStrategy::WriteThrough | WriteStrategy::WriteBehind => {
                        write_through::commit(quarantined, space).await
                    }
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

/// Runs the statements. If all writes are refused, they are rolled back, and the entries that may have misled the callers are
/// dropped, so that the next read shows the truth. Beside a write that is done, a refused one needs nothing: the entry is marked.
async fn prepare(space: &Arc<Space>, writes: &[Write]) -> Result<FirstHalf> {
    let writer = space.parts.writer.as_ref().ok_or_else(|| read_only_source(space))?;
    match Locked::new(writer.prepare(writes).await?) {
        Ok(locked) => Ok(FirstHalf::Locked(locked)),
        Err(prepared) => {
            let effects = prepared.effects().to_vec();
            prepared.roll_back().await?;
            // All writes of one transaction have the same target.
            if let Some(Write { target: Target::Key(key), .. }) = writes.first() {
                drop(space.invalidate_entry(key).await);
            }
            Ok(FirstHalf::Refused(effects))
        }
    }
}

fn read_only_source(space: &Space) -> Error {
    let detail = format!("the source of resource `{}` cannot be written", space.name());
    Error::new(ErrorKind::ReadOnly, OPERATION, detail)
}
