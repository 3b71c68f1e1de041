// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a connection is answering a request: what is written outside of that, nobody here has composed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

const IDLE: u8 = 0;
const ANSWERING: u8 = 1;
/// The answer is handed over whole and not yet flushed.
const ENDING: u8 = 2;

/// The phase of one connection, whose task alone uses it. A clone is another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.0.store(ANSWERING, Ordering::Relaxed);
    }

    /// Everything that was handed over is with the operating system.
    pub(super) fn flushed(&self) {
        if self.0.load(Ordering::Relaxed) == ENDING {
            self.0.store(IDLE, Ordering::Relaxed);
        }
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == IDLE
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
        self.phase.0.store(ENDING, Ordering::Relaxed);
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
