// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of transactions.

use std::sync::Arc;

use futures_util::FutureExt as _;
use throughline_core::{
    Condition, Effect, ErrorKind, Hold, Level, Member, Parameter, Result, Retry, Scope, Transactions as _,
};
use throughline_engine::{Bypass, KEY_COUNT_MAX, Policy, Served, Space, Transaction, TransactionSource};

use crate::bed::{Bed, bounded, delete, key, put, strict, value};

fn source(bed: &Bed, others: &[&Arc<Space>]) -> Arc<TransactionSource> {
    let spaces = std::iter::once(&bed.space).chain(others.iter().copied());
    let members = spaces.map(|space| (space.clone(), Member(0))).collect();
    Arc::new(TransactionSource::new("map", Arc::new(bed.source.clone()), members))
}

async fn begin(bed: &Bed) -> Transaction {
    source(bed, &[]).begin().await.unwrap()
}

async fn write(transaction: &mut Transaction, space: &Arc<Space>, text: &str, to: &str) -> Result<Effect> {
    transaction.write(space, &put(text, to, Condition::Always)).await
}

async fn set(transaction: &mut Transaction, text: &str, to: &str) {
    let parameters = [Parameter::Text(text.to_owned()), Parameter::Text(to.to_owned())];
    transaction.execute("set", &parameters).await.unwrap();
}

async fn served(bed: &Bed, text: &str) -> Served {
    bed.space.get(&key(text)).await.unwrap().served
}

#[tokio::test(start_paused = true)]
async fn all_is_seen_after_the_commit_and_nothing_before_it() {
    let bed = Bed::new(strict());
    for text in ["1", "2"] {
        bed.get(text).await;
    }
    let mut transaction = begin(&bed).await;
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    write(&mut transaction, &bed.space, "2", "due").await.unwrap();
    assert_eq!((bed.get("1").await.as_deref(), bed.get("2").await.as_deref()), (Some("one"), Some("two")));
    let loads = bed.source.loads();
    transaction.commit().await.unwrap();
    assert_eq!((bed.get("1").await.as_deref(), bed.get("2").await.as_deref()), (Some("uno"), Some("due")));
    assert_eq!(bed.source.loads(), loads, "what was read back was published");
    assert_eq!(bed.space.stats().writes.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_reads_its_own_writes_and_never_a_cache() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.source.change_behind("1", Some("behind"));
    let mut transaction = begin(&bed).await;
    let look_ups = bed.cache.look_ups();
    let read = transaction.read(&bed.space, &key("1"), Hold::Free).await.unwrap();
    assert_eq!(read.unwrap().value.as_ref(), b"behind");
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    let read = transaction.read(&bed.space, &key("1"), Hold::Locked).await.unwrap();
    assert_eq!(read.unwrap().value.as_ref(), b"uno");
    drop(transaction);
    assert_eq!(bed.cache.look_ups(), look_ups);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"), "the entry was left alone");
}

#[tokio::test(start_paused = true)]
async fn own_statements_are_seen_if_their_rows_were_touched_and_not_otherwise() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.get("2").await;
    let mut transaction = begin(&bed).await;
    set(&mut transaction, "1", "uno").await;
    set(&mut transaction, "2", "due").await;
    transaction.touch(&bed.space, &key("001")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"), "touched, although by another spelling");
    assert_eq!(bed.get("2").await.as_deref(), Some("two"), "not touched: the promise ends here");
}

#[tokio::test(start_paused = true)]
async fn what_an_own_statement_may_have_changed_again_is_not_published() {
    let bed = Bed::new(strict());
    let mut transaction = begin(&bed).await;
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    set(&mut transaction, "1", "eins").await;
    transaction.commit().await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("eins"));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_marked_in_every_resource_that_shows_it() {
    let bed = Bed::new(strict());
    let twin = bed.another("people", strict());
    bed.space.set_siblings(vec![Arc::downgrade(&twin)]);
    twin.set_siblings(vec![Arc::downgrade(&bed.space)]);
    value(&twin, "1").await;
    let mut transaction = source(&bed, &[&twin]).begin().await.unwrap();
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    write(&mut transaction, &twin, "1", "eins").await.unwrap();
    write(&mut transaction, &bed.space, "2", "due").await.unwrap();
    transaction.commit().await.unwrap();
    for (text, is) in [("1", "eins"), ("2", "due")] {
        assert_eq!(value(&twin, text).await.as_deref(), Some(is));
        assert_eq!(bed.get(text).await.as_deref(), Some(is));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_condition_ends_nothing_and_an_error_ends_everything() {
    let bed = Bed::new(strict());
    let mut transaction = begin(&bed).await;
    let refused = transaction.write(&bed.space, &put("1", "x", Condition::Absent)).await.unwrap();
    assert!(matches!(refused, Effect::Refused(_)));
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    transaction.execute("no statement", &[]).await.unwrap_err();
    let error = write(&mut transaction, &bed.space, "2", "due").await.unwrap_err();
    assert_eq!(error.retry(), Retry::Safe);
    transaction.commit().await.unwrap_err();
    assert_eq!(bed.source.row("1").as_deref(), Some("one"));
    bed.put("1", "free").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resource_of_another_source_is_refused() {
    let (bed, other) = (Bed::new(strict()), Bed::new(strict()));
    let mut transaction = begin(&bed).await;
    let error = write(&mut transaction, &other.space, "1", "uno").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    transaction.commit().await.unwrap();
    assert_eq!(other.source.row("1").as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn a_strict_commit_without_its_cache_is_rolled_back_and_a_bounded_one_owes() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    let mut transaction = begin(&bed).await;
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    bed.cache.set_down(true);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Unmarkable);
    bed.cache.set_down(false);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));

    let bed = Bed::new(bounded());
    bed.get("1").await;
    let mut transaction = begin(&bed).await;
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    bed.cache.set_down(true);
    transaction.commit().await.unwrap();
    bed.cache.set_down(false);
    assert_eq!(served(&bed, "1").await, Served::Bypass(Bypass::Owed));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_leaves_the_marks() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    let mut transaction = begin(&bed).await;
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    bed.source.fail_next_commit(ErrorKind::OutcomeUnknown, true);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(served(&bed, "1").await, Served::Bypass(Bypass::Marked));
}

#[tokio::test(start_paused = true)]
async fn more_rows_than_are_marked_drop_all_entries() {
    let bed = Bed::with_scope(strict(), Scope::Process);
    bed.get("1").await;
    bed.get("2").await;
    let mut transaction = begin(&bed).await;
    for number in 100..100 + KEY_COUNT_MAX {
        write(&mut transaction, &bed.space, &number.to_string(), "new").await.unwrap();
    }
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    assert!(bed.space.try_get("1").is_some());
    transaction.commit().await.unwrap();
    assert!(bed.space.try_get("1").is_none() && bed.space.try_get("2").is_none());
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    assert_eq!(bed.space.stats().generations.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_rows_than_are_marked_are_refused_where_entries_cannot_be_dropped() {
    let bed = Bed::new(strict());
    let mut transaction = begin(&bed).await;
    for number in 0..=KEY_COUNT_MAX {
        transaction.touch(&bed.space, &key(&(1_000 + number).to_string())).await.unwrap();
    }
    write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::TooLarge, Retry::Never));
    assert!(error.detail().contains("throughline init"), "{error}");
    assert_eq!(bed.source.row("1").as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn all_marks_are_one_awaited_round_trip() {
    let bed = Bed::new(strict());
    let mut transaction = begin(&bed).await;
    for number in 0..KEY_COUNT_MAX {
        write(&mut transaction, &bed.space, &number.to_string(), "new").await.unwrap();
    }
    bed.cache.set_mark_ms(10);
    let begun = tokio::time::Instant::now();
    transaction.commit().await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 10);
    assert_eq!(bed.space.stats().publishes.get(), KEY_COUNT_MAX as u64);
}

/// The whole life of a transaction over two rows.
async fn transfer(source: Arc<TransactionSource>, space: Arc<Space>) -> Result<()> {
    let mut transaction = source.begin().await?;
    transaction.read(&space, &key("1"), Hold::Locked).await?;
    write(&mut transaction, &space, "1", "uno").await?;
    transaction.touch(&space, &key("2")).await?;
    set(&mut transaction, "2", "due").await;
    transaction.write(&space, &delete("3")).await?;
    transaction.commit().await
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_dropped_anywhere_leaves_locks_and_caches_free() {
    for level in [Level::Strict, Level::Bounded] {
        let mut polls = 0;
        loop {
            let bed = Bed::new(Policy { level, ..strict() });
            let mut whole = Box::pin(transfer(source(&bed, &[]), bed.space.clone()));
            let mut finished = false;
            for text in ["1", "2", "3"] {
                bed.get(text).await;
            }
            for _ in 0..polls {
                finished = (&mut whole).now_or_never().is_some();
                tokio::task::yield_now().await;
                if finished {
                    break;
                }
            }
            drop(whole);
            // All or nothing, and what the cache says is what the source says.
            let rows = ["1", "2", "3"].map(|text| bed.source.row(text));
            let all = [Some("uno".to_owned()), Some("due".to_owned()), None];
            assert_eq!(rows == all, finished, "after {polls} polls: {rows:?}");
            for (text, row) in ["1", "2", "3"].iter().zip(&rows) {
                assert_eq!(bed.get(text).await, *row, "after {polls} polls");
                bed.put(text, "free").await.unwrap();
            }
            if finished {
                assert!(polls > 6, "every call waits at least once");
                break;
            }
            polls += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_dropped_while_its_answer_is_awaited_is_never_read_stale() {
    for level in [Level::Strict, Level::Bounded] {
        let bed = Bed::new(Policy { level, ..strict() });
        bed.get("1").await;
        let mut transaction = begin(&bed).await;
        write(&mut transaction, &bed.space, "1", "uno").await.unwrap();
        bed.cache.set_down(level == Level::Bounded);
        bed.source.lose_next_commit_answer();
        let mut commit = Box::pin(transaction.commit());
        for _ in 0..100 {
            assert!((&mut commit).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(commit);
        bed.cache.set_down(false);
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    }
}

/// What a careless coordinator would do, so that the tests above are known to notice it.
#[tokio::test(start_paused = true)]
async fn marks_only_after_the_commit_are_convicted() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    let mut at_source = throughline_core::Transactions::begin(&bed.source).await.unwrap();
    at_source.write(Member(0), &put("1", "uno", Condition::Always)).await.unwrap();
    at_source.prepare().await.unwrap().commit().await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("one"), "stale: the mark is not there yet");
    bed.space.invalidate(&key("1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn marks_at_each_write_are_convicted() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    // It invalidates before the row is locked; a reader fills the old value again before the commit.
    let mut at_source = bed.source.begin().await.unwrap();
    bed.space.invalidate(&key("1")).await.unwrap();
    bed.get("1").await;
    at_source.write(Member(0), &put("1", "uno", Condition::Always)).await.unwrap();
    at_source.prepare().await.unwrap().commit().await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("one"), "stale");
}
