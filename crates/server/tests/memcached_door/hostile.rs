// SPDX-License-Identifier: MIT OR Apache-2.0
//! Broken, slow and hostile peers: each gets a clear error or is dropped, and the others notice nothing.

use std::time::Duration;

use throughline_server::memcached::MemcachedDoor;

use crate::bench::{Door, Setting, patiently};

/// A door that has no patience with half-sent commands.
async fn strict() -> Door {
    let config = MemcachedDoor { stall_max: Duration::from_millis(100), ..MemcachedDoor::default() };
    Door::open_with(Setting { config, ..Setting::default() }).await
}

#[tokio::test]
async fn a_malformed_line_is_an_error_and_the_connection_lives() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let long = "k".repeat(251);
    for (request, answer) in [
        ("nonsense\r\n".to_owned(), "ERROR\r\n"),
        ("get\r\n".to_owned(), "ERROR\r\n"),
        (format!("get {long}\r\n"), "CLIENT_ERROR bad command line format\r\n"),
        (format!("delete {long}\r\n"), "CLIENT_ERROR bad command line format\r\n"),
        ("set a b c d\r\n".to_owned(), "CLIENT_ERROR bad command line format\r\n"),
        ("set a 0 0 1\r\nxyz\r\n".to_owned(), "CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
        ("incr a x\r\n".to_owned(), "CLIENT_ERROR invalid numeric delta argument\r\n"),
        ("mg a !\r\n".to_owned(), "CLIENT_ERROR invalid flag\r\n"),
    ] {
        assert_eq!(peer.ask(&request).await, answer, "{request}");
    }
    assert_eq!(peer.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
}

#[tokio::test]
async fn binary_junk_closes_only_its_own_connection() {
    let door = Door::open().await;
    let mut neighbour = door.knock().await;
    neighbour.ask("").await;
    let mut junk = door.knock().await;
    junk.send([0x80, 0, 0, 0, 0xff, 0xfe, 0, 1, 2, 3]).await;
    assert_eq!(junk.rest().await, "");
    let mut endless = door.knock().await;
    endless.send([b'x'; 4096]).await;
    assert_eq!(endless.rest().await, "");
    assert_eq!(neighbour.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
}

#[tokio::test]
async fn a_value_that_is_too_large_is_dropped_and_the_connection_lives() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let large = "x".repeat(3 * 1024 * 1024);
    let request = format!("set person:9 0 0 {}\r\n{large}\r\n", large.len());
    assert_eq!(peer.ask(&request).await, "SERVER_ERROR object too large for cache\r\n");
    assert_eq!(peer.ask("get person:9\r\n").await, "END\r\n");
    let fits = "x".repeat(1024 * 1024);
    let request = format!("set a 0 0 {}\r\n{fits}\r\nget a\r\n", fits.len());
    assert_eq!(peer.ask(&request).await, format!("STORED\r\nVALUE a 0 {}\r\n{fits}\r\nEND\r\n", fits.len()));
}

#[tokio::test]
async fn commands_that_come_byte_by_byte_are_answered() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    for byte in b"set a 0 0 3\r\nabc\r\nget a person:1\r\n" {
        peer.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(
        peer.ask("").await,
        "STORED\r\nVALUE a 0 3\r\nabc\r\nVALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n"
    );
}

#[tokio::test]
async fn a_half_sent_command_is_dropped_after_its_time() {
    let door = strict().await;
    for half in ["get per", "set a 0 0 100\r\nabc", "set a 0 0 9000000\r\nabc"] {
        let mut peer = door.knock().await;
        peer.send(half).await;
        let answer = peer.rest().await;
        assert!(answer.is_empty() || answer.starts_with("SERVER_ERROR object too large"), "{answer}");
    }
    assert!(door.knock().await.ask("stats\r\n").await.contains("STAT stalled_connections 3\r\n"));
}

#[tokio::test]
async fn bytes_that_trickle_in_do_not_extend_the_time() {
    let door = strict().await;
    let peer = door.knock().await;
    let mut sent = 0;
    let trickle = async {
        while peer.stream.try_write(b"g").is_ok() || sent == 0 {
            sent += 1;
            let _ = tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    };
    patiently(trickle).await;
    assert!(sent < 50, "{sent} bytes were waited for");
}

#[tokio::test]
async fn a_connection_that_sends_nothing_may_stay() {
    let door = strict().await;
    let mut idle = door.knock().await;
    idle.ask("").await;
    let mut half = door.knock().await;
    half.send("get a").await;
    half.rest().await;
    assert_eq!(idle.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
}

#[tokio::test]
async fn a_peer_who_does_not_read_is_not_read_from_and_at_last_dropped() {
    let door = strict().await;
    let mut writer = door.knock().await;
    let value = "x".repeat(1024 * 1024 - 100);
    writer.ask(format!("set a 0 0 {}\r\n{value}\r\n", value.len())).await;
    let peer = door.knock().await;
    // He asks for gigabytes and reads nothing: sending stops, first ours, then his.
    let asking = async {
        while peer.stream.writable().await.is_ok() {
            match peer.stream.try_write(&b"get a\r\n".repeat(1000)) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    patiently(asking).await;
    let stats = writer.ask("stats\r\n").await;
    assert!(stats.contains("STAT stalled_connections 1\r\n"), "{stats}");
}

#[tokio::test]
async fn many_large_answers_come_whole_and_in_order() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let value = "x".repeat(300_000);
    for key in 0..8 {
        peer.ask(format!("set k{key} 0 0 {}\r\n{value}\r\n", value.len())).await;
    }
    let keys: String = (0..8).map(|key| format!(" k{key}")).collect();
    let expected: String = (0..8).map(|key| format!("VALUE k{key} 0 300000\r\n{value}\r\n")).collect();
    assert!(peer.ask(format!("get{keys}\r\n")).await == format!("{expected}END\r\n"));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let door = Door::open_with(Setting { connections_max: 2, ..Setting::default() }).await;
    let (mut first, mut second) = (door.knock().await, door.knock().await);
    first.ask("").await;
    second.ask("").await;
    assert_eq!(door.knock().await.rest().await, "ERROR Too many open connections\r\n");
    let stats = first.ask("stats\r\n").await;
    assert!(stats.contains("STAT rejected_connections 1\r\n"), "{stats}");
    drop(second);
    let again = async { while door.knock().await.rest_or_version().await.is_none() {} };
    patiently(again).await;
}

#[tokio::test]
async fn a_long_pipeline_is_answered_in_order() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let requests: String =
        (0..5_000).map(|n| format!("set k{n} 0 0 4\r\n{n:04}\r\nget k{n} person:1\r\n")).collect();
    let expected: String = (0..5_000)
        .map(|n| {
            format!("STORED\r\nVALUE k{n} 0 4\r\n{n:04}\r\nVALUE person:1 0 8\r\n{{\"id\":1}}\r\nEND\r\n")
        })
        .collect();
    assert!(peer.ask(requests).await == expected);
}
