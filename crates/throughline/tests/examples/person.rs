// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the story of the person promises.

use std::sync::OnceLock;

use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions, free_port};

use crate::program::{Environment, Program, database, init};

/// The server that all tests share; none stops it.
fn mariadb() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(|| Mariadb::start(MariadbOptions::fast()))
}

fn memcached() -> Memcached {
    Memcached::start(MemcachedOptions::default())
}

/// A database called `name` with the example's persons, and this memcached.
fn environment(name: &str, memcached: &Memcached) -> Environment {
    Environment {
        database_url: database(mariadb(), name, "person"),
        memcached: memcached.address().to_string(),
        level: "strict",
    }
}

fn start(environment: &Environment) -> Program {
    let (program, level) = Program::start("person", environment);
    assert!(level.starts_with(&format!("person is {}: ", environment.level)), "{level}");
    program
}

const ASKED: &str = "(the database was asked once)";
const NOT_ASKED: &str = "(the database was not asked)";

#[test]
fn the_story_is_told() {
    let memcached = memcached();
    let told = Program::tell("person", &environment("the_story", &memcached));
    let expected = [
        "person is strict: locks in the database, marks in the shared cache\n",
        "> get 1\nAda Lovelace (the database was asked once)\n\n",
        "> get 1\nAda Lovelace (the database was not asked)\n\n",
        "> get 99\nnobody (the database was asked once)\n\n",
        "> get 99\nnobody (the database was not asked)\n\n",
        "> get 1 OR 1=1\nerror: cannot read a key: invalid key: `person`: the part `id` takes an integer",
        "> get 1'; DROP TABLE person; --\nerror: cannot read a key: invalid key: `person`",
        "> get 2\nGrace Hopper (the database was asked once)\n\n",
        "> save ann Ada King\nsaved\n\n",
        "> save bob Ada Byron\nnot saved: somebody else has saved since; look again\n\n",
        "> get 1\nAda King (",
        "> use_db on\nreads are answered by the database\n\n",
        "> get 1\nAda King (the database was asked once)\n\n",
        "> save ann Ada Lovelace\nsaved\n\n",
        "> use_db off\nreads are answered by the cache\n\n",
        "> get 1\nAda Lovelace (the database was not asked)\n\n",
        "> database 1\nAda Lovelace\n",
    ];
    let mut rest = told.as_str();
    for part in expected {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing in its place in\n{told}"));
        rest = &rest[at + part.len()..];
    }
    assert!(!told.contains("scratch-password"), "{told}");
}

#[test]
fn what_one_program_loads_is_a_hit_of_the_other() {
    let memcached = memcached();
    let environment = environment("two_programs", &memcached);
    let (mut one, mut other) = (start(&environment), start(&environment));
    assert_eq!(one.ask("get 1"), format!("Ada Lovelace {ASKED}"));
    assert_eq!(other.ask("get 1"), format!("Ada Lovelace {NOT_ASKED}"), "{}", other.log());
}

/// Counted by the database itself: a load is a prepared statement, what the test asks for is none.
#[test]
fn absence_is_remembered_and_the_database_is_not_called_again() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let memcached = memcached();
    let environment = Environment {
        database_url: database(&mariadb, "absence", "person"),
        memcached: memcached.address().to_string(),
        level: "strict",
    };
    let mut program = start(&environment);
    let executed = || mariadb.execute("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'");
    let before = executed();
    assert_eq!(program.ask("get 99"), format!("nobody {ASKED}"));
    let loaded = executed();
    assert_ne!(loaded, before, "the count counts loads");
    assert_eq!(program.ask("get 99"), format!("nobody {NOT_ASKED}"));
    assert_eq!(executed(), loaded);
}

#[test]
fn a_hostile_id_is_just_a_key() {
    const IDS: [&str; 4] = ["1'; DROP TABLE person; --", "1 OR 1=1", "a:b%", "1' OR '1'='1"];
    let memcached = memcached();
    let url = mariadb().create_database("hostile");
    init(&url);
    // Ids that are text, so that somebody may really have such a one.
    let table = "CREATE TABLE person (id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY, \
                 first_name VARCHAR(100) NOT NULL, last_name VARCHAR(100) NOT NULL)";
    mariadb().execute(&format!("USE hostile; {table}; INSERT INTO person VALUES ('1', 'Ada', 'Lovelace')"));
    let environment =
        Environment { database_url: url, memcached: memcached.address().to_string(), level: "strict" };
    let mut program = start(&environment);
    for id in IDS {
        assert_eq!(program.ask(&format!("get {id}")), format!("nobody {ASKED}"));
        assert_eq!(program.ask(&format!("get {id}")), format!("nobody {NOT_ASKED}"), "{}", program.log());
    }
    for (place, id) in IDS.iter().enumerate() {
        let quoted = id.replace('\'', "''");
        mariadb()
            .execute(&format!("USE hostile; INSERT INTO person VALUES ('{quoted}', 'Number', '{place}')"));
    }
    // Another program's inserts are not noticed by the cache, so what it knows has to go.
    memcached.restart();
    let mut program = start(&environment);
    // The restarted server is used again once it was seen to be the one that was restarted.
    program.ask_until("get 1", |answer| answer.ends_with(NOT_ASKED));
    for (place, id) in IDS.iter().enumerate() {
        assert_eq!(program.ask(&format!("get {id}")), format!("Number {place} {ASKED}"));
        assert_eq!(program.ask(&format!("get {id}")), format!("Number {place} {NOT_ASKED}"));
        assert_eq!(program.ask(&format!("database {id}")), format!("Number {place}"));
    }
}

#[test]
fn a_cache_that_dies_is_logged_and_never_returned() {
    let memcached = memcached();
    let mut program = start(&environment("cache_dies", &memcached));
    program.ask("get 1");
    assert_eq!(program.ask("get 1"), format!("Ada Lovelace {NOT_ASKED}"));
    assert!(!program.log().contains("Cache add failed."), "{}", program.log());
    memcached.kill();
    assert_eq!(program.ask("get 1"), format!("Ada Lovelace {ASKED}"));
    assert_eq!(program.ask("get 99"), format!("nobody {ASKED}"));
    assert_eq!(program.log().matches("Cache add failed.").count(), 2, "{}", program.log());
    memcached.restart();
    program.ask_until("get 1", |answer| {
        assert!(answer.starts_with("Ada Lovelace "), "{answer}");
        answer.ends_with(NOT_ASKED)
    });
}

#[test]
fn a_cache_that_hangs_is_logged_and_never_returned() {
    let memcached = memcached();
    let mut program = start(&environment("cache_hangs", &memcached));
    program.ask("get 1");
    memcached.pause();
    assert_eq!(program.ask("get 1"), format!("Ada Lovelace {ASKED}"));
    assert_eq!(program.log().matches("Cache add failed.").count(), 1, "{}", program.log());
}

#[test]
fn without_its_cache_the_program_reads_and_writes_at_the_database() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let url = database(mariadb(), "no_cache", "person");
    let mut program = start(&Environment { database_url: url, memcached: nobody, level: "strict" });
    assert!(program.log().contains("going on without it"), "{}", program.log());
    for _ in 0..2 {
        assert_eq!(program.ask("get 1"), format!("Ada Lovelace {ASKED}"));
        assert_eq!(program.ask("get 99"), format!("nobody {ASKED}"));
    }
    program.ask("edit ann 1");
    // A server that no daemon ever reached holds nothing that somebody could read.
    assert_eq!(program.ask("save ann Ada King"), "saved");
    assert_eq!(program.ask("database 1"), "Ada King");
}

#[test]
fn without_its_cache_a_bounded_program_writes_as_well() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let url = database(mariadb(), "no_cache_bounded", "person");
    let mut program = start(&Environment { database_url: url, memcached: nobody, level: "bounded" });
    program.ask("edit ann 1");
    assert_eq!(program.ask("save ann Ada King"), "saved");
    assert_eq!(program.ask("get 1"), format!("Ada King {ASKED}"));
    assert_eq!(program.ask("database 1"), "Ada King");
}

#[test]
fn of_two_editors_one_saves_and_the_other_is_told() {
    let memcached = memcached();
    let environment = environment("two_editors", &memcached);
    let (mut one, mut other) = (start(&environment), start(&environment));
    assert_eq!(one.ask("edit ann 1"), "ann edits Ada Lovelace");
    assert_eq!(other.ask("edit bob 1"), "bob edits Ada Lovelace");
    assert_eq!(other.ask("save bob Ada Byron"), "saved");
    assert_eq!(one.ask("save ann Ada King"), "not saved: somebody else has saved since; look again");
    assert!(one.ask("get 1").starts_with("Ada Byron "));
    assert_eq!(one.ask("database 1"), "Ada Byron");
    assert_eq!(one.ask("edit ann 1"), "ann edits Ada Byron");
    assert_eq!(one.ask("save ann Ada King"), "saved");
    assert!(other.ask("get 1").starts_with("Ada King "));
}

#[test]
fn coming_back_from_the_database_never_serves_what_was_cached_before() {
    let memcached = memcached();
    let environment = environment("switch", &memcached);
    let (mut toggled, mut other) = (start(&environment), start(&environment));
    toggled.ask("get 1");
    toggled.ask("get 2");
    assert_eq!(toggled.ask("use_db on"), "reads are answered by the database");
    // One change by the program whose reads pass the cache by, one by a program that knows of no switch.
    toggled.ask("edit ann 1");
    assert_eq!(toggled.ask("save ann Ada King"), "saved");
    other.ask("edit bob 2");
    assert_eq!(other.ask("save bob Grace Murray"), "saved");
    assert_eq!(toggled.ask("get 2"), format!("Grace Murray {ASKED}"));
    assert_eq!(toggled.ask("use_db off"), "reads are answered by the cache");
    assert_eq!(toggled.ask("get 1"), format!("Ada King {NOT_ASKED}"), "{}", toggled.log());
    assert_eq!(toggled.ask("get 2"), format!("Grace Murray {NOT_ASKED}"), "{}", toggled.log());
}

#[test]
fn the_way_back_is_closed_while_the_cache_still_has_what_was_changed() {
    let memcached = memcached();
    let environment = Environment { level: "bounded", ..environment("way_back", &memcached) };
    let mut program = start(&environment);
    program.ask("get 1");
    assert_eq!(program.ask("use_db on"), "reads are answered by the database");
    program.ask("edit ann 1");
    memcached.pause();
    assert_eq!(program.ask("save ann Ada King"), "saved");
    let closed = program.ask("use_db off");
    assert!(closed.starts_with("error: cannot switch the mode: unavailable: "), "{closed}");
    assert_eq!(program.ask("get 1"), format!("Ada King {ASKED}"));
    memcached.resume();
    program.ask_until("use_db off", |answer| answer == "reads are answered by the cache");
    assert!(program.ask("get 1").starts_with("Ada King "));
}

#[test]
fn a_password_is_never_shown() {
    let memcached = memcached();
    let mut environment = environment("password", &memcached);
    environment.database_url = environment.database_url.replace("scratch-password", "wrong-password");
    let said = Program::fail("person", &environment);
    assert!(said.contains("denied") && said.contains("correct user and password"), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
}
