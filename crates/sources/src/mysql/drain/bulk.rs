// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a run with few statements.
//!
//! An upsert (`ON DUPLICATE KEY UPDATE`) would change another row where another unique index is met (decision 4). So it is
//! used for a new key only where there is no other unique index. Where there is one, the rows that exist are locked
//! first: for those the primary key is met before any other index, and the rest is inserted plainly.
//!
//! The statements' texts differ by the number of rows. Runs are cut into powers of two, so that few texts stay
//! prepared; look-ups and deletes are filled up with the last key instead, which finds nothing twice.

use std::collections::HashMap;

use mysql_async::Value as Wire;
use throughline_core::{Applied, Key, Record};

use crate::drain::runs::Run;
use crate::mysql::cell::to_wire;
use crate::mysql::client::Session;
use crate::mysql::plan::{Plan, wires};
use crate::mysql::writer::Stop;
use crate::remote::Asked;
use crate::remote::drain::DrainStep;
use crate::sql::{Assignments, Lock, Statements};

/// What the protocol can number of a statement's values.
const VALUE_COUNT_MAX: usize = u16::MAX as usize;

pub(super) async fn write(
    session: &mut Session,
    plan: &Plan,
    steps: &[DrainStep],
    run: &Run,
    all: &mut [Applied],
) -> Result<(), Stop> {
    for group in &run.puts {
        put(session, plan, steps, group).await?;
        let found = read(session, plan, steps, group, Lock::None).await?;
        for at in group {
            let record = found.get(&asked(&steps[*at]).key);
            all[*at] = steps[*at].accepted.stored(record, false);
        }
    }
    if !run.deletes.is_empty() {
        let sql = plan.statements.delete_many(run.deletes.len().next_power_of_two());
        session.run(&sql, keys(steps, &run.deletes)).await?;
        for at in &run.deletes {
            all[*at] = Applied::Exact;
        }
    }
    Ok(())
}

async fn put(session: &mut Session, plan: &Plan, steps: &[DrainStep], group: &[usize]) -> Result<(), Stop> {
    if !plan.mapping.table().has_other_unique {
        return insert(session, plan, steps, group, true).await;
    }
    let found = read(session, plan, steps, group, Lock::Write).await?;
    let (there, missing): (Vec<usize>, Vec<usize>) =
        group.iter().partition(|at| found.contains_key(&asked(&steps[**at]).key));
    insert(session, plan, steps, &there, true).await?;
    insert(session, plan, steps, &missing, false).await
}

/// Inserts these rows, or updates those that exist.
async fn insert(
    session: &mut Session,
    plan: &Plan,
    steps: &[DrainStep],
    group: &[usize],
    or_update: bool,
) -> Result<(), Stop> {
    let mut rest = group;
    while let Some(first) = rest.first() {
        let shape = assignments(&steps[*first]);
        let count_max = VALUE_COUNT_MAX / Statements::row(shape).count().max(1);
        let count = 1 << rest.len().min(count_max).max(1).ilog2();
        let (chunk, behind) = rest.split_at(count);
        let sql = plan.statements.insert_many(shape, count, or_update);
        let rows = chunk.iter().flat_map(|at| Statements::row(assignments(&steps[*at])));
        session.run(&sql, rows.cloned().map(to_wire).collect()).await?;
        rest = behind;
    }
    Ok(())
}

/// The rows of these keys, by their own keys.
async fn read(
    session: &mut Session,
    plan: &Plan,
    steps: &[DrainStep],
    group: &[usize],
    lock: Lock,
) -> Result<HashMap<Key, Record>, Stop> {
    let sql = plan.select(group.len().next_power_of_two(), lock);
    let rows = session.run(&sql, keys(steps, group)).await?.rows;
    let row = |row| {
        let cells = plan.cells(row);
        Some((plan.stored_key(&cells)?, plan.record(&cells)))
    };
    Ok(rows.into_iter().filter_map(row).collect())
}

/// The keys' values, filled up with the last one's.
fn keys(steps: &[DrainStep], group: &[usize]) -> Vec<Wire> {
    let last = group.last().into_iter().cycle().take(group.len().next_power_of_two() - group.len());
    group.iter().chain(last).flat_map(|at| wires(asked(&steps[*at]))).collect()
}

fn asked(step: &DrainStep) -> &Asked {
    step.step.asked.as_ref().expect("a write of a run has a key")
}

fn assignments(step: &DrainStep) -> &Assignments {
    step.step.assignments.as_ref().expect("a put has assignments")
}
