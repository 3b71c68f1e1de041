// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes: no panic, no dependence on how they were cut, and that each side reads
//! what the other writes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use throughline_wire::memcached::command::{self, Cas, Read, Ttl};
use throughline_wire::memcached::reply::{self, MetaItem};
use throughline_wire::memcached::request::{self, MetaRequest, Request, StoreMode};
use throughline_wire::memcached::response::{self, Response, TtlLeft};
use throughline_wire::memcached::{Key, Limits, MetaCode, Status};

/// Small enough that generated streams reach the bounds.
const LIMITS: Limits = Limits { value_len_max: 12, keys_line_len_max: 4096 };

/// Streams made of the protocols' own words, so that most of them are nearly sound.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "get ",
        "gets ",
        "gat ",
        "set ",
        "cas ",
        "add ",
        "append ",
        "delete ",
        "incr ",
        "touch ",
        "flush_all ",
        "mg ",
        "ms ",
        "md ",
        "ma ",
        "me ",
        "mn",
        "version",
        "stats ",
        "quit",
        "verbosity ",
        "k ",
        "key",
        "Zm9v ",
        " ",
        "  ",
        "0 ",
        "1 ",
        "3 ",
        "13 ",
        "-1 ",
        "4294967296 ",
        "99999999999999999999 ",
        "noreply",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "a\r\n",
        "abc\r\n",
        "b ",
        "q ",
        "v ",
        "c ",
        "O7 ",
        "T10 ",
        "N30 ",
        "F1 ",
        "C9 ",
        "ME ",
        "k\r\n",
        "VA 3 ",
        "VA 1",
        "HD ",
        "EN",
        "NF ",
        "VALUE k 0 3",
        "END\r\n",
        "STAT a b\r\n",
        "ERROR\r\n",
        "SERVER_ERROR x",
        "s3 ",
        "t-1 ",
        "c0 ",
        "W ",
        "HTTP/",
        "\0",
        "\u{80}",
    ];
    let word = (0..WORDS.len()).prop_map(|at| WORDS[at].as_bytes().to_vec());
    let piece = prop_oneof![30 => word, 1 => vec(any::<u8>(), 0..8), 1 => (240..260_usize).prop_map(|len| vec![b'k'; len])];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    vec((0x21..=0xff_u8).prop_filter("no control byte", |byte| *byte != 0x7f), 1..=250)
}

fn ttls() -> impl Strategy<Value = Ttl> {
    (Ttl::MIN_S..=Ttl::MAX_S).prop_map(Ttl::clamped)
}

/// Parses a buffer to its end and writes down each answer.
fn requests(stream: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < stream.len() {
        let (step, close) = match request::parse(&stream[start..], &LIMITS) {
            request::Parsed::Incomplete { need } => {
                assert!(need > stream.len() - start);
                break;
            }
            request::Parsed::Request { request, consumed } => {
                found.push(format!("{request:?}"));
                (consumed, false)
            }
            request::Parsed::Bad { reply, consumed, close, swallow } => {
                found.push(format!("{} {close} {swallow}", reply.escape_ascii()));
                (consumed + swallow, close)
            }
        };
        assert!(step > 0);
        start += step;
        if close {
            break;
        }
    }
    found
}

/// Parses what arrives in pieces, the way a connection does.
fn requests_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut found = Vec::new();
    let mut buf: Vec<u8> = Vec::new();
    let mut swallow_left = 0_usize;
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*cuts.next().expect("cycles")).min(rest.len()));
        rest = after;
        buf.extend_from_slice(piece);
        loop {
            let dropped = swallow_left.min(buf.len());
            buf.drain(..dropped);
            swallow_left -= dropped;
            let consumed = match request::parse(&buf, &LIMITS) {
                request::Parsed::Incomplete { .. } => break,
                request::Parsed::Request { request, consumed } => {
                    found.push(format!("{request:?}"));
                    consumed
                }
                request::Parsed::Bad { reply, consumed, close, swallow } => {
                    found.push(format!("{} {close} {swallow}", reply.escape_ascii()));
                    if close {
                        return found;
                    }
                    swallow_left = swallow;
                    consumed
                }
            };
            buf.drain(..consumed);
        }
    }
    found
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        requests(&bytes);
        let _ = response::parse(&bytes, &LIMITS);
    }

    #[test]
    fn the_cut_of_a_stream_does_not_change_its_requests(
        stream in streams(),
        cuts in vec(1..40_usize, 1..8),
    ) {
        prop_assert_eq!(requests(&stream), requests_in_pieces(&stream, &cuts));
    }

    #[test]
    fn an_incomplete_request_stays_so_until_what_it_needs(stream in streams()) {
        for len in 0..=stream.len() {
            if let request::Parsed::Incomplete { need } = request::parse(&stream[..len], &LIMITS) {
                for more in len..need.min(stream.len() + 1) {
                    let parsed = request::parse(&stream[..more], &LIMITS);
                    let incomplete = matches!(parsed, request::Parsed::Incomplete { .. });
                    prop_assert!(incomplete);
                }
            }
        }
    }

    #[test]
    fn the_cut_of_a_response_does_not_change_it(stream in streams()) {
        let whole = response::parse(&stream, &LIMITS);
        for len in 0..stream.len() {
            match response::parse(&stream[..len], &LIMITS) {
                response::Parsed::Incomplete { need } => prop_assert!(need > len),
                parsed => prop_assert_eq!(&parsed, &whole),
            }
        }
    }

    #[test]
    fn the_quick_way_of_get_gives_what_the_general_way_gives(key in vec(any::<u8>(), 0..256), end in "\r?\n") {
        let quick = [b"get ", &key[..], end.as_bytes()].concat();
        let general = [b" get ", &key[..], end.as_bytes()].concat();
        let (quick, general) = (request::parse(&quick, &LIMITS), request::parse(&general, &LIMITS));
        match (quick, general) {
            (request::Parsed::Request { request: a, consumed: m }, request::Parsed::Request { request: b, consumed: n }) => {
                // What follows the last key is kept in one of them, so the keys themselves are compared.
                prop_assert_eq!((names(&a), m + 1), (names(&b), n));
            }
            (request::Parsed::Bad { reply: a, .. }, request::Parsed::Bad { reply: b, .. }) => prop_assert_eq!(a, b),
            (a, b) => prop_assert!(false, "{:?} is not {:?}", a, b),
        }
    }

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
    fn an_error_text_stays_on_its_line(text in any::<String>()) {
        let mut out = Vec::new();
        reply::server_error(&mut out, &text);
        prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        // A reader has a bound on lines, which a text of arbitrary length may pass.
        if out.len() <= throughline_wire::memcached::LINE_LEN_MAX {
            let is_error = matches!(whole(&out), Response::ServerError(_));
            prop_assert!(is_error);
        }
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

#[test]
fn a_malformed_response_is_no_response() {
    let long = [b'x'; 3000];
    for bytes in [
        &b"HELLO\r\n"[..],
        b"\r\n",
        b"VA x\r\n",
        b"VA 3 cx\r\nabc\r\n",
        b"VA 3\r\nabcde",
        b"VA 13\r\n",
        b"HD c-1\r\n",
        b"HD tx\r\n",
        b"HD f4294967296\r\n",
        b"VALUE k 0\r\n",
        b"VALUE k 0 1 x\r\na\r\n",
        b"END\n",
        b"STOREDX\r\n",
        &long,
    ] {
        let parsed = response::parse(bytes, &LIMITS);
        assert!(matches!(parsed, response::Parsed::Malformed { .. }), "{} {parsed:?}", bytes.escape_ascii());
    }
}

fn names(request: &Request<'_>) -> Vec<Vec<u8>> {
    match request {
        Request::Get { keys, .. } => keys.map(<[u8]>::to_vec).collect(),
        other => panic!("{other:?}"),
    }
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
