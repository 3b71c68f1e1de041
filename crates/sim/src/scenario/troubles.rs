// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong, and how long things take.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::Rng;

/// Chance of one world, and what is broken in it at the moment. Shared by everything in it.
#[derive(Debug)]
pub(super) struct Troubles {
    rng: Rng,
    /// Which daemons do not reach the cache.
    cut: Vec<AtomicBool>,
    /// How often the cache server was restarted: nothing that was sent before arrives.
    restarts: AtomicU64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried out and answered.
    Fine,
    /// It does not arrive.
    LostBefore,
    /// It is carried out, and the answer does not arrive.
    LostAfter,
}

impl Troubles {
    pub(super) fn new(seed: u64, daemon_count: u32) -> Self {
        let cut = (0..daemon_count).map(|_| AtomicBool::new(false)).collect();
        Self { rng: Rng::from_seed(seed), cut, restarts: AtomicU64::new(0) }
    }

    /// A time for one way: mostly short, sometimes long enough that everything else overtakes it.
    pub(super) fn delay(&self) -> Duration {
        let max = if self.rng.below(20) == 0 { 400 } else { 6 };
        Duration::from_millis(self.rng.below(max))
    }

    pub(super) fn fate(&self) -> Fate {
        match self.rng.below(60) {
            0 => Fate::LostBefore,
            1 => Fate::LostAfter,
            _ => Fate::Fine,
        }
    }

    /// Whether something happens that happens once in `many`.
    pub(super) fn once_in(&self, many: u64) -> bool {
        self.rng.below(many) == 0
    }

    pub(super) fn is_cut(&self, daemon: u32) -> bool {
        self.cut[daemon as usize].load(Ordering::Relaxed)
    }

    pub(super) fn set_cut(&self, daemon: u32, is_cut: bool) {
        self.cut[daemon as usize].store(is_cut, Ordering::Relaxed);
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(super) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }
}
