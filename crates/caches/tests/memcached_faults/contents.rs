// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contents that are not ours, or not where they belong.

use throughline_core::{Cache, ErrorKind, Lookup, NodeId};

use crate::house::{entry, eventually, hit, house, lease, put, raw, read, slot};

#[tokio::test]
async fn a_strangers_value_is_removed_and_never_returned() {
    let (server, cache) = house(&[]).await;
    // No flags; a value's flags and too short; a value's flags and another format; an unknown kind; empty
    // without a lease.
    let strangers = [
        "set item:0.0:a 0 60 5\r\nhello\r\n",
        "set item:0.0:a 1 60 5\r\nhello\r\n",
        "set item:0.0:a 1 60 40\r\n0123456789012345678901234567890123456789\r\n",
        "set item:0.0:a 5 60 5\r\nhello\r\n",
        "set item:0.0:a 0 60 0\r\n\r\n",
    ];
    for (n, set) in strangers.iter().enumerate() {
        assert_eq!(raw(server.address(), set), b"STORED\r\n");
        assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Refused)), "stranger {n}");
        assert_eq!(read(&cache.stats(NodeId(0)).foreign_values), n as u64 + 1);
        let free = lease(&cache, &slot("a")).await;
        cache.release(free);
    }
}

#[tokio::test]
async fn an_entry_that_a_stranger_made_immortal_is_removed() {
    let (server, cache) = house(&[]).await;
    put(&cache, &slot("a"), "v").await;
    assert_eq!(raw(server.address(), "touch item:0.0:a 0\r\n"), b"TOUCHED\r\n");
    assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Refused)));
    drop(lease(&cache, &slot("a")).await);
}

#[tokio::test]
async fn an_invalidated_but_kept_item_counts_as_marked() {
    let (server, cache) = house(&[]).await;
    put(&cache, &slot("a"), "v").await;
    assert_eq!(raw(server.address(), "md item:0.0:a I T30\r\n"), b"HD\r\n");
    assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Marked)));
    assert_eq!(cache.peek(&slot("a")).await.expect("a healthy server"), None);
}

#[tokio::test]
async fn the_value_of_another_key_is_never_returned_and_ends_the_connection() {
    let (server, cache) = house(&[]).await;
    put(&cache, &slot("a"), "value of a").await;
    let copied = raw(server.address(), "mg item:0.0:a f v\r\n");
    let line_len = copied.iter().position(|byte| *byte == b'\n').expect("a value has a line") + 1;
    let line = std::str::from_utf8(&copied[..line_len]).expect("the line is text");
    let flags = line.trim_end().rsplit_once('f').expect("the flags were asked for").1;
    let value = copied[line_len..].strip_suffix(b"\r\n").expect("a value ends its line");
    let set = format!("set item:0.0:b {flags} 60 {}\r\n", value.len());
    let set = [set.as_bytes(), value, b"\r\n"].concat();
    assert_eq!(raw(server.address(), set), b"STORED\r\n");

    let connects = read(&cache.stats(NodeId(0)).connects);
    let error = cache.get(&slot("b")).await.expect_err("it belongs to another key");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    eventually("the connection is made anew", async || {
        (read(&cache.stats(NodeId(0)).connects) > connects).then_some(())
    })
    .await;
    // It was removed, so that the next look-up does not end in the same way.
    drop(lease(&cache, &slot("b")).await);
    assert_eq!(hit(&cache, &slot("a")).await.into_entry(), entry("value of a"));
}
