// SPDX-License-Identifier: MIT OR Apache-2.0
//! Divides a batch into runs: writes that may be done together, in any order, by few statements.
//!
//! Within a run no key comes twice and nothing is conditional, so that the rows end as they would one by one. Where the
//! order could still matter (another unique index, a reference within the table) a statement fails, and then the batch
//! is done once more, write by write. Tables that change when they are written (triggers, cascades) have no runs.

use std::collections::HashSet;
use std::mem::{self, discriminant};

use throughline_core::{Condition, Key};

use crate::remote::Step;
use crate::sql::{Assignments, Mapping};

/// Consecutive writes of a batch, by their places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One that is done by itself.
    One(usize),
    /// Several that may be done together.
    Run(Run),
}

/// Writes that may be done together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Puts, in groups that assign the same columns in the same way.
    pub(crate) puts: Vec<Vec<usize>>,
    pub(crate) deletes: Vec<usize>,
}

impl Run {
    fn len(&self) -> usize {
        self.deletes.len() + self.puts.iter().map(Vec::len).sum::<usize>()
    }
}

/// The parts of a batch of `steps`, in their order.
pub(crate) fn parts(mapping: &Mapping, steps: &[&Step]) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut run, mut keys): (Run, HashSet<&Key>) = Default::default();
    for (at, step) in steps.iter().enumerate() {
        let key = step.asked.as_ref().map(|asked| &asked.key).filter(|_| may_run(mapping, step));
        let Some(key) = key else {
            end(mem::take(&mut run), &mut parts);
            keys.clear();
            parts.push(Part::One(at));
            continue;
        };
        if !keys.insert(key) {
            end(mem::take(&mut run), &mut parts);
            keys.clear();
            keys.insert(key);
        }
        let Some(assignments) = &step.assignments else {
            run.deletes.push(at);
            continue;
        };
        let alike = |group: &&mut Vec<usize>| {
            let first = steps[group[0]].assignments.as_ref();
            first.is_some_and(|first| is_alike(first, assignments))
        };
        match run.puts.iter_mut().find(alike) {
            Some(group) => group.push(at),
            None => run.puts.push(vec![at]),
        }
    }
    end(run, &mut parts);
    parts
}

/// Every write of a batch by itself.
pub(crate) fn one_by_one(count: usize) -> Vec<Part> {
    (0..count).map(Part::One).collect()
}

fn end(run: Run, parts: &mut Vec<Part>) {
    match run.len() {
        0 => {}
        // A statement for one row is spelled like everybody's.
        1 => {
            let alone = run.deletes.first().or_else(|| run.puts[0].first());
            parts.extend(alone.copied().map(Part::One));
        }
        _ => parts.push(Part::Run(run)),
    }
}

fn may_run(mapping: &Mapping, step: &Step) -> bool {
    step.condition == Condition::Always
        && step.assignments.as_ref().is_none_or(|assignments| mapping.may_upsert(assignments))
}

/// Whether one statement with other values does both.
fn is_alike(one: &Assignments, other: &Assignments) -> bool {
    let (one, other) = (&one.columns, &other.columns);
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((place, a), (other_place, b))| place == other_place && discriminant(a) == discriminant(b))
}
