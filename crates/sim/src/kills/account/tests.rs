// SPDX-License-Identifier: MIT OR Apache-2.0

use serde_json::{Value, json};

use super::super::findings::{Finding, Findings};
use super::super::ledger::{Act, Known, Ledger, RecordId, Resource};
use super::super::report::{Keeping, KillsReport};
use super::{judge_letters, judge_record};
use crate::database::Kind;

const STEP: RecordId = RecordId { resource: Resource::Steps, id: 1 };

/// A ledger of writes that were all accepted, numbered from 1, with the same numbers on their receipts.
fn ledger(record: RecordId, acts: &[Act]) -> Ledger {
    let mut ledger = Ledger::default();
    for act in acts {
        let mut write = ledger.begin(record, *act);
        write.receipt = Some(write.number);
        ledger.accept(record, write);
    }
    ledger
}

/// What is found when this was applied of put 1, refused 2, put 3, delete 4, delete 5, put 6.
fn found(told: &[u64]) -> Vec<Finding> {
    let acts = [Act::Put, Act::Refused, Act::Put, Act::Delete, Act::Delete, Act::Put];
    let (ledger, mut findings) = (ledger(STEP, &acts), Findings::default());
    let known: &Known = &ledger.records[&STEP];
    judge_record(STEP, known, told, &mut findings);
    Finding::ALL.into_iter().filter(|finding| findings.of(*finding) > 0).collect()
}

#[test]
fn every_write_is_applied_once_and_in_its_order() {
    assert_eq!(found(&[1, 3, 0, 6]), []);
    assert_eq!(found(&[1, 0, 6]), [Finding::Lost]);
    assert_eq!(found(&[1, 3, 6]), [Finding::Lost], "a delete");
    assert_eq!(found(&[1, 3, 0, 6, 6]), [Finding::Twice]);
    assert_eq!(found(&[1, 3, 0, 0, 6]), [Finding::Twice], "a delete");
    assert_eq!(found(&[3, 1, 0, 6]), [Finding::Backward]);
    assert_eq!(found(&[1, 3, 0, 6, 9]), [Finding::Foreign]);
}

fn letter(receipt: u64, value: i64) -> Value {
    json!({ "key": "1", "receipt": receipt.to_string(), "value": { "id": 1, "n": value } })
}

/// How many dead letters are unaccounted, accounted, and replaced, when these are there of refused 1, refused 2.
fn letters(resource: Resource, letters: &[Value]) -> (u64, u64, u64) {
    let record = RecordId { resource, id: 1 };
    let (ledger, mut findings) = (ledger(record, &[Act::Refused, Act::Refused]), Findings::default());
    let mut report = KillsReport::new(Keeping::Journal, Kind::Mariadb);
    let journal = json!({ "dead_letters": letters.len(), "letters": letters });
    judge_letters(&ledger, resource, &journal, &mut findings, &mut report).unwrap();
    (findings.of(Finding::Unaccounted), report.letters, report.replaced)
}

#[test]
fn dead_letters_are_accounted_one_by_one() {
    let both = [letter(1, -1), letter(2, -2)];
    assert_eq!(letters(Resource::Steps, &both), (0, 2, 0));
    assert_eq!(letters(Resource::Steps, &both[1..]), (1, 1, 0), "no later write takes its place here");
    assert_eq!(letters(Resource::Newest, &both[1..]), (0, 1, 1), "a later write took its place");
    assert_eq!(letters(Resource::Newest, &both[..1]), (1, 1, 0), "nothing took the place of the last");
    assert_eq!(letters(Resource::Steps, &[letter(1, -1), letter(7, -2)]), (1, 1, 0), "another receipt");
    assert_eq!(letters(Resource::Steps, &[letter(1, -1), letter(2, -2), letter(3, -3)]), (1, 2, 0));
    assert_eq!(letters(Resource::Steps, &[letter(1, -1), letter(2, -2), letter(2, -2)]), (1, 2, 0));
}
