// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds when several callers act at once, or give up.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use throughline_core::{Condition, Effect, Refusal, Write};
use tokio::task::JoinSet;

use super::{SourceSubject, SourceTable, intent, key, person, put, stored, when};

const WRITER_COUNT: usize = 8;
const READER_COUNT: usize = 4;
const WRITE_COUNT: u64 = 200;

pub async fn of_many_inserts_of_a_key_one_takes_place(subject: SourceSubject) {
    let mut writers = JoinSet::new();
    for _ in 0..WRITER_COUNT {
        let table = subject.person.clone();
        writers.spawn(async move {
            let insert = when(Condition::Absent, put("1", r#"{"first_name":"Ada"}"#));
            table.write(insert).await
        });
    }
    let effects = writers.join_all().await;
    let created = effects.iter().filter(|effect| matches!(effect, Effect::Stored { created: true, .. }));
    assert_eq!(created.count(), 1);
    let refused = effects.iter().filter(|effect| **effect == Effect::Refused(Refusal::Exists));
    assert_eq!(refused.count(), WRITER_COUNT - 1);
}

pub async fn an_insert_that_waited_sees_the_row_of_the_first(subject: SourceSubject) {
    let insert = when(Condition::Absent, put("1", r#"{"first_name":"Ada"}"#));
    let effect = second_of_two(&subject.person, insert).await;
    assert_eq!(effect, Effect::Refused(Refusal::Exists));
}

pub async fn a_compare_and_set_that_waited_sees_the_version_of_the_first(subject: SourceSubject) {
    subject.person.write(put("1", r#"{"first_name":"Eve"}"#)).await;
    let unchanged = Condition::Unchanged(vec![subject.person.version("1").await]);
    let effect = second_of_two(&subject.person, when(unchanged, put("1", r#"{"first_name":"Ada"}"#))).await;
    let present = subject.person.version("1").await;
    assert_eq!(effect, Effect::Refused(Refusal::Conflict(present)));
}

/// Prepares `write`, begins to prepare it a second time, commits the first, and returns the second's effect.
async fn second_of_two(table: &SourceTable, write: Write) -> Effect {
    let writes = [write];
    let first = table.prepare(&writes).await;
    let mut second = pin!(table.writer.prepare(&writes));
    let others = async {
        // Long enough for the second to look at whatever it looks at before it waits.
        for _ in 0..20 {
            table.load("999", false).await;
        }
    };
    let early = tokio::select! {
        biased;
        prepared = &mut second => Some(prepared),
        () = others => None,
    };
    first.commit().await.expect("a healthy source commits");
    let prepared = match early {
        Some(prepared) => prepared,
        None => second.await,
    };
    let prepared = prepared.expect("a healthy source prepares what fits");
    let effect = prepared.effects()[0].clone();
    prepared.roll_back().await.expect("a healthy source rolls back");
    effect
}

pub async fn compare_and_set_loses_no_update(subject: SourceSubject) {
    subject.person.write(put("1", r#"{"first_name":"","last_name":"Lovelace"}"#)).await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITER_COUNT {
        let table = subject.person.clone();
        writers.spawn(async move { while !append(&table).await {} });
    }
    writers.join_all().await;
    let expected = person(1, &"x".repeat(WRITER_COUNT));
    assert_eq!(subject.person.value("1").await, Some(expected));
}

/// Fills and marks a slot as the strict protocol does, beside a writer: token, probe, snapshot, fill; prepare,
/// mark, commit.
pub async fn what_the_protocol_fills_is_never_older_than_a_completed_write(subject: SourceSubject) {
    subject.person.write(put("1", &numbered(0))).await;
    let slot = Arc::new(Slot::default());
    let mut readers = JoinSet::new();
    for _ in 0..READER_COUNT {
        let (table, slot) = (subject.person.clone(), Arc::clone(&slot));
        readers.spawn(async move { while slot.read(&table).await < WRITE_COUNT {} });
    }
    for number in 1..=WRITE_COUNT {
        let prepared = subject.person.prepare(&[put("1", &numbered(number))]).await;
        slot.mark();
        prepared.commit().await.expect("a healthy source commits");
        slot.completed.store(number, Ordering::SeqCst);
        // Readers fill and hit before the next write begins.
        subject.person.load("1", false).await;
    }
    readers.join_all().await;
}

fn numbered(number: u64) -> String {
    format!(r#"{{"first_name":"{number}"}}"#)
}

/// A cache of one key.
#[derive(Debug, Default)]
struct Slot {
    /// How often it was marked, and the number that was filled since.
    state: Mutex<(u64, Option<u64>)>,
    completed: AtomicU64,
}

impl Slot {
    fn mark(&self) {
        let mut state = self.state.lock();
        *state = (state.0 + 1, None);
    }

    /// Reads through, checks what it got and returns it.
    async fn read(&self, table: &SourceTable) -> u64 {
        let completed = self.completed.load(Ordering::SeqCst);
        let (token, hit) = *self.state.lock();
        let number = match hit {
            Some(number) => number,
            None => self.load(table, token).await,
        };
        assert!(number >= completed, "{number} was read after {completed} was written");
        tokio::task::yield_now().await;
        number
    }

    async fn load(&self, table: &SourceTable, token: u64) -> u64 {
        let loaded = table.load("1", true).await;
        let record = loaded.record.expect("the record is there");
        let value = std::str::from_utf8(&record.value).expect("JSON is UTF-8");
        let number = value.split('"').nth(5).and_then(|number| number.parse().ok());
        let number = number.expect("the name is a number");
        let mut state = self.state.lock();
        if loaded.fillable && state.0 == token {
            state.1 = Some(number);
        }
        number
    }
}

/// Puts one more letter into the name, if nobody else changes the row meanwhile.
async fn append(table: &SourceTable) -> bool {
    let record = table.load("1", false).await.record.expect("the record is there");
    let letters = record.value.iter().filter(|byte| **byte == b'x').count() + 1;
    let value = format!(r#"{{"first_name":"{}"}}"#, "x".repeat(letters));
    let unchanged = Condition::Unchanged(vec![record.version]);
    matches!(table.write(when(unchanged, put("1", &value))).await, Effect::Stored { .. })
}

pub async fn a_commit_takes_place_although_its_future_is_dropped(subject: SourceSubject) {
    let prepared = subject.person.prepare(&[put("1", r#"{"first_name":"Ada"}"#)]).await;
    poll_beside(&subject.person, 0, prepared.commit()).await;
    // The write behind it has to wait for it.
    let effect = subject.person.write(put("1", r#"{"first_name":"Eve"}"#)).await;
    assert!(!stored(&effect).2, "the row was there");
}

pub async fn a_dropped_load_leaves_the_source_usable(subject: SourceSubject) {
    for id in 1..=20 {
        subject.person.write(put(&id.to_string(), r#"{"first_name":"Ada"}"#)).await;
    }
    for turn in 0..60_u32 {
        let asked = key(&(turn % 20 + 1).to_string());
        poll_beside(&subject.person, turn % 4, subject.person.loader.load(&asked, intent(true))).await;
        let other = i64::from(turn % 19 + 1);
        assert_eq!(subject.person.value(&other.to_string()).await, Some(person(other, "Ada")));
    }
}

pub async fn a_dropped_prepare_leaves_the_source_usable(subject: SourceSubject) {
    for turn in 0..30 {
        let writes = [put("1", r#"{"first_name":"dropped"}"#)];
        poll_beside(&subject.person, turn % 7, subject.person.writer.prepare(&writes)).await;
    }
    let effect = subject.person.write(put("1", r#"{"first_name":"Ada"}"#)).await;
    assert!(stored(&effect).2, "nothing of what was dropped took place");
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
}

/// Polls `work` until it ends or `turns` other loads were answered, at least once; then drops it.
async fn poll_beside(table: &SourceTable, turns: u32, work: impl Future) {
    let others = async {
        for _ in 0..turns {
            table.load("999", false).await;
        }
    };
    tokio::select! {
        biased;
        _ = work => {}
        () = others => {}
    }
}
