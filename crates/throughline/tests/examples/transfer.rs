// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the story of the transfer promises.

use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

use crate::program::{Environment, Program, database};

#[test]
fn the_story_is_told() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let memcached = Memcached::start(MemcachedOptions::default());
    let environment = Environment {
        database_url: database(&mariadb, "bank", "transfer"),
        memcached: memcached.address().to_string(),
        level: "strict",
    };
    let expected = "Ada 100, Grace 20\n\
        30 from 1 to 2: done\nAda 70, Grace 50\n\
        500 from 2 to 1: not enough money\nAda 70, Grace 50\n\
        5 from 1 to 9: there is no such account\nAda 70, Grace 50\n\
        7 to 2 by SQL of our own\nAda 70, Grace 57\n";
    assert_eq!(Program::tell("transfer", &environment), expected);
}
