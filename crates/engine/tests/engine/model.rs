// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random operations against a plain map: whatever happens to the cache, a strict resource answers like the map.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use throughline_core::{Condition, Effect, Mode, Scope, WriteStrategy};
use throughline_engine::Policy;

use crate::bed::{Bed, delete, key, put, strict};

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    GetMany(Vec<u8>),
    Put(u8, u8),
    Insert(u8, u8),
    Update(u8, u8),
    Delete(u8),
    Invalidate(u8),
    CacheDown(bool),
    Switch(Mode),
}

fn steps() -> impl Strategy<Value = Step> {
    let modes = prop_oneof![Just(Mode::Cache), Just(Mode::Source), Just(Mode::Shadow)];
    prop_oneof![
        6 => (1..6_u8).prop_map(Step::Get),
        2 => proptest::collection::vec(1..6_u8, 0..6).prop_map(Step::GetMany),
        4 => (1..6_u8, 0..9_u8).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (1..6_u8, 0..9_u8).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => (1..6_u8, 0..9_u8).prop_map(|(key, value)| Step::Update(key, value)),
        2 => (1..6_u8).prop_map(Step::Delete),
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
    for step in steps {
        let (number, value, condition) = match step {
            Step::Get(number) => {
                assert_eq!(
                    bed.get(&number.to_string()).await.as_ref(),
                    model.get(&number.to_string()),
                    "{step:?}"
                );
                continue;
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
                continue;
            }
            Step::Invalidate(number) => {
                drop(bed.space.invalidate(&key(&number.to_string())).await);
                continue;
            }
            Step::CacheDown(down) => {
                bed.cache.set_down(*down);
                continue;
            }
            Step::Switch(mode) => {
                drop(bed.space.set_mode(*mode).await);
                continue;
            }
            Step::Put(number, value) => (number, Some(value), Condition::Always),
            Step::Insert(number, value) => (number, Some(value), Condition::Absent),
            Step::Update(number, value) => (number, Some(value), Condition::Present),
            Step::Delete(number) => (number, None, Condition::Always),
        };
        let text = number.to_string();
        let write = match value {
            Some(value) => put(&text, &value.to_string(), condition),
            None => delete(&text),
        };
        match bed.space.write(write).await {
            Ok(Effect::Stored { .. }) => drop(model.insert(text, value.unwrap().to_string())),
            Ok(Effect::Deleted { .. }) => drop(model.remove(&text)),
            Ok(Effect::Refused(_)) | Err(_) => {}
        }
        assert_eq!(bed.source.row(&number.to_string()).as_ref(), model.get(&number.to_string()), "{step:?}");
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
