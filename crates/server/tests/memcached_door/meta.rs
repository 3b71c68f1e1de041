// SPDX-License-Identifier: MIT OR Apache-2.0
//! The meta commands on records.

use crate::bench::Door;

#[tokio::test]
async fn mg_returns_what_its_flags_ask_for_in_their_order() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("mg person:1\r\n").await, "HD\r\n");
    assert_eq!(peer.ask("mg person:1 v\r\n").await, "VA 8\r\n{\"id\":1}\r\n");
    assert_eq!(
        peer.ask("mg person:1 T60 s v f k t O42 h l\r\n").await,
        "VA 8 s8 f0 kperson:1 t60 O42 h1 l0\r\n{\"id\":1}\r\n"
    );
    assert_eq!(peer.ask("mg person:1 t T30 q\r\nmg person:1 t\r\n").await, "HD t60\r\nHD t30\r\n");
    assert_eq!(peer.ask("mg person:1 T999999 t\r\nmg person:1 t T0\r\n").await, "HD t300\r\nHD t300\r\n");
    // `person:2` in base64.
    assert_eq!(peer.ask("mg cGVyc29uOjI= b v k\r\n").await, "VA 8 kcGVyc29uOjI= b\r\n{\"id\":2}\r\n");
}

#[tokio::test]
async fn mg_of_nothing_is_a_miss_that_q_leaves_out() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("mg person:7 v k O1\r\nmg person:7 v q\r\nmg person:1 s q\r\n").await,
        "EN kperson:7 O1\r\nHD s8\r\n"
    );
}

#[tokio::test]
async fn the_right_to_fill_is_nothing_for_the_clients_of_a_resource() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("mg person:1 v N30 R30\r\nmg person:7 v N30\r\n").await,
        "VA 8\r\n{\"id\":1}\r\nEN\r\n"
    );
}

#[tokio::test]
async fn ms_writes_the_row_by_its_mode() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(
        peer.ask("ms person:1 1 T50 F0 k O7\r\na\r\nmg person:1 t v\r\n").await,
        "HD kperson:1 O7\r\nVA 1 t50\r\na\r\n"
    );
    assert_eq!(peer.ask("ms person:1 1 ME q\r\nb\r\nms person:7 1 MR c q\r\nb\r\n").await, "NS\r\nNS c0\r\n");
    assert_eq!(peer.ask("ms person:7 1 ME q\r\nb\r\nms person:1 1 MR q\r\nc\r\n").await, "");
    assert_eq!((door.person.row("7").as_deref(), door.person.row("1").as_deref()), (Some("b"), Some("c")));
    assert_eq!(peer.ask("ms person:1 1 I\r\nx\r\n").await, "CLIENT_ERROR flag I is not offered here\r\n");
}

#[tokio::test]
async fn ms_and_md_compare_the_version_that_ms_and_mg_return() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let stored = peer.ask("ms person:1 1 c\r\na\r\n").await;
    let cas = stored.trim_end().strip_prefix("HD c").expect("the new version").to_owned();
    assert_eq!(peer.ask("mg person:1 c\r\n").await, format!("HD c{cas}\r\n"));
    assert_eq!(peer.ask("ms person:1 1 C1 c\r\nb\r\nmd person:1 C1\r\n").await, "EX c0\r\nEX\r\n");
    assert_eq!(peer.ask(format!("ms person:1 1 C{cas}\r\nb\r\n")).await, "HD\r\n");
    assert_eq!(peer.ask(format!("ms person:7 1 C{cas}\r\nb\r\n")).await, "NF\r\n");
    let cas = peer.ask("mg person:1 c\r\n").await.trim_end().replace("HD c", "");
    assert_eq!(
        peer.ask(format!("md person:1 C{cas} O1\r\nmd person:1 k\r\nmd person:2 q\r\n")).await,
        "HD O1\r\nNF kperson:1\r\n"
    );
    assert_eq!((door.person.row("1"), door.person.row("2")), (None, None));
}

#[tokio::test]
async fn md_with_i_drops_the_entry_and_keeps_the_row() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get person:1\r\n").await;
    assert_eq!(
        peer.ask("md person:1 I\r\nget person:1\r\n").await,
        "HD\r\nVALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n"
    );
    assert_eq!(door.person.loads(), 2);
}

#[tokio::test]
async fn me_tells_what_is_cached_and_never_asks_the_source() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("me person:1\r\n").await, "EN\r\n");
    assert_eq!(door.person.loads(), 0);
    peer.ask("gat 60 person:1\r\n").await;
    let cas = peer.ask("mg person:1 c\r\n").await.trim_end().replace("HD c", "");
    assert_eq!(
        peer.ask("me person:1\r\n").await,
        format!("ME person:1 exp=60 la=0 cas={cas} fetch=yes cls=0 size=8\r\n")
    );
}
