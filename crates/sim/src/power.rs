// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind on a disk whose power goes at random moments, again and again.
//!
//! Several writers write growing numbers, each to keys of its own, so that whoever looks knows what must be there: of each key
//! the last number that was accepted, or a later one whose answer never came. The database outlives everything, declines at times and
//! refuses some values for good. After each loss of power a new process reads the disk and goes on. In the end all is applied and
//! compared. The same is done with a queue in memory and with a disk on which a sync does nothing: these must be convicted.

mod round;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Key, Position, Rng};
use throughline_testkit::{Disk, MapSource};

use round::{House, Ledger, Seen};

/// How accepted writes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In the journal.
    Journal,
    /// In the journal, before a service that keeps no watermark of ours, and does at some time what was given up.
    JournalBeforeService,
    /// In the journal, on a disk on which a sync does nothing.
    Unsynced,
    /// In memory.
    Memory,
}

impl Keeping {
    /// Every way, those that must hold first.
    pub const ALL: [Self; 4] = [Self::Journal, Self::JournalBeforeService, Self::Unsynced, Self::Memory];

    /// Whether nothing may be lost.
    pub const fn must_hold(self) -> bool {
        matches!(self, Self::Journal | Self::JournalBeforeService)
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::JournalBeforeService => "journal before a service",
            Self::Unsynced => "journal without syncs",
            Self::Memory => "queue in memory",
        })
    }
}

/// What many losses of power have shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PowerReport {
    /// Losses of power.
    pub rounds: u64,
    /// Writes that were accepted.
    pub accepted: u64,
    /// Writes that were applied.
    pub applied: u64,
    /// Writes that were refused for good, each of which is a dead letter.
    pub letters: u64,
    /// Reads of an accepted value that showed something older.
    pub stale: u64,
    /// Keys whose last accepted value is neither in the database nor a dead letter.
    pub lost: u64,
    /// Writes that were applied more than once.
    pub twice: u64,
    /// Writes that were applied after a later one of their key.
    pub backward: u64,
    /// Starts that the journal refused, because what it found cannot be what it wrote.
    pub refused: u64,
}

impl PowerReport {
    /// How many times something was not as it must be.
    pub fn breaches(&self) -> u64 {
        self.stale + self.lost + self.twice + self.backward + self.refused
    }
}

/// Loses the power `rounds` times.
pub async fn run(keeping: Keeping, rounds: u64, seed: u64) -> PowerReport {
    let rng = Arc::new(Rng::from_seed(seed));
    let (disk, letters) = match keeping {
        Keeping::Unsynced => (Disk::without_syncs(), Disk::new()),
        _ => (Disk::new(), Disk::new()),
    };
    let house = House { source: MapSource::default(), disk, letters, keeping, rng: rng.clone() };
    house.source.refuse_value(round::BAD, throughline_core::ErrorKind::Constraint);
    if keeping == Keeping::JournalBeforeService {
        house.source.forget_lanes();
    }
    let (mut report, mut ledger) = (PowerReport::default(), Ledger::default());
    for _ in 0..rounds {
        report.rounds += 1;
        let Some(daemon) = house.open().await else {
            report.refused += 1;
            break;
        };
        report.stale += daemon.check(&mut ledger).await;
        daemon.work_until_the_power_goes(&house, &mut ledger).await;
        daemon.end().await;
        house.lose_power();
    }
    finish(&house, &mut report, &mut ledger).await;
    report.accepted = ledger.accepted;
    report
}

/// A last start, after which everything is applied and compared.
async fn finish(house: &House, report: &mut PowerReport, ledger: &mut Ledger) {
    let Some(daemon) = house.open().await else {
        report.refused += 1;
        return;
    };
    report.stale += daemon.check(ledger).await;
    house.source.set_unavailable(false);
    let drained = tokio::select! {
        drained = tokio::time::timeout(Duration::from_secs(60), daemon.behind.drain()) => drained,
        () = house.finish_lingering() => unreachable!("it goes on for ever"),
    };
    report.lost += u64::from(drained.is_err());
    report.letters = daemon.behind.letter_count() as u64;
    for (key, known) in &ledger.keys {
        let is_letter = daemon.behind.letters(usize::MAX).iter().any(|letter| letter.key == *key);
        let row = house.source.row(key.as_str());
        let is_there = match known.accepted {
            Seen::Nothing => true,
            Seen::Bad(_) => is_letter,
            Seen::Number(number) => {
                row.and_then(|row| row.parse().ok()).is_some_and(|row: u64| row >= number)
            }
        };
        report.lost += u64::from(!is_there);
    }
    daemon.end().await;
    let applied = house.source.applied();
    report.applied = applied.len() as u64;
    let mut newest: HashMap<Key, Position> = HashMap::new();
    for (key, position) in applied {
        match newest.insert(key, position) {
            Some(before) if before == position => report.twice += 1,
            Some(before) if before > position => report.backward += 1,
            _ => {}
        }
    }
}
