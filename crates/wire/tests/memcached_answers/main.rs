// SPDX-License-Identifier: MIT OR Apache-2.0
//! What memcached 1.6.18 answers to sound and to broken requests, and that ours is the same.
//!
//! The table is judged twice: against a memcached that the test starts, so that it is memcached's
//! behaviour and not our memory of it, and against our parser and composers. A row on which the two
//! differ says why.

mod live;
mod model;
mod table;

use live::Memcached;
use model::Model;
use table::{Outcome, Row, rows};

#[test]
fn the_table_is_what_memcached_answers() {
    let memcached = Memcached::start();
    let wrong: Vec<String> =
        rows().iter().filter_map(|row| difference(row, &row.theirs, &memcached.ask(row))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_answers_are_those_of_the_table() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter_map(|row| difference(row, row.ours(), &Model::default().ask(&row.sent)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_answers_do_not_depend_on_how_requests_are_cut() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter_map(|row| difference(row, row.ours(), &Model::default().ask_in_pieces(&row.sent)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_difference_says_why() {
    for row in rows() {
        if let Some(difference) = &row.difference {
            assert!(difference.why.len() > 20, "{}", row.sent_text());
            assert_ne!(difference.ours, row.theirs, "{}", row.sent_text());
        }
    }
}

fn difference(row: &Row, expected: &Outcome, found: &Outcome) -> Option<String> {
    (expected != found).then(|| format!("{}\n  expected {expected}\n  found    {found}", row.sent_text()))
}
