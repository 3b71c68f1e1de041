// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init --outbox`, and two daemons that share what it tells.

use std::time::{Duration, Instant};

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Memcached, MemcachedOptions,
};

use crate::{run, stderr, stdout};

const ROW_COUNT: usize = 200;

fn database() -> Mariadb {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    mariadb.execute(&format!(
        "CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); \
         INSERT INTO person SELECT seq, 'old' FROM seq_1_to_{ROW_COUNT}"
    ));
    mariadb
}

fn daemon(mariadb: &Mariadb, memcached: &Memcached) -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throughline.toml");
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n\
         [resources.person]\nsource = \"shop\"\nlevel = \"bounded\"\nmax_staleness = \"1h\"\n",
        mariadb.url(),
        memcached.address()
    );
    std::fs::write(&path, text).unwrap();
    let args =
        ["serve", "--config", path.to_str().unwrap(), "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"];
    let daemon = Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args));
    (folder, daemon)
}

/// Every row, as the daemon answers it over the memcached protocol.
fn read_all(daemon: &Daemon) -> Vec<String> {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut stream = std::net::TcpStream::connect(daemon.address(Listener::Memcached)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for id in 1..=ROW_COUNT {
        stream.write_all(format!("get person:{id}\r\n").as_bytes()).unwrap();
    }
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.filter(|line| line.starts_with('{')).take(ROW_COUNT).collect()
}

/// Calls to the source for reading, so far.
fn loads(daemon: &Daemon) -> usize {
    let server = format!("http://{}", daemon.address(Listener::Http));
    let stats = stdout(&run(&["stats", "person", "--all", "--json", "--server", &server]));
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    usize::try_from(stats["resources"]["person"]["loads"].as_u64().unwrap()).unwrap()
}

fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_killed_daemon_had_taken_another_invalidates() {
    let (mariadb, memcached) = (database(), Memcached::start(MemcachedOptions::default()));
    let made = run(&["init", &mariadb.url(), "--outbox", "person"]);
    assert!(stdout(&made).contains("an outbox tells what others write to person"), "{}", stderr(&made));
    let ((_one, killed), (_two, left)) = (daemon(&mariadb, &memcached), daemon(&mariadb, &memcached));
    let told = left.output();
    assert!(told.contains("other programs' SQL is seen within 0.1 s, row by row"), "{told}");
    // A new outbox counts as a change of everything, so it takes some seconds until entries stay.
    let hits = || {
        let before = loads(&left);
        assert_eq!(read_all(&left).len(), ROW_COUNT);
        ROW_COUNT - (loads(&left) - before)
    };
    soon("all are cached", || hits() == ROW_COUNT);
    // With memcached stopped, both daemons hold what they have taken, and one dies so.
    memcached.pause();
    for id in 1..=ROW_COUNT {
        mariadb.execute(&format!("UPDATE person SET name = 'new' WHERE id = {id}"));
    }
    killed.kill();
    memcached.resume();
    soon("everything is seen", || read_all(&left).iter().all(|row| row.contains("new")));
    soon("the outbox is empty", || mariadb.execute("SELECT COUNT(*) FROM tl_outbox").trim() == "0");
}

#[test]
fn the_outbox_is_printed_installed_and_removed_with_everything_of_ours() {
    let mariadb = database();
    let tables = || mariadb.execute("SHOW TABLES; SHOW TRIGGERS");
    let before = tables();
    let printed = stdout(&run(&["init", &mariadb.url(), "--outbox", "person", "--print"]));
    assert!(
        printed.contains("CREATE TRIGGER `tl_person_update`")
            && printed.contains("GRANT SELECT, INSERT, UPDATE, DELETE ON")
    );
    assert_eq!(tables(), before, "--print makes nothing");
    // The printed text is what an administrator may run instead.
    mariadb.execute(&printed.replace("\nGRANT", "\n-- GRANT"));
    let checked = stdout(&run(&["check", &mariadb.url()]));
    assert!(checked.contains("row by row (outbox)"), "{checked}");
    assert_eq!(mariadb.execute("SELECT COUNT(*) FROM tl_consumer").trim(), "0", "check registers nobody");
    let removed = run(&["init", &mariadb.url(), "--remove"]);
    assert!(removed.status.success(), "{}", stderr(&removed));
    assert_eq!(tables(), before);
    let checked = stdout(&run(&["check", &mariadb.url()]));
    assert!(checked.contains("when the entry expires") && checked.contains("--outbox person"), "{checked}");
    let error = stderr(&run(&["init", &mariadb.url(), "--outbox", "nobody"]));
    assert!(error.contains("there is no such table"), "{error}");
}
