// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init`: our own tables.

use throughline_testkit::{Mariadb, MariadbOptions};

use crate::{run, stderr, stdout};

#[test]
fn init_makes_the_tables_once_and_nothing_serves_them() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    mariadb.execute("CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL)");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("throughline.toml");
    // Nobody listens on port 1; the level does not depend on it.
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\ntables = \"all\"\n[caches.main]\nmemcached = {{ servers = [\"127.0.0.1:1\"] }}\n",
        mariadb.url()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();

    let before = stdout(&run(&["check", "--config", config]));
    assert!(before.contains("bounded: the database has no control tables"), "{before}");
    assert!(before.contains("throughline init"), "the remedy: {before}");
    assert_eq!(mariadb.execute("SHOW TABLES").trim(), "person", "check makes nothing");

    let printed = stdout(&run(&["init", "--print", &mariadb.url()]));
    assert!(
        printed.contains("CREATE TABLE IF NOT EXISTS tl_node") && printed.contains("GRANT SELECT"),
        "{printed}"
    );
    assert_eq!(mariadb.execute("SHOW TABLES").trim(), "person", "--print makes nothing");

    let first = stdout(&run(&["init", "--config", config]));
    assert!(first.contains("shop: the control tables (tl_*, version 1) were made"), "{first}");
    let second = stdout(&run(&["init", "--config", config]));
    assert!(second.contains("nothing was changed"), "{second}");

    let after = stdout(&run(&["check", "--config", config]));
    assert!(after.contains("strict: locks in the database, marks in the shared cache"), "{after}");
    assert!(!after.contains("tl_"), "our tables are neither served nor spoken of: {after}");
}

#[test]
fn init_of_a_sqlite_file_says_that_it_needs_none() {
    let output = run(&["init", "sqlite:shop.db"]);
    assert!(output.status.success() && stdout(&output).contains("one daemon owns it"), "{}", stdout(&output));
    let error = stderr(&run(&["init"]));
    assert!(error.contains("name a database"), "{error}");
}
