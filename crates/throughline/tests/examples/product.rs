// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the story of the product promises.

use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

use crate::cable::Cable;
use crate::program::{Environment, Program, database};
use crate::stranger::{Stranger, until_commit_is_waited_for, until_row_is_waited_for};

const OLD: &str = "Lamp, 3950 cents, 12 in stock";
const NEW: &str = "Lamp, 4200 cents, 12 in stock";
const UPDATE: &str = "update 1 Lamp 4200 12";

/// What is done to the cache.
type Signal = fn(&Memcached);

/// Servers of its own for each test, because most tests stop one.
struct Shop {
    mariadb: Mariadb,
    memcached: Memcached,
    environment: Environment,
}

impl Shop {
    fn open(level: &'static str) -> Self {
        let mariadb = Mariadb::start(MariadbOptions::fast());
        let memcached = Memcached::start(MemcachedOptions::default());
        let environment = Environment {
            database_url: database(&mariadb, "shop", "product"),
            memcached: memcached.address().to_string(),
            level,
        };
        Self { mariadb, memcached, environment }
    }

    /// The example, with product 1 in the cache.
    fn program(&self) -> Program {
        let (mut program, level) = Program::start("product", &self.environment);
        assert!(level.starts_with(&format!("product is {}: ", self.environment.level)), "{level}");
        program.ask("get 1");
        let second = program.ask("get 1");
        assert!(second.starts_with(OLD) && second.contains("a hit"), "{second}\n{}", program.log());
        program
    }
}

/// Reads product 1 until the cache answers again; every answer on the way must be `right`.
fn until_hit(program: &mut Program, right: &str) {
    program.ask_until("get 1", |answer| {
        assert!(answer.starts_with(right), "{answer}");
        answer.contains("a hit")
    });
}

#[test]
fn the_story_is_told() {
    let shop = Shop::open("strict");
    let told = Program::tell("product", &shop.environment);
    let expected = [
        "> get 1\nLamp, 3950 cents, 12 in stock (the database was asked; ",
        "> get 1\nLamp, 3950 cents, 12 in stock (a hit; ",
        "> update 1 Lamp 4200 11\nupdated\n\n> get 1\nLamp, 4200 cents, 11 in stock (a hit; ",
        "> update 1 Lamp 4200 -1\nerror: cannot write a row: constraint violated: ",
        "> get 1\nLamp, 4200 cents, 11 in stock (a hit; ",
        "> race by-hand 2 19900\n",
        "the next reader gets 24900 cents, the database has 19900 cents: STALE\n",
        "> race 2 14900\n",
        "the next reader gets 14900 cents, the database has 14900 cents: right\n",
    ];
    let mut rest = told.as_str();
    for part in expected {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing in its place in\n{told}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn an_entry_lives_for_300_seconds_at_most() {
    let shop = Shop::open("strict");
    let hit = shop.program().ask("get 1");
    let (_, seconds) = hit.split_once("in the cache for ").unwrap();
    let seconds: u32 = seconds.split(' ').next().unwrap().parse().unwrap();
    // Up to a tenth is left to chance, and the test may have taken a while.
    assert!((200..=300).contains(&seconds), "{hit}");
}

#[test]
fn an_update_is_a_hit_of_every_program_at_once() {
    let shop = Shop::open("strict");
    let (mut writer, mut other) = (shop.program(), shop.program());
    assert_eq!(writer.ask(UPDATE), "updated");
    let read = other.ask("get 1");
    assert!(read.starts_with(NEW) && read.contains("a hit"), "{read}\n{}", other.log());
}

#[test]
fn a_database_that_dies_leaves_the_cache_untouched() {
    let shop = Shop::open("strict");
    let mut program = shop.program();
    shop.mariadb.kill();
    let update = program.ask(UPDATE);
    assert!(update.starts_with("error: "), "{update}");
    let read = program.ask("get 1");
    assert!(read.starts_with(OLD) && read.contains("a hit"), "{read}");
    shop.mariadb.restart();
    assert_eq!(program.ask("database 1"), OLD);
}

#[test]
fn a_cache_that_stops_after_the_statement_delays_a_strict_update_and_is_fenced() {
    let shop = Shop::open("strict");
    let mut program = shop.program();
    let row = Stranger::hold_row(&shop.environment.database_url, "product", 1);
    program.begin(UPDATE);
    until_row_is_waited_for(&shop.mariadb);
    shop.memcached.pause();
    row.let_go();
    // It was rolled back, and tried again when nobody could read the server any more.
    assert_eq!(program.answer(), "updated");
    let read = program.ask("get 1");
    assert!(read.starts_with(NEW) && read.contains("the database was asked"), "{read}");
    // What it holds is still the old value, and is never found again.
    shop.memcached.resume();
    until_hit(&mut program, NEW);
}

#[test]
fn a_cache_that_dies_after_the_statement_delays_a_strict_update_and_is_fenced() {
    let shop = Shop::open("strict");
    let mut program = shop.program();
    let row = Stranger::hold_row(&shop.environment.database_url, "product", 1);
    program.begin(UPDATE);
    until_row_is_waited_for(&shop.mariadb);
    shop.memcached.kill();
    row.let_go();
    assert_eq!(program.answer(), "updated");
    shop.memcached.restart();
    until_hit(&mut program, NEW);
}

#[test]
fn a_cache_that_stops_after_the_statement_does_not_stop_a_bounded_update() {
    let shop = Shop::open("bounded");
    let mut program = shop.program();
    let row = Stranger::hold_row(&shop.environment.database_url, "product", 1);
    program.begin(UPDATE);
    until_row_is_waited_for(&shop.mariadb);
    shop.memcached.pause();
    row.let_go();
    assert_eq!(program.answer(), "updated");
    let read = program.ask("get 1");
    assert!(read.starts_with(NEW) && read.contains("the database was asked"), "{read}");
    // What it holds is still the old value, until this program is through to it.
    shop.memcached.resume();
    until_hit(&mut program, NEW);
}

/// The mark was confirmed before, so the commit may take place, and what is lost is only the new value.
#[test]
fn a_cache_that_fails_after_the_mark_hides_the_old_value_from_everybody() {
    let shop = Shop::open("strict");
    let (mut writer, mut reader) = (shop.program(), shop.program());
    let failures: [(Signal, Signal); 2] =
        [(Memcached::pause, Memcached::resume), (Memcached::kill, Memcached::restart)];
    for (fail, repair) in failures {
        let commits = Stranger::hold_commits(&shop.environment.database_url);
        writer.begin(UPDATE);
        until_commit_is_waited_for(&shop.mariadb);
        fail(&shop.memcached);
        commits.let_go();
        assert_eq!(writer.answer(), "updated");
        assert!(reader.ask("get 1").starts_with(NEW));
        repair(&shop.memcached);
        until_hit(&mut reader, NEW);
        writer.ask_until("update 1 Lamp 3950 12", |answer| answer == "updated");
        until_hit(&mut reader, OLD);
    }
}

#[test]
fn after_a_commit_of_unknown_outcome_readers_see_what_the_database_has() {
    let shop = Shop::open("strict");
    let mut program = shop.program();
    let _commits = Stranger::hold_commits(&shop.environment.database_url);
    program.begin(UPDATE);
    until_commit_is_waited_for(&shop.mariadb);
    shop.mariadb.restart();
    let update = program.answer();
    assert!(update.starts_with("error: cannot commit a write: outcome unknown: "), "{update}");
    // Whatever became of it, the old entry is not read for the truth.
    let read = program.ask("get 1");
    let truth = program.ask("database 1");
    assert!(read.starts_with(&truth) && read.contains("the database was asked"), "{read}, {truth}");
}

#[test]
fn an_update_that_the_cache_missed_stays_hidden_by_hand_and_is_made_up_for_here() {
    let mut shop = Shop::open("bounded");
    let cable = Cable::lay(shop.memcached.address());
    shop.environment.memcached = cable.address().to_string();
    let mut program = shop.program();
    program.ask("by-hand get 1");
    cable.cut();
    assert_eq!(program.ask("by-hand update 1 Lamp 4100 12"), "updated");
    assert_eq!(program.ask(UPDATE), "updated");
    assert!(program.ask("get 1").starts_with(NEW));
    cable.mend();
    until_hit(&mut program, NEW);
    assert_eq!(program.ask("database 1"), NEW);
    assert_eq!(program.ask("by-hand get 1"), OLD, "this is what hand-written code gets wrong");
}
