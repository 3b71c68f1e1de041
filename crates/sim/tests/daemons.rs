// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two daemons over two memcached and one MariaDB: the promise of the level strict, with every fault at once.

use std::time::Duration;

use throughline_sim::Workload;
use throughline_sim::chaos::{Arena, Chaos};
use throughline_sim::database::Kind;
use throughline_sim::faults::Fault;
use throughline_sim::report::{Judgement, Table};
use throughline_testkit::DaemonOptions;

fn chaos(seconds: u64, quiet: Duration, faults: Vec<Fault>) -> Chaos {
    let workload = Workload {
        key_count: 6,
        worker_count: 8,
        write_percent: 10,
        duration: Duration::from_secs(seconds),
        seed: 20_261_121,
    };
    Chaos { workload, faults, quiet, database: Kind::Mariadb, cache_count: 2, outside_bound: None }
}

async fn keeps(chaos: &Chaos) {
    let program = DaemonOptions::build_program();
    let cell = Arena::start(chaos.database).cell("daemons", chaos).await.expect("servers that answer");
    let daemons = cell.daemons(program, 2, chaos).expect("daemons that start");
    let report = cell.run(&daemons, chaos).await.expect("servers that come up again");
    let (judgement, examples) = (report.judgement(), report.examples().join("\n"));
    let table = Table::new(&[report]).to_string();
    assert_eq!(judgement, Judgement::Kept, "\n{table}\n{examples}\n{}", daemons.logs().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_keep_strict_through_every_fault() {
    keeps(&chaos(20, Duration::from_secs(11), Fault::ALL.to_vec())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_writes_is_seen_within_the_bound() {
    let bound = Some(Duration::from_secs(2));
    keeps(&Chaos { outside_bound: bound, ..chaos(6, Duration::from_secs(2), Vec::new()) }).await;
}
