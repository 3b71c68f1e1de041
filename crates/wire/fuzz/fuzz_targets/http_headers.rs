// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as the lines of each header: no panic, and lines that are sound are one list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_wire::http::{CacheControl, MediaType, Prefer, Tags};

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let joined = lines.join(&b","[..]);
    let all = || lines.iter().copied();

    assert_eq!(CacheControl::parse(all()), CacheControl::parse([&joined[..]]));

    if let Ok(tags) = Tags::parse(all()) {
        if let Some(Tags::List(list)) = &tags {
            assert!(!list.is_empty() && list.iter().all(|tag| !tag.opaque.contains(&b'"')));
        }
        assert_eq!(Tags::parse([&joined[..]]), Ok(tags));
    }

    let minimal = all().any(|line| Prefer::parse([line]).minimal);
    assert_eq!(Prefer::parse(all()).minimal, minimal);

    if let Ok(media_type) = MediaType::parse(bytes) {
        let _ = (media_type.is("application/json"), media_type.is_utf8());
    }
});
