// SPDX-License-Identifier: MIT OR Apache-2.0

use bytes::Bytes;
use throughline_core::{Entry, ErrorKind, Fingerprint, Record, Retry};

use super::{
    Answer, Cas, Failure, Fill, Found, Item, MemcachedServer, MetaCode, closed, corrupt, deleted, denied,
    down, filled, found, inadmissible, io, late, marked, overloaded, stranger, unavailable, value,
};

const CHECK: u64 = 42;

fn item(value: impl Into<Bytes>, flags: u32) -> Item {
    Item {
        value: value.into(),
        flags,
        token: Cas(7),
        ttl_left_s: Some(5),
        won: false,
        already_won: false,
        stale: false,
    }
}

fn server() -> MemcachedServer {
    let name = throughline_core::NodeName::new("there:1").unwrap();
    MemcachedServer { name, address: "there:1".to_owned() }
}

fn own() -> Item {
    let entry = Entry { record: Some(Record::from_content("v")), fingerprint: Fingerprint::of(b"f") };
    item(value::encode(&entry, CHECK, 5), value::flags(&entry))
}

fn look(item: Item) -> Found {
    found(&Answer::Found(item), CHECK)
}

#[test]
fn every_state_of_a_slot_has_its_answer() {
    assert_eq!(look(Item { won: true, ..item("", 0) }), Found::Lease(Cas(7)));
    assert_eq!(look(Item { already_won: true, ..item("", 0) }), Found::Busy);
    assert_eq!(look(item("0123456789abcdef", 2)), Found::Marked);
    assert!(matches!(look(own()), Found::Hit(_)));
    assert_eq!(found(&Answer::Code { code: MetaCode::Miss, cas: None }, CHECK), Found::Nothing);
    assert_eq!(found(&Answer::Failed(Failure::Other), CHECK), Found::Nothing);
}

#[test]
fn what_should_not_be_there_is_told_apart() {
    assert_eq!(look(item("text", 0)), Found::Foreign);
    assert_eq!(look(item("", 0)), Found::Foreign);
    assert_eq!(look(item("text", 4)), Found::Foreign);
    assert_eq!(look(Item { ttl_left_s: None, ..own() }), Found::Foreign);
    assert_eq!(found(&Answer::Found(own()), CHECK + 1), Found::OtherKey);
}

#[test]
fn an_invalidated_item_is_never_a_hit() {
    assert_eq!(look(Item { stale: true, ..own() }), Found::Marked);
    assert_eq!(look(Item { stale: true, won: true, ..item("", 0) }), Found::Marked);
}

#[test]
fn a_lease_without_a_number_is_none() {
    assert_eq!(look(Item { won: true, token: Cas(0), ..item("", 0) }), Found::Foreign);
}

#[test]
fn stores_say_how_they_went() {
    let server = server();
    let code = |code| filled(&server, &Answer::Code { code, cas: None }).unwrap();
    assert_eq!(code(MetaCode::Done), Fill::Stored);
    assert_eq!(code(MetaCode::Exists), Fill::Refused);
    assert_eq!(code(MetaCode::NotFound), Fill::Refused);
    assert_eq!(filled(&server, &Answer::Failed(Failure::OutOfMemory)).unwrap(), Fill::Refused);
    assert_eq!(filled(&server, &Answer::Failed(Failure::TooLarge)).unwrap(), Fill::TooLarge);
    assert!(filled(&server, &Answer::Failed(Failure::Other)).is_err());
}

#[test]
fn a_mark_is_confirmed_only_when_the_slot_is_known_to_hold_no_value() {
    let server = server();
    let done = |cas| Answer::Code { code: MetaCode::Done, cas };
    assert_eq!(marked(&server, &done(Some(Cas(3)))).unwrap(), Some(Cas(3)));
    assert_eq!(marked(&server, &done(Some(Cas(0)))).unwrap(), None);
    assert_eq!(marked(&server, &Answer::Failed(Failure::OutOfMemory)).unwrap(), None);
    assert!(marked(&server, &Answer::Failed(Failure::Other)).is_err());
    assert!(marked(&server, &Answer::Code { code: MetaCode::Exists, cas: None }).is_err());
}

#[test]
fn an_invalidation_is_confirmed_only_when_the_slot_is_known_to_be_empty() {
    let server = server();
    let code = |code| deleted(&server, &Answer::Code { code, cas: None });
    assert!(code(MetaCode::Done).is_ok());
    assert!(code(MetaCode::NotFound).is_ok());
    assert!(code(MetaCode::Exists).is_err());
    assert!(deleted(&server, &Answer::Failed(Failure::OutOfMemory)).is_err());
}

#[test]
fn every_error_has_its_kind_and_says_where() {
    let server = server();
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let errors = [
        (unavailable(&server, "gone"), ErrorKind::Unavailable, Retry::Safe),
        (io(&server, "the connection broke", broken), ErrorKind::Unavailable, Retry::Safe),
        (late(&server, 20), ErrorKind::Timeout, Retry::Unsafe),
        (overloaded(&server), ErrorKind::Overloaded, Retry::Safe),
        (corrupt(&server, "junk"), ErrorKind::Corrupt, Retry::Unsafe),
        (inadmissible(&server, "too old"), ErrorKind::Configuration, Retry::Never),
        (stranger(&server), ErrorKind::Unavailable, Retry::Safe),
        (denied(&server), ErrorKind::Denied, Retry::Never),
        (closed(&server), ErrorKind::Closed, Retry::Never),
    ];
    for (error, kind, retry) in errors {
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error}");
        assert!(error.detail().starts_with("there:1: "), "{error}");
    }
}

#[test]
fn the_reason_of_a_missing_connection_is_kept() {
    let server = server();
    let error = down(&inadmissible(&server, "an HTTP server answers there"));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.detail(), "there:1: an HTTP server answers there");
}

#[test]
fn a_server_with_a_name_is_named() {
    let name = throughline_core::NodeName::new("a").unwrap();
    let server = MemcachedServer { name, ..server() };
    assert!(late(&server, 20).detail().starts_with("a (there:1): "));
}
