// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any header: no panic, what is written is read back, and lines are one list.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use throughline_wire::http::{CacheControl, MediaType, Prefer, Tag, Tags};

/// Lines made of the headers' own words, so that most of them are nearly sound.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "no-cache",
        "no-store",
        "only-if-cached",
        "max-age",
        "return",
        "minimal",
        "application/json",
        "charset",
        "utf-8",
        "\"0123456789abcdef\"",
        "W/",
        "\"",
        "*",
        "=",
        ",",
        ";",
        " ",
        "\t",
        "7",
        "99999999999999999999",
        "\u{80}",
    ];
    let word = (0..WORDS.len()).prop_map(|at| WORDS[at].as_bytes().to_vec());
    let piece = prop_oneof![30 => word, 1 => vec(any::<u8>(), 0..8)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn read_all(line: &[u8]) {
    let _ = CacheControl::parse([line]);
    let _ = Prefer::parse([line]);
    if let Ok(Some(tags)) = Tags::parse([line]) {
        let _ = (tags.names_strongly(line), tags.names_weakly(line));
    }
    if let Ok(media_type) = MediaType::parse(line) {
        let _ = (media_type.is("application/json"), media_type.is_utf8());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300), line in lines()) {
        read_all(&bytes);
        read_all(&line);
    }

    #[test]
    fn tags_that_were_written_are_read_back(tags in vec((any::<bool>(), "[!#-~]{0,20}"), 1..8)) {
        let tags: Vec<_> = tags.iter().map(|(weak, text)| Tag { weak: *weak, opaque: text.as_bytes() }).collect();
        let written: Vec<_> = tags
            .iter()
            .map(|tag| [if tag.weak { &b"W/\""[..] } else { b"\"" }, tag.opaque, b"\""].concat())
            .collect();
        let read = Tags::parse(written.iter().map(Vec::as_slice));
        prop_assert_eq!(read, Ok(Some(Tags::List(tags.clone()))));
        let line = written.join(&b", "[..]);
        let read = Tags::parse([&line[..]]).unwrap().unwrap();
        for tag in &tags {
            prop_assert!(read.names_weakly(tag.opaque));
            let strong = tags.iter().any(|other| !other.weak && other.opaque == tag.opaque);
            prop_assert_eq!(read.names_strongly(tag.opaque), strong);
        }
    }

    #[test]
    fn two_lines_say_what_one_list_says(first in lines(), second in lines()) {
        let (two, one) = ([&first[..], &second], [&first[..], b",", &second].concat());
        prop_assert_eq!(CacheControl::parse(two), CacheControl::parse([&one[..]]));
        if let Ok(tags) = Tags::parse(two) {
            prop_assert_eq!(Ok(tags), Tags::parse([&one[..]]));
        }
        if MediaType::parse(&one).is_ok() {
            prop_assert_eq!(Prefer::parse(two), Prefer::parse([&one[..]]));
        }
    }
}
