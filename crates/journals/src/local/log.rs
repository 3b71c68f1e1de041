// SPDX-License-Identifier: MIT OR Apache-2.0
//! The segments as their one writer sees them: stage records, commit them, go on to the next segment, trim.

mod room;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;

use foldhash::fast::RandomState;

use super::files::{Files, SegmentFile};
use super::segment::{self, HEADER_LEN, Header, Kind};

/// Positions of entries. They are our own numbers, so nobody can choose them to collide, and there may be millions.
pub(super) type Positions = HashSet<u64, RandomState>;
/// In which segment an entry is that was moved.
pub(super) type Moved = HashMap<u64, u64, RandomState>;

/// Out of how many segments entries are moved at most when a new one is begun.
const MOVED_OUT_MAX: usize = 2;

/// What went wrong with a write.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no room; nothing of what was staged is kept, and the journal goes on.
    Full(io::Error),
    /// What is on the disk is not known any more: the journal must not be written again.
    Poisoned(io::Error),
}

/// A segment that is not written any more.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) first: u64,
    /// Entries in it, and those of them that are not done.
    pub(super) entries: usize,
    pub(super) pending: usize,
    /// What its records take, and what its file takes.
    pub(super) used: u64,
    pub(super) bytes: u64,
}

impl Sealed {
    /// About what its pending entries take.
    fn pending_bytes(&self) -> u64 {
        self.used * self.pending as u64 / (self.entries as u64).max(1)
    }
}

/// The segment that is written.
#[derive(Debug)]
struct Current {
    number: u64,
    first: u64,
    entries: usize,
    pending: usize,
    bytes: u64,
    file: Box<dyn SegmentFile>,
    /// Where the next record goes.
    end: usize,
    /// How much of it is known to be on disk.
    synced: usize,
    /// Where it ends for good: a write met a full disk.
    is_over: bool,
}

/// The whole journal, on one thread.
#[derive(Debug)]
pub(super) struct Log {
    files: Box<dyn Files>,
    segment_bytes: usize,
    bytes_max: u64,
    sealed: VecDeque<Sealed>,
    current: Current,
    /// The position of the next entry.
    next: u64,
    pending: Positions,
    /// Those of `pending` that are not in the segment that they were appended to.
    moved: Moved,
    staged: Vec<u8>,
    staged_entries: u64,
    /// Entries whose marks of being done are staged, and those whose marks found no room.
    staged_done: Vec<Done>,
    unmarked: Vec<Done>,
}

/// An entry that is done.
#[derive(Clone, Copy, Debug)]
struct Done {
    position: u64,
    /// The segment that holds it, whose removal makes the mark needless.
    segment: u64,
}

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// What recovery hands over.
pub(super) struct Found {
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) pending: Positions,
    pub(super) moved: Moved,
    /// The number of the next segment, and the position of the next entry.
    pub(super) number: u64,
    pub(super) next: u64,
}

impl Log {
    /// Goes on after what was found, in a new segment.
    pub(super) fn start(
        mut files: Box<dyn Files>,
        found: Found,
        segment_bytes: usize,
        bytes_max: u64,
    ) -> Result<Self, Fault> {
        let current = begin(files.as_mut(), found.number, found.next, segment_bytes)?;
        let Found { sealed, pending, moved, next, .. } = found;
        let mut log = Self {
            files,
            segment_bytes,
            bytes_max,
            sealed,
            current,
            next,
            pending,
            moved,
            staged: Vec::new(),
            staged_entries: 0,
            staged_done: Vec::new(),
            unmarked: Vec::new(),
        };
        log.trim()?;
        match log.make_room(usize::MAX) {
            // What is there stays there.
            Ok(()) | Err(Fault::Full(_)) => Ok(log),
            Err(poisoned) => Err(poisoned),
        }
    }

    /// Entries that are not done.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What the segments take on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>() + self.current.bytes
    }

    /// Whether a record with this payload fits behind what is staged.
    pub(super) fn fits(&self, payload_len: usize) -> bool {
        let end = self.current.end + self.staged.len() + segment::record_len(payload_len);
        !self.current.is_over && end <= self.segment_bytes
    }

    /// Stages an entry, which must fit; its position.
    pub(super) fn stage_entry(&mut self, payload: &[u8]) -> u64 {
        let position = self.next;
        self.next += 1;
        self.staged_entries += 1;
        self.stage(Kind::Entry, position, payload);
        position
    }

    /// Notes that an entry is done, on disk as well if there is room; `false` when it was done or never there.
    ///
    /// Without room it comes back after a restart, as after a loss of power.
    pub(super) fn done(&mut self, position: u64) -> bool {
        if !self.pending.remove(&position) {
            return false;
        }
        let segment = self.segment_of(position);
        self.moved.remove(&position);
        match self.sealed.front().map(|oldest| (segment - oldest.number) as usize) {
            Some(place) if place < self.sealed.len() => self.sealed[place].pending -= 1,
            _ => self.current.pending -= 1,
        }
        self.mark(Done { position, segment });
        true
    }

    /// The number of the segment that holds a pending entry.
    fn segment_of(&self, position: u64) -> u64 {
        if let Some(number) = self.moved.get(&position) {
            return *number;
        }
        if position >= self.current.first {
            return self.current.number;
        }
        let after = self.sealed.partition_point(|sealed| sealed.first <= position);
        self.sealed[after - 1].number
    }

    fn mark(&mut self, done: Done) {
        if self.fits(0) {
            self.stage(Kind::Done, done.position, &[]);
            self.staged_done.push(done);
        } else {
            self.unmarked.push(done);
        }
    }

    /// Stages the marks again that found no room; how many still find none.
    pub(super) fn mark_again(&mut self) -> usize {
        for done in std::mem::take(&mut self.unmarked) {
            self.mark(done);
        }
        self.unmarked.len()
    }

    fn stage(&mut self, kind: Kind, position: u64, payload: &[u8]) {
        let synced = u32::try_from(self.current.synced).expect("a segment is smaller than 4 GiB");
        segment::encode(&mut self.staged, self.current.number, kind, synced, position, payload);
    }

    /// Whether some entry that is done will come back, for want of its mark.
    pub(super) fn has_unmarked(&self) -> bool {
        !self.unmarked.is_empty()
    }

    /// Writes what is staged, and syncs it if there are entries in it: marks of what is done may get lost.
    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        let entries = std::mem::take(&mut self.staged_entries);
        let outcome = self.current.file.write_at(self.current.end as u64, &self.staged);
        let written = self.staged.len();
        self.staged.clear();
        if outcome.is_err() {
            self.unmarked.append(&mut self.staged_done);
        }
        self.staged_done.clear();
        if let Err(error) = outcome {
            self.next -= entries;
            return Err(self.seal_after(error));
        }
        self.current.end += written;
        if entries > 0 {
            self.sync()?;
            self.pending.extend(self.next - entries..self.next);
            self.current.entries += entries as usize;
            self.current.pending += entries as usize;
        }
        Ok(())
    }

    /// After a write that met a full disk: cuts off what it left, or else it could come back later as records.
    fn seal_after(&mut self, error: io::Error) -> Fault {
        if error.kind() != io::ErrorKind::StorageFull {
            return Fault::Poisoned(error);
        }
        let current = &mut self.current;
        match current.file.set_length(current.end as u64).and_then(|()| current.file.sync()) {
            Ok(()) => {
                current.is_over = true;
                current.bytes = current.end as u64;
                current.synced = current.end;
                Fault::Full(error)
            }
            Err(error) => Fault::Poisoned(error),
        }
    }

    /// Makes all that was written survive.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        if self.current.synced < self.current.end {
            self.current.file.sync().map_err(Fault::Poisoned)?;
            self.current.synced = self.current.end;
        }
        Ok(())
    }

    /// Goes on in a new segment. Nothing may be staged.
    pub(super) fn rotate(&mut self) -> Result<(), Fault> {
        if self.bytes() + self.segment_bytes as u64 > self.bytes_max {
            let error =
                io::Error::new(io::ErrorKind::QuotaExceeded, "as many bytes as are allowed are in use");
            return Err(Fault::Full(error));
        }
        // Only the last segment may end in something torn, so this one must be whole before there is another.
        self.sync()?;
        let next = begin(self.files.as_mut(), self.current.number + 1, self.next, self.segment_bytes)?;
        let Current { number, first, entries, pending, bytes, end, .. } =
            std::mem::replace(&mut self.current, next);
        self.sealed.push_back(Sealed { number, first, entries, pending, used: end as u64, bytes });
        self.trim()?;
        self.make_room(MOVED_OUT_MAX)
    }

    /// Removes the oldest segments in which everything is done, one after the other: a mark of what is done is
    /// never older than its entry, so no entry comes back for want of its mark.
    pub(super) fn trim(&mut self) -> Result<(), Fault> {
        while let Some(oldest) = self.sealed.front().filter(|oldest| oldest.pending == 0) {
            self.files.remove(&name(oldest.number)).map_err(Fault::Poisoned)?;
            self.files.sync_folder().map_err(Fault::Poisoned)?;
            self.sealed.pop_front();
        }
        if !self.unmarked.is_empty() {
            // What is gone needs no mark.
            let oldest = self.sealed.front().map_or(self.current.number, |oldest| oldest.number);
            self.unmarked.retain(|done| done.segment >= oldest);
        }
        Ok(())
    }
}

fn begin(files: &mut dyn Files, number: u64, first: u64, segment_bytes: usize) -> Result<Current, Fault> {
    let fault = |files: &mut dyn Files, error: io::Error| {
        // It holds nothing yet, and a new attempt begins with an empty one.
        let removed = files.remove(&name(number));
        let gone = removed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true);
        match error.kind() {
            io::ErrorKind::StorageFull if gone => Fault::Full(error),
            _ => Fault::Poisoned(error),
        }
    };
    let mut file = match files.create(&name(number), segment_bytes as u64) {
        Ok(file) => file,
        Err(error) => return Err(fault(files, error)),
    };
    if let Err(error) = file.write_at(0, &Header { segment: number, first }.encode()) {
        return Err(fault(files, error));
    }
    file.sync().map_err(Fault::Poisoned)?;
    files.sync_folder().map_err(Fault::Poisoned)?;
    let (entries, pending, bytes, is_over) = (0, 0, segment_bytes as u64, false);
    Ok(Current { number, first, entries, pending, bytes, file, end: HEADER_LEN, synced: HEADER_LEN, is_over })
}
