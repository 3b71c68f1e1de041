// SPDX-License-Identifier: MIT OR Apache-2.0

use super::{HitsBack, Judgement, Report, Table};
use crate::chaos::Load;
use crate::checker::wgl::Decision;
use crate::checker::{AuditRow, Phase, Probe, Promised, check};
use crate::faults::Counts;
use crate::history::{History, Kind, Operation, Outcome, Seen, ServedFrom};

fn value(op: u64) -> Seen {
    Seen::Value { op, counter: 1 }
}

/// Two writes by one worker, then a read by another.
fn operations(shown: Seen) -> [Operation; 3] {
    let operation = |worker, op, kind, seen| Operation {
        worker,
        op,
        kind,
        key: 1,
        begin_ns: 100 * op,
        end_ns: Some(100 * op + 50),
        outcome: Outcome::Ok,
        seen,
        served: ServedFrom::L2,
    };
    [
        operation(1, 1, Kind::Put, value(1)),
        operation(1, 2, Kind::Put, value(2)),
        operation(2, 3, Kind::Get, shown),
    ]
}

fn report(is_strict: bool, shown: Seen, committed: &[u64]) -> Report {
    let audit: Vec<AuditRow> =
        committed.iter().map(|op| AuditRow { seq: *op, key: 1, stored: value(*op) }).collect();
    Report {
        system: "a system".to_owned(),
        is_strict,
        injections: Counts::new(),
        first_writes: Vec::new(),
        phases: [Phase::default(); 3],
        hits_back: HitsBack::Within,
        load: None,
        verdict: check(&History::from_operations(operations(shown)), &audit, Promised::Linear).unwrap(),
        decisions: vec![(3, Decision::Linearizable)],
        probe_count: 1,
        differing: Vec::new(),
    }
}

fn fails(report: &Report, word: &str) -> bool {
    matches!(report.judgement(), Judgement::Failed(reason) if reason.contains(word))
}

#[test]
fn a_strict_system_must_not_read_stale_and_a_control_must() {
    assert_eq!(report(true, value(2), &[1, 2]).judgement(), Judgement::Kept);
    assert!(fails(&report(true, value(1), &[1, 2]), "broken"));
    assert_eq!(report(false, value(1), &[1, 2]).judgement(), Judgement::Convicted);
    assert!(fails(&report(false, value(2), &[1, 2]), "not convicted"));
}

#[test]
fn a_lost_write_fails_every_system() {
    assert!(fails(&report(true, value(1), &[1]), "lost"));
    assert!(fails(&report(false, value(1), &[1]), "lost"));
}

#[test]
fn a_control_that_shows_a_phantom_is_an_error_of_ours() {
    assert!(fails(&report(false, value(9), &[1, 2]), "cannot break"));
}

#[test]
fn a_strict_system_must_converge() {
    let differing = vec![Probe { through: "slot kv:1".to_owned(), key: 1, seen: value(1) }];
    let report = Report { differing, ..report(true, value(2), &[1, 2]) };
    assert!(fails(&report, "quiet"));
    assert_eq!(report.examples().len(), 1);
}

#[test]
fn a_search_that_disagrees_with_the_check_fails_the_run() {
    let decisions = vec![(3, Decision::Violated(operations(value(2))[2]))];
    assert!(fails(&Report { decisions, ..report(true, value(2), &[1, 2]) }, "search"));
}

#[test]
fn the_table_has_a_column_per_run_and_bounds_for_zeros() {
    let reports = [report(true, value(2), &[1, 2]), report(false, value(1), &[1, 2])];
    let table = Table::new(&reports).to_string();
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert_eq!(line("HEADLINE").split_whitespace().collect::<Vec<_>>(), ["HEADLINE", "0", "(<1.0e0)", "1"]);
    assert!(line("judgement").ends_with("convicted"));
    assert!(line("hits").ends_with("100.0 %"));
}

#[test]
fn a_system_that_does_not_recover_or_multiplies_the_load_fails() {
    let phase = |hits| Phase { attributed: 10_000, hits, ..Phase::default() };
    let kept = report(true, value(2), &[1, 2]);
    assert_eq!(HitsBack::ratio_min(&[phase(5_000), phase(0), phase(1_000)]), Some(0.4));
    assert_eq!(HitsBack::ratio_min(&[phase(5_000), phase(0), phase(4_000)]), None);
    assert!(fails(&Report { hits_back: HitsBack::Never, ..kept }, "come back"));
    let load = Some(Load { before: 10.0, peak: 20.0, after: 10.0, per_operation: 10.5 });
    assert!(fails(&Report { load, ..report(true, value(2), &[1, 2]) }, "protected"));
}
