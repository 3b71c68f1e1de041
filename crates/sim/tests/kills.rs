// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon that writes behind is killed again and again, and its database, too: nothing accepted is lost, nothing is applied
//! twice, every dead letter is accounted for. `throughline-sim kills` does so as often as one likes.

use throughline_sim::database::{Kind, Server};
use throughline_sim::kills::{Keeping, KillsReport, KillsTable, Plan, run};
use throughline_testkit::DaemonOptions;

const SEED: u64 = 20_261_121;
/// Runs of a control until it is convicted.
const RUNS_MAX: u64 = 10;

async fn report(database: Kind, keeping: Keeping, rounds: u64, seed: u64) -> KillsReport {
    let plan = Plan { rounds, seed, program: DaemonOptions::build_program() };
    run(&Server::start(database), keeping, &plan).await.expect("servers that answer")
}

fn told(report: &KillsReport) -> String {
    let examples = report.findings.examples().join("\n");
    let log = report.log.as_deref().unwrap_or_default();
    format!("\n{}\n{examples}\n{log}", KillsTable(std::slice::from_ref(report)))
}

async fn keeps(database: Kind) {
    let report = report(database, Keeping::Journal, 20, SEED).await;
    assert!(report.is_due(), "{}", told(&report));
    assert_eq!((report.rounds, report.database_kills), (20, 4));
    assert!(report.accepted >= 200 && report.applied > 0 && report.letters > 0, "{}", told(&report));
}

/// A kill must meet the moment between a commit and what is noted of it, which is short: as many runs as it takes, within reason.
async fn is_convicted(keeping: Keeping, rounds: u64) {
    let mut last = None;
    for run in 0..RUNS_MAX {
        let report = report(Kind::Mariadb, keeping, rounds, SEED + run).await;
        if report.is_due() {
            return;
        }
        last = Some(report);
    }
    panic!("{}", last.as_ref().map(told).unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_over_twenty_kills_of_the_daemon_and_four_of_mariadb() {
    keeps(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_over_twenty_kills_of_the_daemon_and_four_of_postgresql() {
    keeps(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_a_queue_in_memory_is_convicted() {
    is_convicted(Keeping::Memory, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_forgets_its_watermarks_is_convicted() {
    is_convicted(Keeping::Unmarked, 10).await;
}
