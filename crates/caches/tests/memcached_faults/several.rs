// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several servers.

use throughline_caches::{Distribution, MemcachedCache, MemcachedConfig, MemcachedServer};
use throughline_core::{Cache, ErrorKind, Lookup, NodeId, NodeName, Nodes, Slot};
use throughline_testkit::Memcached;

use crate::house::{cache_on, counted, entry, eventually, lease, patient, read, slot, started};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn over(servers: &[Memcached; 3], order: [usize; 3], distribution: Distribution) -> MemcachedCache {
    let server = |place: usize| MemcachedServer {
        name: NodeName::new(NAMES[place]).expect("a short name"),
        address: servers[place].address().to_string(),
    };
    let config = patient(servers[0].address());
    cache_on(MemcachedConfig { servers: order.map(server).to_vec(), distribution, ..config })
}

fn routed(cache: &MemcachedCache, key: &str) -> Slot {
    let mut slot = slot(key);
    slot.route.node = cache.node_of(&slot.resource, &slot.key);
    slot
}

fn routed_slots(cache: &MemcachedCache, count: usize) -> Vec<Slot> {
    (0..count).map(|number| routed(cache, &number.to_string())).collect()
}

async fn fill_all(cache: &MemcachedCache, slots: &[Slot]) {
    for (look, slot) in cache.get_many(slots).await.into_iter().zip(slots) {
        let Ok(Lookup::Leased(lease)) = look else { panic!("no lease of {slot:?}") };
        cache.fill(lease, entry(slot.key.as_str()), 60_000).await.expect("a healthy server");
    }
}

#[tokio::test]
async fn keys_are_spread_and_answered_in_order() {
    for distribution in [Distribution::Rendezvous, Distribution::Ketama] {
        let servers = [started(&[]), started(&[]), started(&[])];
        let cache = over(&servers, [0, 1, 2], distribution);
        cache.probe().await.expect("the servers were just started");
        let slots = routed_slots(&cache, 600);
        fill_all(&cache, &slots).await;
        for (look, slot) in cache.get_many(&slots).await.into_iter().zip(&slots) {
            let Ok(Lookup::Hit(hit)) = look else { panic!("no hit of {slot:?}") };
            assert_eq!(hit.into_entry(), entry(slot.key.as_str()));
        }
        let kept = [0, 1, 2].map(|place: usize| counted(servers[place].address(), "curr_items"));
        assert!(kept.iter().all(|items| (120..300).contains(items)), "{distribution:?}: {kept:?}");
        let marks = cache.mark(&slots).await;
        assert!(marks.iter().all(Result::is_ok), "{marks:?}");
        assert!(cache.get_many(&slots).await.iter().all(|look| matches!(look, Ok(Lookup::Marked))));
        assert!(cache.invalidate(&slots).await.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn the_order_of_the_servers_does_not_matter() {
    let servers = [started(&[]), started(&[]), started(&[])];
    let one = over(&servers, [0, 1, 2], Distribution::Rendezvous);
    let other = over(&servers, [2, 0, 1], Distribution::Rendezvous);
    one.probe().await.expect("the servers were just started");
    other.probe().await.expect("the servers were just started");
    assert_eq!(one.names(), other.names());
    fill_all(&one, &routed_slots(&one, 100)).await;
    let looks = other.get_many(&routed_slots(&other, 100)).await;
    assert!(looks.iter().all(|look| matches!(look, Ok(Lookup::Hit(_)))));
}

#[tokio::test]
async fn a_dead_server_keeps_its_keys_and_the_others_go_on() {
    let servers = [started(&[]), started(&[]), started(&[])];
    let cache = over(&servers, [0, 1, 2], Distribution::Rendezvous);
    cache.probe().await.expect("the servers were just started");
    let slots = routed_slots(&cache, 100);
    fill_all(&cache, &slots).await;
    servers[1].kill();
    eventually("the death is noticed", async || {
        let looks = cache.get_many(&slots).await;
        let lost = |look: &Result<Lookup, throughline_core::Error>| {
            look.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
        };
        looks
            .iter()
            .zip(&slots)
            .all(|(look, slot)| lost(look) == (slot.route.node == NodeId(1)))
            .then_some(())
    })
    .await;
    for (look, slot) in cache.get_many(&slots).await.into_iter().zip(&slots) {
        match look {
            Ok(Lookup::Hit(_)) => assert_ne!(slot.route.node, NodeId(1)),
            Err(error) => {
                assert_eq!(slot.route.node, NodeId(1));
                assert!(error.detail().starts_with("b ("), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    let marks = cache.mark(&slots).await;
    assert!(marks.iter().zip(&slots).all(|(mark, slot)| mark.is_ok() == (slot.route.node != NodeId(1))));
    let kept = [0, 2].map(|place: usize| counted(servers[place].address(), "curr_items"));
    let own = slots.iter().filter(|slot| slot.route.node != NodeId(1)).count() as u64;
    assert_eq!(kept[0] + kept[1], own + 2, "nothing of the dead server went to the others");

    servers[1].restart();
    let lost = slots.iter().find(|slot| slot.route.node == NodeId(1)).expect("it keeps some of 100");
    eventually("it is back", async || cache.peek(lost).await.ok()).await;
    let _ = lease(&cache, lost).await;
}

#[tokio::test]
async fn each_server_has_its_counters() {
    let servers = [started(&[]), started(&[]), started(&[])];
    let cache = over(&servers, [0, 1, 2], Distribution::Rendezvous);
    cache.probe().await.expect("the servers were just started");
    let slot = routed(&cache, "1");
    let before = [0, 1, 2].map(|place| read(&cache.stats(NodeId(place)).commands));
    assert_eq!(before, [0, 0, 0], "looks at the servers do not count");
    cache.peek(&slot).await.expect("a healthy server");
    for place in 0..3 {
        let wanted = u64::from(NodeId(place) == slot.route.node);
        assert_eq!(read(&cache.stats(NodeId(place)).commands), wanted);
    }
}
