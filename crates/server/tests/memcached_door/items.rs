// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands on the items of the plain space. That the answers are memcached's is shown in `live.rs`.

use crate::bench::{Door, patiently};

#[tokio::test]
async fn a_key_of_no_resource_is_an_item() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("set foo:1 7 0 2\r\nab\r\nget foo:1 person foo:2\r\n").await,
        "STORED\r\nVALUE foo:1 7 2\r\nab\r\nEND\r\n"
    );
    assert_eq!(peer.ask(b"set \xff\xfe 0 0 1\r\nx\r\ndelete \xff\xfe\r\n").await, "STORED\r\nDELETED\r\n");
}

#[tokio::test]
async fn a_flush_with_a_delay_comes_later_and_a_new_one_takes_its_place() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("flush_all 1000\r\nset a 0 0 1\r\nx\r\nget a\r\n").await,
        "OK\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
    );
    assert_eq!(door.throughline.tasks().count(), 1);
    assert_eq!(peer.ask("flush_all 1\r\nget a\r\n").await, "OK\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    patiently(async { while peer.ask("get a\r\n").await != "END\r\n" {} }).await;
    patiently(async {
        while door.throughline.tasks().count() > 0 {
            peer.ask("").await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_item_expires() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("set a 0 1 1\r\nx\r\nset b 0 -1 1\r\nx\r\nget b\r\n").await,
        "STORED\r\nSTORED\r\nEND\r\n"
    );
    patiently(async { while peer.ask("get a\r\n").await != "END\r\n" {} }).await;
    assert_eq!(peer.ask("set c 0 2592001 1\r\nx\r\nget c\r\n").await, "STORED\r\nEND\r\n", "a date in 1970");
    assert_eq!(
        peer.ask("set c 0 4000000000 1\r\nx\r\nget c\r\n").await,
        "STORED\r\nVALUE c 0 1\r\nx\r\nEND\r\n"
    );
}

#[tokio::test]
async fn counting_by_many_at_once_loses_nothing() {
    let door = Door::open().await;
    door.knock().await.ask("set n 0 0 1\r\n0\r\n").await;
    let count = async || {
        let mut peer = door.knock().await;
        peer.ask("incr n 1 noreply\r\n".repeat(50)).await;
    };
    tokio::join!(count(), count(), count(), count());
    assert_eq!(door.knock().await.ask("get n\r\n").await, "VALUE n 0 3\r\n200\r\nEND\r\n");
}

#[tokio::test]
async fn what_an_item_cannot_keep_account_of_is_refused() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("mg a v N30\r\n").await, "CLIENT_ERROR flag N is not offered here\r\n");
    assert_eq!(peer.ask("mg a v R30\r\n").await, "CLIENT_ERROR flag R is not offered here\r\n");
    assert_eq!(peer.ask("md a I\r\n").await, "CLIENT_ERROR flag I is not offered here\r\n");
    assert_eq!(peer.ask("ms a 1 I\r\nx\r\n").await, "CLIENT_ERROR flag I is not offered here\r\n");
}
