// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random operations against a plain map: whatever happens to the cache, a strict resource answers like the map.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use throughline_core::{Condition, Effect, Mode, Refusal, Result, Scope, Write, WriteStrategy};
use throughline_engine::Policy;

use crate::bed::{Bed, delete, key, put, strict};

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    GetMany(Vec<u8>),
    Write(Asked),
    /// All at once, in this order.
    Together(Vec<Asked>),
    Invalidate(u8),
    CacheDown(bool),
    Switch(Mode),
}

/// A write.
#[derive(Clone, Debug)]
enum Asked {
    Put(u8, u8),
    Insert(u8, u8),
    Update(u8, u8),
    Delete(u8),
}

impl Asked {
    fn write(&self) -> Write {
        let put =
            |number: &u8, value: &u8, condition| put(&number.to_string(), &value.to_string(), condition);
        match self {
            Self::Put(number, value) => put(number, value, Condition::Always),
            Self::Insert(number, value) => put(number, value, Condition::Absent),
            Self::Update(number, value) => put(number, value, Condition::Present),
            Self::Delete(number) => delete(&number.to_string()),
        }
    }

    /// Does the same to the model, and says what its effect must be; `Ok` is whether the record is new.
    fn apply(&self, model: &mut BTreeMap<String, String>) -> std::result::Result<bool, Refusal> {
        let (Self::Put(number, _) | Self::Insert(number, _) | Self::Update(number, _) | Self::Delete(number)) =
            self;
        let text = number.to_string();
        let exists = model.contains_key(&text);
        match self {
            Self::Insert(..) if exists => Err(Refusal::Exists),
            Self::Update(..) | Self::Delete(_) if !exists => Err(Refusal::Absent),
            Self::Put(_, value) | Self::Insert(_, value) | Self::Update(_, value) => {
                model.insert(text, value.to_string());
                Ok(!exists)
            }
            Self::Delete(_) => {
                model.remove(&text);
                Ok(false)
            }
        }
    }

    /// Does the same to the model, unless it failed.
    fn check(&self, outcome: &Result<Effect>, model: &mut BTreeMap<String, String>) {
        let Ok(effect) = outcome else { return };
        let told = match effect {
            Effect::Stored { created, .. } => Ok(*created),
            Effect::Deleted { .. } => Ok(false),
            Effect::Refused(refusal) => Err(*refusal),
            Effect::Accepted { .. } => unreachable!("nothing is written behind here"),
        };
        assert_eq!(told, self.apply(model), "{self:?}");
    }
}

fn writes(keys: std::ops::Range<u8>) -> impl Strategy<Value = Asked> {
    let (key, value) = (keys, 0..9_u8);
    prop_oneof![
        4 => (key.clone(), value.clone()).prop_map(|(key, value)| Asked::Put(key, value)),
        2 => (key.clone(), value.clone()).prop_map(|(key, value)| Asked::Insert(key, value)),
        2 => (key.clone(), value).prop_map(|(key, value)| Asked::Update(key, value)),
        2 => key.prop_map(Asked::Delete),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let modes = prop_oneof![Just(Mode::Cache), Just(Mode::Source), Just(Mode::Shadow)];
    prop_oneof![
        6 => (1..6_u8).prop_map(Step::Get),
        2 => proptest::collection::vec(1..6_u8, 0..6).prop_map(Step::GetMany),
        10 => writes(1..6).prop_map(Step::Write),
        3 => proptest::collection::vec(writes(1..3), 2..12).prop_map(Step::Together),
        1 => (1..6_u8).prop_map(Step::Invalidate),
        1 => proptest::bool::ANY.prop_map(Step::CacheDown),
        1 => modes.prop_map(Step::Switch),
    ]
}

/// Runs the steps; the write of a strict resource without its cache is refused and must leave no trace.
async fn run(bed: &Bed, steps: &[Step]) {
    let mut model: BTreeMap<String, String> = [("1", "one"), ("2", "two"), ("3", "three")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    // Marks take their time, so that writes which begin together meet.
    bed.cache.set_mark_ms(1);
    for step in steps {
        match step {
            Step::Get(number) => {
                let text = number.to_string();
                assert_eq!(bed.get(&text).await.as_ref(), model.get(&text), "{step:?}");
            }
            Step::GetMany(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|number| key(&number.to_string())).collect();
                for (number, read) in numbers.iter().zip(bed.space.get_many(&keys).await) {
                    let value = read
                        .unwrap()
                        .record()
                        .map(|record| String::from_utf8(record.value.to_vec()).unwrap());
                    assert_eq!(value.as_ref(), model.get(&number.to_string()), "{step:?}");
                }
            }
            Step::Invalidate(number) => drop(bed.space.invalidate(&key(&number.to_string())).await),
            Step::CacheDown(down) => bed.cache.set_down(*down),
            Step::Switch(mode) => drop(bed.space.set_mode(*mode).await),
            Step::Write(asked) => asked.check(&bed.space.write(asked.write()).await, &mut model),
            Step::Together(all) => {
                let outcomes = join_all(all.iter().map(|asked| bed.space.write(asked.write()))).await;
                all.iter().zip(&outcomes).for_each(|(asked, outcome)| asked.check(outcome, &mut model));
            }
        }
        for number in 1..6 {
            let text = number.to_string();
            assert_eq!(bed.source.row(&text).as_ref(), model.get(&text), "{step:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_strict_resource_answers_like_a_map(
        steps in proptest::collection::vec(steps(), 1..60),
        around in proptest::bool::ANY,
        shared in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let write = if around { WriteStrategy::WriteAround } else { WriteStrategy::WriteThrough };
        let scope = if shared { Scope::Shared } else { Scope::Process };
        runtime.block_on(async { run(&Bed::with_scope(Policy { write, ..strict() }, scope), &steps).await });
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Get(1)")]
async fn the_model_finds_a_stale_answer() {
    let bed = Bed::new(strict());
    bed.source.change_behind("1", Some("old"));
    bed.get("1").await;
    bed.source.change_behind("1", Some("one"));
    run(&bed, &[Step::Get(1)]).await;
}
