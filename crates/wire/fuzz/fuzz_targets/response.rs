// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as responses: no panic, and every prefix is either incomplete or gives the same answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_wire::memcached::Limits;
use throughline_wire::memcached::response::{Parsed, parse};

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
            Parsed::Response { consumed, .. } => *consumed,
            Parsed::Malformed { .. } => break,
        };
        assert!(step > 0 && step <= rest.len());
        for len in step.saturating_sub(64)..step {
            let prefix = parse(&rest[..len], &LIMITS);
            assert!(matches!(prefix, Parsed::Incomplete { .. }) || prefix == parsed);
        }
        rest = &rest[step..];
    }
});
