// SPDX-License-Identifier: MIT OR Apache-2.0
use throughline_core::{Key, News};

use super::{Look, Memory, Noted, Rows, Taken, Waiting, ids};
use crate::sql::outbox::KeyMaps;
use crate::sql::{Column, Consumer, Kind, Table};

fn table(name: &str) -> Table {
    Table {
        schema: None,
        name: name.into(),
        columns: vec![Column::new("id", Kind::Integer { bits: 64, unsigned: false })],
        primary_key: vec![0],
        has_other_unique: false,
        foreign_keys: vec![],
        triggers: vec![],
        unservable: None,
    }
}

fn memory() -> Memory {
    Memory::new(KeyMaps::new([&table("person"), &table("product")]), Consumer::Shared)
}

fn since(since: &str) -> Waiting {
    Waiting { since: since.into(), since_ms: 7, count: 0, lag_ms: 0 }
}

fn noted(table: &str, at: &str) -> Noted {
    Noted { table: table.into(), at: at.into(), age_ms: 3 }
}

fn whole(table: &str, age_ms: u64) -> News {
    News::Table { table: table.into(), age_ms }
}

/// What a look tells, in the order of the tables' names.
fn look(memory: &mut Memory, waiting: &Waiting, noted: Vec<Noted>) -> Vec<News> {
    memory.begin();
    let mut news = memory.whole_tables(waiting, noted);
    news.sort_by_key(|news| format!("{news:?}"));
    news
}

#[test]
fn a_new_consumer_is_told_of_every_table_until_it_confirms() {
    let mut memory = memory();
    let all = [whole("person", 7), whole("product", 7)];
    assert_eq!(look(&mut memory, &since("noon"), vec![]), all);
    assert_eq!(look(&mut memory, &since("noon"), vec![]), all);
    memory.confirm();
    assert_eq!(look(&mut memory, &since("noon"), vec![]), []);
}

#[test]
fn a_forgotten_consumer_is_told_of_every_table_again() {
    let mut memory = memory();
    look(&mut memory, &since("noon"), vec![]);
    memory.confirm();
    assert_eq!(look(&mut memory, &since("one"), vec![]).len(), 2);
    assert_eq!(look(&mut memory, &Waiting::unknown(), vec![]).len(), 2);
}

#[test]
fn a_change_of_a_table_is_told_until_it_is_confirmed_and_again_when_it_changes_again() {
    let mut memory = memory();
    look(&mut memory, &since("noon"), vec![]);
    memory.confirm();
    for _ in 0..2 {
        let news = look(&mut memory, &since("noon"), vec![noted("person", "one")]);
        assert_eq!(news, [whole("person", 3)]);
    }
    memory.confirm();
    assert_eq!(look(&mut memory, &since("noon"), vec![noted("person", "one")]), []);
    assert_eq!(look(&mut memory, &since("noon"), vec![noted("person", "two")]), [whole("person", 3)]);
}

#[test]
fn a_look_that_failed_confirms_nothing_of_the_one_before() {
    let mut memory = memory();
    look(&mut memory, &since("noon"), vec![]);
    memory.begin();
    memory.confirm();
    assert_eq!(look(&mut memory, &since("noon"), vec![]).len(), 2);
}

#[test]
fn a_table_that_is_not_served_is_no_news() {
    let mut memory = memory();
    look(&mut memory, &since("noon"), vec![]);
    memory.confirm();
    assert_eq!(look(&mut memory, &since("noon"), vec![noted("other", "one")]), []);
    assert_eq!(memory.news_of(&[row("other", None)], false), []);
}

fn row(table: &str, origin: Option<&str>) -> Taken {
    Taken {
        id: 5,
        is_new: true,
        origin: origin.map(str::to_owned),
        table: table.into(),
        written: Some("31".into()),
    }
}

#[test]
fn rows_are_told_once_and_own_ones_never() {
    let rows = [row("person", None), row("person", Some("other")), row("product", Some("shared"))];
    let one = News::Row { table: "person".into(), key: Key::from_parts([b"1".as_slice()]).unwrap() };
    assert_eq!(memory().news_of(&rows, false), [one]);
}

#[test]
fn a_backlog_is_told_by_its_tables() {
    let rows = [row("person", None), row("person", None), row("product", None)];
    assert_eq!(memory().news_of(&rows, true), [whole("person", 0), whole("product", 0)]);
    let waiting = |count| Waiting { count, ..since("noon") };
    assert!(!waiting(10_000).is_backlog() && waiting(10_001).is_backlog());
}

#[test]
fn numbers_of_rows_are_joined() {
    assert_eq!(ids(&[row("person", None), row("person", None)]), "5,5");
}

#[test]
fn a_look_is_all_when_nothing_was_left_behind_and_held_when_it_tells_anything() {
    let seen = |waiting: usize, whole: usize, count: usize| {
        let waiting = Waiting { count: waiting, ..since("noon") };
        let look = Look::new(&waiting, vec![self::whole("person", 0); whole], Rows { count, news: vec![] });
        (look.is_all, look.is_held)
    };
    assert_eq!(seen(0, 0, 0), (true, false));
    assert_eq!(seen(0, 1, 0), (true, true));
    // Another daemon is just taking the rest.
    assert_eq!(seen(2, 0, 0), (false, false));
    assert_eq!(seen(2, 0, 1), (false, true));
    assert_eq!(seen(2, 0, 2), (true, true));
    assert_eq!(seen(10_001, 0, 20_000), (false, true));
}
