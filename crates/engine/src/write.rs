// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes: prepare at the source, tell the cache, commit.

mod write_around;
mod write_through;

use std::sync::Arc;

use throughline_core::{Effect, Error, ErrorKind, Key, Prepared, Result, Write, WriteStrategy};

use crate::space::Space;

/// Writes by the resource's strategy.
pub(crate) async fn write(space: &Arc<Space>, write: Write) -> Result<Effect> {
    let outcome = match space.policy().write {
        WriteStrategy::WriteThrough => write_through::write(space, &write).await,
        WriteStrategy::WriteAround => write_around::write(space, &write).await,
    };
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

/// A write whose statements have run and whose locks are held.
struct Ready {
    prepared: Box<dyn Prepared>,
    effect: Effect,
    /// The row's canonical key.
    key: Key,
}

/// How the first half of a write went.
enum FirstHalf {
    Ready(Ready),
    /// Nothing is to be written.
    Refused(Effect),
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
    Ok(FirstHalf::Ready(Ready { prepared, effect, key }))
}

fn read_only_source(space: &Space) -> Error {
    let detail = format!("the source of resource `{}` cannot be written", space.name());
    Error::new(ErrorKind::ReadOnly, "write a record", detail)
}
