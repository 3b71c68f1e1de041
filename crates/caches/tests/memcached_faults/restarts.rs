// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that die and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline_caches::{MemcachedCache, MemcachedConfig};
use throughline_core::{Cache, ErrorKind, Fill, Lookup, NodeId};

use crate::house::{cache_on, entry, eventually, filled, hit, house, lease, put, read, slot, started};

async fn back(cache: &MemcachedCache, connects_before: u64) {
    let connects = connects_before + 2;
    eventually("both connections are back", async || {
        (read(&cache.stats(NodeId(0)).connects) >= connects).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lease_of_the_server_before_a_restart_is_refused() {
    let (server, cache) = house(&[]).await;
    let old = lease(&cache, &slot("a")).await;
    server.restart();
    back(&cache, 2).await;
    let new = lease(&cache, &slot("a")).await;
    // The danger is real: the new server counts from 1 again, so the numbers are the same.
    assert_eq!(old.token.number, new.token.number);

    assert_eq!(
        filled(&cache, old, entry("from before the restart")).await.expect("an answer"),
        Fill::Refused
    );
    assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Busy)));
    assert_eq!(filled(&cache, new, entry("new")).await.expect("an answer"), Fill::Stored);
    assert_eq!(hit(&cache, &slot("a")).await.into_entry(), entry("new"));
}

#[tokio::test]
async fn a_mark_of_the_server_before_a_restart_does_not_publish() {
    let (server, cache) = house(&[]).await;
    let old = cache.mark(&[slot("a")]).await.remove(0).expect("a healthy server");
    server.restart();
    back(&cache, 2).await;
    let new = lease(&cache, &slot("a")).await;
    assert_eq!(old.token.map(|token| token.number), Some(new.token.number));
    assert_eq!(cache.publish(old, entry("old"), 60_000).await.expect("an answer"), Fill::Refused);
    assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Busy)));
}

#[tokio::test]
async fn without_a_server_calls_fail_at_once_and_say_why() {
    let (server, cache) = house(&[]).await;
    server.kill();
    let error = eventually("the connection is known to be gone", async || {
        let error = cache.get(&slot("a")).await.err()?;
        error.detail().contains("refused").then_some(error)
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.detail().contains(&server.address().to_string()), "{error}");
    // The limits are 10 s each, so an answer within one means that nobody waited.
    let at_once = async {
        let slots = [slot("a"), slot("b")];
        let looks = cache.get_many(&slots).await;
        assert!(
            looks.iter().all(|look| look.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable))
        );
        assert!(cache.mark(&slots).await.iter().all(Result::is_err));
        assert!(cache.invalidate(&slots).await.iter().all(Result::is_err));
        assert!(cache.peek(&slots[0]).await.is_err());
        assert!(cache.touch(&slots[0], 60_000).await.is_err());
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), at_once).await.expect("nobody waits");
}

#[tokio::test]
async fn a_server_that_comes_later_is_used() {
    let server = started(&[]);
    server.kill();
    let cache = cache_on(MemcachedConfig::new(server.address().to_string()));
    let error = cache.probe().await.expect_err("there is no server");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    server.restart();
    eventually("the cache leases", async || {
        matches!(cache.get(&slot("a")).await, Ok(Lookup::Leased(_))).then_some(())
    })
    .await;
    assert_eq!(cache.probe().await.expect("the server runs").version(), "1.6.18");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_never_mix_up_answers() {
    let (server, cache) = house(&[]).await;
    let cache = Arc::new(cache);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..16)
        .map(|n| {
            let (cache, stop) = (cache.clone(), stop.clone());
            tokio::spawn(async move {
                let (slot, own) = (slot(&n.to_string()), entry(format!("own value of {n}")));
                let mut hits = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    match cache.get(&slot).await {
                        Ok(Lookup::Hit(hit)) => {
                            assert_eq!(hit.into_entry(), own);
                            hits += 1;
                        }
                        Ok(Lookup::Leased(lease)) => drop(filled(&cache, lease, own.clone()).await),
                        // Busy after a restart, or no connection: let the others run.
                        _ => tokio::task::yield_now().await,
                    }
                }
                hits
            })
        })
        .collect();
    for round in 1..=3 {
        eventually("a value is there", async || {
            matches!(cache.peek(&slot("1")).await, Ok(Some(_))).then_some(())
        })
        .await;
        tokio::task::block_in_place(|| server.restart());
        back(&cache, 2 * round).await;
    }
    put(&cache, &slot("last"), "v").await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.expect("no reader got another's value") > 0);
    }
}

#[tokio::test]
async fn a_closed_cache_says_so_and_ends_its_work() {
    let (_server, cache) = house(&[]).await;
    cache.close();
    let error = cache.get(&slot("a")).await.expect_err("it was closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(cache.probe().await.expect_err("it was closed").kind(), ErrorKind::Closed);
}
