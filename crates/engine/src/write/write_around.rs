// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-around: the source only; the entry is invalidated and the next read fills it.
//!
//! The order is that of write-through: lock, invalidate (confirmed), commit. An invalidation after the
//! commit would leave an old value behind when the process dies in between; before the lock, a reader could
//! fill the old value again.

use std::sync::Arc;

use throughline_core::{Effect, Error, ErrorKind, Key, Level, Result, Write};

use super::{FirstHalf, Ready, prepare};
use crate::owed::Owing;
use crate::space::Space;

pub(super) async fn write(space: &Arc<Space>, write: &Write) -> Result<Effect> {
    let Ready { prepared, effect, key } = match prepare(space, write).await? {
        FirstHalf::Ready(ready) => ready,
        FirstHalf::Refused(effect) => return Ok(effect),
    };
    let _owing = match invalidate(space, &key).await {
        Ok(owing) => owing,
        Err(error) => {
            prepared.roll_back().await?;
            return Err(error);
        }
    };
    prepared.commit().await.map(|()| effect)
}

/// Invalidates `key` in every resource that shows the row.
async fn invalidate(space: &Arc<Space>, key: &Key) -> Result<Vec<Owing>> {
    let mut owing = Vec::new();
    for space in std::iter::once(space.clone()).chain(space.siblings()) {
        match space.invalidate_entry(key).await {
            Ok(()) => {}
            Err(error) if space.policy().level == Level::Strict => {
                space.stats.writes_unmarkable.add(1);
                let detail = format!(
                    "the cache of resource `{}` did not confirm, so the write was rolled back",
                    space.name()
                );
                return Err(Error::new(ErrorKind::Unmarkable, "invalidate a key", detail).with_cause(error));
            }
            Err(_) => owing.push(Owing::new(&space, key)),
        }
    }
    for owing in &owing {
        owing.keep().await?;
    }
    Ok(owing)
}
