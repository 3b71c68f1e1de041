// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stats`, `version` and `verbosity`.

use crate::bench::Door;

fn stat(answer: &str, name: &str) -> u64 {
    let found = answer.lines().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
    found.unwrap_or_else(|| panic!("no {name} in {answer}")).parse().expect("a number")
}

#[tokio::test]
async fn stats_counts_commands_connections_and_each_resource() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get person:1 person:7\r\nget person:1\r\nset a 0 0 1\r\n5\r\nincr a 1\r\ndecr b 1\r\n").await;
    peer.ask("touch a 10\r\ntouch b 10\r\ndelete a\r\ndelete a\r\nappend person:1 0 0 1\r\nx\r\nbad\r\n")
        .await;
    let answer = peer.ask("stats\r\n").await;
    assert!(answer.ends_with("END\r\n"));
    for (name, number) in [
        ("curr_connections", 1),
        ("total_connections", 1),
        ("max_connections", 100),
        ("cmd_get", 3),
        ("get_hits", 2),
        ("get_misses", 1),
        ("cmd_set", 2),
        ("incr_hits", 1),
        ("decr_misses", 1),
        ("touch_hits", 1),
        ("touch_misses", 1),
        ("delete_hits", 1),
        ("delete_misses", 1),
        ("client_errors", 2),
        ("server_errors", 0),
        ("resource.person.loads", 1),
        ("resource.person.hits", 1),
        ("resource.sight.loads", 0),
    ] {
        assert_eq!(stat(&answer, name), number, "{name}");
    }
    assert_eq!(stat(&answer, "pid"), u64::from(std::process::id()));
    assert!(stat(&answer, "bytes_read") > 100);
    assert!(answer.contains("STAT resource.person.mode cache\r\n"));
}

#[tokio::test]
async fn stats_of_a_kind_are_known_empty_or_refused() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let settings = peer.ask("stats settings\r\n").await;
    assert_eq!(stat(&settings, "maxconns"), 100);
    assert_eq!(stat(&settings, "tcpport"), u64::from(door.address.port()));
    assert_eq!(stat(&settings, "item_size_max"), 1024 * 1024);
    assert_eq!(peer.ask("stats items\r\nstats slabs\r\n").await, "END\r\nEND\r\n");
    assert_eq!(
        peer.ask("stats reset\r\n").await,
        "CLIENT_ERROR statistics only grow and cannot be reset\r\n"
    );
    assert_eq!(peer.ask("stats nonsense\r\n").await, "ERROR\r\n");
}

#[tokio::test]
async fn the_version_begins_with_the_memcached_that_we_answer_like() {
    let door = Door::open().await;
    let answer = door.knock().await.ask("version\r\nverbosity 1\r\nverbosity 1 noreply\r\n").await;
    assert_eq!(answer, format!("VERSION 1.6.18 throughline/{}\r\nOK\r\n", env!("CARGO_PKG_VERSION")));
}
