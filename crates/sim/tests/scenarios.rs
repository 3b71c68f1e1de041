// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine in many worlds that each follow from a seed.

use throughline_sim::scenario::{Plant, run};

/// Worlds per run; `throughline-sim scenarios` lives through as many as one likes.
const SEEDS: u64 = 60;
/// A planted error must show within so many worlds.
const PLANTED_SEEDS_MAX: u64 = 60;

#[test]
fn no_world_breaks_the_promise() {
    let mut worlds_without_hits = 0;
    for seed in 0..SEEDS {
        let outcome = run(seed, None).unwrap();
        let examples = &outcome.verdict.examples;
        assert_eq!(outcome.verdict.breaches(), 0, "seed {seed}: {examples:?}");
        assert!(outcome.verdict.acknowledged > 0, "seed {seed} shows nothing");
        worlds_without_hits += u64::from(outcome.verdict.hits == 0);
    }
    // In a few the cache is away for most of the time.
    assert!(worlds_without_hits <= SEEDS / 10, "{worlds_without_hits} worlds show nothing of the cache");
}

#[test]
fn a_seed_is_one_history() {
    for seed in [3, 4] {
        let (first, second) = (run(seed, None).unwrap(), run(seed, None).unwrap());
        assert_eq!(first.operations, second.operations, "seed {seed}");
        assert_eq!(first.audit, second.audit, "seed {seed}");
    }
    assert_ne!(run(3, None).unwrap().operations, run(4, None).unwrap().operations);
}

#[test]
fn every_planted_error_is_found() {
    for plant in Plant::ALL {
        let found =
            (0..PLANTED_SEEDS_MAX).find(|seed| run(*seed, Some(plant)).unwrap().verdict.breaches() > 0);
        assert!(found.is_some(), "{plant:?} is not found");
    }
}
