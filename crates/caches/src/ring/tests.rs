// SPDX-License-Identifier: MIT OR Apache-2.0

use std::collections::HashMap;

use throughline_core::{Key, NodeName, ResourceName};

use super::ketama::Ketama;
use super::{Distribution, Ring};

/// Made by `placements.py` from libmemcached itself.
const PLACEMENTS: &str = include_str!("ketama/placements.tsv");
const KEYS: u64 = 20_000;
const BOTH: [Distribution; 2] = [Distribution::Rendezvous, Distribution::Ketama];

fn names(names: &[&str]) -> Vec<NodeName> {
    names.iter().map(|name| NodeName::new(name).unwrap()).collect()
}

fn servers(count: usize) -> Vec<NodeName> {
    (1..=count).map(|number| NodeName::new(&format!("cache-{number}")).unwrap()).collect()
}

/// The name of the server of each of many keys.
fn placed(distribution: Distribution, names: &[NodeName]) -> Vec<String> {
    let ring = Ring::new(distribution, names);
    let person = ResourceName::new("person").unwrap();
    let place = |number: u64| {
        let key = Key::parse(&number.to_string()).unwrap();
        names[usize::from(ring.node_of(&person, &key).0)].to_string()
    };
    (0..KEYS).map(place).collect()
}

/// How many of libmemcached's placements `circle` does not share.
fn unlike_libmemcached(circle: fn(&[NodeName]) -> Ketama) -> usize {
    let mut circles: HashMap<&str, (Vec<NodeName>, Ketama)> = HashMap::new();
    let mut count = 0;
    for line in PLACEMENTS.lines() {
        let [list, whole_key, server] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let (names, circle) = circles.entry(list).or_insert_with(|| {
            let names = names(&list.split(',').collect::<Vec<_>>());
            let circle = circle(&names);
            (names, circle)
        });
        let (resource, key) = whole_key.split_once(':').unwrap();
        let node = circle.node_of(resource, key);
        count += usize::from(names[usize::from(node.0)].as_str() != server);
    }
    count
}

#[test]
fn ketama_places_keys_as_libmemcached_does() {
    assert_eq!(PLACEMENTS.lines().count(), 360);
    assert_eq!(unlike_libmemcached(Ketama::new), 0);
}

#[test]
fn another_circle_is_found_out() {
    let swapped = unlike_libmemcached(|names| Ketama::with(names, u32::from_be_bytes));
    let renamed = unlike_libmemcached(|names| {
        let ports = |name: &NodeName| NodeName::new(&format!("{name}:11211")).unwrap();
        Ketama::new(&names.iter().map(ports).collect::<Vec<_>>())
    });
    assert!(swapped > 100, "{swapped}");
    assert!(renamed > 100, "{renamed}");
}

#[test]
fn rendezvous_never_changes_its_mind() {
    let names = names(&["a:11211", "b:11211", "c:11211"]);
    let ring = Ring::new(Distribution::Rendezvous, &names);
    let person = ResourceName::new("person").unwrap();
    let node = |key: u32| ring.node_of(&person, &Key::parse(&key.to_string()).unwrap()).0;
    // Computed once. A version that computes another reads and writes beside the daemons of this one.
    assert_eq!(
        (0..24).map(node).collect::<Vec<_>>(),
        [0, 0, 0, 2, 2, 0, 1, 1, 2, 1, 1, 2, 2, 2, 0, 1, 1, 2, 2, 0, 2, 1, 0, 1]
    );
}

#[test]
fn keys_are_spread_evenly() {
    for (distribution, off_max) in [(Distribution::Rendezvous, 0.05), (Distribution::Ketama, 0.25)] {
        for count in [2, 3, 5, 8] {
            let mut keys: HashMap<String, f64> = HashMap::new();
            for server in placed(distribution, &servers(count)) {
                *keys.entry(server).or_default() += 1.0;
            }
            let even = KEYS as f64 / count as f64;
            for (server, keys) in keys {
                let off = (keys / even - 1.0).abs();
                assert!(off < off_max, "{distribution:?}: {server} of {count} has {keys}, not about {even}");
            }
        }
    }
}

#[test]
fn another_server_gets_its_share_and_nothing_else_moves() {
    for distribution in BOTH {
        let (before, after) = (placed(distribution, &servers(5)), placed(distribution, &servers(6)));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        let moved: Vec<_> = moved.map(|(_, after)| after.as_str()).collect();
        assert!(moved.iter().all(|server| *server == "cache-6"), "{distribution:?}");
        let share = moved.len() as f64 * 6.0 / KEYS as f64;
        assert!((0.75..1.25).contains(&share), "{distribution:?}: {share} of the fair share moved");
    }
}

#[test]
fn the_order_of_the_servers_does_not_matter() {
    for distribution in BOTH {
        let mut names = servers(7);
        let before = placed(distribution, &names);
        names.reverse();
        names.swap(1, 4);
        assert!(before == placed(distribution, &names), "{distribution:?}");
    }
}

#[test]
fn one_server_keeps_everything() {
    assert!(placed(Distribution::Ketama, &servers(1)).iter().all(|server| server == "cache-1"));
}
