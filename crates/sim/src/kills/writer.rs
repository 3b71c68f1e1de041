// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writers, each with keys of its own. A writer makes one call after the other and stops at the first that fails.

use std::time::Duration;

use throughline_core::Rng;

use super::Shared;
use super::findings::Finding;
use super::house::{Door, House, Said};
use super::ledger::{Act, RecordId, Resource};

/// How many write at once, and to how many keys of each resource.
const WRITERS: u64 = 6;
const KEYS: u64 = 5;
/// The longest time that a writer thinks, in milliseconds.
const PAUSE_MS_MAX: u64 = 4;

/// Has all writers write until the daemon is gone.
pub(super) async fn all(house: &House, shared: &Shared, rng: &Rng) {
    let writers = (0..WRITERS).map(|number| {
        let writer = Writer { number, door: house.door(), shared, rng: Rng::from_seed(rng.next_u64()) };
        async move { writer.work().await }
    });
    futures_util::future::join_all(writers.collect::<Vec<_>>()).await;
}

struct Writer<'a> {
    number: u64,
    door: Door,
    shared: &'a Shared,
    rng: Rng,
}

impl Writer<'_> {
    async fn work(&self) -> Option<()> {
        loop {
            let resource = Resource::ALL[self.rng.below(2) as usize];
            let record = RecordId { resource, id: self.rng.below(KEYS) * WRITERS + self.number };
            let acts: &[Act] = match self.rng.below(64) {
                0 => &[Act::Refused],
                1..8 => &[Act::Delete],
                8..12 => &[Act::Put, Act::Delete, Act::Put],
                _ => &[Act::Put],
            };
            for act in acts {
                self.write(record, *act).await?;
            }
            if self.rng.below(8) == 0 {
                self.read(record).await?;
            }
            tokio::time::sleep(Duration::from_millis(self.rng.below(PAUSE_MS_MAX))).await;
        }
    }

    /// Writes; `None` when it was not accepted, for whatever reason.
    async fn write(&self, record: RecordId, act: Act) -> Option<()> {
        let mut write = self.shared.ledger.lock().begin(record, act);
        match self.door.write(record, write.value()).await {
            Said::Accepted(receipt) => {
                write.receipt = Some(receipt);
                self.shared.ledger.lock().accept(record, write);
                self.shared.accepted.notify_waiters();
                Some(())
            }
            Said::Declined => {
                self.shared.ledger.lock().declined += 1;
                None
            }
            Said::Nothing => None,
        }
    }

    /// Reads what it wrote itself; `None` when the daemon is gone.
    async fn read(&self, record: RecordId) -> Option<()> {
        let seen = self.door.read(record).await.ok()?;
        let value = self.shared.ledger.lock().records.get(&record).and_then(super::ledger::Known::value);
        if let Some(seen) = seen {
            let is_stale = u64::from(seen != value);
            let tell = || format!("{record}: a writer was told {value:?} and read {seen:?}");
            self.shared.findings.lock().note(Finding::Stale, is_stale, tell);
        }
        Some(())
    }
}
