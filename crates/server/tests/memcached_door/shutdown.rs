// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaving, and shutting down.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::bench::{Door, Setting, patiently};

#[tokio::test]
async fn quit_closes_without_an_answer() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.send("version\r\nquit\r\nversion\r\n").await;
    assert_eq!(peer.rest().await.matches("VERSION").count(), 1);
    patiently(async {
        let mut peer = door.knock().await;
        while !peer.ask("stats\r\n").await.contains("STAT curr_connections 1\r\n") {}
    })
    .await;
}

#[tokio::test]
async fn shutting_down_closes_idle_connections_and_lets_nobody_in() {
    let door = Door::open().await;
    let (mut idle, mut half) = (door.knock().await, door.knock().await);
    idle.ask("").await;
    half.ask("").await;
    half.send("set a 0 0 10\r\nab").await;
    door.shutdown.begin();
    assert_eq!(idle.rest().await, "");
    assert_eq!(half.rest().await, "");
    let address = door.address;
    door.closed().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_is_under_way_is_answered_before_the_door_closes() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    door.person.open_reads(false);
    peer.send("get person:1\r\nget person:2\r\n").await;
    patiently(async {
        while door.person.loads() == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    door.shutdown.begin();
    door.person.open_reads(true);
    let answer = peer.rest().await;
    assert_eq!(answer.matches("VALUE").count(), 2, "{answer}");
    door.closed().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_limit_is_given_up() {
    let door = Door::open_with(Setting { limit: Duration::from_millis(50), ..Setting::default() }).await;
    let mut peer = door.knock().await;
    door.person.open_reads(false);
    peer.send("get person:1\r\n").await;
    patiently(async {
        while door.person.loads() == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    door.shutdown.begin();
    assert_eq!(peer.rest().await, "");
    door.closed().await;
}
