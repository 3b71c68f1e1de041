// SPDX-License-Identifier: MIT OR Apache-2.0
//! A caller of one daemon who tells how long a fault keeps it from writing.

use std::time::Duration;

use tokio::time::Instant;

use crate::Epoch;
use crate::history::{Kind, Log, Operation, Outcome, Seen, ServedFrom};
use crate::payload::Payload;
use crate::sut::Client;

/// How long a caller waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long between two attempts.
const REST: Duration = Duration::from_millis(20);
/// How many attempts are kept, and so made, in a run.
const OPERATIONS_MAX: usize = 100_000;

/// Writes through one daemon when it is told to, and keeps a history of it as every worker does.
#[derive(Debug)]
pub struct Canary {
    worker: u32,
    first_op: u64,
    keys: Vec<i64>,
    epoch: Epoch,
    door: Box<dyn Client>,
    operations: Vec<Operation>,
}

impl Canary {
    /// A canary that is the worker of this number, with operations numbered from `first_op` on.
    pub fn new(worker: u32, first_op: u64, keys: Vec<i64>, epoch: Epoch, door: Box<dyn Client>) -> Self {
        Self { worker, first_op, keys, epoch, door, operations: Vec::new() }
    }

    /// Its history.
    pub fn into_log(self) -> Log {
        Log::Memory(self.operations)
    }

    /// Tries every key until each was written once; how long that took, in nanoseconds. `None` when it was not
    /// done by `until`.
    pub(super) async fn write_every_key(&mut self, until: Instant) -> Option<u64> {
        let from_ns = self.epoch.elapsed_ns();
        for key in self.keys.clone() {
            while self.write(key).await != Outcome::Ok {
                if Instant::now() + REST >= until || self.operations.len() >= OPERATIONS_MAX {
                    return None;
                }
                tokio::time::sleep(REST).await;
            }
        }
        Some(self.epoch.elapsed_ns() - from_ns)
    }

    async fn write(&mut self, key: i64) -> Outcome {
        let counter = self.operations.len() as u64;
        let op = self.first_op + counter;
        let body = Payload { key, worker: self.worker, op, counter }.encode();
        let begin_ns = self.epoch.elapsed_ns();
        let answered = tokio::time::timeout(CALL_TIMEOUT, self.door.put(key, &body)).await;
        let outcome = answered.unwrap_or(Outcome::Unknown);
        self.operations.push(Operation {
            worker: self.worker,
            op,
            kind: Kind::Put,
            key,
            begin_ns,
            end_ns: (outcome != Outcome::Unknown).then(|| self.epoch.elapsed_ns()),
            outcome,
            seen: Seen::Value { op, counter },
            served: ServedFrom::Unsaid,
        });
        outcome
    }
}
