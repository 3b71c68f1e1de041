// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checker's memcached client against a real memcached.

use std::time::Duration;

use throughline_sim::sut::text_client::{TextClient, Value};
use throughline_testkit::{Memcached, MemcachedOptions};

#[tokio::test]
async fn commands_are_answered_and_every_key_is_listed() {
    let server = Memcached::start(MemcachedOptions::default());
    let mut client = TextClient::new(server.address());
    assert_eq!(client.store("set", "kv:0.0:7", b"value\r\n", 0).await.unwrap(), "STORED");
    assert_eq!(client.store("add", "kv:0.0:7", b"other", 0).await.unwrap(), "NOT_STORED");
    assert_eq!(client.get("kv:0.0:7").await.unwrap(), Some(Value { flags: 0, bytes: b"value\r\n".to_vec() }));
    assert_eq!(client.get("missing").await.unwrap(), None);
    client.store_unread(&[("junk:1".to_owned(), 10), ("junk:2".to_owned(), 0)]).await.unwrap();
    assert_eq!(client.stat("curr_items").await.unwrap(), 3);
    assert_eq!(client.keys("junk:").await.unwrap(), ["kv:0.0:7"]);
    assert_eq!(client.delete("kv:0.0:7").await.unwrap(), "DELETED");
    assert_eq!(client.flush_all().await.unwrap(), "OK");
    assert_eq!(client.get("junk:1").await.unwrap(), None);
}

#[tokio::test]
async fn a_dropped_command_shifts_no_later_answer() {
    let server = Memcached::start(MemcachedOptions::default());
    let mut client = TextClient::new(server.address());
    client.store("set", "old", b"old", 0).await.unwrap();
    client.store("set", "new", b"new", 0).await.unwrap();
    server.pause();
    let asked = tokio::time::timeout(Duration::from_millis(50), client.get("old")).await;
    assert!(asked.is_err(), "a paused server answered");
    server.resume();
    assert_eq!(client.get("new").await.unwrap().unwrap().bytes, b"new");
}
