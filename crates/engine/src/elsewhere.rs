// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource whose table another daemon began to write behind, while we serve it.
//!
//! That daemon has accepted writes which the source does not show yet: what we load is old for its readers, and what we
//! write may be undone by an older write. A start is refused then; here is what becomes of whoever had started before: the
//! resource answers nothing, until the other one has given the table up.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use throughline_core::{Error, ErrorKind, Result};

use crate::policy::Generations;
use crate::space::Space;

/// Who has the table, if another daemon has.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    is_set: AtomicBool,
    /// Whether what we may have filled since then cannot be found any more.
    is_emptied: AtomicBool,
    owner: Mutex<Option<String>>,
}

impl Elsewhere {
    /// Whether another daemon has the table; one load, for the hit.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }
}

impl Space {
    /// Answers neither reads nor writes from now on, because `owner` has the table and writes it behind. What we may have
    /// filled before we knew is made unreachable, for its readers too. Idempotent.
    ///
    /// # Errors
    /// Those of the control tables, where daemons share the entries; then it is to be called again.
    pub async fn yield_to(&self, owner: &str) -> Result<()> {
        if self.begin_yielded_to(owner) {
            tracing::error!(
                resource = %self.name(), owner,
                "another daemon writes the resource's table behind: it is not served here any more"
            );
        }
        if !self.elsewhere.is_emptied.load(Ordering::Acquire) {
            self.empty().await?;
            self.elsewhere.is_emptied.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// As [`Space::yield_to`], for a resource that was not served yet: says nothing, and leaves to the next
    /// [`Space::yield_to`] what an earlier process of ours may have filled. Whether that owner was not known.
    pub fn begin_yielded_to(&self, owner: &str) -> bool {
        let before = self.elsewhere.owner.lock().replace(owner.to_owned());
        self.elsewhere.is_set.store(true, Ordering::Release);
        before.as_deref() != Some(owner)
    }

    /// Who has the table, if another daemon has.
    pub fn yielded_to(&self) -> Option<String> {
        self.elsewhere.owner.lock().clone()
    }

    /// Serves again after [`Space::yield_to`], without the entries from before. Idempotent.
    ///
    /// # Errors
    /// Those of the control tables, where daemons share the entries; then nothing is served yet.
    pub async fn resume(&self) -> Result<()> {
        if !self.elsewhere.is_set() {
            return Ok(());
        }
        self.empty().await?;
        *self.elsewhere.owner.lock() = None;
        self.elsewhere.is_emptied.store(false, Ordering::Release);
        self.elsewhere.is_set.store(false, Ordering::Release);
        tracing::info!(resource = %self.name(), "nobody else writes the resource's table behind: it is served again");
        Ok(())
    }

    /// Lets no entry be found that was filled before this call.
    async fn empty(&self) -> Result<()> {
        match &self.parts.generations {
            Generations::Fleet(fence) if self.has_cache() => fence.bump(self.name()).await,
            _ => {
                self.forget_older(self.parts.clock.now());
                Ok(())
            }
        }
    }

    /// # Errors
    /// [`ErrorKind::Unavailable`] while another daemon has the table.
    pub(crate) fn refuse_if_yielded(&self) -> Result<()> {
        if !self.elsewhere.is_set() {
            return Ok(());
        }
        let owner = self.yielded_to().unwrap_or_default();
        let detail = format!(
            "the table of resource `{}` is written behind by `{owner}`: read and write there, or stop it after \
             `throughline drain`",
            self.name()
        );
        Err(Error::new(ErrorKind::Unavailable, "serve a record", detail))
    }
}
