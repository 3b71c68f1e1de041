// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two daemons over one memcached and one MariaDB, with every fault at once: the promise of the level strict.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use throughline_sim::Workload;
use throughline_sim::chaos::{Arena, Chaos};
use throughline_sim::faults::Fault;
use throughline_sim::report::{Judgement, Table};
use throughline_testkit::DaemonOptions;

/// The daemon's program, built as this test is: cargo builds no other package's program for a test.
fn program() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "throughline-cli"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status().expect("cargo, which runs this test, can be run");
    assert!(status.success(), "the daemon does not build");
    DaemonOptions::built_program()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_keep_strict_through_every_fault() {
    let seed = 20_261_121;
    let workload = Workload {
        key_count: 6,
        worker_count: 8,
        write_percent: 10,
        duration: Duration::from_secs(20),
        seed,
    };
    let chaos = Chaos { workload, faults: Fault::ALL.to_vec(), quiet: Duration::from_secs(11) };
    let program = program();
    let cell = Arena::start().cell("daemons", &chaos).await.unwrap();
    let daemons = cell.daemons(program, 2).unwrap();
    let report = cell.run(&daemons, &chaos).await.unwrap();
    let (judgement, examples) = (report.judgement(), report.examples().join("\n"));
    let table = Table::new(&[report]).to_string();
    assert_eq!(judgement, Judgement::Kept, "\n{table}\n{examples}\n{}", daemons.logs().join("\n"));
}
