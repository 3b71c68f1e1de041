// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single-flight: one leads a load, the others join it, and nobody gets an answer older than his question.
//!
//! A reader may share a flight's answer only if the flight's first request had not left the process when
//! the reader began. Otherwise:
//!
//! 1. The flight reads version 1 from the source.
//! 2. A writer commits version 2 and is acknowledged.
//! 3. A reader begins, joins the flight, and returns version 1: older than a completed write.
//!
//! So each key has at most two flights: one that runs, and one that waits for it and still takes joiners.
//! The waiting one starts when the running one has landed. It begins with a look-up, which normally
//! finds what the first one filled: a thousand concurrent misses are one load.

mod queue;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use queue::{Boarding, Queues, State};
use throughline_core::{Key, Sent};
use tokio::sync::watch;

/// The longest time that a caller waits for a flight led by another before it goes alone: long enough for
/// every statement time-out, so only a leader that is kept without being polled reaches it.
const WAIT_MS_MAX: u64 = 30_000;

/// A flight's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flown<V> {
    /// What the work returned.
    pub value: V,
    /// Whether another caller's work returned it.
    pub joined: bool,
}

/// Merges concurrent work for equal keys, without ever handing out an answer that is too old.
///
/// It holds at most two flights per key with callers, and nothing for other keys.
pub struct SingleFlight<V> {
    queues: Arc<Queues<V>>,
}

impl<V> Default for SingleFlight<V> {
    fn default() -> Self {
        Self { queues: Arc::new(Queues::default()) }
    }
}

impl<V> fmt::Debug for SingleFlight<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl<V: Clone> SingleFlight<V> {
    /// Joins a flight of `key` that was not sent, or leads a new one by running `work`.
    ///
    /// `work` must trip the flag that it is given just before its first request leaves the process. An
    /// error is an answer like any other and is shared.
    ///
    /// # Cancel safety
    /// If a leader's future is dropped, or its work panics, one of those who joined leads anew with its own
    /// work.
    pub async fn run<F, W>(&self, key: &Key, work: F) -> Flown<V>
    where
        F: FnOnce(Sent) -> W,
        W: Future<Output = V>,
    {
        loop {
            match Queues::board(&self.queues, key) {
                Boarding::Join(flight) => match landed(flight).await {
                    Some(State::Landed(value)) => return Flown { value, joined: true },
                    Some(_) => {}
                    None => {
                        return Flown { value: work(Sent::new()).await, joined: false };
                    }
                },
                Boarding::Lead { seat, ahead } => {
                    if let Some(ahead) = ahead {
                        landed(ahead).await;
                    }
                    let sent = seat.take_off();
                    let value = work(sent).await;
                    seat.land(&value);
                    return Flown { value, joined: false };
                }
            }
        }
    }
}

/// Waits until a flight is over; `None` when that takes too long.
async fn landed<V: Clone>(mut flight: watch::Receiver<State<V>>) -> Option<State<V>> {
    let over = flight.wait_for(|state| !matches!(state, State::Flying));
    match tokio::time::timeout(Duration::from_millis(WAIT_MS_MAX), over).await {
        Ok(Ok(state)) => Some(state.clone()),
        // A leader tells before it lets go of the flight, so this is one that vanished.
        Ok(Err(_)) => Some(State::Abandoned),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
