// SPDX-License-Identifier: MIT OR Apache-2.0
//! A counter that many write, whatever the source is.

use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use throughline::{
    Change, Condition, Effect, ErrorKind, Key, Refusal, Resource, Result, Target, Throughline, Version, Write,
};
use tokio::task::JoinSet;

pub(crate) const TABLE: &str =
    "create table counter (id int primary key, number int not null check (number >= 0));
    insert into counter values (1, 0);";

pub(crate) const RESOURCE: &str = "[resources.counter]\nsource = \"shop\"\naccess = \"write\"\n";

const WRITERS: i64 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    number: i64,
}

pub(crate) fn counter(program: &Throughline) -> Resource<i32, Counter> {
    program.resource("counter").unwrap()
}

fn write(key: i32, number: Option<i64>, condition: Condition) -> Write {
    let change = match number {
        Some(number) => Change::Put { value: format!("{{\"number\":{number}}}").into(), flags: 0 },
        None => Change::Delete,
    };
    Write { target: Target::Key(Key::parse(&key.to_string()).unwrap()), change, condition }
}

/// Starts the writes in their order while a transaction holds row 1, and lets it go: the first is alone, the others are a group.
async fn outcomes(program: &Throughline, writes: Vec<Write>) -> Vec<Result<Effect>> {
    let counters = counter(program);
    let space = counters.space();
    let mut holder = program.begin("shop").await.unwrap();
    holder.get_locked(&counters, &1).await.unwrap();
    let start = |write| {
        let mut writing: Pin<Box<dyn Future<Output = Result<Effect>> + Send + '_>> =
            Box::pin(space.write(write));
        assert!((&mut writing).now_or_never().is_none(), "the row is held");
        writing
    };
    let writing: Vec<_> = writes.into_iter().map(start).collect();
    holder.roll_back().await.unwrap();
    join_all(writing).await
}

async fn number(program: &Throughline) -> Option<i64> {
    counter(program).get(&1).await.unwrap().map(|counter| counter.number)
}

/// One lock, one mark, one COMMIT for all that waited; the last of them is what everybody reads.
pub(crate) async fn writes_that_meet_are_one_transaction(program: &Throughline) {
    let space = counter(program).space().clone();
    let before = (space.stats().writes.get(), space.stats().writes_grouped.get());
    let puts = (1..=WRITERS).map(|number| write(1, Some(number), Condition::Always)).collect();
    for (place, outcome) in outcomes(program, puts).await.into_iter().enumerate() {
        let Ok(Effect::Stored { record: Some(record), .. }) = &outcome else { panic!("{outcome:?}") };
        let own = format!("{{\"id\":1,\"number\":{}}}", place + 1);
        assert_eq!(record.value.as_ref(), own.as_bytes(), "everybody gets his own");
    }
    let after = (space.stats().writes.get(), space.stats().writes_grouped.get());
    assert_eq!((after.0 - before.0, after.1 - before.1), (WRITERS as u64, WRITERS as u64 - 1));
    assert_eq!(number(program).await, Some(WRITERS));
}

/// Each condition sees what the writes before it did.
pub(crate) async fn conditions_are_decided_one_after_the_other(program: &Throughline) {
    let inserts = (1..=WRITERS).map(|number| write(1, Some(number), Condition::Absent));
    let always = [write(1, Some(99), Condition::Always), write(1, None, Condition::Always)];
    let all = outcomes(program, always.into_iter().chain(inserts).collect()).await;
    assert!(matches!(all[1], Ok(Effect::Deleted { .. })), "{all:?}");
    assert!(matches!(all[2], Ok(Effect::Stored { created: true, .. })), "{all:?}");
    assert!(
        all[3..].iter().all(|outcome| matches!(outcome, Ok(Effect::Refused(Refusal::Exists)))),
        "{all:?}"
    );
    assert_eq!(number(program).await, Some(1));
}

/// A chain of compare-and-sets in one transaction: who expects what was there before loses.
pub(crate) async fn a_chain_of_compare_and_sets_holds(program: &Throughline) {
    let row = |number: i64| format!("{{\"id\":1,\"number\":{number}}}");
    let link = |from: i64, to: i64| {
        write(1, Some(to), Condition::Unchanged(vec![Version::of_content(row(from).as_bytes())]))
    };
    counter(program).put(&1, &Counter { number: 10 }).await.unwrap();
    let chain = vec![link(10, 11), link(11, 12), link(10, 50), link(12, 13), link(12, 51)];
    let all = outcomes(program, chain).await;
    let stored: Vec<bool> = all.iter().map(|outcome| matches!(outcome, Ok(Effect::Stored { .. }))).collect();
    assert_eq!(stored, [true, true, false, true, false], "{all:?}");
    assert!(matches!(all[4], Ok(Effect::Refused(Refusal::Conflict(_)))));
    assert_eq!(number(program).await, Some(13));
}

/// The database refuses one value, and a value that is none is refused before it.
pub(crate) async fn a_bad_value_fails_alone(program: &Throughline) {
    let mut writes: Vec<Write> = (1..=6).map(|number| write(1, Some(number), Condition::Always)).collect();
    writes[2] = write(1, Some(-1), Condition::Always);
    writes[4].change = Change::Put { value: "{\"number\":\"many\"}".into(), flags: 0 };
    let all = outcomes(program, writes).await;
    let kinds: Vec<_> =
        all.iter().map(|outcome| outcome.as_ref().err().map(throughline::Error::kind)).collect();
    let bad = [Some(ErrorKind::Constraint), Some(ErrorKind::InvalidValue)];
    assert_eq!(kinds, [None, None, bad[0], None, bad[1], None], "{all:?}");
    assert_eq!(number(program).await, Some(6));
}

/// Sixteen count up by compare-and-set, through all of the daemons: no step is lost, and nobody reads backward.
pub(crate) async fn no_step_of_a_counter_is_lost(daemons: &[&Throughline]) {
    const STEPS: i64 = 4;
    counter(daemons[0]).put(&1, &Counter { number: 0 }).await.unwrap();
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let counters = counter(daemons[writer as usize % daemons.len()]);
        tasks.spawn(async move {
            let (mut steps, mut last) = (0, 0);
            while steps < STEPS {
                let seen = counters.get_versioned(&1).await.unwrap().unwrap();
                assert!(seen.value.number >= last, "{} after {last}", seen.value.number);
                last = seen.value.number;
                let next = Counter { number: last + 1 };
                steps += i64::from(counters.compare_and_set(&1, seen.version, &next).await.unwrap().is_ok());
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(number(daemons[0]).await, Some(WRITERS * STEPS));
}
