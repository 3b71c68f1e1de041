// SPDX-License-Identifier: MIT OR Apache-2.0
//! A journal in memory, which outlives the resources that a test lets crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_core::{BoxFuture, Error, ErrorKind, Journal, Position, Result};

/// Keeps records in a map; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub struct MapJournal(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Position, Bytes>,
    /// Confirmed, and not flushed or followed by an append that was.
    unflushed: BTreeMap<Position, Bytes>,
    appended: u64,
    is_full: bool,
    len_max: Option<usize>,
    /// What the next appends are told; those of which nobody knows are kept.
    failures: VecDeque<ErrorKind>,
    flush_ms: u64,
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

    /// Brings back what was confirmed and not flushed since.
    pub fn lose_power(&self) {
        let state = &mut *self.0.lock();
        state.records.append(&mut state.unflushed);
    }

    /// Makes the next appends fail so, one after the other; of those with an unknown outcome the records are kept.
    pub fn fail_next(&self, kinds: impl IntoIterator<Item = ErrorKind>) {
        self.0.lock().failures.extend(kinds);
    }

    /// Makes every flush take so long.
    pub fn set_flush_ms(&self, flush_ms: u64) {
        self.0.lock().flush_ms = flush_ms;
    }

    /// Refuses records with more bytes.
    pub fn set_len_max(&self, len_max: usize) {
        self.0.lock().len_max = Some(len_max);
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
        let (position, failure) = {
            let mut state = state.lock();
            let failure = state.failures.pop_front();
            let failure = failure.map(|kind| Error::new(kind, "append to the journal", "planted"));
            if let Some(error) = failure.clone().filter(|error| error.kind() != ErrorKind::OutcomeUnknown) {
                return Box::pin(std::future::ready(Err(error)));
            }
            if state.is_full {
                let full = Error::new(ErrorKind::Overloaded, "append to the journal", "it is full");
                return Box::pin(std::future::ready(Err(full)));
            }
            if state.len_max.is_some_and(|len_max| record.len() > len_max) {
                let large =
                    Error::new(ErrorKind::TooLarge, "append to the journal", "the record is too long");
                return Box::pin(std::future::ready(Err(large)));
            }
            state.appended += 1;
            (Position(state.appended), failure)
        };
        Box::pin(async move {
            // A real one waits for its disk.
            tokio::task::yield_now().await;
            let mut state = state.lock();
            state.records.insert(position, record);
            state.unflushed.clear();
            failure.map_or(Ok(position), Err)
        })
    }

    fn confirm(&self, positions: &[Position]) {
        let State { records, unflushed, .. } = &mut *self.0.lock();
        unflushed.extend(positions.iter().filter_map(|position| records.remove_entry(position)));
    }

    fn flush(&self) -> BoxFuture<'static, Result<()>> {
        let state = self.0.clone();
        Box::pin(async move {
            let flush_ms = state.lock().flush_ms;
            tokio::time::sleep(Duration::from_millis(flush_ms)).await;
            state.lock().unflushed.clear();
            Ok(())
        })
    }
}
