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
    assert!(first.contains("shop: the control tables (tl_*, version 3) were made"), "{first}");
    let second = stdout(&run(&["init", "--config", config]));
    assert!(second.contains("nothing was changed"), "{second}");

    let after = stdout(&run(&["check", "--config", config]));
    assert!(after.contains("strict: locks in the database, marks in the shared cache"), "{after}");
    assert!(!after.contains("tl_"), "our tables are neither served nor spoken of: {after}");
}

#[test]
fn init_of_a_sqlite_file_makes_the_one_table_and_remove_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let tables = || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let text = "SELECT coalesce(group_concat(name), '') FROM sqlite_schema WHERE type = 'table'";
        connection.query_row(text, [], |row| row.get::<_, String>(0)).unwrap()
    };
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY)")
        .unwrap();
    let url = format!("sqlite:{}", path.display());
    let printed = stdout(&run(&["init", "--print", &url]));
    assert!(printed.contains("CREATE TABLE IF NOT EXISTS tl_applied"), "{printed}");
    assert_eq!(tables(), "item", "--print makes nothing");
    let first = stdout(&run(&["init", &url]));
    assert!(first.contains("tl_applied) was made") && first.contains("one daemon owns it"), "{first}");
    assert_eq!(tables(), "item,tl_applied");
    let second = stdout(&run(&["init", &url]));
    assert!(second.contains("nothing was changed"), "{second}");
    run(&["init", "--remove", &url]);
    assert_eq!(tables(), "item");
    let error = stderr(&run(&["init"]));
    assert!(error.contains("name a database"), "{error}");
}
