// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches: whole or not at all, and once.

use std::task::{Context, Waker};

use throughline_core::{Applied, Drained, ErrorKind, Retry, Write};
use tokio::task::JoinSet;

use super::super::source::{delete, person, put};
use super::{DrainSubject, Line, watermark};

pub async fn a_batch_that_is_given_twice_is_applied_once(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let line = Line::claim(drain, 1, "a").await;
    let batch = [put("1", &person(1, "Ada")), put("2", &person(2, "Eve"))];
    let first = line.give(&batch).await.expect("it fits");
    assert_eq!(first, Drained::Done(vec![Applied::Exact, Applied::Exact]));
    // Somebody else's newer value must not be undone.
    table.write(put("1", &person(1, "Zoe"))).await;
    let again = line.give(&batch).await.expect("it is answered");
    assert_eq!(again, Drained::Already(watermark(1, 2)));
    assert_eq!(table.value("1").await.as_deref(), Some(&*person(1, "Zoe")));
}

pub async fn a_batch_that_is_given_by_several_at_once_is_applied_once(subject: DrainSubject) {
    let line = Line::claim(&subject.person.1, 1, "a").await;
    let mut tries = JoinSet::new();
    for _ in 0..6 {
        let line = line.clone();
        tries.spawn(async move { line.give(&[put("1", &person(1, "Ada"))]).await });
    }
    let tries = tries.join_all().await;
    let count = |wanted: &Drained| {
        let is_it = |drained: &&Result<Drained, _>| drained.as_ref().is_ok_and(|drained| drained == wanted);
        tries.iter().filter(is_it).count()
    };
    let counts = (count(&Drained::Done(vec![Applied::Exact])), count(&Drained::Already(watermark(1, 1))));
    assert_eq!(counts, (1, 5), "{tries:?}");
}

pub async fn a_batch_that_was_dropped_is_given_again_and_applied_once(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let mut line = Line::claim(drain, 1, "a").await;
    let mut done = 0;
    for id in 1..=20 {
        let batch = [put(&id.to_string(), &person(id, "Ada"))];
        let mut given = Box::pin(line.give(&batch));
        let _ = given.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(given);
        match line.give(&batch).await.expect("it is answered") {
            Drained::Done(_) => done += 1,
            other => assert_eq!(other, Drained::Already(watermark(1, id as u64))),
        }
        line.at.position.0 += 1;
        assert!(table.value(&id.to_string()).await.is_some());
    }
    assert!(done <= 20);
}

pub async fn a_batch_without_writes_moves_the_watermark(subject: DrainSubject) {
    let line = Line::claim(&subject.person.1, 1, "a").await;
    let to = throughline_core::Position(7);
    let batch = throughline_core::DrainBatch {
        lane: &line.lane,
        owner: &line.owner,
        from: line.at,
        to,
        writes: &[],
        unanswered_ms: None,
    };
    let drained = subject.person.1.apply(batch).await.expect("there is nothing to fail");
    assert_eq!(drained, Drained::Done(Vec::new()));
    let again = subject.person.1.apply(batch).await.expect("it is answered");
    assert_eq!(again, Drained::Already(watermark(1, 7)));
}

pub async fn a_batch_with_a_bad_row_changes_nothing_and_the_row_is_found(subject: DrainSubject) {
    let (table, drain) = &subject.account;
    let mut line = Line::claim(drain, 1, "a").await;
    line.apply(&[put("1", r#"{"mail":"one","balance":1}"#)]).await;
    let good = |id: usize| put(&id.to_string(), &format!(r#"{{"mail":"m{id}","balance":2}}"#));
    for bad in [r#"{"mail":"x","balance":-1}"#, r#"{"mail":"m3","balance":0}"#] {
        let batch = [put("1", r#"{"mail":"one","balance":9}"#), good(3), put("4", bad), good(5)];
        let refused = line.give(&batch).await.expect_err("the database forbids it");
        assert_eq!(refused.error.kind(), ErrorKind::Constraint, "{}", refused.error);
        assert_eq!(refused.error.retry(), Retry::Never);
        assert_eq!(table.value("1").await.as_deref(), Some(r#"{"id":1,"mail":"one","balance":1}"#));
        assert_eq!(table.value("3").await, None);
        let found = match refused.at {
            Some(at) => at,
            None => found_by_halves(&line, &batch).await,
        };
        assert_eq!(found, 2);
    }
    // Without it, from the same place.
    line.apply(&[good(3), good(5)]).await;
}

/// Which write is to blame, by smaller batches, none of which moves the line.
async fn found_by_halves(line: &Line, batch: &[Write]) -> usize {
    let mut line = line.clone();
    for (at, write) in batch.iter().enumerate() {
        match line.give(std::slice::from_ref(write)).await {
            Ok(_) => line.at.position.0 += 1,
            Err(refused) => {
                assert_eq!(refused.at, Some(0), "a single write is told");
                return at;
            }
        }
    }
    panic!("each write alone is let through");
}

pub async fn batches_of_several_lanes_are_applied_at_once(subject: DrainSubject) {
    let mut lines = JoinSet::new();
    for number in 0..6_i64 {
        let mut line = Line::claim(&subject.person.1, number as u16, "a").await;
        lines.spawn(async move {
            for round in 0..8 {
                let ids = (0..20).map(|at| number * 1_000 + at);
                let batch: Vec<Write> =
                    ids.map(|id| put(&id.to_string(), &person(id, &format!("r{round}")))).collect();
                line.apply(&batch).await;
            }
        });
    }
    lines.join_all().await;
    for number in 0..6_i64 {
        for id in [number * 1_000, number * 1_000 + 19] {
            let value = subject.person.0.value(&id.to_string()).await;
            assert_eq!(value.as_deref(), Some(&*person(id, "r7")));
        }
    }
}

pub async fn a_full_batch_is_applied_and_a_longer_one_refused(subject: DrainSubject) {
    let (table, drain) = &subject.person;
    let mut line = Line::claim(drain, 1, "a").await;
    let max = drain.batch_max() as i64;
    let all = |name: &str, count| -> Vec<Write> {
        (1..=count).map(|id| put(&id.to_string(), &person(id, name))).collect()
    };
    assert!(line.apply(&all("Ada", max / 2)).await.iter().all(|applied| *applied == Applied::Exact));
    // Half of them are there, and some of those go.
    let mut batch = all("Eve", max);
    for id in (1..=max).step_by(7) {
        batch[id as usize - 1] = delete(&id.to_string());
    }
    assert!(line.apply(&batch).await.iter().all(|applied| *applied == Applied::Exact));
    for id in 1..=max {
        let wanted = (id % 7 != 1).then(|| person(id, "Eve"));
        assert_eq!(table.value(&id.to_string()).await, wanted);
    }
    let refused = line.give(&all("Zoe", max + 1)).await.expect_err("it is too long");
    assert_eq!((refused.error.kind(), refused.at), (ErrorKind::TooLarge, None));
    assert_eq!(table.value("2").await.as_deref(), Some(&*person(2, "Eve")));
}
