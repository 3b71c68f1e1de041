// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that dies, hangs and comes back; each test has its own.

use throughline_core::Loader;
use throughline_testkit::Mariadb;

use crate::fixture::{apply, intent, key, put};
use crate::servers::faults::start;

#[tokio::test]
async fn the_server_counts_the_same_round_trips() {
    let (server, source, table) = start(|config| {
        config.reader_count = 1;
        config.writer_count = 1;
    })
    .await;
    for _ in 0..2 {
        // The first time prepares the statements and opens the writer's connection.
        let before = (questions(&server), source.stats());
        apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
        table.load(&key("1"), intent(true)).await.unwrap();
        let after = (questions(&server), source.stats());
        let ours = after.1.write_statements - before.1.write_statements + after.1.read_statements
            - before.1.read_statements;
        assert_eq!(ours, 4);
        if before.1.connections_opened == after.1.connections_opened {
            assert_eq!(after.0 - before.0, ours);
        }
    }
}

/// The statements that clients executed, without this one's.
fn questions(server: &Mariadb) -> u64 {
    let names =
        "'Com_select', 'Com_update', 'Com_insert', 'Com_delete', 'Com_commit', 'Com_begin', 'Com_rollback'";
    let sum = format!("show global status where variable_name in ({names})");
    let counts = server.execute(&sum);
    counts.lines().map(|line| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()).sum()
}
