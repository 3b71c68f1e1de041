// SPDX-License-Identifier: MIT OR Apache-2.0
//! Systems whose verdict is known, against real servers: a checker that finds nothing in the naive ones, or
//! something in the database alone, is broken.

use std::time::Duration;

use throughline_sim::Workload;
use throughline_sim::chaos::{Arena, Chaos, Control};
use throughline_sim::checker::Breach;
use throughline_sim::database::Kind;
use throughline_sim::faults::Fault;
use throughline_sim::report::{Judgement, Report, Table};

/// On a machine that has no time for us nothing is read, which says nothing about a system: then for longer.
async fn report(database: Kind, control: Control, faults: &[Fault]) -> Report {
    for seconds in [4, 8] {
        let report = report_of(database, control, faults, Duration::from_secs(seconds)).await;
        if report.verdict.reads > 0 && report.verdict.acknowledged > 0 {
            return report;
        }
    }
    report_of(database, control, faults, Duration::from_secs(30)).await
}

async fn report_of(database: Kind, control: Control, faults: &[Fault], duration: Duration) -> Report {
    let seed = 20_261_121;
    let workload = Workload { key_count: 6, worker_count: 8, write_percent: 10, duration, seed };
    let chaos = Chaos {
        workload,
        faults: faults.to_vec(),
        quiet: Duration::from_millis(200),
        database,
        cache_count: 1,
        outside_bound: None,
    };
    let cell = Arena::start(database).cell("control", &chaos).await.expect("servers that answer");
    let system = cell.control(control, seed);
    cell.run(system.as_ref(), &chaos).await.expect("servers that come up again")
}

/// The judgement, and the table to show when it is another one.
fn judged(report: Report) -> (Judgement, String) {
    let judgement = report.judgement();
    (judgement, Table::new(&[report]).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn filling_by_add_and_setting_after_the_commit_is_convicted() {
    let (judgement, table) = judged(report(Kind::Mariadb, Control::NaiveAdd, &[]).await);
    assert_eq!(judgement, Judgement::Convicted, "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_after_the_commit_is_convicted() {
    let (judgement, table) = judged(report(Kind::Mariadb, Control::NaiveDelete, &[]).await);
    assert_eq!(judgement, Judgement::Convicted, "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_the_same_code_is_convicted() {
    let (judgement, table) = judged(report(Kind::Postgres, Control::NaiveDelete, &[]).await);
    assert_eq!(judgement, Judgement::Convicted, "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_alone_keeps_the_promise() {
    let (judgement, table) = judged(report(Kind::Mariadb, Control::NoCache, &[]).await);
    assert_eq!(judgement, Judgement::Kept, "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_loses_nothing_acknowledged_and_everything_is_healed() {
    let faults =
        [Fault::DatabaseKill, Fault::CacheKill, Fault::CachePause, Fault::CacheFlush, Fault::CacheDelete];
    let report = report(Kind::Mariadb, Control::NoCache, &faults).await;
    assert!(report.injections.values().sum::<u64>() > 3, "{:?}", report.injections);
    assert_eq!(report.verdict.count(Breach::Lost), 0);
    let (judgement, table) = judged(report);
    assert_eq!(judgement, Judgement::Kept, "\n{table}");
}
