// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parsing allocates nothing, and composing nothing beyond its output.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use throughline_wire::memcached::command::{self, Cas, Read, Ttl};
use throughline_wire::memcached::request::{self, Request};
use throughline_wire::memcached::{Key, Limits, reply, response};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: &[u8] = b"get person:42\r\ngets a b c\r\ngat 10 a b\r\nset k 0 0 3\r\nabc\r\ncas k 0 0 3 9\r\nabc\r\n\
    delete k\r\nincr k 5\r\ntouch k 10\r\nflush_all\r\nversion\r\nstats settings\r\nmn\r\nmg k v f c t N30 R10 O7\r\n\
    ms k 3 C9 T10 F1\r\nabc\r\nmd Zm9v b q\r\nma k J1 N0 D4 MI\r\nme k\r\nnonsense\r\nmg k v v\r\nset k x 0 1\r\n";

const RESPONSES: &[u8] = b"VA 3 f1 c9 t-1 O7 W\r\nabc\r\nHD c7\r\nEN\r\nEX c0\r\nNF\r\nNS\r\nMN\r\nVERSION 1.6.18\r\n\
    STAT pid 1\r\nEND\r\nERROR\r\nCLIENT_ERROR x\r\nSERVER_ERROR x\r\nVALUE k 0 3 9\r\nabc\r\nSTORED\r\n12\r\n";

/// One test, since tests that run beside it would be counted too.
#[test]
fn nothing_is_allocated() {
    let limits = Limits::default();
    let mut out = Vec::with_capacity(4096);
    let key = Key::new(b"person:42").unwrap();
    let region = Region::new(ALLOCATOR);

    let mut rest = REQUESTS;
    let (mut requests, mut refused, mut keys_len) = (0, 0, 0);
    while !rest.is_empty() {
        let consumed = match request::parse(rest, &limits) {
            request::Parsed::Request { request, consumed } => {
                requests += 1;
                if let Request::Get { keys, .. } | Request::GetAndTouch { keys, .. } = request {
                    keys_len += keys.count();
                }
                consumed
            }
            request::Parsed::Bad { consumed, .. } => {
                refused += 1;
                consumed
            }
            request::Parsed::Incomplete { .. } => break,
        };
        rest = &rest[consumed..];
    }
    let mut rest_of_responses = RESPONSES;
    let mut responses = 0;
    while let response::Parsed::Response { consumed, .. } = response::parse(rest_of_responses, &limits) {
        responses += 1;
        rest_of_responses = &rest_of_responses[consumed..];
    }
    command::read(&mut out, key, Read { value: true, lease: Some(Ttl::clamped(5)), refresh: None }, u64::MAX);
    command::fill(&mut out, key, Cas(7), 1, Ttl::clamped(300), b"value", 1);
    command::mark(&mut out, key, 2, Ttl::clamped(10), b"wid", 1);
    command::delete_if(&mut out, key, Cas(7), 1);
    reply::value(&mut out, b"person:42", 0, Some(9), b"value");
    reply::stat(&mut out, "pid", "1");

    let change = region.change();
    assert_eq!((requests, refused, keys_len, responses), (17, 3, 6, 16));
    assert!(rest.is_empty() && rest_of_responses.is_empty());
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
