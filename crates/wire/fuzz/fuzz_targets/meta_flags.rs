// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as the flags of each meta command: no panic, and what is accepted is answered in a line
//! that the client side reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_wire::memcached::request::{MetaRequest, Parsed, Request, parse};
use throughline_wire::memcached::reply::{MetaItem, meta_code, meta_hit};
use throughline_wire::memcached::{KEY_LEN_MAX, Limits, MetaCode, response};

fuzz_target!(|flags: &[u8]| {
    for start in [&b"mg a2V5 "[..], b"ms a2V5 1 ", b"md a2V5 ", b"ma a2V5 ", b"me a2V5 "] {
        let line = [start, flags, b"\r\nv\r\n"].concat();
        if let Parsed::Request { request, .. } = parse(&line, &Limits::default()) {
            match &request {
                Request::MetaGet(meta) | Request::MetaDelete(meta) => answer(meta),
                Request::MetaSet { meta, .. } | Request::MetaArithmetic { meta, .. } => answer(meta),
                _ => {}
            }
        }
    }
});

fn answer(meta: &MetaRequest<'_>) {
    let mut scratch = [0; KEY_LEN_MAX];
    let key: &[u8] = if meta.key.is_base64() { b"key" } else { b"a2V5" };
    assert_eq!(meta.key.bytes(&mut scratch), key);
    let item = MetaItem {
        value: b"value",
        client_flags: 1,
        cas: 2,
        ttl_s: None,
        idle_s: 3,
        fetched: true,
        won: true,
        already_won: false,
        stale: false,
    };
    let mut out = Vec::new();
    meta_hit(&mut out, meta, &item);
    check(&out);
    out.clear();
    meta_code(&mut out, meta, MetaCode::Done, Some(5));
    check(&out);
}

fn check(out: &[u8]) {
    match response::parse(out, &Limits::default()) {
        response::Parsed::Response { consumed, .. } => assert_eq!(consumed, out.len()),
        other => panic!("{other:?}"),
    }
}
