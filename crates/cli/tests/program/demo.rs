// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payment story, as `demo payment` tells it.

use crate::{run, stdout};

/// A part of the story, by what its title ends with: what is said, and who does what, without the times.
fn part<'a>(story: &'a str, title: &str) -> Vec<&'a str> {
    let mut lines = story.lines().skip_while(|line| !line.ends_with(title));
    lines.next().unwrap_or_else(|| panic!("no part `{title}` in:\n{story}"));
    let lines = lines.skip(1).take_while(|line| line.is_empty() || line.starts_with(' '));
    let told = lines.filter_map(|line| line.split_once(" ms  ").map(|(_, event)| event));
    told.collect()
}

fn place(events: &[&str], what: &str) -> usize {
    let found = events.iter().position(|event| event.starts_with(what));
    found.unwrap_or_else(|| panic!("`{what}` is not in {events:#?}"))
}

const GETS: &str = r#"client  gets {"type":"PAYMENT","amount":100,"currency":"EUR"}"#;
const HOLDS: &str =
    r#"bank    its own database holds /payments/1 {"type":"PAYMENT","amount":100,"currency":"EUR"}"#;
const EMPTY: &str = "bank    its own database holds nothing";

fn story() -> String {
    let times = ["--save-ms", "20", "--read-ms", "20", "--sync-ms", "0", "--outage-ms", "2000"];
    let output = run(&[&["demo", "payment"][..], &times].concat());
    assert!(output.status.success(), "{output:?}");
    stdout(&output)
}

#[test]
fn the_payment_story_shows_who_is_called_and_when() {
    let story = story();
    assert_eq!(
        part(&story, "Payment, write-through")[..6],
        [
            "client  saves the payment",
            "cache   is marked: the old value is gone",
            "bank    is asked to save /payments/1",
            "bank    has saved /payments/1",
            "cache   loses the mark",
            "client  has its answer: saved",
        ],
        "{story}"
    );
    assert_eq!(
        part(&story, "Payment, write-behind"),
        [
            "client  saves the payment",
            "cache   is marked: the old value is gone",
            "journal has it on disk, as write 1",
            "cache   gets the written value in place of the mark",
            "client  has its answer: accepted, receipt 1",
            "cache   has it",
            &format!("{GETS} (hit)"),
            EMPTY,
            "bank    is asked to save /payments/1",
            "bank    has saved /payments/1",
            "journal need not keep write 1 any longer",
            "receipt says: applied",
            HOLDS,
            "cache   has it",
            &format!("{GETS} (hit)"),
        ],
        "{story}"
    );
    let around = part(&story, "Payment, write-around");
    assert!(place(&around, "bank    has saved") < place(&around, "client  has its answer: saved"));
    assert_eq!(around.last(), Some(&format!("{GETS} (miss, stored)").as_str()), "{story}");

    let through = part(&story, "for 2 s, write-through");
    assert!(through.contains(&"client  may ask again in 2 s (Retry-After)"), "{story}");
    assert_eq!(through.last(), Some(&EMPTY), "the client has an error, and nothing was written:\n{story}");

    let behind = part(&story, "for 2 s, write-behind");
    let steps = [
        "client  has its answer: accepted",
        &format!("{GETS} (hit)"),
        EMPTY,
        "bank    declines PUT /payments/1",
        "receipt says: cannot write a record",
        "receipt says: not applied, tried again in",
        "bank    has saved /payments/1",
        "receipt says: applied",
        HOLDS,
        "bank    has declined once and saved once",
    ];
    let places: Vec<_> = steps.iter().map(|step| place(&behind, step)).collect();
    assert!(places.is_sorted(), "{story}");
}
