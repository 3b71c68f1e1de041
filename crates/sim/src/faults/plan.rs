// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which fault comes next, when, and for how long.

use std::time::Duration;

use throughline_core::Rng;

use super::Fault;

/// A choice of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// How long the system is left alone before.
    pub gap: Duration,
    /// What is broken.
    pub fault: Fault,
    /// A number from which the target is chosen, whatever the number of targets.
    pub target: u64,
    /// How long a process stays away.
    pub hold: Duration,
}

/// An endless row of injections that follows from a seed alone.
#[derive(Debug)]
pub struct Plan {
    faults: Vec<Fault>,
    gap_max: Duration,
    hold_max: Duration,
    rng: Rng,
}

impl Plan {
    /// A plan of these kinds; `None` when there are none. Gaps and holds are uniform up to their bounds, but
    /// one hold of ten is five times as long, so that some outlast marks and leases.
    pub fn new(faults: Vec<Fault>, gap_max: Duration, hold_max: Duration, seed: u64) -> Option<Self> {
        (!faults.is_empty()).then(|| Self { faults, gap_max, hold_max, rng: Rng::from_seed(seed) })
    }

    fn up_to(&self, max: Duration) -> Duration {
        Duration::from_micros(self.rng.below(max.as_micros() as u64 + 1))
    }
}

impl Iterator for Plan {
    type Item = Injection;

    fn next(&mut self) -> Option<Injection> {
        let fault = self.faults[self.rng.below(self.faults.len() as u64) as usize];
        let (gap, target) = (self.up_to(self.gap_max), self.rng.next_u64());
        let long = self.rng.below(10) == 0;
        let hold = self.up_to(if long { self.hold_max * 5 } else { self.hold_max });
        Some(Injection { gap, fault, target, hold })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Injection, Plan};
    use crate::faults::Fault;

    fn plan(seed: u64) -> Vec<Injection> {
        let second = Duration::from_secs(1);
        Plan::new(Fault::ALL.to_vec(), second, second, seed).unwrap().take(1000).collect()
    }

    #[test]
    fn equal_seeds_give_equal_plans() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_is_chosen_and_some_holds_are_long() {
        let injections = plan(1);
        for fault in Fault::ALL {
            assert!(injections.iter().filter(|injection| injection.fault == fault).count() > 30, "{fault}");
        }
        let long = injections.iter().filter(|injection| injection.hold > Duration::from_secs(1)).count();
        assert!((40..160).contains(&long), "{long}");
        assert!(Plan::new(Vec::new(), Duration::ZERO, Duration::ZERO, 1).is_none());
    }
}
