// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands on the records of resources.

use throughline::ErrorKind;

use crate::bench::{Door, Setting};

/// The cas number that `gets` shows for a key.
fn cas_in(answer: &str) -> u64 {
    let line = answer.lines().next().expect("a line");
    line.rsplit(' ').next().expect("a word").parse().expect("a number")
}

#[tokio::test]
async fn a_record_is_read_and_one_that_is_not_there_is_left_out() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
    assert_eq!(peer.ask("get person:7\r\n").await, "END\r\n");
    let answer = peer.ask("get person:7 person:2 sight:1 person:1\r\n").await;
    assert_eq!(
        answer,
        "VALUE person:2 0 8\r\n{\"id\":2}\r\nVALUE sight:1 0 4\r\nseen\r\nVALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n"
    );
}

#[tokio::test]
async fn a_second_read_does_not_ask_the_source() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    for _ in 0..3 {
        peer.ask("get person:1 person:7\r\n").await;
    }
    assert_eq!(door.person.loads(), 1);
    assert_eq!(door.counter("person", "hits"), 2);
    assert_eq!(door.counter("person", "negative_hits"), 2);
}

#[tokio::test]
async fn many_missing_keys_are_one_load() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let keys: String = (0..200).map(|id| format!(" person:{}", id + 1)).collect();
    peer.ask(format!("get{keys}\r\n")).await;
    assert_eq!(door.person.loads(), 1);
}

#[tokio::test]
async fn the_key_echoed_is_the_key_asked_for() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    // `%31` is `1`, and `01` means the row whose key is `1`.
    assert_eq!(peer.ask("get person:%31\r\n").await, "VALUE person:%31 0 8\r\n{\"id\":1}\r\nEND\r\n");
    assert_eq!(peer.ask("get person:01\r\n").await, "VALUE person:01 0 8\r\n{\"id\":1}\r\nEND\r\n");
}

#[tokio::test]
async fn a_source_that_is_gone_is_an_error_and_never_a_miss() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get person:1\r\n").await;
    door.person.set_unavailable(true);
    assert_eq!(peer.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
    let gone = "SERVER_ERROR cannot load a row: unavailable: the map was made unavailable\r\n";
    assert_eq!(peer.ask("get person:2\r\n").await, gone);
    assert_eq!(peer.ask("gets person:1 person:2\r\n").await, gone, "a partial answer looks like a miss");
    assert_eq!(peer.ask("gat 10 person:1 person:2\r\n").await, gone);
    assert_eq!(peer.ask("touch person:2 10\r\n").await, gone);
    assert_eq!(peer.ask("mg person:2 v\r\n").await, gone);
    door.person.set_unavailable(false);
    assert_eq!(peer.ask("get person:2\r\n").await, "VALUE person:2 0 8\r\n{\"id\":2}\r\nEND\r\n");
}

#[tokio::test]
async fn a_cache_that_is_gone_is_no_error() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    door.cache.set_down(true);
    assert_eq!(peer.ask("get shared:1\r\n").await, "VALUE shared:1 0 4\r\nours\r\nEND\r\n");
    assert_eq!(peer.ask("gat 10 shared:1\r\n").await, "VALUE shared:1 0 4\r\nours\r\nEND\r\n");
}

#[tokio::test]
async fn set_inserts_and_replaces_the_row() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("set person:9 0 0 3\r\nnew\r\n").await, "STORED\r\n");
    assert_eq!(door.person.row("9").as_deref(), Some("new"));
    assert_eq!(peer.ask("set person:9 5 60 5 noreply\r\nnewer\r\n").await, "");
    assert_eq!(door.person.row("9").as_deref(), Some("newer"));
    assert_eq!(peer.ask("get person:9\r\n").await, "VALUE person:9 5 5\r\nnewer\r\nEND\r\n");
    assert_eq!(door.person.loads(), 0, "what was written is published");
}

#[tokio::test]
async fn add_only_inserts_and_replace_only_updates() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("add person:1 0 0 1\r\nx\r\n").await, "NOT_STORED\r\n");
    assert_eq!(peer.ask("replace person:9 0 0 1\r\nx\r\n").await, "NOT_STORED\r\n");
    assert_eq!((door.person.row("1").as_deref(), door.person.row("9")), (Some(r#"{"id":1}"#), None));
    assert_eq!(peer.ask("add person:9 0 0 1\r\nx\r\n").await, "STORED\r\n");
    assert_eq!(peer.ask("replace person:1 0 0 1\r\ny\r\n").await, "STORED\r\n");
    assert_eq!((door.person.row("1").as_deref(), door.person.row("9").as_deref()), (Some("y"), Some("x")));
}

#[tokio::test]
async fn cas_stores_only_over_the_version_that_was_read() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let cas = cas_in(&peer.ask("gets person:1\r\n").await);
    door.person.change_behind("1", Some("other"));
    assert_eq!(peer.ask(format!("cas person:1 0 0 1 {cas}\r\nx\r\n")).await, "EXISTS\r\n");
    assert_eq!(door.person.row("1").as_deref(), Some("other"));
    assert_eq!(peer.ask(format!("cas person:9 0 0 1 {cas}\r\nx\r\n")).await, "NOT_FOUND\r\n");
    peer.ask("mg person:1 v\r\nmd person:1 I\r\n").await;
    let cas = cas_in(&peer.ask("gats 10 person:1\r\n").await);
    assert_eq!(peer.ask(format!("cas person:1 0 0 1 {cas}\r\nx\r\n")).await, "STORED\r\n");
    assert_eq!(door.person.row("1").as_deref(), Some("x"));
}

#[tokio::test]
async fn delete_removes_the_row() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("delete person:1\r\ndelete person:1\r\n").await, "DELETED\r\nNOT_FOUND\r\n");
    assert_eq!(door.person.row("1"), None);
    assert_eq!(peer.ask("delete person:2 noreply\r\nget person:2\r\n").await, "END\r\n");
}

#[tokio::test]
async fn a_resource_that_is_only_read_refuses_writes_with_the_remedy() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    for request in
        ["set sight:1 0 0 1\r\nx\r\n", "add sight:1 0 0 1\r\nx\r\n", "cas sight:1 0 0 1 1\r\nx\r\n"]
    {
        assert_eq!(
            peer.ask(request).await,
            "CLIENT_ERROR cannot write a record: read only: resource `sight` is read-only; set `access = \"write\"` or serve with `--write`\r\n"
        );
    }
    assert_eq!(door.sight.row("1").as_deref(), Some("seen"));
}

#[tokio::test]
async fn deleting_what_may_only_be_read_drops_the_entry() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get sight:1\r\n").await;
    door.sight.change_behind("1", Some("changed"));
    assert_eq!(peer.ask("get sight:1\r\n").await, "VALUE sight:1 0 4\r\nseen\r\nEND\r\n");
    assert_eq!(peer.ask("delete sight:1\r\n").await, "DELETED\r\n");
    assert_eq!(peer.ask("get sight:1\r\n").await, "VALUE sight:1 0 7\r\nchanged\r\nEND\r\n");
    assert_eq!(door.sight.row("1").as_deref(), Some("changed"));
}

#[tokio::test]
async fn touch_changes_the_life_of_the_entry_and_never_the_row() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("touch person:1 77\r\n").await, "TOUCHED\r\n", "it is loaded first");
    assert_eq!(peer.ask("mg person:1 t\r\n").await, "HD t77\r\n");
    assert_eq!(
        peer.ask("gat 55 person:1\r\nmg person:1 t\r\n").await,
        "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\nHD t55\r\n"
    );
    assert_eq!(
        peer.ask("touch person:1 0\r\nmg person:1 t\r\n").await,
        "TOUCHED\r\nHD t300\r\n",
        "the resource's ttl"
    );
    assert_eq!(
        peer.ask("touch person:1 999999\r\nmg person:1 t\r\n").await,
        "TOUCHED\r\nHD t300\r\n",
        "and no more"
    );
    assert_eq!(peer.ask("touch person:7 10\r\ntouch person:7 10\r\n").await, "NOT_FOUND\r\nNOT_FOUND\r\n");
    assert_eq!((door.person.loads(), door.person.row("1").as_deref()), (2, Some(r#"{"id":1}"#)));
}

#[tokio::test]
async fn a_negative_exptime_drops_the_entry() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get person:1\r\n").await;
    assert_eq!(
        peer.ask("touch person:1 -1\r\nget person:1\r\n").await,
        "TOUCHED\r\nVALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n"
    );
    assert_eq!(door.person.loads(), 2);
    assert_eq!(
        peer.ask("set person:1 0 -1 1\r\nx\r\nget person:1\r\n").await,
        "STORED\r\nVALUE person:1 0 1\r\nx\r\nEND\r\n"
    );
    assert_eq!(door.person.loads(), 3);
}

#[tokio::test]
async fn an_exptime_with_a_store_is_the_life_of_the_entry() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    assert_eq!(peer.ask("set person:1 0 88 1\r\nx\r\nmg person:1 t\r\n").await, "STORED\r\nHD t88\r\n");
}

#[tokio::test]
async fn commands_that_change_bytes_are_refused_with_the_reason() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    for (request, name) in [
        ("append person:1 0 0 1\r\nx\r\n", "append"),
        ("prepend person:1 0 0 1\r\nx\r\n", "prepend"),
        ("incr person:1 1\r\n", "counting"),
        ("decr person:1 1\r\n", "counting"),
        ("ma person:1\r\n", "counting"),
        ("ms person:1 1 MA\r\nx\r\n", "append"),
    ] {
        let reason = "is for the plain space; a record of `person` is a row: read it, change it, and cas it";
        assert_eq!(peer.ask(request).await, format!("CLIENT_ERROR {name} {reason}\r\n"));
    }
    assert_eq!(door.person.row("1").as_deref(), Some(r#"{"id":1}"#));
}

#[tokio::test]
async fn a_key_that_names_nothing_is_a_counted_error() {
    let door = Door::open_with(Setting { plain: false, ..Setting::default() }).await;
    let mut peer = door.knock().await;
    let named = "CLIENT_ERROR there is no resource `foo` and no plain space for other keys\r\n";
    let unnamed = "CLIENT_ERROR the key names no resource and there is no plain space\r\n";
    assert_eq!(peer.ask("get foo:1\r\n").await, named);
    assert_eq!(peer.ask("get person:1 foo:1\r\n").await, named, "and not a partial answer");
    assert_eq!(peer.ask("set foo:1 0 0 1\r\nx\r\n").await, named);
    assert_eq!(peer.ask("delete foo:1 noreply\r\n").await, "");
    assert_eq!(peer.ask("get person\r\n").await, unnamed);
    assert_eq!(peer.ask("mg f\u{e9}:1\r\n").await, unnamed);
    assert!(peer.ask("stats\r\n").await.contains("STAT keys_without_resource 6\r\n"));
}

#[tokio::test]
async fn a_key_that_no_record_can_have_is_the_clients_error() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    let answer = peer.ask("get person:\r\n").await;
    assert_eq!(answer, "CLIENT_ERROR cannot read a key: invalid key: it is empty\r\n");
    assert!(
        peer.ask("get person:%\r\n").await.starts_with("CLIENT_ERROR cannot read a key: invalid key: `%`")
    );
    let answer = peer.ask(b"get person:\xff\r\n").await;
    assert_eq!(answer, "CLIENT_ERROR a record's key is UTF-8; percent-encode other bytes\r\n");
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_said() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    door.person.fail_next_commit(ErrorKind::OutcomeUnknown, true);
    let answer = peer.ask("set person:1 0 0 1\r\nx\r\n").await;
    assert!(answer.starts_with("SERVER_ERROR ") && answer.contains("outcome unknown"), "{answer}");
    assert_eq!(peer.ask("get person:1\r\n").await, "VALUE person:1 0 1\r\nx\r\nEND\r\n");
}

#[tokio::test]
async fn flush_all_drops_entries_and_no_rows() {
    let door = Door::open().await;
    let mut peer = door.knock().await;
    peer.ask("get person:1 shared:1\r\nset item 0 0 1\r\nx\r\n").await;
    assert_eq!(peer.ask("flush_all\r\nget item\r\n").await, "OK\r\nEND\r\n");
    assert_eq!(peer.ask("get person:1\r\n").await, "VALUE person:1 0 8\r\n{\"id\":1}\r\nEND\r\n");
    assert_eq!(door.person.loads(), 2);
    peer.ask("get shared:1\r\n").await;
    assert_eq!(door.shared.loads(), 1, "others share these entries");
}
