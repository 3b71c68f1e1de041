// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the story of the payment promises.

use crate::program::Program;

const HAS: &str = r#"the bank has /payments/1 {"type":"PAYMENT","amount":100,"currency":"EUR"}"#;
const DECLINED: &str = "cannot write a record: unavailable: `PUT /payments/{id}`: the answer is 503: the bank is closed \
                        for a while";

#[test]
fn the_story_is_told() {
    let quick = [("SAVE_MS", "20"), ("READ_MS", "20"), ("DECLINE_MS", "2000"), ("SYNC_AFTER", "never")];
    let told = Program::tell_with("payment", &quick);
    let without_times = |line: &str| match line.split_once("] ") {
        Some((time, what)) if time.starts_with('[') => format!("{what}\n"),
        _ => format!("{line}\n"),
    };
    let expected = format!(
        "write-through\n\n\
         saved\n{HAS}\n100 EUR, says the bank\n100 EUR, says the cache\n\n\
         the bank saved 1, declined 0, was read 1\n\n\
         write-behind\n\n\
         accepted, receipt 1\n100 EUR, says the cache\nthe bank's database is empty\n\
         applied\n{HAS}\n100 EUR, says the cache\n\n\
         the bank saved 1, declined 0, was read 0\n\n\
         write-around\n\n\
         saved\n100 EUR, says the bank\n100 EUR, says the cache\n\n\
         the bank saved 1, declined 0, was read 1\n\n\
         write-through, and the bank declines\n\n\
         not saved: {DECLINED}\nthe bank says: in 2 s\nthe bank's database is empty\n\n\
         the bank saved 0, declined 1, was read 0\n\n\
         write-behind, and the bank declines\n\n\
         accepted, receipt 1\n100 EUR, says the cache\nthe bank's database is empty\n\
         not applied yet: {DECLINED}\napplied\n{HAS}\n\n\
         the bank saved 1, declined 1, was read 0\n\n"
    );
    assert_eq!(told.lines().map(without_times).collect::<String>(), expected, "{told}");
}
