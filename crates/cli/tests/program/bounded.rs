// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded write whose invalidation did not reach memcached, and a daemon that is killed before it could.

use std::fmt::Write as _;
use std::path::Path;

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Memcached, MemcachedOptions, Proxy, Way,
};

use crate::{run, stderr, stdout};

struct House {
    mariadb: Mariadb,
    _memcached: Memcached,
    way: Proxy,
    folder: tempfile::TempDir,
}

impl House {
    fn build(keeps_data: bool) -> Self {
        let mariadb = Mariadb::start(MariadbOptions::fast());
        mariadb.execute(
            "CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); \
             INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben')",
        );
        let memcached = Memcached::start(MemcachedOptions::default());
        let way = Proxy::start(memcached.address());
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        if keeps_data {
            writeln!(text, "data_dir = {:?}", folder.path().join("data")).unwrap();
        }
        // The name is the same for a daemon that goes another way to the same server.
        writeln!(
            text,
            "[sources.shop]\nurl = \"{}\"\n[caches.main]\n\
             memcached = {{ servers = [{{ name = \"a\", address = \"{}\" }}] }}\n\
             [resources.person]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"bounded\"",
            mariadb.url(),
            way.address()
        )
        .unwrap();
        std::fs::write(folder.path().join("throughline.toml"), text).unwrap();
        Self { mariadb, _memcached: memcached, way, folder }
    }

    fn daemon(&self) -> Daemon {
        let path = self.folder.path().join("throughline.toml");
        Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &arguments(&path)))
    }

    /// Fills both rows' entries, cuts the way to memcached, writes row 1, and kills the daemon.
    fn write_and_crash(&self) {
        let daemon = self.daemon();
        while !(hits(&daemon) > 1 && get(&daemon, "2").contains("Ben")) {
            assert!(get(&daemon, "1").contains("Ada"));
        }
        self.way.set(Way::Cut);
        let put = ask(&daemon, &["put", "person:1", r#"{"name":"Grace"}"#]);
        assert!(put.status.success(), "{}", stderr(&put));
        daemon.kill();
        assert_eq!(self.mariadb.execute("SELECT name FROM person WHERE id = 1").trim(), "Grace");
        self.way.heal();
    }
}

fn arguments(path: &Path) -> [&str; 7] {
    let path = path.to_str().expect("a path in UTF-8");
    ["serve", "--config", path, "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"]
}

fn ask(daemon: &Daemon, args: &[&str]) -> std::process::Output {
    let server = format!("http://{}", daemon.address(Listener::Http));
    run(&[args, &["--server", &server]].concat())
}

fn get(daemon: &Daemon, key: &str) -> String {
    stdout(&ask(daemon, &["get", &format!("person:{key}")]))
}

/// The resource's hits.
fn hits(daemon: &Daemon) -> u64 {
    let stats = stdout(&ask(daemon, &["stats", "person"]));
    let line = stats.lines().map(str::split_whitespace).find_map(|mut words| match words.next() {
        Some("hits") => words.next()?.parse().ok(),
        _ => None,
    });
    line.unwrap_or(0)
}

#[test]
fn an_old_entry_is_never_served_after_a_kill_between_commit_and_confirmation() {
    let house = House::build(true);
    house.write_and_crash();
    let daemon = house.daemon();
    assert!(daemon.output().contains("1 invalidations of an earlier run"), "{}", daemon.output());
    // From the first read on, past the cache; and once it is confirmed, from the cache.
    let before = hits(&daemon);
    while hits(&daemon) < before + 3 {
        assert!(get(&daemon, "1").contains("Grace"));
    }
}

#[test]
fn without_a_data_folder_the_old_entry_is_served_and_the_start_says_so() {
    let house = House::build(false);
    house.write_and_crash();
    let daemon = house.daemon();
    assert!(daemon.output().contains("forgotten in a crash"), "{}", daemon.output());
    assert!(get(&daemon, "1").contains("Ada"), "this is what the journal is for");
}

#[test]
fn a_second_daemon_over_the_same_data_folder_is_refused() {
    let house = House::build(true);
    let _daemon = house.daemon();
    let second = run(&arguments(&house.folder.path().join("throughline.toml")));
    let error = stderr(&second);
    assert!(!second.status.success() && error.contains("has the folder"), "{error}");
    assert!(error.contains("data_dir"), "{error}");
}
