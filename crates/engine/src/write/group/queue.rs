// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose turn it is to write a key.
//!
//! A key that is being written has an entry, and whoever comes meanwhile waits in it. The turn is a value: when it is
//! dropped, in whatever way, those who wait have theirs, so no key's queue is ever without somebody who serves it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{Effect, Error, ErrorKind, Key, Result, Retry, Write};
use tokio::sync::oneshot;

use super::{Group, OPERATION, serve};
use crate::space::Space;

/// Writes of one resource that wait for a turn, all keys together: far more than callers that write one row to good
/// purpose, few enough to be held in memory.
pub(crate) const WAITING_COUNT_MAX: usize = 1_000;

/// The longest wait for a turn: as long as a prepared write lives at the source, so only a row that is written far
/// too often, or a writer whose future is kept without being polled, makes somebody wait for longer.
const WAIT_MS_MAX: u64 = 5_000;

/// The keys of one resource that are being written.
#[derive(Default)]
pub(crate) struct Queues {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: HashMap<Key, VecDeque<Waiting>>,
    waiting_count: usize,
    /// The next number of a waiting write.
    next: u64,
}

struct Waiting {
    number: u64,
    write: Write,
    reply: oneshot::Sender<Result<Effect>>,
}

/// What a caller is to do.
pub(in crate::write) enum Entered {
    /// Write now; others wait until the turn is dropped.
    First(Turn, Write),
    /// Wait for a group to take the write along.
    Later(Seat),
}

/// The right to write a key. Dropped, it passes to those who wait, who are served together by a task.
pub(in crate::write) struct Turn {
    space: Arc<Space>,
    key: Key,
}

/// The right to write the groups of a key, one after the other, until nobody waits. Dropped before that (tasks are stopped), it
/// tells those who still wait.
pub(super) struct Turns {
    space: Arc<Space>,
    key: Key,
    is_over: bool,
}

/// A place in the queue. Dropped before its group began, the write never takes place.
pub(in crate::write) struct Seat {
    space: Arc<Space>,
    key: Key,
    number: u64,
    answer: oneshot::Receiver<Result<Effect>>,
    is_waiting: bool,
}

/// Enters the queue of the write's key.
///
/// # Errors
/// [`ErrorKind::Overloaded`] when as many wait as may.
pub(in crate::write) fn enter(space: &Arc<Space>, key: Key, write: Write) -> Result<Entered> {
    let mut state = space.writing.state.lock();
    let State { keys, waiting_count, next } = &mut *state;
    let queue = match keys.entry(key.clone()) {
        Entry::Vacant(vacant) => {
            // An empty queue takes no memory of its own.
            vacant.insert(VecDeque::new());
            drop(state);
            return Ok(Entered::First(Turn { space: space.clone(), key }, write));
        }
        Entry::Occupied(occupied) => occupied.into_mut(),
    };
    if *waiting_count >= WAITING_COUNT_MAX {
        let detail = format!(
            "{WAITING_COUNT_MAX} writes of resource `{}` wait for another one of their key: try again later",
            space.name()
        );
        return Err(Error::new(ErrorKind::Overloaded, OPERATION, detail));
    }
    *waiting_count += 1;
    *next += 1;
    let (reply, answer) = oneshot::channel();
    queue.push_back(Waiting { number: *next, write, reply });
    let number = *next;
    Ok(Entered::Later(Seat { space: space.clone(), key, number, answer, is_waiting: true }))
}

impl Queues {
    /// Takes up to `len_max` writes of `key` in the order of their arrival. If there is none, nobody writes the key any more.
    fn take(&self, key: &Key, len_max: usize) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let State { keys, waiting_count, .. } = &mut *state;
        let Some(queue) = keys.get_mut(key) else { return Vec::new() };
        let taken: Vec<Waiting> = queue.drain(..queue.len().min(len_max)).collect();
        *waiting_count -= taken.len();
        if taken.is_empty() {
            keys.remove(key);
        }
        taken
    }

    /// Whether nobody waits for `key`; then nobody writes it any more.
    fn end_if_empty(&self, key: &Key) -> bool {
        let mut state = self.state.lock();
        let is_empty = state.keys.get(key).is_none_or(VecDeque::is_empty);
        if is_empty {
            state.keys.remove(key);
        }
        is_empty
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.space.writing.end_if_empty(&self.key) {
            return;
        }
        let turns = Turns { space: self.space.clone(), key: self.key.clone(), is_over: false };
        self.space.parts.tasks.spawn("write a group", Box::pin(serve(turns)));
    }
}

impl Turns {
    /// The next group, of at most `len_max` writes; `None` when nobody waits, and then the turns are over.
    pub(super) fn next(&mut self, len_max: usize) -> Option<Group> {
        let waiting = self.space.writing.take(&self.key, len_max);
        self.is_over = waiting.is_empty();
        let members = waiting.into_iter().map(|waiting| (waiting.write, waiting.reply));
        (!self.is_over).then(|| Group::new(self.space.clone(), members))
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        while !self.is_over {
            // A group that is dropped tells its writers.
            drop(self.next(WAITING_COUNT_MAX));
        }
    }
}

impl Seat {
    /// Waits for the group that takes the write along, and for its end.
    ///
    /// # Errors
    /// Those of the write; [`ErrorKind::Timeout`] when its turn did not come in time.
    pub(in crate::write) async fn outcome(mut self) -> Result<Effect> {
        let limit = Duration::from_millis(WAIT_MS_MAX);
        let answer = match tokio::time::timeout(limit, &mut self.answer).await {
            Ok(answer) => answer,
            Err(_) if self.withdraw() => {
                let detail = format!(
                    "resource `{}`: other writes of the key took more than {WAIT_MS_MAX} ms",
                    self.space.name()
                );
                return Err(Error::new(ErrorKind::Timeout, OPERATION, detail).with_retry(Retry::Safe));
            }
            // Its group has begun, and how that goes must be known.
            Err(_) => (&mut self.answer).await,
        };
        self.is_waiting = false;
        answer.expect("a group answers all of its writers, also when it is dropped")
    }

    /// Leaves the queue; whether the write was still in it.
    fn withdraw(&mut self) -> bool {
        self.is_waiting = false;
        let mut state = self.space.writing.state.lock();
        let State { keys, waiting_count, .. } = &mut *state;
        let Some(queue) = keys.get_mut(&self.key) else { return false };
        // The numbers of a queue ascend.
        let Ok(place) = queue.binary_search_by_key(&self.number, |waiting| waiting.number) else {
            return false;
        };
        queue.remove(place);
        *waiting_count -= 1;
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_waiting {
            self.withdraw();
        }
    }
}
