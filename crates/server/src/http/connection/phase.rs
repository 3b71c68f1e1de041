// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a connection is answering a request: what is written outside of that, nobody here has composed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// The phase of one connection, whose task alone uses it. A clone is another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests whose answer is not handed over whole. Two for a moment, if hyper reads the next request
    /// before it lets go of a body that it has sent.
    open: AtomicUsize,
    /// Whether bytes of an answer may still be on their way to the operating system.
    unflushed: AtomicBool,
}

impl Phase {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.0.unflushed.store(true, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything that was handed over is with the operating system.
    pub(super) fn flushed(&self) {
        if self.0.open.load(Ordering::Relaxed) == 0 {
            self.0.unflushed.store(false, Ordering::Relaxed);
        }
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        !self.0.unflushed.load(Ordering::Relaxed)
    }
}

/// A body that ends its connection's phase when it has been sent.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    phase: Phase,
}

impl Watched {
    pub(super) fn new(body: Body, phase: Phase) -> Self {
        Self { body, phase }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.phase.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Watched};
    use axum::body::Body;

    #[test]
    fn a_body_that_is_let_go_of_late_does_not_end_the_next_answer() {
        let phase = Phase::default();
        assert!(phase.is_idle());
        phase.begin();
        let first = Watched::new(Body::empty(), phase.clone());
        phase.begin();
        let second = Watched::new(Body::empty(), phase.clone());
        drop(first);
        phase.flushed();
        assert!(!phase.is_idle());
        drop(second);
        assert!(!phase.is_idle(), "not before it is flushed");
        phase.flushed();
        assert!(phase.is_idle());
    }
}
