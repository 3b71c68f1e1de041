// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each side reads what the other writes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

use throughline_wire::memcached::command::{self, Cas, Read, Ttl};
use throughline_wire::memcached::reply::{self, MetaItem};
use throughline_wire::memcached::request::{self, MetaRequest, Request, StoreMode};
use throughline_wire::memcached::response::{self, Response, TtlLeft};
use throughline_wire::memcached::{Key, Limits, MetaCode, Status};

fn keys() -> impl Strategy<Value = Vec<u8>> {
    vec((0x21..=0xff_u8).prop_filter("no control byte", |byte| *byte != 0x7f), 1..=250)
}

fn ttls() -> impl Strategy<Value = Ttl> {
    (Ttl::MIN_S..=Ttl::MAX_S).prop_map(Ttl::clamped)
}

proptest! {
    #[test]
    fn a_composed_look_up_is_read_back(
        key in keys(),
        value in any::<bool>(),
        lease in option::of(ttls()),
        refresh in option::of(ttls()),
        opaque in any::<u64>(),
    ) {
        let mut out = Vec::new();
        command::read(&mut out, Key::new(&key).unwrap(), Read { value, lease, refresh }, opaque);
        let meta = match only(&out) {
            Request::MetaGet(meta) => meta,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(meta.key.text(), &key[..]);
        prop_assert_eq!(meta.flags.value, value);
        prop_assert_eq!(meta.flags.vivify, lease.map(|ttl| i64::from(ttl.as_secs())));
        prop_assert_eq!(meta.flags.recache, refresh.map(|ttl| i64::from(ttl.as_secs())));
        prop_assert_eq!(meta.flags.opaque.map(<[u8]>::to_vec), Some(opaque.to_string().into_bytes()));
        let letters: Vec<u8> = meta.flags.in_order().map(|flag| flag.letter).collect();
        prop_assert!(lease.is_none() || letters.first() == Some(&b'N'));
        prop_assert!([b'f', b'c', b't'].iter().all(|letter| letters.contains(letter)));
    }

    #[test]
    fn a_composed_store_is_read_back(
        key in keys(),
        token in option::of(any::<u64>()),
        flags in any::<u32>(),
        ttl in ttls(),
        body in vec(any::<u8>(), 0..300),
        opaque in any::<u64>(),
    ) {
        let mut out = Vec::new();
        let checked = Key::new(&key).unwrap();
        match token {
            Some(token) => command::fill(&mut out, checked, Cas(token), flags, ttl, &body, opaque),
            None => command::mark(&mut out, checked, flags, ttl, &body, opaque),
        }
        let (meta, mode, value) = match only(&out) {
            Request::MetaSet { meta, mode, value } => (meta, mode, value),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!((meta.key.text(), value), (&key[..], &body[..]));
        prop_assert_eq!(mode, StoreMode::Set);
        prop_assert_eq!(meta.flags.cas, token);
        prop_assert_eq!(meta.flags.client_flags, Some(flags));
        prop_assert_eq!(meta.flags.ttl, Some(i64::from(ttl.as_secs())));
        prop_assert_eq!(meta.flags.opaque.map(<[u8]>::to_vec), Some(opaque.to_string().into_bytes()));
    }

    #[test]
    fn a_composed_delete_is_read_back(key in keys(), token in option::of(any::<u64>()), opaque in any::<u64>()) {
        let mut out = Vec::new();
        let checked = Key::new(&key).unwrap();
        match token {
            Some(token) => command::delete_if(&mut out, checked, Cas(token), opaque),
            None => command::delete(&mut out, checked, opaque),
        }
        let meta = match only(&out) {
            Request::MetaDelete(meta) => meta,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!((meta.key.text(), meta.flags.cas), (&key[..], token));
        prop_assert_eq!(meta.flags.opaque.map(<[u8]>::to_vec), Some(opaque.to_string().into_bytes()));
    }

    #[test]
    fn a_composed_meta_hit_is_read_back(
        key in keys(),
        value in vec(any::<u8>(), 0..300),
        (client_flags, cas, ttl_s, idle_s) in (any::<u32>(), any::<u64>(), option::of(any::<u32>()), any::<u32>()),
        (fetched, won, already_won, stale) in any::<(bool, bool, bool, bool)>(),
        letters in Just(b"vsftclhkO".to_vec()).prop_shuffle(),
        kept in 0..=9_usize,
    ) {
        let letters = &letters[..kept];
        let asked = request_with("mg", &key, letters);
        let mut out = Vec::new();
        let item = MetaItem { value: &value, client_flags, cas, ttl_s, idle_s, fetched, won, already_won, stale };
        reply::meta_hit(&mut out, &meta_of(&asked), &item);
        let asked_for = |letter| letters.contains(&letter);
        let (found, flags) = match whole(&out) {
            Response::MetaValue { value, flags } => (Some(value), flags),
            Response::Meta { code: MetaCode::Done, flags } => (None, flags),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(found, asked_for(b'v').then_some(&value[..]));
        prop_assert_eq!(flags.size, asked_for(b's').then_some(value.len() as u64));
        prop_assert_eq!(flags.client_flags, asked_for(b'f').then_some(client_flags));
        prop_assert_eq!(flags.cas, asked_for(b'c').then_some(cas));
        prop_assert_eq!(flags.ttl, asked_for(b't').then_some(ttl_s.map_or(TtlLeft::Forever, TtlLeft::Seconds)));
        prop_assert_eq!(flags.idle_s, asked_for(b'l').then_some(idle_s));
        prop_assert_eq!(flags.fetched, asked_for(b'h').then_some(fetched));
        prop_assert_eq!(flags.key, asked_for(b'k').then_some(&key[..]));
        prop_assert_eq!(flags.opaque_number(), asked_for(b'O').then_some(7));
        prop_assert_eq!((flags.won, flags.already_won, flags.stale), (won, already_won, stale));
    }

    #[test]
    fn a_composed_meta_code_is_read_back(key in keys(), at in 0..MetaCode::ALL.len(), cas in any::<u64>()) {
        let asked = request_with("md", &key, b"kcO");
        let mut out = Vec::new();
        reply::meta_code(&mut out, &meta_of(&asked), MetaCode::ALL[at], Some(cas));
        let (code, flags) = match whole(&out) {
            Response::Meta { code, flags } => (code, flags),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(code, MetaCode::ALL[at]);
        prop_assert_eq!((flags.key, flags.cas, flags.opaque_number()), (Some(&key[..]), Some(cas), Some(7)));
    }

    #[test]
    fn a_composed_value_is_read_back(
        key in keys(),
        flags in any::<u32>(),
        cas in option::of(any::<u64>()),
        value in vec(any::<u8>(), 0..300),
    ) {
        let mut out = Vec::new();
        reply::value(&mut out, &key, flags, cas, &value);
        prop_assert_eq!(whole(&out), Response::Value { key: &key, flags, cas, value: &value });
    }

    #[test]
    fn a_composed_line_is_read_back(text in "[ -~]{0,100}", name in "[a-z_:0-9]{1,40}", number in any::<u64>()) {
        let line = |compose: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            compose(&mut out);
            out
        };
        let out = line(&|out| reply::client_error(out, &text));
        prop_assert_eq!(whole(&out), Response::ClientError(text.as_bytes()));
        let out = line(&|out| reply::server_error(out, &text));
        prop_assert_eq!(whole(&out), Response::ServerError(text.as_bytes()));
        let out = line(&|out| reply::version(out, &text));
        prop_assert_eq!(whole(&out), Response::Version(text.as_bytes()));
        let out = line(&|out| reply::stat(out, &name, &text));
        prop_assert_eq!(whole(&out), Response::Stat { name: name.as_bytes(), value: text.as_bytes() });
        let out = line(&|out| reply::number(out, number));
        prop_assert_eq!(whole(&out), Response::Number(number));
    }

    #[test]
    fn an_error_text_stays_on_its_line(text in "[a-c \r\n\0é]{0,100}") {
        let mut out = Vec::new();
        reply::server_error(&mut out, &text);
        prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        let is_error = matches!(whole(&out), Response::ServerError(_));
        prop_assert!(is_error);
    }
}

#[test]
fn every_fixed_reply_is_read_back() {
    for status in Status::ALL {
        let mut out = Vec::new();
        reply::status(&mut out, status);
        assert_eq!(whole(&out), Response::Status(status));
    }
    let mut out = Vec::new();
    reply::meta_noop(&mut out);
    assert_eq!(whole(&out), Response::MetaNoop);
}

#[test]
fn every_plain_command_is_read_back() {
    let mut out = Vec::new();
    command::noop(&mut out);
    assert_eq!(only(&out), Request::MetaNoop);
    out.clear();
    command::version(&mut out);
    assert_eq!(only(&out), Request::Version);
    out.clear();
    command::stats(&mut out, command::Stats::General);
    assert_eq!(only(&out), Request::Stats { argument: None });
    out.clear();
    command::stats(&mut out, command::Stats::Settings);
    assert_eq!(only(&out), Request::Stats { argument: Some(b"settings") });
}

/// Reads the request that is all of `bytes`.
fn only(bytes: &[u8]) -> Request<'_> {
    match request::parse(bytes, &Limits::default()) {
        request::Parsed::Request { request, consumed } => {
            assert_eq!(consumed, bytes.len());
            request
        }
        other => panic!("{} {other:?}", bytes.escape_ascii()),
    }
}

/// Reads the response that is all of `bytes`.
fn whole(bytes: &[u8]) -> Response<'_> {
    match response::parse(bytes, &Limits::default()) {
        response::Parsed::Response { response, consumed } => {
            assert_eq!(consumed, bytes.len());
            response
        }
        other => panic!("{} {other:?}", bytes.escape_ascii()),
    }
}

fn request_with(command: &str, key: &[u8], letters: &[u8]) -> Vec<u8> {
    let mut line = [command.as_bytes(), b" ", key].concat();
    for letter in letters {
        line.extend_from_slice(&[b' ', *letter]);
        line.extend_from_slice(if *letter == b'O' { b"7" } else { b"" });
    }
    line.extend_from_slice(b"\r\n");
    line
}

fn meta_of(line: &[u8]) -> MetaRequest<'_> {
    match only(line) {
        Request::MetaGet(meta) | Request::MetaDelete(meta) => meta,
        other => panic!("{other:?}"),
    }
}
