// SPDX-License-Identifier: MIT OR Apache-2.0
//! The future of a read: ready at once for a hit in this process's memory, boxed for everything that waits.
//!
//! Most reads are such hits, and they should not pay for the state of those that are not.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use throughline_core::{BoxFuture, Hit, Key, Result};

use super::Read;
use crate::space::Space;

/// The future of [`Space::get`].
#[must_use = "futures do nothing unless polled"]
pub struct Get<'a>(State<'a>);

enum State<'a> {
    /// Two words; the answer is made of them when it is asked for, so that less is moved.
    Hit(Hit),
    Waiting(BoxFuture<'a, Result<Read>>),
    Done,
}

impl<'a> Get<'a> {
    /// Looks into this process's memory now; the rest happens when it is polled.
    #[inline]
    pub(crate) fn new(space: &'a Arc<Space>, key: &'a Key) -> Self {
        Self(match space.try_get(key.as_str()) {
            Some(hit) => State::Hit(hit),
            None => State::Waiting(Box::pin(super::get(space, key))),
        })
    }
}

impl Future for Get<'_> {
    type Output = Result<Read>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Waiting(waiting) = &mut self.0 {
            return waiting.as_mut().poll(context);
        }
        match std::mem::replace(&mut self.0, State::Done) {
            State::Hit(hit) => Poll::Ready(Ok(Read::from_hit(hit))),
            State::Waiting(_) | State::Done => panic!("a future is not polled after its end"),
        }
    }
}

impl fmt::Debug for Get<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Get").field(&matches!(self.0, State::Hit(_))).finish()
    }
}
