// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a run with few statements, each of which takes an array for every column.
//!
//! ON CONFLICT names the primary key, so no other unique index turns an insert into an update of another row. What the
//! insert of a new row would want (a CHECK over columns that are not shown, say) can fail it although the update would
//! not; then the batch is done write by write.

use std::collections::{BTreeSet, HashMap};

use throughline_core::{Applied, Key, Record};

use crate::drain::runs::Run;
use crate::postgres::client::Session;
use crate::postgres::map::Failure;
use crate::postgres::plan::{Plan, array, arrays};
use crate::postgres::writer::{Apply, Stop};
use crate::remote::Asked;
use crate::remote::drain::DrainStep;
use crate::sql::{Assignment, Assignments, Value};

/// What of a run was not written down by the statements' answers: the numbers of the keys' locks go to `numbers`.
pub(super) async fn write(
    session: &Session,
    plan: &Plan,
    steps: &[DrainStep],
    run: &Run,
    all: &mut [Applied],
    numbers: &mut BTreeSet<i32>,
) -> Result<(), Stop> {
    for group in &run.puts {
        let shape = assignments(&steps[group[0]]);
        let Some(sql) = plan.statements.upsert_many(shape) else {
            for at in group {
                let effect = Apply::within(session, plan).one(&steps[*at].step).await?;
                all[*at] = steps[*at].accepted.outcome(&plan.mapping, &effect, false)?;
            }
            continue;
        };
        session.count_round_trip();
        let rows = session.run(&sql, &columns(steps, group, shape)).await?;
        let row = |row| {
            let cells = plan.cells(row)?;
            Ok::<_, Failure>((plan.stored_key(&cells), plan.record(&cells)))
        };
        let found: HashMap<Option<Key>, Record> = rows.iter().map(row).collect::<Result<_, _>>()?;
        for at in group {
            let record = found.get(&Some(asked(&steps[*at]).key.clone()));
            all[*at] = steps[*at].accepted.stored(record, false);
        }
    }
    if !run.deletes.is_empty() {
        let keys: Vec<Asked> = run.deletes.iter().map(|at| asked(&steps[*at]).clone()).collect();
        session.count_round_trip();
        session.run(&plan.statements.delete_many(), &arrays(&keys)).await?;
        for at in &run.deletes {
            all[*at] = Applied::Exact;
        }
    }
    let written = run.puts.iter().flatten().chain(&run.deletes);
    numbers.extend(written.map(|at| plan.numbers.of(&asked(&steps[*at]).key)));
    Ok(())
}

/// The values of a group, an array for each column.
fn columns(steps: &[DrainStep], group: &[usize], shape: &Assignments) -> Vec<crate::postgres::cell::Wire> {
    const NULL: &Value = &Value::Null;
    let key = (0..shape.key.len()).map(|place| {
        array(group.iter().map(|at| assignments(&steps[*at]).key[place].as_ref().unwrap_or(NULL)))
    });
    let given =
        shape.columns.iter().enumerate().filter(|(_, (_, first))| matches!(first, Assignment::Value(_)));
    let given = given.map(|(place, _)| {
        array(group.iter().map(|at| match &assignments(&steps[*at]).columns[place].1 {
            Assignment::Value(value) => value,
            Assignment::Default | Assignment::NextVersion => NULL,
        }))
    });
    key.chain(given).collect()
}

fn asked(step: &DrainStep) -> &Asked {
    step.step.asked.as_ref().expect("a write of a run has a key")
}

fn assignments(step: &DrainStep) -> &Assignments {
    step.step.assignments.as_ref().expect("a put has assignments")
}
