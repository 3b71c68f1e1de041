// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of writes of one key that meet: few transactions, each write with its own outcome, none harmed by another's end.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, maybe_done};
use throughline_core::{
    Condition, Effect, Error, ErrorKind, Prepared, Refusal, Result, Retry, Tasks, Version, Write,
    WriteStrategy, Writer as _,
};
use throughline_engine::{Policy, Served, Space};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::bed::{Bed, bounded, delete, key, put, strict};

type Writing<'a> = Pin<Box<dyn Future<Output = Result<Effect>> + Send + 'a>>;

/// Holds the row's lock, as another program would.
async fn held(bed: &Bed) -> Box<dyn Prepared> {
    bed.source.prepare(&[put("1", "theirs", Condition::Always)]).await.unwrap()
}

/// Starts the writes in their order: the first one is under way, the others wait for it.
fn started(space: &Arc<Space>, writes: impl IntoIterator<Item = Write>) -> Vec<Writing<'_>> {
    let start = |write| {
        let mut writing: Writing<'_> = Box::pin(space.write(write));
        assert!((&mut writing).now_or_never().is_none(), "it waits");
        writing
    };
    writes.into_iter().map(start).collect()
}

fn puts(count: usize) -> impl Iterator<Item = Write> {
    (0..count).map(|number| put("1", &number.to_string(), Condition::Always))
}

/// Starts the writes while somebody else holds the row, lets it go, and waits for them.
async fn outcomes(bed: &Bed, writes: impl IntoIterator<Item = Write>) -> Vec<Result<Effect>> {
    let lock = held(bed).await;
    let writing = started(&bed.space, writes);
    drop(lock);
    join_all(writing).await
}

fn kinds(outcomes: &[Result<Effect>]) -> Vec<Option<ErrorKind>> {
    outcomes.iter().map(|outcome| outcome.as_ref().err().map(Error::kind)).collect()
}

fn is_stored(outcome: &Result<Effect>) -> bool {
    matches!(outcome, Ok(Effect::Stored { .. }))
}

#[tokio::test(start_paused = true)]
async fn sixteen_writes_of_one_key_are_two_transactions() {
    for policy in [strict(), bounded(), Policy { write: WriteStrategy::WriteAround, ..strict() }] {
        let bed = Bed::new(policy);
        let all = outcomes(&bed, puts(16)).await;
        assert!(all.iter().all(is_stored));
        assert_eq!((bed.source.prepares(), bed.source.commits()), (1 + 2, 2), "one is another program's");
        assert_eq!(bed.get("1").await.as_deref(), Some("15"), "in the order of their arrival");
        let stats = bed.space.stats();
        assert_eq!((stats.writes.get(), stats.writes_grouped.get()), (16, 15));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_write_of_a_group_is_published() {
    let bed = Bed::new(strict());
    outcomes(&bed, puts(3)).await;
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Hit);
    assert_eq!(bed.get("1").await.as_deref(), Some("2"));
    let all =
        outcomes(&bed, [put("1", "x", Condition::Always), put("1", "y", Condition::Always), delete("1")]);
    assert!(matches!(all.await[2], Ok(Effect::Deleted { .. })));
    assert_eq!(bed.get("1").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_alone_is_in_no_group() {
    let bed = Bed::new(strict());
    for number in 0..3 {
        bed.put("1", &number.to_string()).await.unwrap();
    }
    let keys = ["1", "2", "3"];
    let writes = keys.map(|text| bed.space.write(put(text, "x", Condition::Always)));
    assert!(join_all(writes).await.iter().all(is_stored));
    assert_eq!((bed.source.prepares(), bed.source.commits()), (6, 6));
    assert_eq!(bed.space.stats().writes_grouped.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_at_most_64_writes() {
    let bed = Bed::new(strict());
    let all = outcomes(&bed, puts(1 + 64 + 64 + 1)).await;
    assert!(all.iter().all(is_stored));
    assert_eq!(bed.source.commits(), 4);
    assert_eq!(bed.source.row("1").as_deref(), Some("129"));
}

#[tokio::test(start_paused = true)]
async fn after_a_time_out_groups_are_smaller_for_a_while() {
    let bed = Bed::new(strict());
    // The first is alone, the next 64 meet a time-out; then 16, 32, 64 and the rest.
    bed.source.refuse_value("5", ErrorKind::Timeout);
    let all = outcomes(&bed, puts(1 + 64 + 16 + 32 + 64 + 3)).await;
    let failed = kinds(&all).iter().filter(|kind| **kind == Some(ErrorKind::Timeout)).count();
    assert_eq!((failed, bed.source.commits()), (64, 1 + 4));
    assert_eq!(bed.space.stats().writes_grouped.get(), 16 + 32 + 64 + 3);
}

#[tokio::test(start_paused = true)]
async fn of_sixteen_that_insert_one_wins() {
    let bed = Bed::new(strict());
    let lock = bed.source.prepare(&[put("9", "theirs", Condition::Always)]).await.unwrap();
    let inserts = (0..16).map(|number| put("9", &number.to_string(), Condition::Absent));
    let writing = started(&bed.space, inserts);
    drop(lock);
    let all = join_all(writing).await;
    assert!(matches!(all[0], Ok(Effect::Stored { created: true, .. })));
    assert!(all[1..].iter().all(|outcome| matches!(outcome, Ok(Effect::Refused(Refusal::Exists)))));
    assert_eq!(bed.get("9").await.as_deref(), Some("0"));
    assert_eq!(bed.space.stats().write_refusals.get(), 15);
}

#[tokio::test(start_paused = true)]
async fn one_insert_of_a_group_wins_after_a_delete() {
    let bed = Bed::new(strict());
    let inserts = (0..8).map(|number| put("1", &number.to_string(), Condition::Absent));
    let all =
        outcomes(&bed, std::iter::once(put("1", "x", Condition::Always)).chain([delete("1")]).chain(inserts))
            .await;
    assert!(matches!(all[2], Ok(Effect::Stored { created: true, .. })));
    assert!(all[3..].iter().all(|outcome| matches!(outcome, Ok(Effect::Refused(Refusal::Exists)))));
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (2, Some("0")));
}

#[tokio::test(start_paused = true)]
async fn each_link_of_a_compare_and_set_chain_sees_the_one_before() {
    let bed = Bed::new(strict());
    let link =
        |from: &str, to: &str| put("1", to, Condition::Unchanged(vec![Version::of_content(from.as_bytes())]));
    let chain = [link("one", "a"), link("a", "b"), link("one", "lost"), link("b", "c"), link("b", "lost")];
    let all = outcomes(&bed, chain).await;
    let stored: Vec<bool> = all.iter().map(is_stored).collect();
    assert_eq!(stored, [true, true, false, true, false]);
    let conflict = |value: &str| Effect::Refused(Refusal::Conflict(Version::of_content(value.as_bytes())));
    assert_eq!(*all[2].as_ref().unwrap(), conflict("b"));
    assert_eq!(*all[4].as_ref().unwrap(), conflict("c"));
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (2, Some("c")));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_refusals_commits_nothing_and_shows_the_truth() {
    let bed = Bed::new(bounded());
    bed.get("1").await;
    bed.source.change_behind("1", Some("uno"));
    let refused = || put("1", "x", Condition::Absent);
    let all = outcomes(&bed, [refused(), refused(), refused()]).await;
    assert!(all.iter().all(|outcome| matches!(outcome, Ok(Effect::Refused(Refusal::Exists)))));
    assert_eq!(bed.source.commits(), 0);
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn two_spellings_of_a_key_are_both_marked() {
    let bed = Bed::new(strict());
    // `001` and `1` wait apart, and the source's lock orders them.
    bed.get("1").await;
    let writes = [put("001", "a", Condition::Always), put("1", "b", Condition::Always)];
    let lock = held(&bed).await;
    let writing = started(&bed.space, writes);
    drop(lock);
    assert!(join_all(writing).await.iter().all(is_stored));
    assert_eq!(bed.get("1").await, bed.source.row("1"));
}

#[tokio::test(start_paused = true)]
async fn a_bad_value_in_the_middle_fails_alone() {
    for kind in [
        ErrorKind::InvalidKey,
        ErrorKind::InvalidValue,
        ErrorKind::TooLarge,
        ErrorKind::Constraint,
        ErrorKind::Denied,
        ErrorKind::Other,
    ] {
        let bed = Bed::new(strict());
        bed.source.refuse_value("3", kind);
        let all = outcomes(&bed, puts(6)).await;
        assert_eq!(kinds(&all), [None, None, None, Some(kind), None, None]);
        assert_eq!(bed.get("1").await.as_deref(), Some("5"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_constraint_that_shows_at_the_commit_fails_one_alone() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(4));
    drop(lock);
    writing.remove(0).await.unwrap();
    // The group's commit fails, then each is tried by itself.
    bed.source.fail_next_commit(ErrorKind::Constraint, false);
    assert!(join_all(writing).await.iter().all(is_stored));
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (1 + 1 + 3, Some("3")));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_waited_for_once_by_a_group() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Overloaded, ErrorKind::Closed] {
        let bed = Bed::new(strict());
        bed.source.refuse_value("2", kind);
        let all = outcomes(&bed, puts(8)).await;
        assert_eq!(kinds(&all)[1..], [Some(kind); 7]);
        assert_eq!((bed.source.prepares(), bed.source.row("1").as_deref()), (3, Some("0")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_not_tried_one_by_one_at_a_source_that_went_silent() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(5));
    drop(lock);
    writing.remove(0).await.unwrap();
    // The group's commit fails. While the first of it is tried by itself, the source goes away.
    bed.source.fail_next_commit(ErrorKind::Constraint, false);
    bed.cache.set_mark_ms(5);
    while bed.source.prepares() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bed.source.set_unavailable(true);
    let unavailable = Some(ErrorKind::Unavailable);
    assert_eq!(kinds(&join_all(writing).await), [None, unavailable, unavailable, unavailable]);
    assert_eq!(bed.source.prepares(), 5, "the second asks, and answers for the rest");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_everybodys_in_the_group() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(4));
    drop(lock);
    writing.remove(0).await.unwrap();
    bed.source.fail_next_commit(ErrorKind::OutcomeUnknown, true);
    assert_eq!(kinds(&join_all(writing).await), [Some(ErrorKind::OutcomeUnknown); 3]);
    assert_eq!(bed.source.commits(), 2, "nobody is written twice");
    assert_eq!(bed.get("1").await.as_deref(), Some("3"));
    assert_eq!(bed.space.stats().writes_unknown.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_marked_is_refused_as_a_whole() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let writing = started(&bed.space, puts(4));
    bed.cache.set_down(true);
    drop(lock);
    assert_eq!(kinds(&join_all(writing).await), [Some(ErrorKind::Unmarkable); 4]);
    assert_eq!(bed.source.row("1").as_deref(), Some("one"));
    bed.cache.set_down(false);
    bed.put("1", "uno").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_value_of_a_group_is_not_seen_before_its_commit() {
    let bed = Bed::new(strict());
    bed.cache.set_mark_ms(5);
    let lock = held(&bed).await;
    let mut writing = join_all(started(&bed.space, puts(9)));
    drop(lock);
    let mut seen = Vec::new();
    loop {
        if (&mut writing).now_or_never().is_some() {
            break;
        }
        let value = bed.get("1").await.unwrap();
        if seen.last() != Some(&value) {
            seen.push(value);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(seen.iter().all(|value| ["one", "0", "8"].contains(&value.as_str())), "{seen:?}");
    assert_eq!(bed.get("1").await.as_deref(), Some("8"));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_the_group_began_writes_nothing() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(5));
    drop(writing.pop());
    drop(writing.remove(2));
    drop(lock);
    assert!(join_all(writing).await.iter().all(is_stored));
    assert_eq!(bed.get("1").await.as_deref(), Some("3"), "4 left");
    assert_eq!(bed.space.stats().writes.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_first_writer_who_leaves_hands_over() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(5));
    drop(writing.remove(0));
    drop(lock);
    assert!(join_all(writing).await.iter().all(is_stored));
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (1, Some("4")));
}

/// Drops one of the writers after so many turns of the scheduler, and says whether it had its answer by then.
async fn drop_one(bed: &Bed, who: usize, turns: usize) -> bool {
    let lock = held(bed).await;
    let started = started(&bed.space, puts(5));
    let mut writing: Vec<_> = started.into_iter().map(|writing| Box::pin(maybe_done(writing))).collect();
    drop(lock);
    for _ in 0..turns {
        for writing in &mut writing {
            let _ = writing.as_mut().now_or_never();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let was_answered = writing[who].as_mut().output_mut().is_some();
    drop(writing.remove(who));
    for mut writing in writing {
        writing.as_mut().await;
        let outcome = writing.as_mut().take_output().unwrap();
        assert!(is_stored(&outcome), "{outcome:?} after {who} left at {turns}");
    }
    was_answered
}

#[tokio::test(start_paused = true)]
async fn dropping_a_writer_at_any_moment_harms_no_other() {
    let mut answered = 0;
    for who in 0..5 {
        for turns in 0..40 {
            let bed = Bed::new(strict());
            // Each mark is an await of several turns, within the first write and within the group.
            bed.cache.set_mark_ms(5);
            answered += usize::from(drop_one(&bed, who, turns).await);
            // Whoever lasts until the end is the last to be written; the dropped one may be.
            let last = if who == 4 { vec!["3", "4"] } else { vec!["4"] };
            let value = bed.get("1").await.unwrap();
            assert!(last.contains(&value.as_str()), "{value} after {who} left at {turns}");
            assert_eq!(bed.source.row("1"), Some(value));
            // Nobody is in the queue any more: the next writer is alone, and the row is free.
            let prepares = bed.source.prepares();
            bed.put("1", "after").await.unwrap();
            assert_eq!((bed.source.prepares(), bed.get("1").await.as_deref()), (prepares + 1, Some("after")));
        }
    }
    assert!((1..200).contains(&answered), "some were dropped before their answer, others after it");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_all_have_left_is_rolled_back() {
    let bed = Bed::new(strict());
    bed.cache.set_mark_ms(5);
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(3));
    drop(lock);
    writing.remove(0).await.unwrap();
    while bed.source.prepares() < 3 {
        tokio::task::yield_now().await;
    }
    drop(writing);
    bed.put("1", "after").await.unwrap();
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (2, Some("after")));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_thousand_do_not_wait() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    let mut writing = started(&bed.space, puts(1 + 1_000));
    let error = bed.put("1", "too many").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::Safe));
    assert!(error.to_string().contains("1000 writes"), "{error}");
    bed.space.write(put("2", "another key", Condition::Always)).await.unwrap();
    // Who leaves makes room at once.
    drop(writing.pop());
    writing.extend(started(&bed.space, puts(1)));
    drop(lock);
    assert!(join_all(writing).await.iter().all(is_stored));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_turn_does_not_come_fails_and_is_not_written_later() {
    let bed = Bed::new(strict());
    let lock = held(&bed).await;
    // Its future is kept without being polled.
    let kept = started(&bed.space, puts(1));
    drop(lock);
    let error = bed.put("1", "late").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    drop(kept);
    bed.put("1", "after").await.unwrap();
    assert_eq!((bed.source.commits(), bed.get("1").await.as_deref()), (1, Some("after")));
}

/// Background work that can be stopped as at a shutdown: what runs is dropped, what comes later never runs.
#[derive(Debug, Default)]
struct StoppableTasks(Mutex<Option<Vec<JoinHandle<()>>>>);

impl StoppableTasks {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Vec::new()))))
    }

    fn stop(&self) {
        let running = self.0.lock().unwrap().take();
        running.into_iter().flatten().for_each(|task| task.abort());
    }
}

impl Tasks for StoppableTasks {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) {
        match &mut *self.0.lock().unwrap() {
            Some(running) => running.push(Handle::current().spawn(work)),
            None => drop(work),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_a_shutdown_is_told() {
    let bed = Bed::new(strict());
    let tasks = StoppableTasks::new();
    let space = bed.another_with_tasks(tasks.clone());
    let lock = held(&bed).await;
    let writing = started(&space, puts(100));
    tasks.stop();
    drop(lock);
    let all = join_all(writing).await;
    assert!(is_stored(&all[0]), "what is under way needs no task");
    assert_eq!(kinds(&all)[1..], [Some(ErrorKind::Closed); 99]);
    assert_eq!(bed.source.row("1").as_deref(), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_stopped_tells_what_is_known() {
    // While it waits for its mark nothing is written; while it waits for its commit, nobody knows.
    for commits in [false, true] {
        let bed = Bed::new(strict());
        let tasks = StoppableTasks::new();
        let space = bed.another_with_tasks(tasks.clone());
        bed.cache.set_mark_ms(5);
        let lock = held(&bed).await;
        let mut writing = started(&space, puts(4));
        drop(lock);
        writing.remove(0).await.unwrap();
        if commits {
            bed.source.lose_next_commit_answer();
        }
        let mut rest = join_all(writing);
        while bed.source.prepares() < 3 || (commits && bed.source.commits() < 2) {
            assert!((&mut rest).now_or_never().is_none());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Who comes now is of the next group.
        let mut late = started(&space, puts(1));
        tasks.stop();
        let kind = if commits { ErrorKind::OutcomeUnknown } else { ErrorKind::Closed };
        assert_eq!(kinds(&rest.await), [Some(kind); 3]);
        assert_eq!(late.remove(0).await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(bed.source.row("1").as_deref(), Some(if commits { "3" } else { "0" }));
    }
}
