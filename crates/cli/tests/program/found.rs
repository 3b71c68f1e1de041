// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real databases that nobody here made, served with no configuration.

use throughline_testkit::{Listener, Mariadb, MariadbOptions};

use crate::{run, serve, stderr, stdout};

/// cargo's own record of what it downloaded: autoincrement, composite text keys, cascading foreign keys, a table
/// without a primary key.
#[test]
fn cargos_own_database_is_served_from_its_path() {
    let home =
        std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cargo.db");
    std::fs::copy(format!("{home}/.global-cache"), &path).expect("cargo keeps it since 1.78");
    let url = format!("sqlite:{}", path.display());
    let before = std::fs::read(&path).unwrap();
    let check = stdout(&run(&["check", &url, "--write"]));
    assert!(std::fs::read(&path).unwrap() == before, "nothing was changed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
    assert!(check.contains("registry_crate  table registry_crate"), "{check}");
    assert!(check.contains("note: table `global_data`"), "{check}");
    assert!(check.contains("its rows change with those of `registry_index`"), "{check}");

    let daemon = serve(&[&url]);
    let server = format!("http://{}", daemon.address(Listener::Http));
    let index = stdout(&run(&["get", "registry_index:1", "--server", &server]));
    assert!(index.contains(r#"{"id":1,"name":"#), "{index}");
    let refused = stderr(&run(&["delete", "registry_index:1", "--server", &server]));
    assert!(refused.contains("--write"), "found tables are read-only: {refused}");
}

/// MariaDB's own `mysql` database: enums, sets, blobs, views, keys of several columns, engines without row locks.
#[test]
fn mariadbs_own_tables_are_served_from_their_url() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let url = mariadb.url();
    let url = format!("{}/mysql", url.rsplit_once('/').expect("a url with a database").0);
    let topics = mariadb.execute("SELECT help_topic_id FROM mysql.help_topic WHERE name = 'SELECT'");
    let daemon = serve(&[&url]);
    let server = format!("http://{}", daemon.address(Listener::Http));
    let topic = stdout(&run(&["get", &format!("help_topic:{}", topics.trim()), "--server", &server]));
    assert!(topic.contains(r#""name":"SELECT""#), "{topic}\n{}", daemon.log());
    assert!(daemon.output().contains("note: table"), "views are not served, and it says so");
    assert!(!daemon.log().contains(url.split([':', '@']).nth(2).unwrap()), "no password in the log");
}
