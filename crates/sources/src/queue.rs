// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded queue that several workers take from, each everything that one statement can answer.

use std::collections::VecDeque;

use parking_lot::Mutex;
use throughline_core::Error;
use tokio::sync::Notify;

/// How many waiting jobs are looked at for company; bounds the time under the queue's lock.
const SCAN_LEN_MAX: usize = 1_024;

/// What a worker does for one caller.
pub(crate) trait Job: Send + 'static {
    /// Whether the caller no longer waits for it.
    fn is_abandoned(&self) -> bool;

    /// How much of a batch it takes.
    fn weight(&self) -> usize;

    /// Whether one statement can answer both.
    fn joins(&self, other: &Self) -> bool;

    /// Answers the caller with an error.
    fn refuse(self, error: Error);
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// As many as may wait do so already.
    Full,
    /// The source was shut down.
    Closed,
}

/// Jobs that wait for a worker, first come first served.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    wake: Notify,
    len_max: usize,
    weight_max: usize,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
}

impl<J: Job> Queue<J> {
    /// An empty queue that holds up to `len_max` jobs and hands them out in batches of up to `weight_max`.
    pub(crate) fn new(len_max: usize, weight_max: usize) -> Self {
        let state = State { jobs: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), wake: Notify::new(), len_max, weight_max }
    }

    /// Puts a job at the end.
    pub(crate) fn push(&self, job: J) -> Result<(), Declined> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Declined::Closed);
        }
        if state.jobs.len() >= self.len_max {
            // Callers that gave up must not keep others out.
            state.jobs.retain(|waiting| !waiting.is_abandoned());
            if state.jobs.len() >= self.len_max {
                return Err(Declined::Full);
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes the first job that someone waits for, and those that join it; `None` once the queue is closed
    /// and empty.
    ///
    /// # Cancel safety
    /// Nothing is taken when the future is dropped.
    pub(crate) async fn take(&self) -> Option<Vec<J>> {
        loop {
            let woken = self.wake.notified();
            {
                let mut state = self.state.lock();
                let batch = self.take_batch(&mut state.jobs);
                // One push wakes one worker; what it leaves behind must wake the next. A closed queue wakes
                // them all, one after the other.
                if !state.jobs.is_empty() || state.closed {
                    self.wake.notify_one();
                }
                if !batch.is_empty() {
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
            }
            woken.await;
        }
    }

    /// Puts a batch that its worker cannot serve back in front, for another worker.
    pub(crate) fn give_back(&self, batch: Vec<J>) {
        let mut state = self.state.lock();
        for job in batch.into_iter().rev() {
            state.jobs.push_front(job);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Lets no job in any more; those that wait are still handed out.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    fn take_batch(&self, jobs: &mut VecDeque<J>) -> Vec<J> {
        let mut batch = Vec::new();
        while let Some(job) = jobs.pop_front() {
            if !job.is_abandoned() {
                batch.push(job);
                break;
            }
        }
        let Some(first) = batch.first() else {
            return batch;
        };
        let mut weight = first.weight();
        let mut place = 0;
        while weight < self.weight_max && place < jobs.len().min(SCAN_LEN_MAX) {
            let candidate = &jobs[place];
            let fits = weight + candidate.weight() <= self.weight_max && candidate.joins(&batch[0]);
            if fits && !candidate.is_abandoned() {
                weight += candidate.weight();
                batch.extend(jobs.remove(place));
            } else {
                place += 1;
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::{Declined, Job, Queue};
    use throughline_core::Error;

    #[derive(Debug, PartialEq)]
    struct Look {
        table: u8,
        abandoned: bool,
    }

    impl Job for Look {
        fn is_abandoned(&self) -> bool {
            self.abandoned
        }
        fn weight(&self) -> usize {
            1
        }
        fn joins(&self, other: &Self) -> bool {
            self.table == other.table
        }
        fn refuse(self, _: Error) {}
    }

    fn look(table: u8) -> Look {
        Look { table, abandoned: false }
    }

    #[tokio::test]
    async fn a_batch_holds_what_joins_up_to_its_weight() {
        let queue = Queue::new(10, 3);
        for table in [1, 2, 1, 1, 1] {
            queue.push(look(table)).unwrap();
        }
        assert_eq!(queue.take().await.unwrap(), [look(1), look(1), look(1)]);
        assert_eq!(queue.take().await.unwrap(), [look(2)]);
        assert_eq!(queue.take().await.unwrap(), [look(1)]);
    }

    #[tokio::test]
    async fn an_abandoned_job_is_never_handed_out_and_makes_room() {
        let queue = Queue::new(2, 4);
        let gone = || Look { table: 1, abandoned: true };
        queue.push(gone()).unwrap();
        queue.push(look(1)).unwrap();
        queue.push(look(1)).unwrap();
        assert_eq!(queue.push(look(1)), Err(Declined::Full));
        assert_eq!(queue.take().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_the_rest_and_then_ends_for_every_worker() {
        let queue = Queue::new(2, 1);
        queue.push(look(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(look(1)), Err(Declined::Closed));
        let (a, b, c) = tokio::join!(queue.take(), queue.take(), queue.take());
        assert_eq!([a, b, c].into_iter().flatten().collect::<Vec<_>>(), [vec![look(1)]]);
    }
}
