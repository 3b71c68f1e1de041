// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small servers.

use throughline_core::{Cache, Fill, Lookup};

use crate::house::{counted, entry, filled, hit, house, lease, put, slot};

#[tokio::test]
async fn what_the_server_would_not_take_is_never_sent() {
    let (server, cache) = house(&["-I", "512k"]).await;
    assert_eq!(cache.probe().await.expect("the server runs").item_len_max(), 512 * 1024);
    put(&cache, &slot("small"), &"v".repeat(500_000)).await;
    let sent_before = counted(server.address(), "bytes_read");
    let lease = lease(&cache, &slot("large")).await;
    assert_eq!(filled(&cache, lease, entry(vec![b'v'; 524_000])).await.expect("an answer"), Fill::TooLarge);
    let mark = cache.mark(&[slot("large")]).await.remove(0).expect("a healthy server");
    assert_eq!(
        cache.publish(mark, entry(vec![b'v'; 524_000]), 60_000).await.expect("an answer"),
        Fill::TooLarge
    );
    let sent = counted(server.address(), "bytes_read") - sent_before;
    assert!(sent < 1_000, "{sent} bytes were sent");
    assert_eq!(hit(&cache, &slot("small")).await.into_entry(), entry("v".repeat(500_000)));
}

#[tokio::test]
async fn a_server_without_room_for_a_mark_still_confirms_that_the_value_is_gone() {
    let (_server, cache) = house(&["-m", "2", "-M"]).await;
    let mut held = Vec::new();
    // Filled until there is no room; the values are as large as a mark's slab class is small, and the marks'
    // class is filled by the leases themselves.
    for n in 0..100_000 {
        let slot = slot(&n.to_string());
        match cache.get(&slot).await.expect("a healthy server") {
            Lookup::Leased(lease) => match filled(&cache, lease, entry("v")).await.expect("a healthy server")
            {
                Fill::Stored => held.push(slot),
                _ => break,
            },
            Lookup::Refused => break,
            other => panic!("got {other:?}"),
        }
    }
    assert!(!held.is_empty() && held.len() < 100_000, "{} values", held.len());
    let marks = cache.mark(&held[..100]).await;
    assert!(marks.iter().all(Result::is_ok), "{marks:?}");
    for slot in &held[..100] {
        assert_eq!(cache.peek(slot).await.expect("a healthy server"), None);
    }
}

#[tokio::test]
async fn evictions_lose_values_and_never_mix_them_up() {
    let (server, cache) = house(&["-m", "2"]).await;
    let value = |n: usize| format!("{n} ").repeat(2_000);
    for n in 0..1_000 {
        put(&cache, &slot(&n.to_string()), &value(n)).await;
    }
    assert!(counted(server.address(), "evictions") > 0, "the test needs evictions");
    for n in 0..1_000 {
        if let Some(hit) = cache.peek(&slot(&n.to_string())).await.expect("a healthy server") {
            assert_eq!(hit.into_entry(), entry(value(n)));
        }
    }
}
