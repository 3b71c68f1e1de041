// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes: no panic, and no dependence on how they were cut.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use throughline_wire::memcached::Limits;
use throughline_wire::memcached::request::{self, Request};
use throughline_wire::memcached::response;

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

#[test]
fn no_message_waits_for_more_than_it_has() {
    let requests: [&[u8]; 6] = [
        b"get k\r\n",
        b"mn\n",
        b"set k 0 0 3\r\nabc\r\n",
        b"set k 0 0 0 noreply\r\n\r\n",
        b"ms k 3 T10\r\nabc\r\n",
        b"set k 0 0 3\r\nabcde",
    ];
    for whole in requests {
        for len in 0..whole.len() {
            match request::parse(&whole[..len], &LIMITS) {
                request::Parsed::Incomplete { need } => assert!(need > len && need <= whole.len()),
                other => panic!("{} {len} {other:?}", whole.escape_ascii()),
            }
        }
        assert!(!matches!(request::parse(whole, &LIMITS), request::Parsed::Incomplete { .. }));
    }
    let responses: [&[u8]; 4] =
        [b"HD\r\n", b"VA 3 c1\r\nabc\r\n", b"VA 0\r\n\r\n", b"VALUE k 0 3\r\nabc\r\n"];
    for whole in responses {
        for len in 0..whole.len() {
            match response::parse(&whole[..len], &LIMITS) {
                response::Parsed::Incomplete { need } => assert!(need > len && need <= whole.len()),
                other => panic!("{} {len} {other:?}", whole.escape_ascii()),
            }
        }
        assert!(matches!(response::parse(whole, &LIMITS), response::Parsed::Response { .. }));
    }
}

#[test]
fn a_line_of_keys_may_be_as_long_as_its_limit() {
    let mut line = [&b"get"[..], &b" k".repeat(3000)].concat();
    line.truncate(LIMITS.keys_line_len_max);
    assert_eq!(request::parse(&line, &LIMITS), request::Parsed::Incomplete { need: line.len() + 1 });
    line.push(b'\n');
    assert!(matches!(request::parse(&line, &LIMITS), request::Parsed::Request { .. }));
    line.insert(3, b' ');
    for len in [line.len() - 1, line.len()] {
        let parsed = request::parse(&line[..len], &LIMITS);
        assert!(matches!(parsed, request::Parsed::Bad { close: true, .. }), "{len} {parsed:?}");
    }
}

fn names(request: &Request<'_>) -> Vec<Vec<u8>> {
    match request {
        Request::Get { keys, .. } => keys.map(<[u8]>::to_vec).collect(),
        other => panic!("{other:?}"),
    }
}
