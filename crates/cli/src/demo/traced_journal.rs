// SPDX-License-Identifier: MIT OR Apache-2.0
//! A journal that reports what it is given.

use std::sync::Arc;

use bytes::Bytes;
use throughline::{BoxFuture, Journal, Position, Result};

use super::trace::Trace;

/// Passes everything on, and says so.
#[derive(Debug)]
pub(super) struct TracedJournal {
    inner: Arc<dyn Journal>,
    trace: Trace,
}

impl TracedJournal {
    pub(super) fn new(inner: Arc<dyn Journal>, trace: Trace) -> Self {
        Self { inner, trace }
    }
}

impl Journal for TracedJournal {
    fn append(&self, record: Bytes) -> BoxFuture<'static, Result<Position>> {
        // It has its place when it is handed over, not when somebody waits for it.
        let appended = self.inner.append(record);
        let trace = self.trace.clone();
        Box::pin(async move {
            let outcome = appended.await;
            match &outcome {
                Ok(position) => trace.event("journal", &format!("has it on disk, as write {}", position.0)),
                Err(_) => trace.event("journal", "could not keep it"),
            }
            outcome
        })
    }

    fn confirm(&self, positions: &[Position]) {
        for position in positions {
            self.trace.event("journal", &format!("need not keep write {} any longer", position.0));
        }
        self.inner.confirm(positions);
    }

    fn flush(&self) -> BoxFuture<'static, Result<()>> {
        self.inner.flush()
    }
}
