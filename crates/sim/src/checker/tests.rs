// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every check is shown to find a planted fault, and to invent none.

use std::collections::HashSet;

use throughline_core::Rng;

use super::wgl::{self, Decision};
use super::{AuditRow, Breach, Promised, Verdict, check};
use crate::history::{History, Kind, Operation, Outcome, Seen, ServedFrom};

const KEY: i64 = 7;

fn value(op: u64) -> Seen {
    Seen::Value { op, counter: 1 }
}

fn operation(worker: u32, op: u64, kind: Kind, begin_ns: u64, end_ns: u64) -> Operation {
    Operation {
        worker,
        op,
        kind,
        key: KEY,
        begin_ns,
        end_ns: Some(end_ns),
        outcome: Outcome::Ok,
        seen: if kind == Kind::Put { value(op) } else { Seen::Absent },
        served: ServedFrom::L2,
    }
}

fn put(worker: u32, op: u64, begin_ns: u64, end_ns: u64) -> Operation {
    operation(worker, op, Kind::Put, begin_ns, end_ns)
}

fn get(worker: u32, op: u64, begin_ns: u64, end_ns: u64, seen: Seen) -> Operation {
    Operation { seen, ..operation(worker, op, Kind::Get, begin_ns, end_ns) }
}

fn delete(worker: u32, op: u64, begin_ns: u64, end_ns: u64) -> Operation {
    operation(worker, op, Kind::Delete, begin_ns, end_ns)
}

fn unknown(operation: Operation) -> Operation {
    Operation { outcome: Outcome::Unknown, end_ns: None, ..operation }
}

/// The audit table after these values in this order.
fn audit(stored: &[Seen]) -> Vec<AuditRow> {
    (1..).zip(stored).map(|(seq, stored)| AuditRow { seq, key: KEY, stored: *stored }).collect()
}

fn verdict(operations: &[Operation], stored: &[Seen]) -> Verdict {
    check(&History::from_operations(operations.iter().copied()), &audit(stored), Promised::Linear).unwrap()
}

/// The breaches found, in the order of `Breach::ALL`.
fn breaches(operations: &[Operation], stored: &[Seen]) -> Vec<Breach> {
    let verdict = verdict(operations, stored);
    Breach::ALL.into_iter().filter(|breach| verdict.count(*breach) > 0).collect()
}

#[test]
fn a_read_below_an_acknowledged_write_is_headline_and_linear_with_its_age() {
    let history = [put(1, 1, 0, 10), put(1, 2, 20, 30), get(2, 3, 1030, 1040, value(1))];
    let verdict = verdict(&history, &[value(1), value(2)]);
    assert_eq!((verdict.count(Breach::Headline), verdict.count(Breach::Linear)), (1, 1));
    assert_eq!((verdict.stale_age.max_ns(), verdict.stale_age.count()), (1000, 1));
    assert_eq!(wgl::decide(&history), Decision::Violated(history[2]));
}

#[test]
fn a_read_below_what_another_reader_saw_is_linear_only() {
    let reads = [get(2, 3, 25, 28, value(2)), get(3, 4, 30, 40, value(1))];
    let history = [put(1, 1, 0, 10), put(1, 2, 20, 90), reads[0], reads[1]];
    assert_eq!(breaches(&history, &[value(1), value(2)]), [Breach::Linear]);
    assert_eq!(wgl::decide(&history), Decision::Violated(reads[1]));
}

#[test]
fn a_read_during_a_write_may_show_either_value() {
    for seen in [value(1), value(2)] {
        let history = [put(1, 1, 0, 10), put(1, 2, 20, 40), get(2, 3, 30, 35, seen)];
        assert_eq!(breaches(&history, &[value(1), value(2)]), []);
        assert_eq!(wgl::decide(&history), Decision::Linearizable);
    }
}

#[test]
fn a_value_that_was_never_committed_is_a_phantom() {
    let rolled_back = unknown(put(1, 2, 20, 30));
    let history = [put(1, 1, 0, 10), rolled_back, get(2, 3, 40, 50, value(2))];
    assert_eq!(breaches(&history, &[value(1)]), [Breach::Phantom]);
}

#[test]
fn a_committed_value_that_nobody_wrote_is_a_phantom() {
    assert_eq!(breaches(&[put(1, 1, 0, 10)], &[value(1), value(99)]), [Breach::Phantom]);
}

#[test]
fn a_damaged_value_is_cross_talk_in_an_answer_and_in_the_table() {
    let history = [put(1, 1, 0, 10), get(2, 3, 40, 50, Seen::Garbled)];
    assert_eq!(breaches(&history, &[value(1)]), [Breach::CrossTalk]);
    assert!(matches!(wgl::decide(&history), Decision::Violated(_)));
    assert_eq!(breaches(&history[..1], &[value(1), Seen::Garbled]), [Breach::CrossTalk]);
}

#[test]
fn an_acknowledged_write_that_is_not_in_the_audit_order_is_lost() {
    assert_eq!(breaches(&[put(1, 1, 0, 10), put(1, 2, 20, 30)], &[value(1)]), [Breach::Lost]);
    let deleted = [put(1, 1, 0, 10), delete(1, 2, 20, 30)];
    assert_eq!(breaches(&deleted, &[value(1)]), [Breach::Lost]);
    assert_eq!(breaches(&deleted, &[value(1), Seen::Absent]), []);
}

#[test]
fn an_unknown_write_may_be_committed_or_not_and_raises_no_floor() {
    let history = [put(1, 1, 0, 10), unknown(put(2, 2, 20, 30)), get(1, 3, 40, 50, value(1))];
    assert_eq!(breaches(&history, &[value(1)]), []);
    assert_eq!(breaches(&history, &[value(1), value(2)]), []);
    assert_eq!(wgl::decide(&history), Decision::Linearizable);
}

#[test]
fn a_refused_write_that_was_committed_is_found() {
    let refused = Operation { outcome: Outcome::Fail, ..put(1, 1, 0, 10) };
    assert_eq!(breaches(&[refused], &[value(1)]), [Breach::RefusedButWritten]);
    assert_eq!(breaches(&[refused], &[]), []);
}

#[test]
fn a_write_committed_twice_is_found() {
    let history = [put(1, 1, 0, 10), put(2, 2, 0, 10)];
    assert_eq!(breaches(&history, &[value(1), value(2), value(1)]), [Breach::Duplicated]);
}

#[test]
fn an_audit_order_against_time_is_found() {
    let history = [put(1, 1, 0, 10), put(1, 2, 20, 30)];
    assert_eq!(breaches(&history, &[value(2), value(1)]), [Breach::Misordered]);
    let early = [get(2, 3, 0, 10, value(1)), put(1, 1, 20, 30)];
    assert_eq!(breaches(&early, &[value(1)]), [Breach::Misordered]);
    assert_eq!(wgl::decide(&early), Decision::Violated(early[0]));
}

#[test]
fn a_worker_that_misses_its_own_write_or_goes_backward_is_found() {
    let history = [put(1, 1, 0, 10), put(1, 2, 20, 30), get(1, 3, 40, 50, value(1))];
    let expected = [Breach::Headline, Breach::Linear, Breach::OwnWriteUnseen];
    assert_eq!(breaches(&history, &[value(1), value(2)]), expected);
    let pending = unknown(put(1, 2, 20, 30));
    let reads = [get(2, 3, 40, 50, value(2)), get(2, 4, 60, 70, value(1))];
    let history = [put(1, 1, 0, 10), pending, reads[0], reads[1]];
    assert_eq!(breaches(&history, &[value(1), value(2)]), [Breach::Linear, Breach::WentBackward]);
}

#[test]
fn an_absence_before_any_delete_is_stale_and_after_one_is_not() {
    let absent = get(2, 3, 60, 70, Seen::Absent);
    assert_eq!(
        breaches(&[put(1, 1, 0, 10), absent], &[value(1)]),
        [Breach::Headline, Breach::Linear],
        "the only absence is older than the first write"
    );
    let history = [put(1, 1, 0, 10), delete(1, 2, 20, 30), absent];
    assert_eq!(breaches(&history, &[value(1), Seen::Absent]), []);
    assert_eq!(wgl::decide(&history), Decision::Linearizable);
    let resurrected = get(2, 3, 60, 70, value(1));
    let history = [put(1, 1, 0, 10), delete(1, 2, 20, 30), resurrected];
    assert_eq!(breaches(&history, &[value(1), Seen::Absent]), [Breach::Headline, Breach::Linear]);
    assert_eq!(wgl::decide(&history), Decision::Violated(resurrected));
}

#[test]
fn keys_do_not_touch_each_other() {
    let other = Operation { key: 8, ..put(1, 2, 20, 30) };
    let history = [put(1, 1, 0, 10), other, get(1, 3, 40, 50, value(1))];
    let rows =
        [AuditRow { seq: 5, key: 8, stored: value(2) }, AuditRow { seq: 1, key: KEY, stored: value(1) }];
    assert_eq!(check(&History::from_operations(history), &rows, Promised::Linear).unwrap().breaches(), 0);
}

#[test]
fn a_worker_at_two_operations_at_once_is_an_error() {
    let history = History::from_operations([put(1, 1, 0, 10), put(1, 2, 5, 30)]);
    assert!(check(&history, &audit(&[value(1), value(2)]), Promised::Linear).is_err());
}

#[test]
fn too_many_open_writes_leave_the_search_undecided() {
    let writes = (0..70).map(|op| unknown(put(op as u32, op, op, op + 1)));
    let reads = (0..70).map(|op| get(1000 + op as u32, 1000 + op, 500, 600, value(op)));
    let history: Vec<Operation> = writes.chain(reads).collect();
    assert_eq!(wgl::decide(&history), Decision::Undecided);
}

/// Tries every order that respects time; with `order`, only those in which the writes come in that order.
fn explained(rest: &[Operation], current: Option<u64>, order: Option<&[u64]>) -> bool {
    let ends = |operation: &Operation| operation.end_ns.unwrap_or(u64::MAX);
    if rest.iter().all(|operation| operation.outcome == Outcome::Unknown && order.is_none())
        || rest.is_empty()
    {
        return true;
    }
    let first_end = rest.iter().map(ends).min().unwrap();
    (0..rest.len()).filter(|i| rest[*i].begin_ns <= first_end).any(|i| {
        let mut others = rest.to_vec();
        let next = others.remove(i);
        let (current, order) = match (next.kind, next.seen, order) {
            (Kind::Get, Seen::Value { op, .. }, order) if current == Some(op) => (current, order),
            (Kind::Get, Seen::Absent, order) if current.is_none() => (current, order),
            (Kind::Get, ..) => return false,
            (Kind::Delete, _, None) => (None, None),
            (_, _, None) => (Some(next.op), None),
            (_, _, Some([op, later @ ..])) if *op == next.op => (Some(next.op), Some(later)),
            (..) => return false,
        };
        explained(&others, current, order)
    })
}

/// A few puts and reads of arbitrary results by three workers, and the audit order of the puts, which
/// mostly, but not always, respects time.
fn arbitrary(rng: &Rng) -> (Vec<Operation>, Vec<u64>) {
    let mut operations = Vec::new();
    let mut commits = Vec::new();
    for worker in 0..3_u32 {
        let mut now_ns = rng.below(6);
        for _ in 0..1 + rng.below(2) {
            let op = operations.len() as u64 + 1;
            let end_ns = now_ns + 1 + rng.below(8);
            if rng.below(2) == 0 {
                let unknown_outcome = rng.below(6) == 0;
                if !unknown_outcome || rng.below(2) == 0 {
                    let late = if rng.below(10) == 0 { 10 } else { 0 };
                    commits.push((now_ns + rng.below(end_ns - now_ns) + late, op));
                }
                let write = put(worker, op, now_ns, end_ns);
                operations.push(if unknown_outcome { unknown(write) } else { write });
            } else {
                operations.push(get(worker, op, now_ns, end_ns, Seen::Absent));
            }
            now_ns = end_ns + 1 + rng.below(3);
        }
    }
    commits.sort_unstable();
    let order: Vec<u64> = commits.iter().map(|(_, op)| *op).collect();
    for operation in operations.iter_mut().filter(|operation| operation.kind == Kind::Get) {
        let choice = rng.below(order.len() as u64 + 1) as usize;
        operation.seen = order.get(choice).map_or(Seen::Absent, |op| value(*op));
    }
    (operations, order)
}

#[test]
fn the_checks_agree_with_the_trial_of_all_orders_on_thousands_of_histories() {
    let rng = Rng::from_seed(1);
    let (mut right, mut wrong, mut only_in_audit_order) = (0, 0, 0);
    for round in 0..20_000 {
        let (operations, order) = arbitrary(&rng);
        let stored: Vec<Seen> = order.iter().map(|op| value(*op)).collect();
        let in_audit: HashSet<u64> = order.iter().copied().collect();
        let happened: Vec<Operation> =
            operations.iter().filter(|o| o.kind == Kind::Get || in_audit.contains(&o.op)).copied().collect();
        let context = || format!("round {round}: {operations:?} in the order {order:?}");
        let any_order = explained(&operations, None, None);
        let audit_order = explained(&happened, None, Some(&order));
        assert_eq!(verdict(&operations, &stored).breaches() == 0, audit_order, "floor check, {}", context());
        assert_eq!(wgl::decide(&operations) == Decision::Linearizable, any_order, "search, {}", context());
        assert!(any_order || !audit_order, "{}", context());
        match (any_order, audit_order) {
            (true, true) => right += 1,
            (true, false) => only_in_audit_order += 1,
            (false, _) => wrong += 1,
        }
    }
    assert!(
        right > 1000 && wrong > 1000 && only_in_audit_order > 100,
        "{right} {wrong} {only_in_audit_order}"
    );
}

#[test]
fn the_search_agrees_with_the_trial_of_all_orders_on_deletes_too() {
    let rng = Rng::from_seed(4);
    let (mut right, mut wrong) = (0, 0);
    for round in 0..10_000 {
        let (mut operations, _) = arbitrary(&rng);
        let is_delete = |op: u64| op % 3 == round % 3;
        for operation in &mut operations {
            match (operation.kind, operation.seen) {
                (Kind::Put, _) if is_delete(operation.op) => operation.kind = Kind::Delete,
                (Kind::Get, Seen::Value { op, .. }) if is_delete(op) => operation.seen = Seen::Absent,
                _ => {}
            }
        }
        let any_order = explained(&operations, None, None);
        let searched = wgl::decide(&operations);
        assert_eq!(searched == Decision::Linearizable, any_order, "round {round}: {operations:?}");
        if any_order { right += 1 } else { wrong += 1 }
    }
    assert!(right > 1000 && wrong > 500, "{right} {wrong}");
}

/// What callers of a perfect register see: every operation takes effect at one moment between its begin and
/// its end. Deletes, absences, unknown and refused outcomes included.
fn perfect(rng: &Rng, len: u64) -> (Vec<Operation>, Vec<Seen>) {
    let mut free_from_ns = [0_u64; 6];
    let mut planned: Vec<(u64, Operation)> = Vec::new();
    for op in 1..=len {
        let worker = rng.below(6) as usize;
        let begin_ns = free_from_ns[worker] + 1 + rng.below(20);
        let end_ns = begin_ns + 1 + rng.below(60);
        free_from_ns[worker] = end_ns;
        let kind = [Kind::Get, Kind::Get, Kind::Put, Kind::Put, Kind::Delete][rng.below(5) as usize];
        let mut planned_operation = operation(worker as u32, op, kind, begin_ns, end_ns);
        planned_operation.outcome =
            [Outcome::Unknown, Outcome::Fail, Outcome::Ok][rng.below(40).min(2) as usize];
        if planned_operation.outcome == Outcome::Unknown {
            planned_operation.end_ns = None;
        }
        planned.push((begin_ns + rng.below(end_ns - begin_ns + 1), planned_operation));
    }
    planned.sort_by_key(|(effect_ns, operation)| (*effect_ns, operation.op));
    let (mut current, mut stored) = (Seen::Absent, Vec::new());
    for (_, operation) in &mut planned {
        let skipped = match operation.outcome {
            Outcome::Ok => false,
            Outcome::Fail => true,
            Outcome::Unknown => rng.below(2) == 0,
        };
        match operation.kind {
            Kind::Get => operation.seen = current,
            Kind::Put if !skipped => current = operation.seen,
            Kind::Delete if !skipped && current != Seen::Absent => current = Seen::Absent,
            Kind::Put | Kind::Delete => continue,
        }
        if operation.kind != Kind::Get {
            stored.push(current);
        }
    }
    planned.sort_by_key(|(_, operation)| operation.begin_ns);
    (planned.into_iter().map(|(_, operation)| operation).collect(), stored)
}

#[test]
fn a_perfect_register_is_never_convicted() {
    let rng = Rng::from_seed(2);
    for round in 0..200 {
        let (operations, stored) = perfect(&rng, 200);
        let verdict = verdict(&operations, &stored);
        assert_eq!(verdict.breaches(), 0, "round {round}: {:?}", verdict.examples);
        assert_eq!(verdict.stale_age.count(), 0);
        assert_eq!(wgl::decide(&operations), Decision::Linearizable, "round {round}");
    }
}

#[test]
fn the_sample_is_cut_fairly() {
    let (operations, _) = perfect(&Rng::from_seed(3), 100);
    let history = History::from_operations(operations.iter().copied());
    for len_max in [1, 10, 50, 99] {
        let sample = &wgl::sample(&history, len_max).unwrap()[&KEY];
        assert_eq!(sample.len(), len_max);
        assert!(!matches!(wgl::decide(sample), Decision::Violated(_)), "{len_max}");
    }
}

#[test]
fn another_programs_write_must_be_seen_within_the_bound_and_not_before() {
    let promised = Promised::Bound { outsider: 9, bound: std::time::Duration::from_nanos(100) };
    let judged = |begin_ns, seen| {
        let operations = [put(1, 1, 0, 10), put(9, 2, 20, 30), get(3, 3, begin_ns, begin_ns + 5, seen)];
        let history = History::from_operations(operations);
        check(&history, &audit(&[value(1), value(2)]), promised).unwrap().breaches()
    };
    assert_eq!(judged(129, value(1)), 0);
    assert_eq!(judged(131, value(2)), 0);
    assert!(judged(131, value(1)) > 0);
}

#[test]
fn beside_another_program_our_own_writes_are_still_seen_at_once() {
    let promised = Promised::Bound { outsider: 9, bound: std::time::Duration::from_secs(1) };
    let operations = [put(9, 1, 0, 10), put(1, 2, 20, 30), get(3, 3, 40, 50, value(1))];
    let verdict = check(&History::from_operations(operations), &audit(&[value(1), value(2)]), promised);
    assert_eq!(verdict.unwrap().count(Breach::Headline), 1);
}
