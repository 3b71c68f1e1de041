// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room: entries that stay pending for long are moved out of the way.
//!
//! Segments are removed from the oldest on, so one entry that nobody confirms, a dead letter without a decision, would keep all
//! segments after it until the journal is full. As log-structured stores do (Rosenblum and Ousterhout, 1992), what is pending in the oldest
//! is copied to the end when there is little of it.

use super::super::segment::{self, Kind};
use super::{Fault, Log, Sealed, name};

/// How many segments may be there beside twice what is pending, before entries are moved.
const SPARE_SEGMENTS: u64 = 4;

impl Log {
    /// Whether the segments take more than twice what is pending in them, and some more.
    fn is_sparse(&self) -> bool {
        let live: u64 = self.sealed.iter().map(Sealed::pending_bytes).sum();
        self.bytes() > live * 2 + SPARE_SEGMENTS * self.segment_bytes as u64
    }

    /// Moves what is pending out of the oldest segments, at most so many: else one entry that nobody confirms would keep all
    /// segments after it. No more is copied than was appended, for half of what is copied into must be done before it is copied again.
    pub(super) fn make_room(&mut self, segment_count_max: usize) -> Result<(), Fault> {
        for _ in 0..segment_count_max {
            if !self.is_sparse() || !self.move_out_of_the_oldest()? {
                break;
            }
        }
        Ok(())
    }

    /// Copies what is pending in the oldest segment into this one, up to half of it, so that the largest record still fits. Whether
    /// that was all, and the oldest is gone.
    fn move_out_of_the_oldest(&mut self) -> Result<bool, Fault> {
        let Some(number) = self.sealed.front().map(|oldest| oldest.number) else { return Ok(false) };
        // A segment that cannot be read now stays where it is.
        let Ok(bytes) = self.files.open(&name(number)).and_then(|mut file| file.read()) else {
            return Ok(false);
        };
        let end_max = self.segment_bytes / 2 - 2 * segment::RECORD_LEN;
        let mut moving = Vec::new();
        segment::scan(&bytes, number, |record| {
            let is_held = record.kind != Kind::Done && self.pending.contains(&record.position);
            let end = self.current.end + self.staged.len() + segment::record_len(record.payload.len());
            if is_held && end <= end_max && self.segment_of(record.position) == number {
                self.stage(Kind::Moved, record.position, record.payload);
                moving.push(record.position);
            }
        });
        self.commit()?;
        self.sync()?;
        self.current.pending += moving.len();
        self.current.entries += moving.len();
        self.sealed[0].pending -= moving.len();
        self.moved.extend(moving.into_iter().map(|position| (position, self.current.number)));
        let is_empty = self.sealed[0].pending == 0;
        self.trim()?;
        Ok(is_empty)
    }
}
