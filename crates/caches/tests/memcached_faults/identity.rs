// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a server is still the one that it was.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use throughline_caches::{MemcachedCache, MemcachedConfig};
use throughline_core::{Cache, ErrorKind, Fill, NodeId, Nodes, Nonce};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{
    cache_on, entry, eventually, filled, hit, house, lease, patient, put, raw, read, slot, started,
};

const NODE: NodeId = NodeId(0);

async fn identified(cache: &MemcachedCache) -> Nonce {
    cache.identify(NODE).await.expect("the server runs")
}

/// Forwards connections to the addresses in turn, and counts them.
async fn in_turn(addresses: Vec<SocketAddr>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let count = Arc::new(AtomicUsize::new(0));
    let forwarded = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let to = addresses[forwarded.fetch_add(1, Ordering::Relaxed) % addresses.len()];
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(to).await {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                }
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_restarted_server_shows_another_number() {
    let (server, cache) = house(&[]).await;
    let before = identified(&cache).await;
    assert_eq!(identified(&cache).await, before);
    server.restart();
    assert_ne!(identified(&cache).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_that_race_for_a_new_server_agree() {
    for _ in 0..10 {
        let server = started(&[]);
        let caches: Vec<_> = (0..8).map(|_| Arc::new(cache_on(patient(server.address())))).collect();
        let asked: Vec<_> = caches
            .iter()
            .map(|cache| {
                let cache = cache.clone();
                tokio::spawn(async move { identified(&cache).await })
            })
            .collect();
        let mut nonces = Vec::new();
        for asked in asked {
            nonces.push(asked.await.expect("it was asked"));
        }
        assert!(nonces.iter().all(|nonce| *nonce == nonces[0]), "{nonces:?}");
    }
}

#[tokio::test]
async fn a_restarted_server_is_not_used_until_it_is_expected() {
    let (server, cache) = house(&[]).await;
    let before = identified(&cache).await;
    cache.expect(NODE, Some(before));
    put(&cache, &slot("a"), "v").await;
    server.restart();
    let error = eventually("the restart is noticed", async || {
        let error = cache.get(&slot("a")).await.err()?;
        error.detail().contains("restarted").then_some(error)
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(cache.mark(&[slot("a")]).await.remove(0).is_err());
    let after = identified(&cache).await;
    assert_ne!(after, before);
    assert!(cache.get(&slot("a")).await.is_err(), "asking must not admit it");
    cache.expect(NODE, Some(after));
    eventually("it is used again", async || cache.get(&slot("a")).await.ok()).await;
}

#[tokio::test]
async fn tokens_die_when_another_server_is_expected() {
    let (_server, cache) = house(&[]).await;
    let before = identified(&cache).await;
    let old = lease(&cache, &slot("a")).await;
    cache.expect(NODE, Some(Nonce(before.0 ^ 1)));
    assert_eq!(filled(&cache, old, entry("v")).await.expect("an answer"), Fill::Refused);
    assert!(cache.get(&slot("a")).await.is_err());
    cache.expect(NODE, None);
    eventually("any is accepted", async || cache.get(&slot("a")).await.ok()).await;
}

#[tokio::test]
async fn of_two_servers_behind_one_address_only_the_expected_one_is_used() {
    let servers = [started(&[]), started(&[])];
    let right = cache_on(patient(servers[0].address()));
    let nonce = identified(&right).await;
    right.probe().await.expect("the server was just started");

    let (address, forwarded) = in_turn(servers.iter().map(|server| server.address()).collect()).await;
    let cache = cache_on(MemcachedConfig { connections: 4, ..patient(address) });
    cache.expect(NODE, Some(nonce));
    eventually("all connections are to the right one", async || {
        (read(&cache.stats(NODE).connects) == 4).then_some(())
    })
    .await;
    assert!(forwarded.load(Ordering::Relaxed) > 4, "the other one was never reached");
    for n in 0..64 {
        let slot = slot(&n.to_string());
        put(&cache, &slot, "v").await;
        assert_eq!(hit(&right, &slot).await.into_entry(), entry("v"));
    }
}

#[tokio::test]
async fn without_an_expectation_connections_to_two_servers_are_not_mixed() {
    let servers = [started(&[]), started(&[])];
    let (address, forwarded) = in_turn(servers.iter().map(|server| server.address()).collect()).await;
    let cache = cache_on(MemcachedConfig { connections: 4, ..patient(address) });
    eventually("all connections are to one of them", async || {
        (read(&cache.stats(NODE).connects) == 4).then_some(())
    })
    .await;
    assert!(forwarded.load(Ordering::Relaxed) > 4, "the other one was never reached");
    for n in 0..64 {
        put(&cache, &slot(&n.to_string()), "v").await;
    }
    let kept = servers.map(|server| crate::house::counted(server.address(), "curr_items"));
    // Each of them has its number; one has all the entries.
    assert!(kept == [1, 65] || kept == [65, 1], "{kept:?}");
}

#[tokio::test]
async fn a_server_that_was_emptied_counts_as_another() {
    let (server, cache) = house(&[]).await;
    let before = identified(&cache).await;
    cache.expect(NODE, Some(before));
    raw(server.address(), "flush_all\r\n");
    eventually("the look at the server finds nothing", async || {
        let error = cache.get(&slot("a")).await.err()?;
        error.detail().contains("restarted").then_some(())
    })
    .await;
    assert_ne!(identified(&cache).await, before);
}
