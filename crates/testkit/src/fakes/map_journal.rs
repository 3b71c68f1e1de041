// SPDX-License-Identifier: MIT OR Apache-2.0
//! A journal in memory, which outlives the resources that a test lets crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_core::{BoxFuture, Error, ErrorKind, Journal, Position, Result};

/// Keeps records in a map; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub struct MapJournal(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Position, Bytes>,
    appended: u64,
    is_full: bool,
}

impl MapJournal {
    /// What is not confirmed, in order.
    pub fn pending(&self) -> Vec<(Position, Bytes)> {
        self.0.lock().records.iter().map(|(position, record)| (*position, record.clone())).collect()
    }

    /// Refuses records, or takes them again.
    pub fn set_full(&self, is_full: bool) {
        self.0.lock().is_full = is_full;
    }

    /// Puts records in, as a journal has them whose last confirmations were lost; `next` is where it goes on.
    pub fn restore(&self, records: &[(Position, Bytes)], next: Position) {
        let mut state = self.0.lock();
        state.records.extend(records.iter().cloned());
        state.appended = next.0.saturating_sub(1);
    }

    /// The position of the next record.
    pub fn next(&self) -> Position {
        Position(self.0.lock().appended + 1)
    }

    /// Records that were ever appended.
    pub fn appended(&self) -> u64 {
        self.0.lock().appended
    }
}

impl Journal for MapJournal {
    fn append(&self, record: Bytes) -> BoxFuture<'static, Result<Position>> {
        let state = self.0.clone();
        let position = {
            let mut state = state.lock();
            if state.is_full {
                let full = Error::new(ErrorKind::Overloaded, "append to the journal", "it is full");
                return Box::pin(std::future::ready(Err(full)));
            }
            state.appended += 1;
            Position(state.appended)
        };
        Box::pin(async move {
            // A real one waits for its disk.
            tokio::task::yield_now().await;
            state.lock().records.insert(position, record);
            Ok(position)
        })
    }

    fn confirm(&self, positions: &[Position]) {
        let mut state = self.0.lock();
        positions.iter().for_each(|position| drop(state.records.remove(position)));
    }
}
