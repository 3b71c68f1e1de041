// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges the workers' histories by time, holding one operation per worker.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use crate::history::{History, Operation, Operations};

/// The begin or the end of an operation; the number is the worker's place in the history.
#[derive(Debug)]
pub(super) enum Event<'a> {
    Begin(usize, &'a Operation),
    End(usize, &'a Operation),
}

/// One worker's log and the operation that it is at.
struct Lane<'a> {
    operations: Operations<'a>,
    current: Option<Operation>,
    free_from_ns: u64,
}

impl Lane<'_> {
    /// Moves to the next operation and gives its begin.
    fn advance(&mut self) -> io::Result<Option<u64>> {
        self.current = self.operations.next().transpose()?;
        let Some(operation) = &self.current else {
            return Ok(None);
        };
        let (begin_ns, end_ns) = (operation.begin_ns, operation.end_ns.unwrap_or(operation.begin_ns));
        if begin_ns < self.free_from_ns || end_ns < begin_ns {
            return Err(io::Error::other(format!(
                "worker {} is at two operations at once",
                operation.worker
            )));
        }
        self.free_from_ns = end_ns;
        Ok(Some(begin_ns))
    }
}

/// Calls `visit` for every event in order of time. At one and the same moment a begin comes before an end,
/// so that two operations which touch are concurrent: a coarse clock then hides a breach but invents none.
pub(super) fn replay(history: &History, mut visit: impl FnMut(Event<'_>)) -> io::Result<()> {
    let lane = |operations| Lane { operations, current: None, free_from_ns: 0 };
    let mut lanes: Vec<Lane<'_>> = history.workers()?.into_iter().map(lane).collect();
    let mut next: BinaryHeap<Reverse<(u64, bool, usize)>> = BinaryHeap::with_capacity(lanes.len());
    for (index, lane) in lanes.iter_mut().enumerate() {
        next.extend(lane.advance()?.map(|begin_ns| Reverse((begin_ns, false, index))));
    }
    while let Some(Reverse((_, ends, index))) = next.pop() {
        let lane = &mut lanes[index];
        let operation = lane.current.as_ref().expect("only a lane with an operation is queued");
        if !ends {
            visit(Event::Begin(index, operation));
            if let Some(end_ns) = operation.end_ns {
                next.push(Reverse((end_ns, true, index)));
                continue;
            }
        } else {
            visit(Event::End(index, operation));
        }
        next.extend(lane.advance()?.map(|begin_ns| Reverse((begin_ns, false, index))));
    }
    Ok(())
}
