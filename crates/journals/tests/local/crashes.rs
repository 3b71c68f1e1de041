// SPDX-License-Identifier: MIT OR Apache-2.0
//! What survives a loss of power, against a model that knows what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert_eq, proptest};
use throughline_core::{Journal as _, Position, Rng};

use crate::bed::{append_all, numbers, open};
use throughline_testkit::Disk;

/// What may and what must be told by whoever opens the journal next.
#[derive(Default)]
struct Model {
    next: u64,
    /// Acknowledged and not confirmed.
    must: BTreeMap<u64, Position>,
    /// Not acknowledged, or confirmed: may be told.
    may: BTreeSet<u64>,
}

impl Model {
    fn check(&mut self, told: &[u64]) -> Result<(), String> {
        let told_set: BTreeSet<u64> = told.iter().copied().collect();
        if let Some(lost) = self.must.keys().find(|number| !told_set.contains(number)) {
            return Err(format!("record {lost} was acknowledged and is lost"));
        }
        let strange = told_set.iter().find(|n| !self.must.contains_key(n) && !self.may.contains(n));
        match strange {
            Some(strange) => Err(format!("record {strange} was never appended")),
            None if told.len() != told_set.len() => Err("a record is told twice".to_owned()),
            None => Ok(()),
        }
    }
}

/// One life of a journal, which ends by a loss of power at some operation of the disk.
async fn life(disk: &Disk, model: &mut Model, rng: &Rng) -> Result<(), String> {
    let opened = match open(disk) {
        Ok(opened) => opened,
        Err(error) => return Err(error.to_string()),
    };
    let told = numbers(&opened);
    model.check(&told)?;
    // What is told now was made durable by that, and whoever was told may rely on it.
    model.must = told.iter().copied().zip(opened.pending.iter().map(|(position, _)| *position)).collect();
    model.may.clear();
    disk.power_off_after(rng.below(60));
    let mut confirmed = BTreeSet::new();
    for _ in 0..12 {
        let first = model.next;
        model.next += 1 + rng.below(6);
        model.may.extend(first..model.next);
        let answers = append_all(&opened.journal, first..model.next).await;
        let is_over = answers.iter().any(Result::is_err);
        for (number, answer) in (first..model.next).zip(answers) {
            if let Ok(position) = answer {
                model.may.remove(&number);
                model.must.insert(number, position);
            }
        }
        // Some are never done, and are moved out of the way again and again.
        let is_done = |number: u64| !number.is_multiple_of(50) && rng.below(3) == 0;
        let done: Vec<_> = model.must.iter().filter(|(n, _)| is_done(**n)).map(|(n, p)| (*n, *p)).collect();
        opened.journal.confirm(&done.iter().map(|(_, position)| *position).collect::<Vec<_>>());
        for (number, _) in done {
            model.must.remove(&number);
            model.may.insert(number);
            confirmed.insert(number);
        }
        if rng.below(3) == 0 && opened.journal.flush().await.is_ok() {
            // None of them may be told again.
            model.may.retain(|number| !confirmed.contains(number));
            confirmed.clear();
        }
        if is_over {
            break;
        }
    }
    drop(opened);
    disk.lose_power(rng);
    Ok(())
}

fn lives(disk: &Disk, seed: u64, count: usize) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (rng, mut model) = (Rng::from_seed(seed), Model::default());
    runtime.block_on(async {
        for round in 0..count {
            life(disk, &mut model, &rng)
                .await
                .map_err(|what| format!("seed {seed}, round {round}: {what}"))?;
        }
        Ok(())
    })
}

#[test]
fn what_was_acknowledged_survives_two_hundred_losses_of_power() {
    let disk = Disk::new();
    lives(&disk, 1, 200).unwrap();
    assert!(disk.names().len() < 60, "what is done is trimmed");
}

#[test]
fn without_syncs_a_loss_of_power_is_noticed() {
    let convicted = (0..20).filter(|seed| lives(&Disk::without_syncs(), *seed, 10).is_err()).count();
    assert_eq!(convicted, 20, "each of these must lose something that was acknowledged");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_losses_of_power_loses_what_was_acknowledged(seed in any::<u64>(), count in 1_usize..12) {
        prop_assert_eq!(lives(&Disk::new(), seed, count), Ok(()));
    }
}
