// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as requests: no panic, and every prefix is either incomplete or gives the same answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_wire::memcached::Limits;
use throughline_wire::memcached::request::{Parsed, Request, parse};

const LIMITS: Limits = Limits { value_len_max: 64, keys_line_len_max: 4096 };

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        let parsed = parse(rest, &LIMITS);
        let step = match &parsed {
            Parsed::Incomplete { need } => {
                assert!(*need > rest.len());
                break;
            }
            Parsed::Request { request, consumed } => {
                if let Request::Get { keys, .. } | Request::GetAndTouch { keys, .. } = request {
                    assert!(keys.into_iter().all(|key| !key.is_empty() && key.len() <= 250));
                }
                *consumed
            }
            Parsed::Bad { close: true, .. } => break,
            Parsed::Bad { consumed, swallow, .. } => consumed + swallow,
        };
        assert!(step > 0);
        // Prefixes of a long line are many; its last bytes tell as much.
        for len in rest.len().min(step).saturating_sub(64)..rest.len().min(step) {
            let prefix = parse(&rest[..len], &LIMITS);
            assert!(matches!(prefix, Parsed::Incomplete { .. }) || prefix == parsed);
        }
        rest = rest.get(step..).unwrap_or_default();
    }
});
