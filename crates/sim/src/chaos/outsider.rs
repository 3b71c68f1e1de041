// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another program, which changes rows by SQL and knows nothing of Throughline.

use std::time::Duration;

use throughline_core::Rng;

use crate::database::Session;
use crate::history::{Kind, Operation, Outcome, Seen, ServedFrom};
use crate::payload::Payload;
use crate::{Epoch, Workload};

/// About how often it writes.
const PAUSE_MAX_MS: u64 = 60;
/// How long it waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The other program.
pub(super) struct Outsider {
    url: String,
    worker: u32,
    workload: Workload,
    epoch: Epoch,
    rng: Rng,
}

impl Outsider {
    /// A program that is the worker of this number in the history.
    pub(super) fn new(url: &str, worker: u32, workload: &Workload, epoch: Epoch) -> Self {
        let rng = Rng::from_seed(workload.seed.rotate_left(7));
        Self { url: url.to_owned(), worker, workload: *workload, epoch, rng }
    }

    /// Writes until `duration` of the run has passed; its history.
    pub(super) async fn run(self, duration: Duration) -> Vec<Operation> {
        let (mut operations, mut session) = (Vec::new(), None);
        let until_ns = duration.as_nanos() as u64;
        while self.epoch.elapsed_ns() < until_ns {
            tokio::time::sleep(Duration::from_millis(self.rng.below(PAUSE_MAX_MS))).await;
            let key = 1 + self.rng.below(u64::from(self.workload.key_count)).cast_signed();
            let counter = operations.len() as u64;
            let op = self.workload.first_op(self.worker) + counter;
            let body = Payload { key, worker: self.worker, op, counter }.encode();
            if session.is_none() {
                let connecting = Session::connect(&self.url);
                session = tokio::time::timeout(CALL_TIMEOUT, connecting).await.ok().and_then(Result::ok);
            }
            let Some(present) = session.as_mut() else { continue };
            let begin_ns = self.epoch.elapsed_ns();
            let written = tokio::time::timeout(CALL_TIMEOUT, present.upsert(key, &body)).await;
            let is_written = matches!(written, Ok(Ok(())));
            if !is_written {
                session = None;
            }
            operations.push(Operation {
                worker: self.worker,
                op,
                kind: Kind::Put,
                key,
                begin_ns,
                end_ns: is_written.then(|| self.epoch.elapsed_ns()),
                outcome: if is_written { Outcome::Ok } else { Outcome::Unknown },
                seen: Seen::Value { op, counter },
                served: ServedFrom::Unsaid,
            });
        }
        operations
    }
}
