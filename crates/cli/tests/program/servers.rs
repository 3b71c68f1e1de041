// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that are not what they should be.

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Memcached, MemcachedOptions,
};

use crate::{run, stderr, stdout};

fn daemon_over(mariadb: &Mariadb, cache: &str, level: &str) -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throughline.toml");
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\n[caches.main]\nmemcached = {{ servers = [\"{cache}\"] }}\n\
         [resources.person]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"{level}\"\n",
        mariadb.url()
    );
    std::fs::write(&path, text).unwrap();
    let args =
        ["serve", "--config", path.to_str().unwrap(), "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"];
    let daemon = Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args));
    (folder, daemon)
}

fn ask(daemon: &Daemon, args: &[&str]) -> std::process::Output {
    let server = format!("http://{}", daemon.address(Listener::Http));
    run(&[args, &["--server", &server]].concat())
}

fn person(mariadb: &Mariadb) {
    mariadb.execute("CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); INSERT INTO person VALUES (1, 'Ada')");
    assert!(run(&["init", &mariadb.url()]).status.success());
}

#[test]
fn without_its_memcached_it_reads_on_and_writes_on_after_a_fence() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    person(&mariadb);
    let memcached = Memcached::start(MemcachedOptions::default());
    let (_folder, daemon) = daemon_over(&mariadb, &memcached.address().to_string(), "strict");
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Ada"));
    memcached.kill();
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Ada"));
    let put = ask(&daemon, &["put", "person:1", r#"{"name":"Grace"}"#]);
    assert!(put.status.success(), "{}", stderr(&put));
    assert_eq!(mariadb.execute("SELECT name FROM person WHERE id = 1").trim(), "Grace");
    assert_eq!(mariadb.execute("SELECT state FROM tl_node").trim(), "2", "it is fenced");
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Grace"));
    memcached.restart();
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Grace"));
    assert!(ask(&daemon, &["invalidate", "--all", "person"]).status.success());
    let name = memcached.address().to_string();
    let emptied = ask(&daemon, &["invalidate", "--cache-server", &name]);
    assert!(emptied.status.success(), "{}", stderr(&emptied));
    let unknown = ask(&daemon, &["invalidate", "--cache-server", "elsewhere"]);
    assert!(!unknown.status.success() && stderr(&unknown).contains(&name), "{}", stderr(&unknown));
}

#[test]
fn a_cache_server_that_is_no_memcached_is_told_and_does_no_harm() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    person(&mariadb);
    // MariaDB speaks first, and not memcached's protocol.
    let (_folder, daemon) = daemon_over(&mariadb, &mariadb.address().to_string(), "bounded");
    assert!(daemon.output().contains("is of no use yet"), "{}", daemon.output());
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Ada"));
    assert!(ask(&daemon, &["put", "person:1", r#"{"name":"Grace"}"#]).status.success());
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Grace"));
}

#[test]
fn a_database_that_goes_away_is_an_error_and_comes_back_by_itself() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    person(&mariadb);
    let memcached = Memcached::start(MemcachedOptions::default());
    let (_folder, daemon) = daemon_over(&mariadb, &memcached.address().to_string(), "strict");
    while !stdout(&ask(&daemon, &["stats", "person"])).contains("hits") {
        ask(&daemon, &["get", "person:1"]);
    }
    mariadb.kill();
    assert!(stdout(&ask(&daemon, &["get", "person:1"])).contains("Ada"), "hits go on");
    let error = stderr(&ask(&daemon, &["get", "person:2"]));
    assert!(error.contains("503"), "{error}");
    mariadb.restart();
    let mut absent = ask(&daemon, &["get", "person:2"]);
    while absent.status.code() != Some(2) {
        absent = ask(&daemon, &["get", "person:2"]);
    }
}

#[test]
fn wrong_credentials_are_an_error_that_hides_them() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let url = format!("mysql://nobody:hunter2@{}/throughline", mariadb.address());
    let output = run(&["check", &url]);
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains("denied") && !error.contains("hunter2"), "{error}");
    assert!(error.contains("THROUGHLINE_PASSWORD"), "a password in argv is warned about: {error}");
}
