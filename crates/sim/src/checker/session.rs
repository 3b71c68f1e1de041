// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session check: a worker sees its own writes, and never less than it has seen before.

use std::collections::HashMap;

use super::breach::{Breach, Finding};
use super::truth::{Shown, Truth, at_least};
use super::verdict::Verdict;
use crate::history::{Kind, Operation, Outcome};

/// What each worker has written and seen of each key.
#[derive(Debug)]
pub(super) struct Session<'a> {
    truth: &'a Truth,
    workers: HashMap<(u32, i64), Own>,
}

#[derive(Debug, Default)]
struct Own {
    written: u32,
    seen: u32,
}

impl<'a> Session<'a> {
    pub(super) fn new(truth: &'a Truth) -> Self {
        Self { truth, workers: HashMap::new() }
    }

    pub(super) fn end(&mut self, operation: &Operation, verdict: &mut Verdict) {
        let (Outcome::Ok, Some(end_ns)) = (operation.outcome, operation.end_ns) else {
            return;
        };
        let own = self.workers.entry((operation.worker, operation.key)).or_default();
        let versions = self.truth.of(operation.key);
        match operation.kind {
            Kind::Put => {
                let places = versions.places(Some(operation.op));
                own.written = at_least(places, own.written).unwrap_or(own.written);
            }
            // Which version a delete made is not known, so nothing is asked of it.
            Kind::Delete => {}
            Kind::Get => {
                let Shown::OneOf(places) = versions.shown(operation.seen, end_ns) else {
                    return;
                };
                let shown = places.last().map(|(_, version)| *version);
                let mut check = |breach, floor| {
                    if at_least(places, floor).is_none() {
                        verdict.found(Finding { breach, operation: *operation, shown, floor });
                    }
                };
                check(Breach::OwnWriteUnseen, own.written);
                check(Breach::WentBackward, own.seen);
                own.seen = at_least(places, own.seen).unwrap_or(own.seen);
            }
        }
    }
}
