// SPDX-License-Identifier: MIT OR Apache-2.0
//! The floor check: per key, no answer is below what was acknowledged or shown before it began.
//!
//! Where an answer may be one of several versions (an absence), the oldest one that is allowed is taken, so
//! that a breach may be overlooked but none is invented.

use std::collections::{HashMap, VecDeque};

use super::Promised;
use super::breach::{Breach, Finding};
use super::truth::{Shown, Truth, at_least};
use super::verdict::Verdict;
use crate::history::{Kind, Operation, Outcome, Seen};

/// The floors of all keys while a history is replayed.
#[derive(Debug)]
pub(super) struct Floor<'a> {
    truth: &'a Truth,
    promised: Promised,
    keys: HashMap<i64, KeyFloor>,
    /// The floors at the begin of each worker's present operation.
    open: Vec<Bounds>,
}

/// `acked`: the newest version whose write was acknowledged. `seen`: that, or a newer one that was shown.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    acked: u32,
    seen: u32,
}

#[derive(Debug)]
struct KeyFloor {
    now: Bounds,
    /// When each version was first known to be committed.
    known_ns: Vec<u64>,
    /// Versions of another program, with the moment from which they must be seen, in order of time.
    due: VecDeque<(u64, u32)>,
}

impl<'a> Floor<'a> {
    pub(super) fn new(truth: &'a Truth, promised: Promised) -> Self {
        Self { truth, promised, keys: HashMap::new(), open: Vec::new() }
    }

    pub(super) fn begin(&mut self, lane: usize, operation: &Operation) {
        if self.open.len() <= lane {
            self.open.resize(lane + 1, Bounds::default());
        }
        let key = self.keys.get_mut(&operation.key);
        self.open[lane] = key.map_or_else(Bounds::default, |key| key.floor_at(operation.begin_ns));
    }

    pub(super) fn end(&mut self, lane: usize, operation: &Operation, verdict: &mut Verdict) {
        let (Outcome::Ok, Some(end_ns)) = (operation.outcome, operation.end_ns) else {
            return;
        };
        let floor = self.open[lane];
        let (is_linear, bound) = match self.promised {
            Promised::Linear => (true, None),
            Promised::Bound { outsider, bound } => (false, (operation.worker == outsider).then_some(bound)),
        };
        let key = self.keys.entry(operation.key).or_insert_with(KeyFloor::new);
        let versions = self.truth.of(operation.key);
        match operation.kind {
            Kind::Get => {
                let shown = versions.shown(operation.seen, end_ns);
                key.end_get(operation, floor, &shown, is_linear, verdict);
            }
            Kind::Put if bound.is_some() => {
                let written = versions.places(Some(operation.op));
                let from_ns = end_ns + bound.map_or(0, |bound| bound.as_nanos() as u64);
                key.due.extend(written.iter().map(|(_, version)| (from_ns, *version)));
            }
            Kind::Put => {
                let written = Seen::Value { op: operation.op, counter: 0 };
                key.end_put(operation, floor, &versions.shown(written, end_ns), verdict);
            }
            Kind::Delete => key.end_delete(operation, floor, &versions.shown(Seen::Absent, end_ns), verdict),
        }
    }
}

impl KeyFloor {
    fn new() -> Self {
        Self { now: Bounds::default(), known_ns: vec![0], due: VecDeque::new() }
    }

    /// The floor for an operation that begins now.
    fn floor_at(&mut self, now_ns: u64) -> Bounds {
        while let Some((_, version)) = self.due.front().copied().filter(|(from_ns, _)| *from_ns <= now_ns) {
            self.due.pop_front();
            self.now.acked = self.now.acked.max(version);
            self.now.seen = self.now.seen.max(version);
        }
        self.now
    }

    fn end_get(
        &mut self,
        operation: &Operation,
        floor: Bounds,
        shown: &Shown<'_>,
        is_linear: bool,
        verdict: &mut Verdict,
    ) {
        let mut found = |breach, shown, floor| {
            verdict.found(Finding { breach, operation: *operation, shown, floor });
        };
        let places = match shown {
            Shown::Garbled => return found(Breach::CrossTalk, None, floor.seen),
            Shown::Phantom => return found(Breach::Phantom, None, floor.seen),
            Shown::TooEarly => return found(Breach::Misordered, None, floor.seen),
            Shown::OneOf(places) => places,
        };
        if let Some(version) = at_least(places, floor.seen) {
            if is_linear {
                self.raise_seen(version, operation);
            }
            return;
        }
        let newest = places.last().expect("an answer has a version").1;
        found(Breach::Linear, Some(newest), floor.seen);
        if at_least(places, floor.acked).is_none() {
            found(Breach::Headline, Some(newest), floor.acked);
        }
        let known_ns = self.known_ns.get(newest as usize + 1).copied().unwrap_or(operation.begin_ns);
        verdict.stale_age.add(operation.begin_ns.saturating_sub(known_ns));
    }

    fn end_put(&mut self, operation: &Operation, floor: Bounds, shown: &Shown<'_>, verdict: &mut Verdict) {
        let mut found = |breach, shown| {
            verdict.found(Finding { breach, operation: *operation, shown, floor: floor.seen });
        };
        let places = match shown {
            Shown::OneOf(places) => places,
            Shown::TooEarly => return found(Breach::Misordered, None),
            Shown::Phantom | Shown::Garbled => return found(Breach::Lost, None),
        };
        let newest = places.last().expect("an answer has a version").1;
        let version = at_least(places, floor.seen + 1).unwrap_or_else(|| {
            found(Breach::Misordered, Some(newest));
            newest
        });
        self.raise_acked(version, operation);
    }

    /// An acknowledged delete has shown its caller an absence. The audit table does not say which operation
    /// removed a row, and one that found none has removed nothing.
    fn end_delete(&mut self, operation: &Operation, floor: Bounds, shown: &Shown<'_>, verdict: &mut Verdict) {
        let places = if let Shown::OneOf(places) = shown { *places } else { &[] };
        match at_least(places, floor.seen) {
            Some(version) => self.raise_acked(version, operation),
            None => verdict.found(Finding {
                breach: Breach::Lost,
                operation: *operation,
                shown: None,
                floor: floor.seen,
            }),
        }
    }

    fn raise_acked(&mut self, version: u32, operation: &Operation) {
        self.now.acked = self.now.acked.max(version);
        self.raise_seen(version, operation);
    }

    fn raise_seen(&mut self, version: u32, operation: &Operation) {
        self.now.seen = self.now.seen.max(version);
        if self.known_ns.len() <= version as usize {
            let known_ns = operation.end_ns.expect("an answer has an end");
            self.known_ns.resize(version as usize + 1, known_ns);
        }
    }
}
