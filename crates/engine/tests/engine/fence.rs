// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of fencing, with several daemons.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use throughline_core::{ControlStore as _, NodeId};
use throughline_core::{ErrorKind, FenceState, Mode, NodeName, Nodes as _, Nonce, Transition, WriteStrategy};
use throughline_engine::{Bypass, Policy, Served};
use throughline_testkit::FakeNodes;
use tokio::time::Instant;

use crate::bed::{bounded, key, put, strict};
use crate::fleet::{Daemon, Fleet, LEASE_MS, READMIT_MS, stale_reads};

/// Lets time pass, which stands still otherwise.
pub(crate) async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn around() -> Policy {
    Policy { write: WriteStrategy::WriteAround, ..strict() }
}

async fn three(fleet: &Fleet, policy: &Policy) -> Vec<Arc<Daemon>> {
    let mut daemons = Vec::new();
    for _ in 0..3 {
        daemons.push(Arc::new(fleet.daemon(policy.clone()).await));
    }
    daemons
}

#[tokio::test(start_paused = true)]
async fn a_fleet_hits_from_the_start_and_sees_each_others_writes() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[0].get("1").await;
    assert_eq!(daemons[1].served("1").await, Served::Hit);
    daemons[2].put("1", "v1").await.unwrap();
    assert_eq!(daemons[0].get("1").await.as_deref(), Some("v1"));
    assert_eq!(daemons[1].served("1").await, Served::Hit, "published");
    assert_eq!(fleet.source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_of_a_daemon_that_loses_the_server_go_on_after_about_a_lease() {
    for policy in [strict(), around()] {
        let fleet = Fleet::new();
        let daemons = three(&fleet, &policy).await;
        daemons[1].get("1").await;
        let before = fleet.row();
        daemons[0].cut(true);
        let began = Instant::now();
        daemons[0].put("1", "v1").await.unwrap();
        let took = began.elapsed().as_millis() as u64;
        assert!((LEASE_MS..LEASE_MS + 300).contains(&took), "{took} ms");
        let fenced = fleet.row();
        assert_eq!((fenced.state, fenced.previous), (FenceState::Fenced, before.generation));
        assert!(fenced.generation > before.generation);
        for daemon in &daemons {
            assert_eq!(daemon.get("1").await.as_deref(), Some("v1"));
            assert_eq!(daemon.served("1").await, Served::Bypass(Bypass::Fenced));
        }
        // From here on a write of anybody is as fast as the database.
        let began = Instant::now();
        daemons[0].put("1", "v2").await.unwrap();
        daemons[1].put("1", "v3").await.unwrap();
        assert!(began.elapsed().as_millis() < 50);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_comes_back_under_a_new_generation_and_old_entries_do_not() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[1].get("2").await;
    let before = fleet.row().generation;
    daemons[0].cut(true);
    daemons[0].put("1", "v1").await.unwrap();
    daemons[0].put("2", "v1").await.unwrap();
    let fenced_at = Instant::now();
    fleet.until(FenceState::Active).await;
    let waited = fenced_at.elapsed().as_millis() as u64;
    // The others reach it, so they readmit it; the daemon that does not will have to fence it again.
    assert!((READMIT_MS - LEASE_MS - 500..READMIT_MS + 1_500).contains(&waited), "{waited} ms");
    assert!(fleet.row().generation > before);
    pass(LEASE_MS).await;
    assert_eq!(daemons[1].get("2").await.as_deref(), Some("v1"), "the entry of before is not found");
    assert_eq!(daemons[2].served("2").await, Served::Hit);
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_stale_or_backward_through_partition_fence_and_return() {
    for policy in [strict(), around()] {
        let fleet = Fleet::new();
        let daemons = three(&fleet, &policy).await;
        let acked = AtomicU64::new(0);
        let work = async {
            for number in 1..=400_u64 {
                let writer = &daemons[number as usize % 3];
                match number {
                    40 => daemons[0].cut(true),
                    200 => daemons[0].cut(false),
                    300 => daemons.iter().for_each(|daemon| daemon.cut(true)),
                    350 => daemons.iter().for_each(|daemon| daemon.cut(false)),
                    _ => {}
                }
                writer.put("1", &format!("v{number}")).await.unwrap();
                acked.store(number, Ordering::SeqCst);
                pass(60).await;
            }
        };
        assert_eq!(stale_reads(&daemons, work, &acked).await, 0);
        let fences: u64 = daemons.iter().map(|daemon| daemon.fence.stats().fences_started.get()).sum();
        assert!(fences >= 2, "{fences}");
        let hits: u64 = daemons.iter().map(|daemon| daemon.space.stats().hits.get()).sum();
        assert!(hits > 300, "{hits} reads were hits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_outlives_its_lease_counts_for_nothing() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[1].get("1").await;
    daemons[1].cache.set_look_up_ms(LEASE_MS + 1_000);
    let meanwhile = async {
        daemons[0].cut(true);
        daemons[0].put("1", "v1").await.unwrap();
    };
    let (late, ()) = tokio::join!(daemons[1].served("1"), meanwhile);
    assert_eq!(late, Served::Bypass(Bypass::Fenced), "the old entry is still there");

    daemons[1].cache.set_look_up_ms(LEASE_MS / 2);
    fleet.until(FenceState::Active).await;
    pass(LEASE_MS).await;
    daemons[2].get("2").await;
    assert_eq!(daemons[1].served("2").await, Served::Hit, "the lease was renewed meanwhile");
}

#[tokio::test(start_paused = true)]
async fn without_the_wait_for_the_others_leases_a_stale_read_is_seen() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[0].door.end_fences_at_once();
    daemons[1].get("1").await;
    daemons[0].cut(true);
    let acked = AtomicU64::new(0);
    let work = async {
        daemons[0].put("1", "v1").await.unwrap();
        acked.store(1, Ordering::SeqCst);
        pass(LEASE_MS).await;
    };
    assert!(stale_reads(&daemons, work, &acked).await > 0, "the planted fault is found");
}

#[tokio::test(start_paused = true)]
async fn while_a_server_is_being_fenced_those_who_reach_it_mark_the_generation_before() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[2].get("1").await;
    let generation = fleet.row().generation;
    let fence = Transition::StartFence {
        node: NodeName::new("a").unwrap(),
        generation,
        next: generation + 1,
        lineage: fleet.now().lineage,
        why: "a test",
    };
    assert!(fleet.control.door().apply(&fence).await.unwrap());
    let began = Instant::now();
    daemons[1].put("1", "v1").await.unwrap();
    assert!(began.elapsed().as_millis() < 50, "it need not wait");
    assert_eq!(daemons[2].get("1").await.as_deref(), Some("v1"), "an old lease still reads there");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_knows_an_old_generation_marks_the_present_one() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    // A whole fence goes by that one daemon's poller does not see.
    daemons[1].door.set_shut(true);
    daemons[0].cut(true);
    daemons[0].put("1", "v1").await.unwrap();
    daemons[0].cut(false);
    fleet.until(FenceState::Active).await;
    pass(LEASE_MS).await;
    daemons[2].get("1").await;
    assert_eq!(daemons[2].served("1").await, Served::Hit);
    daemons[1].door.set_shut(false);
    daemons[1].put("1", "v2").await.unwrap();
    assert_eq!(daemons[2].get("1").await.as_deref(), Some("v2"));
}

#[tokio::test(start_paused = true)]
async fn hits_stop_within_a_lease_when_the_control_tables_do_not_answer() {
    let fleet = Fleet::new();
    let lost = fleet.daemon(strict()).await;
    let loose = fleet.daemon(bounded()).await;
    lost.get("1").await;
    lost.door.set_shut(true);
    loose.door.set_shut(true);
    assert_eq!(lost.served("1").await, Served::Hit, "the lease is still good");
    pass(LEASE_MS + 1).await;
    assert_eq!(lost.served("1").await, Served::Bypass(Bypass::ControlLost));
    assert_eq!(loose.served("1").await, Served::Hit, "bounded goes on");
    let error = lost.put("1", "v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(fleet.source.row("1").as_deref(), Some("v0"), "rolled back");
    lost.door.set_shut(false);
    pass(LEASE_MS).await;
    assert!(matches!(lost.served("1").await, Served::Hit | Served::Miss { stored: true }));
}

#[tokio::test(start_paused = true)]
async fn a_plain_restart_is_adopted_under_the_same_generation() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    let before = fleet.row();
    pass(LEASE_MS).await;
    daemons.iter().for_each(|daemon| daemon.nodes.show(0, Some(77)));
    pass(2 * LEASE_MS).await;
    let after = fleet.row();
    assert_eq!((after.generation, after.state), (before.generation, FenceState::Active));
    assert_eq!(after.nonce, Nonce(77));
    for daemon in &daemons {
        assert_eq!(daemon.nodes.expected(0), Some(Nonce(77)));
    }
    assert!(matches!(daemons[0].served("1").await, Served::Miss { .. } | Served::Hit));
}

#[tokio::test(start_paused = true)]
async fn another_server_under_the_same_name_is_fenced() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    pass(LEASE_MS).await;
    let before = fleet.row();
    // A daemon whose address for this name leads elsewhere.
    let nodes = FakeNodes::new(&["a"]);
    nodes.show(0, Some(4_711));
    let astray = fleet.daemon_with(strict(), nodes).await;
    assert_eq!(
        astray.nodes.expected(0),
        Some(before.nonce),
        "its connections show another number, and are not used"
    );
    fleet.until(FenceState::Fencing).await;
    assert!(fleet.row().generation > before.generation);
    drop(daemons);
}

#[tokio::test(start_paused = true)]
async fn a_failover_and_a_restored_backup_bump_every_server() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[0].get("1").await;
    let first = fleet.row();
    fleet.control.fail_over("second");
    pass(LEASE_MS / 4 + 20).await;
    assert_eq!(daemons[0].served("1").await, Served::Bypass(Bypass::Fenced));
    fleet.until(FenceState::Active).await;
    let second = fleet.row();
    assert!(second.generation > first.generation && second.lineage != first.lineage);

    pass(LEASE_MS).await;
    let backup = fleet.now();
    let name = second.name.clone();
    let fence = Transition::StartFence {
        node: name.clone(),
        generation: second.generation,
        next: second.generation + 5,
        lineage: second.lineage.clone(),
        why: "a test",
    };
    let door = fleet.control.door();
    assert!(door.apply(&fence).await.unwrap());
    fleet.until(FenceState::Active).await;
    let third = fleet.row();
    pass(LEASE_MS).await;
    fleet.control.restore(backup);
    pass(LEASE_MS / 4 + 20).await;
    assert_eq!(daemons[1].served("1").await, Served::Bypass(Bypass::Fenced), "the rows went back");
    fleet.until(FenceState::Active).await;
    assert_ne!(fleet.row().generation, third.generation, "generations do not repeat");
}

#[tokio::test(start_paused = true)]
async fn hits_may_go_on_for_a_stated_time_when_the_control_tables_do_not_answer() {
    let fleet = Fleet::new();
    let patient = fleet.daemon(Policy { control_lost_ms: 5_000, ..strict() }).await;
    patient.get("1").await;
    patient.door.set_shut(true);
    pass(LEASE_MS + 4_000).await;
    assert_eq!(patient.served("1").await, Served::Hit, "for 5 s more than the lease");
    pass(1_001).await;
    assert_eq!(patient.served("1").await, Served::Bypass(Bypass::ControlLost));
}

#[tokio::test(start_paused = true)]
async fn an_operator_empties_a_server_for_all_daemons_and_it_comes_back_empty() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[1].get("1").await;
    // A change that nobody was told of: what was cached cannot be trusted.
    fleet.source.change_behind("1", Some("by hand"));
    assert_eq!(daemons[2].get("1").await.as_deref(), Some("v0"));
    let node = daemons[0].fence.node_named("a").unwrap();
    daemons[0].fence.empty(node, "an operator asked for it").await.unwrap();
    for daemon in &daemons {
        assert_eq!(daemon.get("1").await.as_deref(), Some("by hand"), "at once, when it returns");
    }
    pass(READMIT_MS + 2_000).await;
    assert_eq!(fleet.row().state, FenceState::Active);
    daemons[1].get("1").await;
    assert_eq!(daemons[2].served("1").await, Served::Hit);
    assert!(daemons[0].fence.node_named("b").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_mark_does_not_wait_for_the_control_rows() {
    let fleet = Fleet::new();
    let (writer, reader) = (fleet.daemon(strict()).await, fleet.daemon(strict()).await);
    reader.get("1").await;
    writer.door.set_delay_ms(300);
    let one = put("1", "v1", throughline_core::Condition::Always);
    let mut write = Box::pin(writer.space.write(one));
    assert!((&mut write).now_or_never().is_none(), "the rows are on their way");
    pass(20).await;
    assert!((&mut write).now_or_never().is_none());
    assert_eq!(reader.served("1").await, Served::Bypass(Bypass::Marked), "the mark is there already");
    write.await.unwrap();
    assert_eq!(reader.get("1").await.as_deref(), Some("v1"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_while_it_waits_for_a_fence_leaves_everything_usable() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[0].cut(true);
    tokio::select! {
        _ = daemons[0].put("1", "lost") => unreachable!("it waits for the others' leases"),
        () = pass(500) => {}
    }
    daemons[1].put("1", "v1").await.unwrap();
    assert_eq!(fleet.source.row("1").as_deref(), Some("v1"), "the dropped write holds no lock");
    fleet.until(FenceState::Fenced).await;
    assert_eq!(daemons[0].get("1").await.as_deref(), Some("v1"));
}

#[tokio::test(start_paused = true)]
async fn the_mode_is_the_fleets() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    assert_eq!(daemons[0].space.set_mode(Mode::Source).await.unwrap(), Mode::Cache);
    assert_eq!(daemons[0].space.mode(), Mode::Source);
    pass(LEASE_MS / 4 + 20).await;
    assert_eq!(daemons[2].space.mode(), Mode::Source);
    assert_eq!(fleet.daemon(strict()).await.space.mode(), Mode::Source, "a daemon that starts takes it over");
    daemons[1].space.set_mode(Mode::Cache).await.unwrap();
    pass(LEASE_MS / 4 + 20).await;
    assert!(daemons.iter().all(|daemon| daemon.space.mode() == Mode::Cache));
}

#[tokio::test(start_paused = true)]
async fn invalidating_every_entry_reaches_every_daemon() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    daemons[0].get("1").await;
    daemons[0].get("2").await;
    fleet.source.change_behind("1", Some("v1"));
    let began = Instant::now();
    daemons[2].space.invalidate_all("a test").await.unwrap();
    let took = began.elapsed().as_millis() as u64;
    assert!((LEASE_MS..LEASE_MS + 300).contains(&took), "{took} ms");
    for daemon in &daemons {
        assert_eq!(daemon.get("1").await.as_deref(), Some("v1"));
    }
    pass(LEASE_MS).await;
    daemons[0].get("1").await;
    assert_eq!(daemons[1].served("1").await, Served::Hit, "hits come back");
    let (first, second) = tokio::join!(
        daemons[0].space.invalidate_all("at the same time"),
        daemons[1].space.invalidate_all("at the same time"),
    );
    first.unwrap();
    second.unwrap();
}

#[tokio::test(start_paused = true)]
async fn writes_beside_a_bump_are_never_read_stale() {
    let fleet = Fleet::new();
    let daemons = three(&fleet, &strict()).await;
    let acked = AtomicU64::new(0);
    let work = async {
        let bumps = async {
            for _ in 0..4 {
                daemons[0].space.invalidate_all("a test").await.unwrap();
                pass(300).await;
            }
        };
        let writes = async {
            for number in 1..=200_u64 {
                daemons[number as usize % 3].put("1", &format!("v{number}")).await.unwrap();
                acked.store(number, Ordering::SeqCst);
                pass(50).await;
            }
        };
        tokio::join!(bumps, writes);
    };
    assert_eq!(stale_reads(&daemons, work, &acked).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_at_the_start_is_enrolled_when_it_comes() {
    let fleet = Fleet::new();
    let nodes = FakeNodes::new(&["a"]);
    nodes.show(0, None);
    let daemon = fleet.daemon_with(strict(), nodes).await;
    daemon.cache.set_down(true);
    assert!(fleet.now().nodes.is_empty());
    daemon.put("1", "v1").await.unwrap();
    assert_eq!(
        daemon.served("1").await,
        Served::Bypass(Bypass::Fenced),
        "nobody reads it, so nothing is marked"
    );
    daemon.cut(false);
    pass(2_000).await;
    daemon.get("1").await;
    assert_eq!(daemon.served("1").await, Served::Hit);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_several_is_fenced_alone() {
    let fleet = Fleet::new();
    let nodes = || FakeNodes::new(&["a", "b"]);
    let (one, two) = (fleet.daemon_with(strict(), nodes()).await, fleet.daemon_with(strict(), nodes()).await);
    let name = throughline_core::ResourceName::new("person").unwrap();
    assert_ne!(one.nodes.node_of(&name, &key("1")), NodeId(0), "key 1 is on b");
    two.get("1").await;
    two.get("2").await;
    one.cut(true);
    one.put("1", "v1").await.unwrap();
    let states: Vec<FenceState> = fleet.now().nodes.iter().map(|row| row.state).collect();
    assert_eq!(states, [FenceState::Active, FenceState::Fenced]);
    assert_eq!(two.served("2").await, Served::Hit, "the other server goes on");
    assert_eq!(two.served("1").await, Served::Bypass(Bypass::Fenced));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_write_does_not_wait_for_a_fence() {
    let fleet = Fleet::new();
    let daemon = fleet.daemon(bounded()).await;
    daemon.get("1").await;
    daemon.cut(true);
    let began = Instant::now();
    daemon.put("1", "v1").await.unwrap();
    assert!(began.elapsed().as_millis() < 50);
    assert_eq!(fleet.row().state, FenceState::Active, "nothing is fenced for it");
    assert_eq!(daemon.served("1").await, Served::Bypass(Bypass::Owed));
    daemon.cut(false);
    pass(3_000).await;
    assert_eq!(daemon.get("1").await.as_deref(), Some("v1"));
}
