// SPDX-License-Identifier: MIT OR Apache-2.0
//! The workers: each calls the system again and again and writes down what it was answered.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use throughline_core::Rng;
use tokio::task::JoinSet;

use crate::history::{Kind, Log, Operation, Outcome, Seen, ServedFrom, Writer};
use crate::payload::Payload;
use crate::sut::{Client, System};

/// How long a caller waits for an answer; longer than any pause between two steps of a healthy system.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a worker rests after an error, so that a dead instance is not hammered.
const REST: Duration = Duration::from_millis(5);
/// How many operations one worker makes at most: a bound on the run's files (56 bytes each).
const OPERATION_COUNT_MAX: u64 = 5_000_000;
/// Each worker numbers its operations from a multiple of this.
const OPERATION_STEP: u64 = 1 << 32;

/// What the workers do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// How many keys, 1 to this number; few keys meet more races.
    pub key_count: u32,
    /// How many workers, each with a handle to every door of the system.
    pub worker_count: u32,
    /// How many operations of a hundred are writes; one write of ten is a delete.
    pub write_percent: u32,
    /// How long they go on.
    pub duration: Duration,
    /// What each worker's choices follow from.
    pub seed: u64,
}

/// The moment from which a run's times count. All workers live in this process, so one monotonic clock
/// serves all.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// Now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since then.
    pub fn elapsed_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

impl Workload {
    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = i64> + use<> {
        1..=i64::from(self.key_count)
    }

    /// The number of the first operation of a worker.
    pub(crate) fn first_op(&self, worker: u32) -> u64 {
        u64::from(worker) * OPERATION_STEP
    }

    /// Writes the first row of every key, straight into the database by `store`, as worker 0.
    pub(crate) async fn seed<E>(
        &self,
        epoch: Epoch,
        mut store: impl AsyncFnMut(i64, &str) -> Result<(), E>,
    ) -> Result<Log, E> {
        let mut operations = Vec::with_capacity(self.key_count as usize);
        for key in self.keys() {
            let (op, counter) = (key.unsigned_abs(), key.unsigned_abs());
            let begin_ns = epoch.elapsed_ns();
            store(key, &Payload { key, worker: 0, op, counter }.encode()).await?;
            operations.push(Operation {
                worker: 0,
                op,
                kind: Kind::Put,
                key,
                begin_ns,
                end_ns: Some(epoch.elapsed_ns()),
                outcome: Outcome::Ok,
                seen: Seen::Value { op, counter },
                served: ServedFrom::Unsaid,
            });
        }
        Ok(Log::Memory(operations))
    }

    /// Runs all workers until the time is over; their operations go to files in `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) async fn run(&self, system: &dyn System, epoch: Epoch, folder: &Path) -> io::Result<Vec<Log>> {
        let mut workers: JoinSet<io::Result<PathBuf>> = JoinSet::new();
        for number in 1..=self.worker_count {
            let path = folder.join(format!("worker-{number}"));
            let worker = Worker {
                workload: *self,
                number,
                counter: 0,
                rng: Rng::from_seed(self.seed ^ u64::from(number).rotate_right(16)),
                doors: system.doors(),
                epoch,
            };
            workers.spawn(worker.run(Writer::create(&path)?, path));
        }
        let mut logs = Vec::with_capacity(self.worker_count as usize);
        while let Some(finished) = workers.join_next().await {
            logs.push(Log::File(finished.map_err(io::Error::other)??));
        }
        Ok(logs)
    }
}

struct Worker {
    workload: Workload,
    number: u32,
    counter: u64,
    rng: Rng,
    doors: Vec<Box<dyn Client>>,
    epoch: Epoch,
}

impl Worker {
    async fn run(mut self, mut writer: Writer, path: PathBuf) -> io::Result<PathBuf> {
        let until_ns = self.epoch.elapsed_ns() + self.workload.duration.as_nanos() as u64;
        while self.epoch.elapsed_ns() < until_ns && self.counter < OPERATION_COUNT_MAX {
            let operation = self.step().await;
            writer.append(&operation)?;
            if operation.outcome != Outcome::Ok {
                tokio::time::sleep(REST).await;
            }
        }
        writer.finish()?;
        Ok(path)
    }

    /// Makes one call of a random kind for a random key through a random door.
    async fn step(&mut self) -> Operation {
        self.counter += 1;
        let counter = self.counter;
        let op = self.workload.first_op(self.number) + counter;
        let key = 1 + self.rng.below(u64::from(self.workload.key_count)).cast_signed();
        let kind = self.choose_kind();
        let door = self.rng.below(self.doors.len() as u64) as usize;
        let client = &mut self.doors[door];
        let begin_ns = self.epoch.elapsed_ns();
        let call = call(client.as_mut(), kind, Payload { key, worker: self.number, op, counter });
        let answered = tokio::time::timeout(CALL_TIMEOUT, call).await;
        let end_ns = self.epoch.elapsed_ns();
        let (outcome, seen, served) = answered.unwrap_or((silence(kind), Seen::Absent, ServedFrom::Unsaid));
        let seen = if kind == Kind::Put { Seen::Value { op, counter } } else { seen };
        Operation {
            worker: self.number,
            op,
            kind,
            key,
            begin_ns,
            end_ns: (outcome != Outcome::Unknown).then_some(end_ns),
            outcome,
            seen,
            served,
        }
    }

    fn choose_kind(&self) -> Kind {
        if self.rng.below(100) >= u64::from(self.workload.write_percent) {
            Kind::Get
        } else if self.rng.below(10) == 0 {
            Kind::Delete
        } else {
            Kind::Put
        }
    }
}

async fn call(client: &mut dyn Client, kind: Kind, payload: Payload) -> (Outcome, Seen, ServedFrom) {
    match kind {
        Kind::Get => match client.get(payload.key).await {
            Some(answer) => (Outcome::Ok, answer.seen, answer.served),
            None => (Outcome::Fail, Seen::Absent, ServedFrom::Unsaid),
        },
        Kind::Put => (client.put(payload.key, &payload.encode()).await, Seen::Absent, ServedFrom::Unsaid),
        Kind::Delete => (client.delete(payload.key).await, Seen::Absent, ServedFrom::Unsaid),
    }
}

/// What no answer means: a read did nothing, a write may still happen.
fn silence(kind: Kind) -> Outcome {
    if kind == Kind::Get { Outcome::Fail } else { Outcome::Unknown }
}
