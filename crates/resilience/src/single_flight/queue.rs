// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who flies, who waits, and what happens to joiners when a leader vanishes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use throughline_core::{Key, Sent};
use tokio::sync::watch;

/// Enough that two of a few dozen threads seldom meet at one lock.
const SHARDS: usize = 32;

/// How far a flight has come.
#[derive(Clone)]
pub(super) enum State<V> {
    /// It waits or runs.
    Flying,
    /// It is over, with this answer.
    Landed(V),
    /// Its leader vanished without an answer.
    Abandoned,
}

/// One flight.
pub(super) struct Flight<V> {
    /// Made for the first who waits, because most flights have nobody who does.
    state: OnceLock<watch::Sender<State<V>>>,
    sent: Sent,
}

impl<V> Flight<V> {
    /// Becomes one who waits for the flight's end.
    pub(super) fn watch(&self) -> watch::Receiver<State<V>> {
        self.state.get_or_init(|| watch::Sender::new(State::Flying)).subscribe()
    }
}

/// The flights of one key.
struct Queue<V> {
    running: Option<Arc<Flight<V>>>,
    waiting: Option<Arc<Flight<V>>>,
}

/// The flights of all keys.
pub(super) struct Queues<V> {
    shards: [Mutex<HashMap<Key, Queue<V>, FixedState>>; SHARDS],
    hasher: FixedState,
}

impl<V> Default for Queues<V> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: FixedState::default() }
    }
}

/// What a caller is to do.
pub(super) enum Boarding<V> {
    /// Wait for this flight, which was not sent when the caller came.
    Join(watch::Receiver<State<V>>),
    /// Lead, after `ahead` has landed.
    Lead { seat: Seat<V>, ahead: Option<watch::Receiver<State<V>>> },
}

/// The leader's place. Dropped before landing, it hands the flight's joiners back.
pub(super) struct Seat<V> {
    queues: Arc<Queues<V>>,
    key: Key,
    flight: Arc<Flight<V>>,
    is_left: bool,
}

impl<V> Queues<V> {
    /// Whoever must wait becomes a watcher while the shard is locked, so a leader that has left its queue knows
    /// all who wait for it.
    pub(super) fn board(queues: &Arc<Self>, key: &Key) -> Boarding<V> {
        let mut shard = queues.shard(key).lock();
        let queue = shard.entry(key.clone()).or_insert(Queue { running: None, waiting: None });
        if let Some(flight) =
            queue.waiting.iter().chain(&queue.running).find(|flight| !flight.sent.is_tripped())
        {
            return Boarding::Join(flight.watch());
        }
        let flight = Arc::new(Flight { state: OnceLock::new(), sent: Sent::new() });
        let seat = Seat { queues: queues.clone(), key: key.clone(), flight: flight.clone(), is_left: false };
        let ahead = queue.running.as_ref().map(|running| running.watch());
        match &ahead {
            Some(_) => queue.waiting = Some(flight),
            None => queue.running = Some(flight),
        }
        Boarding::Lead { seat, ahead }
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Queue<V>, FixedState>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl<V> Seat<V> {
    /// Moves the flight from waiting to running; its flag is to be tripped by the work.
    pub(super) fn take_off(&self) -> Sent {
        let mut shard = self.queues.shard(&self.key).lock();
        if let Some(queue) = shard.get_mut(&self.key)
            && queue.waiting.as_ref().is_some_and(|waiting| Arc::ptr_eq(waiting, &self.flight))
        {
            queue.running = queue.waiting.take();
        }
        self.flight.sent.clone()
    }

    /// Ends the flight with `value`.
    pub(super) fn land(mut self, value: &V)
    where
        V: Clone,
    {
        self.leave();
        if let Some(state) = self.flight.state.get() {
            state.send_replace(State::Landed(value.clone()));
        }
    }

    /// Takes the flight out of the queue, so that nobody joins it any more.
    fn leave(&mut self) {
        self.is_left = true;
        let mut shard = self.queues.shard(&self.key).lock();
        let Some(queue) = shard.get_mut(&self.key) else {
            return;
        };
        for place in [&mut queue.running, &mut queue.waiting] {
            if place.as_ref().is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
                *place = None;
            }
        }
        if queue.running.is_none() && queue.waiting.is_none() {
            shard.remove(&self.key);
        }
    }
}

impl<V> Drop for Seat<V> {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        self.leave();
        if let Some(state) = self.flight.state.get() {
            state.send_replace(State::Abandoned);
        }
    }
}

#[cfg(test)]
impl<V> Queues<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }
}
