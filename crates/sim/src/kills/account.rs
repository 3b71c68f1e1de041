// SPDX-License-Identifier: MIT OR Apache-2.0
//! The judge: what readers see after each start, and in the end the rows, what was applied, and the dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use throughline_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::Shared;
use super::findings::{Finding, Findings};
use super::house::{Door, House, applied, rows};
use super::ledger::{Act, Known, Ledger, RecordId, Resource};
use super::report::KillsReport;
use crate::database::Session;

/// How long everything that is pending may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);
/// How long a read may be answered by an error after a start.
const READ_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Compares what readers see right after a start with what was accepted.
pub(super) async fn check_reads(house: &House, shared: &Shared) -> Result<()> {
    let door = house.door();
    let records: Vec<RecordId> = shared.ledger.lock().records.keys().copied().collect();
    for record in records {
        let seen = read(&door, record, house).await?;
        let mut ledger = shared.ledger.lock();
        let Some(known) = ledger.records.get_mut(&record) else { continue };
        let (accepted, tried) = (known.value(), known.unanswered.map(|write| write.value()));
        let is_stale = u64::from(!known.decide(seen));
        let tell = || format!("{record}: accepted {accepted:?}, then tried {tried:?}, and read {seen:?}");
        shared.findings.lock().note(Finding::Stale, is_stale, tell);
    }
    Ok(())
}

async fn read(door: &Door, record: RecordId, house: &House) -> Result<Option<i64>> {
    let began = Instant::now();
    loop {
        if let Some(seen) = door.read(record).await? {
            return Ok(seen);
        }
        if began.elapsed() > READ_LIMIT {
            let detail = format!("{record} cannot be read: {}", house.logs());
            return Err(Error::new(ErrorKind::Unavailable, "read a record after a start", detail));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Has everything applied, and compares it with what was accepted.
pub(super) async fn finish(house: &House, shared: &Shared, report: &mut KillsReport) -> Result<()> {
    let (door, began) = (house.door(), Instant::now());
    for resource in Resource::ALL {
        door.drain(resource).await?;
    }
    let mut journals = BTreeMap::new();
    for resource in Resource::ALL {
        let journal = loop {
            let journal = door.journal(resource).await?;
            if journal["pending"] == 0 || began.elapsed() > DRAIN_LIMIT {
                break journal;
            }
            tokio::time::sleep(PAUSE).await;
        };
        journals.insert(resource, journal);
    }
    check_reads(house, shared).await?;
    let mut session = Session::connect(house.database_url()).await?;
    let told = applied(&mut session).await?;
    let mut all_rows = BTreeMap::new();
    for resource in Resource::ALL {
        all_rows.insert(resource, rows(&mut session, resource).await?);
    }
    let (ledger, mut findings) = (shared.ledger.lock(), shared.findings.lock());
    report.applied = told.len() as u64;
    judge_steps(&ledger, &told, &mut findings);
    for (resource, journal) in &journals {
        judge_rows(&ledger, *resource, &all_rows[resource], &mut findings);
        judge_letters(&ledger, *resource, journal, &mut findings, report)?;
        let pending = journal["pending"].as_u64().unwrap_or(u64::MAX);
        findings.note(Finding::Undrained, pending, || format!("{pending} of {}", resource.name()));
    }
    (report.accepted, report.declined, report.findings) =
        (ledger.accepted, ledger.declined, findings.clone());
    Ok(())
}

/// Every row is the last accepted write of its record that the database takes.
fn judge_rows(ledger: &Ledger, resource: Resource, rows: &BTreeMap<RecordId, i64>, findings: &mut Findings) {
    for (record, known) in ledger.records.iter().filter(|(record, _)| record.resource == resource) {
        let (row, due) = (rows.get(record).copied(), known.row());
        findings.note(Finding::Lost, u64::from(row != due), || {
            format!("{record}: the row is {row:?}, not {due:?}")
        });
    }
    for record in rows.keys().filter(|record| !ledger.records.contains_key(record)) {
        findings.note(Finding::Foreign, 1, || format!("{record}: the row"));
    }
}

/// Of `steps` every accepted write was applied, once and in its order.
fn judge_steps(ledger: &Ledger, told: &[(RecordId, u64)], findings: &mut Findings) {
    let mut all: BTreeMap<RecordId, Vec<u64>> = BTreeMap::new();
    for (record, number) in told {
        all.entry(*record).or_default().push(*number);
    }
    for (record, known) in ledger.records.iter().filter(|(record, _)| record.resource == Resource::Steps) {
        judge_record(*record, known, &all.remove(record).unwrap_or_default(), findings);
    }
    for record in all.keys() {
        findings.note(Finding::Foreign, 1, || format!("{record}: what was applied"));
    }
}

fn judge_record(record: RecordId, known: &Known, told: &[u64], findings: &mut Findings) {
    let due = due(known);
    if told == due {
        return;
    }
    let before = findings.count();
    let accepted: BTreeSet<u64> = due.iter().copied().collect();
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    for number in told.iter().copied().filter(|number| *number != 0) {
        let tell = || format!("{record}: {number}, after {last}");
        match (accepted.contains(&number), seen.insert(number)) {
            (false, _) => findings.note(Finding::Foreign, 1, tell),
            (true, false) => findings.note(Finding::Twice, 1, tell),
            (true, true) => findings.note(Finding::Backward, u64::from(number < last), tell),
        }
        last = last.max(number);
    }
    for number in accepted.iter().filter(|number| **number != 0 && !seen.contains(number)) {
        findings.note(Finding::Lost, 1, || format!("{record}: {number} was not applied"));
    }
    if findings.count() == before {
        let kind = if told.len() > due.len() { Finding::Twice } else { Finding::Lost };
        findings.note(kind, 1, || format!("{record}: a delete"));
    }
}

/// What the triggers must have told of a record: a delete shows only where there was a row.
fn due(known: &Known) -> Vec<u64> {
    let (mut due, mut is_there) = (Vec::new(), false);
    for write in &known.accepted {
        match write.act {
            Act::Put => due.push(write.number),
            Act::Delete if is_there => due.push(0),
            Act::Delete | Act::Refused => {}
        }
        is_there = match write.act {
            Act::Put => true,
            Act::Delete => false,
            Act::Refused => is_there,
        };
    }
    due
}

/// Every accepted write that the database refuses is one dead letter, unless a later one of its record took its place, which
/// only `newest` allows; and there are no others.
fn judge_letters(
    ledger: &Ledger,
    resource: Resource,
    journal: &Value,
    findings: &mut Findings,
    report: &mut KillsReport,
) -> Result<()> {
    let letters = journal["letters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if journal["dead_letters"] != letters.len() {
        return Err(Error::new(ErrorKind::Other, "list the dead letters", "not all are listed"));
    }
    // By the value, which no other write has: its record, and the number of its receipt.
    let mut found: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for letter in letters {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        let told = (number(&letter["key"]), number(&letter["receipt"]), letter["value"]["n"].as_i64());
        let is_new = match told {
            (Some(id), Some(receipt), Some(value)) => found.insert(value, (id, receipt)).is_none(),
            _ => false,
        };
        findings.note(Finding::Unaccounted, u64::from(!is_new), || format!("{}: {letter}", resource.name()));
    }
    for (record, known) in ledger.records.iter().filter(|(record, _)| record.resource == resource) {
        for (place, write) in known.accepted.iter().enumerate().filter(|(_, write)| write.act == Act::Refused)
        {
            let letter = found.remove(&write.value().unwrap_or_default());
            let is_right = letter.is_some_and(|(id, receipt)| {
                id == record.id && write.receipt.is_none_or(|told| told == receipt)
            });
            let is_last = place + 1 == known.accepted.len();
            let may_be_replaced = resource == Resource::Newest && !is_last;
            report.letters += u64::from(is_right);
            report.replaced += u64::from(letter.is_none() && may_be_replaced);
            let is_wrong = !is_right && (letter.is_some() || !may_be_replaced);
            findings.note(Finding::Unaccounted, u64::from(is_wrong), || {
                format!("{record}: {write:?}, {letter:?}")
            });
        }
    }
    for (value, (id, receipt)) in found {
        let tell = || format!("{}/{id}: {value}, receipt {receipt}, was never accepted", resource.name());
        findings.note(Finding::Unaccounted, 1, tell);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
