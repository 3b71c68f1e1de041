// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the writes of a batch do, each by itself and beside the others.

use std::collections::BTreeMap;

use throughline_core::{Applied, Change, Condition, ErrorKind, Retry, Version, Write};

use super::super::source::{delete, person, put, when};
use super::{DrainSubject, Line};

const EXACT: Applied = Applied::Exact;

pub async fn versions_of_a_key_are_applied_in_their_order(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let mut line = Line::claim(drain, 1, "a").await;
    let named = |id: i64, name: &str| put(&id.to_string(), &person(id, name));
    let batch = [
        named(1, "a"),
        named(2, "a"),
        named(1, "b"),
        named(3, "a"),
        named(2, "b"),
        named(1, "c"),
        named(3, "b"),
    ];
    assert_eq!(line.apply(&batch).await, [EXACT; 7]);
    for (id, name) in [(1, "c"), (2, "b"), (3, "b")] {
        assert_eq!(table.value(&id.to_string()).await, Some(person(id, name)));
    }
}

pub async fn a_key_that_comes_and_goes_ends_as_it_was_left_last(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let mut line = Line::claim(drain, 1, "a").await;
    let named = |id: i64, name: &str| put(&id.to_string(), &person(id, name));
    let batch =
        [named(1, "a"), named(2, "a"), delete("1"), delete("2"), named(1, "b"), named(3, "a"), delete("3")];
    assert_eq!(line.apply(&batch).await, [EXACT; 7]);
    assert_eq!(table.value("1").await, Some(person(1, "b")));
    assert_eq!((table.value("2").await, table.value("3").await), (None, None));
}

pub async fn a_put_replaces_the_whole_row(subject: DrainSubject) {
    let mut line = Line::claim(&subject.person.1, 1, "a").await;
    let full = r#"{"id":1,"first_name":"Ada","last_name":"L"}"#;
    let all = line.apply(&[put("1", full), put("2", r#"{"first_name":"Eve","last_name":"M"}"#)]).await;
    assert_eq!(all, [EXACT; 2]);
    line.apply(&[put("1", r#"{"first_name":"Ada"}"#), put("2", r#"{"first_name":"Eve"}"#)]).await;
    assert_eq!(subject.person.0.value("1").await, Some(person(1, "Ada")));
    assert_eq!(subject.person.0.value("2").await, Some(person(2, "Eve")));

    let mut line = Line::claim(&subject.account.1, 2, "a").await;
    let given = |id: u8| put(&id.to_string(), &format!(r#"{{"mail":"m{id}","balance":5}}"#));
    line.apply(&[given(1), given(2)]).await;
    let omitted = |id: u8| put(&id.to_string(), &format!(r#"{{"mail":"m{id}"}}"#));
    line.apply(&[omitted(1), omitted(2), omitted(3)]).await;
    for id in 1..=3 {
        let value = subject.account.0.value(&id.to_string()).await;
        assert_eq!(value, Some(format!(r#"{{"id":{id},"mail":"m{id}","balance":0}}"#)));
    }
}

pub async fn exact_is_only_what_a_reader_sees(subject: DrainSubject) {
    let (table, drain) = &subject.account;
    let mut line = Line::claim(drain, 1, "a").await;
    let values = [
        r#"{"id":1,"mail":"a","balance":1}"#,
        r#"{"id":2, "mail":"b", "balance":1}"#,
        r#"{"mail":"c","balance":1}"#,
        r#"{"id":4,"mail":"d"}"#,
        r#"{"mail":"e","id":5,"balance":1}"#,
        r#"{"id":6,"mail":"ä\"","balance":1}"#,
        r#"{"id":7,"mail":"\u0067","balance":1}"#,
    ];
    let key = |at: usize| (at + 1).to_string();
    let batch: Vec<Write> = values.iter().enumerate().map(|(at, value)| put(&key(at), value)).collect();
    let together = line.apply(&batch).await;
    let mut alone = Vec::new();
    for (at, write) in batch.iter().enumerate() {
        alone.extend(line.apply(std::slice::from_ref(write)).await);
        let shown = drain.check(write).expect("it fits").expect("a put has a record");
        let read = table.load(&key(at), false).await.record;
        let wanted = if read == Some(shown) { EXACT } else { Applied::Changed };
        assert_eq!((together[at], alone[at]), (wanted, wanted), "{}", values[at]);
    }
    // Nothing here is beyond what can be told beforehand.
    assert_eq!(alone, [EXACT; 7]);
}

pub async fn a_delete_of_nothing_is_exact(subject: DrainSubject) {
    let mut line = Line::claim(&subject.person.1, 1, "a").await;
    assert_eq!(line.apply(&[delete("1")]).await, [EXACT]);
    assert_eq!(line.apply(&[delete("1"), delete("2"), put("3", &person(3, "Ada"))]).await, [EXACT; 3]);
    let refused = line.give(&[when(Condition::Present, delete("1"))]).await.expect_err("it is not there");
    assert_eq!((refused.at, refused.error.kind()), (Some(0), ErrorKind::Constraint));
}

pub async fn a_condition_that_does_not_hold_spoils_its_batch(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let mut line = Line::claim(drain, 1, "a").await;
    let named = |id: i64, name: &str| put(&id.to_string(), &person(id, name));
    line.apply(&[named(1, "a"), named(2, "a"), named(3, "a")]).await;
    let seen =
        |name: &str, id: i64| Condition::Unchanged(vec![Version::of_content(person(id, name).as_bytes())]);
    let batch = [
        named(4, "a"),
        when(seen("a", 2), named(2, "b")),
        when(Condition::Present, named(3, "b")),
        when(seen("b", 2), named(2, "c")),
        when(Condition::Absent, named(6, "b")),
        when(seen("a", 1), delete("1")),
    ];
    assert_eq!(line.apply(&batch).await, [EXACT; 6]);
    let left = [(1, None), (2, Some("c")), (3, Some("b")), (4, Some("a")), (5, None), (6, Some("b"))];
    let spoilers = [
        when(Condition::Absent, named(4, "z")),
        when(Condition::Present, named(5, "z")),
        when(seen("b", 2), named(2, "z")),
        when(seen("b", 2), delete("2")),
        when(seen("a", 1), delete("1")),
    ];
    for spoiler in spoilers {
        let refused = line.give(&[named(3, "z"), named(7, "z"), spoiler, named(8, "z")]).await;
        let refused = refused.expect_err("its condition does not hold");
        assert_eq!((refused.at, refused.error.kind()), (Some(2), ErrorKind::Constraint), "{refused:?}");
        assert_eq!(refused.error.retry(), Retry::Never);
        for (id, name) in left {
            assert_eq!(table.value(&id.to_string()).await, name.map(|name| person(id, name)), "{id}");
        }
        assert_eq!(table.value("7").await, None);
    }
}

pub async fn a_value_that_moves_from_one_row_to_another_is_no_collision(subject: DrainSubject) {
    let (table, drain) = &subject.account;
    let mut line = Line::claim(drain, 1, "a").await;
    let account = |id: i64, mail: &str| format!(r#"{{"id":{id},"mail":"{mail}","balance":0}}"#);
    let given = |id: i64, mail: &str| put(&id.to_string(), &account(id, mail));
    line.apply(&[given(1, "x"), given(2, "y")]).await;
    // Each row's mail was another's before it; only this order is possible.
    let batch = [delete("1"), given(3, "x"), given(2, "z"), given(4, "y"), given(5, "w")];
    assert_eq!(line.apply(&batch).await, [EXACT; 5]);
    for (id, mail) in [(3, "x"), (2, "z"), (4, "y"), (5, "w")] {
        assert_eq!(table.value(&id.to_string()).await, Some(account(id, mail)));
    }
    assert_eq!(table.value("1").await, None);
}

pub async fn no_row_but_the_keys_own_is_changed(subject: DrainSubject) {
    let (table, drain) = &subject.account;
    let mut line = Line::claim(drain, 1, "a").await;
    let account = |id: i64, mail: &str| format!(r#"{{"id":{id},"mail":"{mail}","balance":0}}"#);
    let given = |id: i64, mail: &str| put(&id.to_string(), &account(id, mail));
    line.apply(&[given(1, "x"), given(2, "y")]).await;
    // Both of a new key and of one that is there.
    for batch in [[given(8, "x"), given(9, "v")], [given(2, "x"), given(9, "v")]] {
        let refused = line.give(&batch).await.expect_err("another row has this mail");
        assert_eq!(refused.error.kind(), ErrorKind::Constraint);
        assert_eq!(table.value("1").await, Some(account(1, "x")));
        assert_eq!(table.value("2").await, Some(account(2, "y")));
        assert_eq!((table.value("8").await, table.value("9").await), (None, None));
    }
}

/// A small generator; the same numbers every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        // The multiplier and increment of Knuth's MMIX; the high bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub async fn random_batches_agree_with_a_model(subject: DrainSubject) {
    let (table, drain) = &subject.note;
    let mut line = Line::claim(drain, 1, "a").await;
    let mut chance = Chance(7);
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..40 {
        let mut batch = Vec::new();
        let mut after = model.clone();
        let mut spoiled = None;
        for at in 0..=chance.below(12) as usize {
            let key = format!("k{}", chance.below(9));
            let value = format!(r#"{{"name":"{key}","body":"{}"}}"#, chance.below(1_000));
            let write = if chance.below(4) == 0 { delete(&key) } else { put(&key, &value) };
            let present = after.get(&key);
            let condition = match chance.below(16) {
                0 => Condition::Absent,
                1 => Condition::Present,
                2 => Condition::Unchanged(vec![Version::of_content(
                    present.map_or(value.as_bytes(), String::as_bytes),
                )]),
                _ => Condition::Always,
            };
            if !holds(present, &write.change, &condition) {
                spoiled = spoiled.or(Some(at));
            }
            match write.change {
                Change::Put { .. } => drop(after.insert(key, value)),
                Change::Delete => drop(after.remove(&key)),
            }
            batch.push(when(condition, write));
        }
        match spoiled {
            Some(at) => {
                let refused = line.give(&batch).await.expect_err("a condition does not hold");
                assert_eq!(refused.at, Some(at), "{batch:?}");
            }
            None => {
                assert_eq!(line.apply(&batch).await, vec![EXACT; batch.len()], "{batch:?}");
                model = after;
            }
        }
    }
    for key in (0..9).map(|at| format!("k{at}")) {
        assert_eq!(table.value(&key).await.as_ref(), model.get(&key), "{key}");
    }
}

fn holds(present: Option<&String>, change: &Change, condition: &Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => present.is_none() && !matches!(change, Change::Delete),
        Condition::Present | Condition::Unchanged(_) => present.is_some(),
    }
}
