// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells an operator once that a backend is gone, and once that it is back.

use std::sync::atomic::{AtomicBool, Ordering};

use throughline_core::{Error, ErrorKind, ResourceName};

/// Whether a resource's cache or source answers, as its reads see it.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    is_down: AtomicBool,
}

impl Outage {
    /// Notes how a call to the `backend` (a cache or a source) of `resource` went.
    pub(crate) fn note<T>(&self, backend: &str, resource: &ResourceName, outcome: Result<&T, &Error>) {
        // A late answer alone is no outage: it happens on a busy machine.
        let gone = |error: &&Error| error.kind() == ErrorKind::Unavailable;
        // A load is cheaper than a swap, and nearly always there is nothing to tell.
        let (was_down, error) = (self.is_down.load(Ordering::Relaxed), outcome.err().filter(gone));
        if was_down == error.is_some() || self.is_down.swap(!was_down, Ordering::Relaxed) != was_down {
            return;
        }
        match error {
            Some(error) => tracing::warn!(%resource, %error, "the {backend} does not answer"),
            None => tracing::info!(%resource, "the {backend} answers again"),
        }
    }
}
