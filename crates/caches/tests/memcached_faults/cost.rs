// SPDX-License-Identifier: MIT OR Apache-2.0
//! What calls cost, by the server's own count and by ours.

use throughline_core::{Cache, NodeId, Slot, Ttl};

use crate::house::{counted, entry, filled, hit, house, lease, put, read, slot};

#[tokio::test]
async fn a_hit_costs_one_command_and_one_round_trip() {
    let (server, cache) = house(&[]).await;
    put(&cache, &slot("a"), "v").await;
    let began = tokio::time::Instant::now();
    let before = (
        read(&cache.stats(NodeId(0)).commands),
        read(&cache.stats(NodeId(0)).round_trips),
        counted(server.address(), "cmd_get"),
        counted(server.address(), "cmd_set"),
    );
    for _ in 0..10 {
        hit(&cache, &slot("a")).await;
    }
    assert_eq!(read(&cache.stats(NodeId(0)).commands) - before.0, 10);
    assert_eq!(read(&cache.stats(NodeId(0)).round_trips) - before.1, 10);
    // Each connection looks at the server once a second as well.
    let looks_max = 2 * (began.elapsed().as_secs() + 1);
    let gets = counted(server.address(), "cmd_get") - before.2;
    assert!((10..=10 + looks_max).contains(&gets), "{gets} gets");
    assert_eq!(counted(server.address(), "cmd_set") - before.3, 0);
}

#[tokio::test]
async fn many_look_ups_share_a_round_trip_per_connection() {
    let (_server, cache) = house(&[]).await;
    let slots: Vec<Slot> = (0..1_000).map(|n| slot(&n.to_string())).collect();
    let before = (read(&cache.stats(NodeId(0)).commands), read(&cache.stats(NodeId(0)).round_trips));
    let looks = cache.get_many(&slots).await;
    assert!(looks.iter().all(Result::is_ok));
    assert_eq!(read(&cache.stats(NodeId(0)).commands) - before.0, 1_000);
    let round_trips = read(&cache.stats(NodeId(0)).round_trips) - before.1;
    assert!(round_trips <= 2, "{round_trips} round trips over 2 connections");
}

#[tokio::test]
async fn a_mark_and_a_publish_cost_one_command_each() {
    let (_server, cache) = house(&[]).await;
    let before = read(&cache.stats(NodeId(0)).commands);
    let mark = cache.mark(&[slot("a")]).await.remove(0).expect("a healthy server");
    assert_eq!(read(&cache.stats(NodeId(0)).commands) - before, 1);
    cache.publish(mark, entry("v"), 60_000).await.expect("a healthy server");
    assert_eq!(read(&cache.stats(NodeId(0)).commands) - before, 2);
    cache.invalidate(&[slot("a")]).await.remove(0).expect("a healthy server");
    assert_eq!(read(&cache.stats(NodeId(0)).commands) - before, 3);
}

#[tokio::test]
async fn a_life_that_memcached_would_misread_is_kept_within_bounds() {
    let (_server, cache) = house(&[]).await;
    for (key, ttl_ms) in [("none", 0), ("short", 1_000), ("long", u64::MAX)] {
        let lease = lease(&cache, &slot(key)).await;
        cache.fill(lease, entry("v"), ttl_ms).await.expect("a healthy server");
        let left_ms = hit(&cache, &slot(key)).await.ttl_left_ms();
        assert!((1_000..=Ttl::MS_MAX).contains(&left_ms), "{key}: {left_ms}");
    }
    let lease = lease(&cache, &slot("usual")).await;
    filled(&cache, lease, entry("v")).await.expect("a healthy server");
    assert!(hit(&cache, &slot("usual")).await.ttl_left_ms() <= 60_000);
}
