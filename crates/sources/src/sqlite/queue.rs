// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded queue between asynchronous callers and the threads that hold connections.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use throughline_core::{Error, ErrorKind, Result};

/// The least that a taker takes of what waits: fewer are not worth waking another.
const SHARE_MIN: usize = 4;

/// Something that its pusher may lose interest in while it waits.
pub(super) trait Waiting {
    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool;
}

/// Never makes the pusher wait: what does not fit is refused.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    len_max: usize,
    /// How many threads take from it.
    takers: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    idle: usize,
    /// Whether an idle taker was woken and has not looked yet: it will take what is pushed meanwhile, so
    /// waking a second one would only make two small batches of one.
    waking: bool,
    closed: bool,
}

impl<T: Waiting> Queue<T> {
    pub(super) fn new(len_max: usize, takers: usize) -> Self {
        Self {
            state: Mutex::new(State { items: VecDeque::new(), idle: 0, waking: false, closed: false }),
            arrived: Condvar::new(),
            len_max,
            takers,
        }
    }

    /// Puts `item` at the end.
    pub(super) fn push(&self, operation: &'static str, item: T) -> Result<()> {
        self.insert(operation, |items| items.push_back(item))
    }

    /// Puts `item` before all that wait.
    pub(super) fn push_first(&self, operation: &'static str, item: T) -> Result<()> {
        self.insert(operation, |items| items.push_front(item))
    }

    /// Waits for items and moves them to `batch`: a fair share of what waits, `batch_len_max` at the most.
    /// `false` when the queue is closed and everything was taken.
    pub(super) fn take(&self, batch: &mut Vec<T>, batch_len_max: usize) -> bool {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return false;
            }
            state.idle += 1;
            self.arrived.wait(&mut state);
            state.idle -= 1;
            state.waking = false;
        }
        let waiting = state.items.len();
        let share = waiting.div_ceil(self.takers).max(SHARE_MIN.min(waiting)).min(batch_len_max);
        batch.extend(state.items.drain(..share));
        self.wake_one(&mut state);
        true
    }

    /// Refuses new items and ends the takers once they have taken what waits.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }

    fn insert(&self, operation: &'static str, insert: impl FnOnce(&mut VecDeque<T>)) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, operation, "the SQLite source is closed"));
        }
        if state.items.len() >= self.len_max {
            // Those who gave up must not keep others out.
            state.items.retain(|item| !item.is_given_up());
        }
        if state.items.len() >= self.len_max {
            let detail = format!("{} already wait for an SQLite connection", self.len_max);
            return Err(Error::new(ErrorKind::Overloaded, operation, detail));
        }
        insert(&mut state.items);
        self.wake_one(&mut state);
        Ok(())
    }

    /// Wakes an idle taker if there is something to take. A busy one looks again before it waits.
    fn wake_one(&self, state: &mut State<T>) {
        if state.idle > 0 && !state.waking && !state.items.is_empty() {
            state.waking = true;
            self.arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, Queue, Waiting};

    /// An item that is given up when it is negative.
    impl Waiting for i32 {
        fn is_given_up(&self) -> bool {
            *self < 0
        }
    }

    #[test]
    fn what_is_given_up_makes_room() {
        let queue = Queue::new(1, 1);
        queue.push("test", -1).unwrap();
        queue.push("test", 1).unwrap();
        let mut batch = vec![];
        assert!(queue.take(&mut batch, 9));
        assert_eq!(batch, [1]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_rest_keeps_its_order() {
        let queue = Queue::new(2, 1);
        queue.push("test", 1).unwrap();
        queue.push_first("test", 0).unwrap();
        assert_eq!(queue.push("test", 2).unwrap_err().kind(), ErrorKind::Overloaded);
        let mut batch = vec![];
        assert!(queue.take(&mut batch, 9));
        assert_eq!(batch, [0, 1]);
    }

    #[test]
    fn a_taker_takes_its_share_only() {
        let queue = Queue::new(99, 2);
        (0..12).for_each(|item| queue.push("test", item).unwrap());
        let mut batch = vec![];
        assert!(queue.take(&mut batch, 9));
        assert_eq!(batch, [0, 1, 2, 3, 4, 5]);
        batch.clear();
        assert!(queue.take(&mut batch, 9));
        assert_eq!(batch, [6, 7, 8, 9], "a few are not worth another taker");
    }

    #[test]
    fn a_closed_queue_hands_out_what_waits_and_ends() {
        let queue = Queue::new(9, 1);
        queue.push("test", 0).unwrap();
        queue.close();
        assert_eq!(queue.push("test", 1).unwrap_err().kind(), ErrorKind::Closed);
        let mut batch = vec![];
        assert!(queue.take(&mut batch, 9));
        assert!(!queue.take(&mut batch, 9));
        assert_eq!(batch, [0]);
    }
}
