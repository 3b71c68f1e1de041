// SPDX-License-Identifier: MIT OR Apache-2.0
//! PostgreSQL and memcached, from the first `check` to a daemon that serves them strictly.

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Memcached, MemcachedOptions, Postgres, PostgresOptions,
};

use crate::{run, stderr, stdout};

const TABLES: &str =
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";

fn person() -> Postgres {
    let postgres = Postgres::start(PostgresOptions::fast());
    postgres.execute(
        "CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); INSERT INTO person VALUES (1, 'Ada')",
    );
    postgres
}

/// A folder with a configuration, and the configuration's path.
fn configured(postgres: &Postgres, cache: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throughline.toml");
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\n[caches.main]\nmemcached = {{ servers = [\"{cache}\"] }}\n\
         [resources.person]\nsource = \"shop\"\naccess = \"write\"\n",
        postgres.url()
    );
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn serve(config: &str) -> Daemon {
    let args = ["serve", "--config", config, "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"];
    Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args))
}

fn ask(daemon: &Daemon, args: &[&str]) -> std::process::Output {
    let server = format!("http://{}", daemon.address(Listener::Http));
    run(&[args, &["--server", &server]].concat())
}

#[test]
fn init_makes_the_tables_once_and_removes_them_again() {
    let postgres = person();
    // Nobody listens on port 1; the level does not depend on it.
    let (_folder, config) = configured(&postgres, "127.0.0.1:1");
    let before = stdout(&run(&["check", "--config", &config]));
    assert!(before.contains("bounded: the database has no control tables"), "{before}");
    assert!(before.contains("throughline init"), "the remedy: {before}");
    let printed = stdout(&run(&["init", "--print", &postgres.url()]));
    assert!(
        printed.contains("CREATE TABLE IF NOT EXISTS tl_node")
            && printed.contains("GRANT SELECT ON tl_meta TO \"throughline\""),
        "{printed}"
    );
    assert_eq!(postgres.execute(TABLES).trim(), "person", "neither makes anything");
    let first = stdout(&run(&["init", "--config", &config]));
    assert!(first.contains("shop: the control tables (tl_*, version 3) were made"), "{first}");
    let second = stdout(&run(&["init", "--config", &config]));
    assert!(second.contains("nothing was changed"), "{second}");
    let after = stdout(&run(&["check", "--config", &config]));
    assert!(after.contains("strict: locks in the database, marks in the shared cache"), "{after}");
    assert!(!after.contains("tl_"), "our tables are neither served nor spoken of: {after}");
    assert!(run(&["init", "--remove", &postgres.url()]).status.success());
    assert_eq!(postgres.execute(TABLES).trim(), "person");
}

#[test]
fn daemons_serve_strictly_and_write_on_without_their_memcached() {
    let (postgres, memcached) = (person(), Memcached::start(MemcachedOptions::default()));
    let (_folder, config) = configured(&postgres, &memcached.address().to_string());
    let made = run(&["init", "--config", &config]);
    assert!(made.status.success(), "{}", stderr(&made));
    let (one, other) = (serve(&config), serve(&config));
    assert!(one.output().contains("strict: locks in the database"), "{}", one.output());
    for (name, writer, reader) in [("Grace", &one, &other), ("Mary", &other, &one)] {
        let put = ask(writer, &["put", "person:1", &format!("{{\"name\":\"{name}\"}}")]);
        assert!(put.status.success(), "{}", stderr(&put));
        for daemon in [reader, writer] {
            assert!(stdout(&ask(daemon, &["get", "person:1"])).contains(name));
        }
    }
    memcached.kill();
    let put = ask(&one, &["put", "person:1", r#"{"name":"Edith"}"#]);
    assert!(put.status.success(), "{}", stderr(&put));
    assert_eq!(postgres.execute("SELECT state FROM tl_node").trim(), "2", "it is fenced");
    assert!(stdout(&ask(&other, &["get", "person:1"])).contains("Edith"));
}
