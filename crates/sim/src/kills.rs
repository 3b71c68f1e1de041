// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind whose daemon is killed (SIGKILL) at random moments under load, and its database in between, on real servers.
//!
//! Several writers write growing numbers over HTTP, each to keys of its own, so that whoever looks knows what must be there. Some
//! writes are deletes, and some are refused by the database for good. What is compared:
//!
//! | when | what |
//! |---|---|
//! | at any time | what a writer reads is what it was told last; rows that are watched never go backward |
//! | after each start | every key shows its last accepted write, or the one whose answer never came |
//! | in the end | the rows; the dead letters, one by one; and of the resource `steps` every single write that was applied |
//!
//! The same is done with a queue in memory and with a journal whose watermarks are forgotten: these must be convicted.

mod account;
mod findings;
mod house;
mod ledger;
mod report;
mod watch;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{Error, ErrorKind, Result, Rng};
use tokio::time::Instant;

use crate::database::Server;
use house::House;
use ledger::{Ledger, RecordId};

pub use findings::{Finding, Findings};
pub use report::{Keeping, KillsReport, KillsTable};

/// So many writes more are accepted before the next kill.
const ACCEPTED_MIN: u64 = 10;
/// How long that may take.
const ACCEPTED_LIMIT: Duration = Duration::from_secs(30);
/// The longest time from then to the kill, in milliseconds.
const LIFE_MS_MAX: u64 = 300;
/// The longest time that the database is away, in milliseconds.
const AWAY_MS_MAX: u64 = 300;
/// In one of so many rounds the database is killed, too.
const DATABASE_EVERY: u64 = 5;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often the daemon is killed.
    pub rounds: u64,
    /// What is random follows from it, but for the order in which things happen.
    pub seed: u64,
    /// The daemon's program.
    pub program: PathBuf,
}

/// What the writers, the watcher and the judge have in common.
#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    findings: Mutex<Findings>,
    floors: Mutex<BTreeMap<RecordId, watch::Floor>>,
    /// Told whenever a write was accepted.
    accepted: tokio::sync::Notify,
}

/// Kills the daemon `plan.rounds` times, and judges.
///
/// # Errors
/// When the database or the daemon does not do what this needs: take our tables, answer, accept writes.
///
/// # Panics
/// When a server does not come up again, with the end of its log.
pub async fn run(server: &Server, keeping: Keeping, plan: &Plan) -> Result<KillsReport> {
    let began = Instant::now();
    let house = House::open(server, keeping, &plan.program).await?;
    let (shared, rng) = (Shared::default(), Rng::from_seed(plan.seed));
    let mut report = KillsReport::new(keeping, server.kind());
    for round in 0..plan.rounds {
        shared.findings.lock().round = round + 1;
        let (over, ended) = tokio::sync::watch::channel(false);
        let writers = Rng::from_seed(rng.next_u64());
        let working = writer::all(&house, &shared, &writers);
        let breaking = async {
            let broken = break_things(&house, &shared, round, &rng).await;
            let _ = over.send(true);
            broken
        };
        let ((), (), broken) = tokio::join!(working, watch::watch(&house, &shared, ended), breaking);
        report.database_kills += u64::from(broken?);
        let starting = Instant::now();
        house.start_again().await?;
        report.start_max = report.start_max.max(starting.elapsed());
        account::check_reads(&house, &shared).await?;
        report.rounds += 1;
        if report.log.is_none() && shared.findings.lock().count() > 0 {
            report.log = Some(house.logs());
        }
    }
    account::finish(&house, &shared, &mut report).await?;
    report.took = began.elapsed();
    Ok(report)
}

/// Kills the daemon when there was some load, and the database now and then; whether it did.
async fn break_things(house: &House, shared: &Shared, round: u64, rng: &Rng) -> Result<bool> {
    let until = shared.ledger.lock().accepted + ACCEPTED_MIN;
    let loaded = async {
        loop {
            let more = shared.accepted.notified();
            if shared.ledger.lock().accepted >= until {
                return;
            }
            more.await;
        }
    };
    let waited = tokio::time::timeout(ACCEPTED_LIMIT, loaded).await;
    let some = |most| Duration::from_millis(rng.below(most));
    tokio::time::sleep(some(LIFE_MS_MAX)).await;
    let with_database = round % DATABASE_EVERY == DATABASE_EVERY - 1;
    match (with_database, rng.below(3)) {
        (false, _) => house.kill_daemon().await,
        // The daemon goes while the database is away.
        (true, 0) => {
            house.kill_database().await;
            tokio::time::sleep(some(AWAY_MS_MAX)).await;
            house.kill_daemon().await;
            house.start_database().await;
        }
        // It comes back, and the daemon goes while it makes up for the time.
        (true, 1) => {
            house.kill_database().await;
            tokio::time::sleep(some(AWAY_MS_MAX)).await;
            house.start_database().await;
            tokio::time::sleep(some(LIFE_MS_MAX)).await;
            house.kill_daemon().await;
        }
        // Both at once.
        (true, _) => {
            house.kill_daemon().await;
            house.kill_database().await;
            house.start_database().await;
        }
    }
    waited.map_err(|_| {
        let detail = format!("none was accepted for {} s: {}", ACCEPTED_LIMIT.as_secs(), house.logs());
        Error::new(ErrorKind::Unavailable, "write to the daemon", detail)
    })?;
    Ok(with_database)
}
