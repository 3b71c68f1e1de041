// SPDX-License-Identifier: MIT OR Apache-2.0
//! The switch: cache, source, shadow, and the safe way back.
//!
//! In the modes `source` and `shadow` writes go on marking and publishing as in `cache`, so every write
//! through Throughline keeps the entries right, whichever way reads go. What may be wrong on the way back
//! is what was changed behind our back, and what a bounded write could not invalidate. So:
//!
//! - entries that only this process uses are dropped on leaving `source`, all at once;
//! - shared entries are kept, because every process goes on marking them; but the way back is closed until
//!   each invalidation that is owed has been confirmed.
//!
//! With control tables the mode is the fleet's: it is a row, which every daemon polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use throughline_core::{Error, ErrorKind, Mode, Result};

use crate::policy::Generations;
use crate::space::Space;

/// The present mode.
#[derive(Debug, Default)]
pub(crate) struct ModeCell(AtomicU8);

impl ModeCell {
    pub(crate) fn get(&self) -> Mode {
        match self.0.load(Ordering::Acquire) {
            0 => Mode::Cache,
            1 => Mode::Source,
            _ => Mode::Shadow,
        }
    }

    /// Takes over the fleet's mode.
    pub(crate) fn set(&self, mode: Mode) {
        self.0.store(number(mode), Ordering::Release);
    }

    /// Changes `before` to `after`; whether `before` still was the mode.
    fn change(&self, before: Mode, after: Mode) -> bool {
        self.0.compare_exchange(number(before), number(after), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

const fn number(mode: Mode) -> u8 {
    match mode {
        Mode::Cache => 0,
        Mode::Source => 1,
        Mode::Shadow => 2,
    }
}

impl Space {
    /// Sends reads elsewhere from now on, and returns the mode before. Idempotent.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] on the way to `cache` or `shadow` while the cache has not confirmed the
    /// invalidation of what was written in the gap; the mode stays as it was.
    pub async fn set_mode(self: &Arc<Self>, mode: Mode) -> Result<Mode> {
        if self.mode.get() == mode {
            return Ok(mode);
        }
        if mode != Mode::Source {
            self.owed.settle(self).await;
            let owed = self.owed.count();
            if owed > 0 {
                let detail = format!(
                    "resource `{}`: {owed} invalidations are not confirmed by the cache yet; try again when it answers",
                    self.name()
                );
                return Err(Error::new(ErrorKind::Unavailable, "switch the mode", detail));
            }
        }
        if let Generations::Fleet(fence) = &self.parts.generations {
            // Every daemon's mode, and this one's as soon as the answer shows it.
            let before = self.mode.get();
            fence.set_mode(self.name(), mode).await?;
            self.stats.mode_switches.add(1);
            return Ok(before);
        }
        // Another switch may come in between; then what it left is looked at anew.
        let before = loop {
            let before = self.mode.get();
            if before == Mode::Source && mode != Mode::Source {
                self.drop_own_entries("the mode was `source`");
            }
            if self.mode.change(before, mode) {
                break before;
            }
        };
        self.stats.mode_switches.add(1);
        tracing::info!(resource = %self.name(), from = before.as_str(), to = mode.as_str(), "mode switched");
        Ok(before)
    }
}
