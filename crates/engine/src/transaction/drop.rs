// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a transaction does to a resource of which it changed too many rows to mark each.

use throughline_core::{Error, ErrorKind, Level, Result, Retry};

use super::KEY_COUNT_MAX;
use crate::space::Space;

impl Space {
    /// Makes every entry unreachable before a transaction commits. The rows' locks are held, so that what fills the new
    /// entries cannot be one of the old rows.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for a strict resource whose entries other processes share, and cannot be told.
    pub(super) async fn drop_for_transaction(&self) -> Result<()> {
        const WHY: &str = "a transaction changed many rows";
        if !self.has_cache() || self.drop_own_entries(WHY) {
            return Ok(());
        }
        if self.fence().is_some() {
            // The whole fleet, and only when nobody reads the entries any more.
            return self.invalidate_all(WHY).await;
        }
        if self.policy().level == Level::Bounded {
            self.forget_older(self.parts.clock.now());
            return Ok(());
        }
        let detail = format!(
            "the transaction changes more than {KEY_COUNT_MAX} rows, and the entries of resource `{}` cannot be dropped as \
             a whole: change fewer rows at a time, or create the control tables with `throughline init`",
            self.name()
        );
        Err(Error::new(ErrorKind::TooLarge, "commit a transaction", detail).with_retry(Retry::Never))
    }
}
