// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entity tags (RFC 9110, section 8.8.3), as `If-Match` and `If-None-Match` list them.

use super::Malformed;

/// The tags of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags<'a> {
    /// `*`: whatever there is.
    Any,
    /// These, at least one.
    List(Vec<Tag<'a>>),
}

/// One tag of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Whether it was written with `W/`.
    pub weak: bool,
    /// What stands between its quotes: any bytes but quotes.
    pub opaque: &'a [u8],
}

impl<'a> Tags<'a> {
    /// Reads the values of all lines of a header: `*`, or `"tag"` and `W/"tag"` with commas between.
    ///
    /// `None` if there is no line.
    ///
    /// # Errors
    /// A line is neither, has no tag, or stands beside a `*`.
    pub fn parse(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Self>, Malformed> {
        let mut all = None;
        for line in lines {
            all = match (all, Self::parse_line(line)?) {
                (None, first) => Some(first),
                (Some(Self::List(mut tags)), Self::List(more)) => {
                    tags.extend(more);
                    Some(Self::List(tags))
                }
                (Some(_), _) => return Err(Malformed),
            };
        }
        Ok(all)
    }

    /// Whether these name `opaque` by the weak comparison, that of `If-None-Match`.
    #[must_use]
    pub fn names_weakly(&self, opaque: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag.opaque == opaque),
        }
    }

    /// Whether these name `opaque` by the strong comparison, that of `If-Match`.
    #[must_use]
    pub fn names_strongly(&self, opaque: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| !tag.weak && tag.opaque == opaque),
        }
    }

    fn parse_line(line: &'a [u8]) -> Result<Self, Malformed> {
        if let Some(after) = skip(line, b" \t").strip_prefix(b"*") {
            // A `*` is no element of a list, not even beside an empty one.
            return if skip(after, b" \t").is_empty() { Ok(Self::Any) } else { Err(Malformed) };
        }
        let mut tags = Vec::new();
        let mut rest = line;
        loop {
            // Empty elements of a list are to be ignored (RFC 9110, section 5.6.1.2).
            rest = skip(rest, b", \t");
            if rest.is_empty() {
                return if tags.is_empty() { Err(Malformed) } else { Ok(Self::List(tags)) };
            }
            let (tag, after) = Tag::parse_first(rest).ok_or(Malformed)?;
            tags.push(tag);
            rest = skip(after, b" \t");
            if !(rest.is_empty() || rest.starts_with(b",")) {
                return Err(Malformed);
            }
        }
    }
}

impl<'a> Tag<'a> {
    /// The tag at the front of `text`, and what follows it.
    fn parse_first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        Some((Self { weak, opaque: &inner[..end] }, &inner[end + 1..]))
    }
}

/// `text` from its first byte that is none of `bytes`.
fn skip<'a>(text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let start = text.iter().position(|byte| !bytes.contains(byte)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Tag, Tags};

    fn parse(text: &str) -> Result<Tags<'_>, Malformed> {
        Tags::parse([text.as_bytes()]).map(|tags| tags.expect("there is a line"))
    }

    #[test]
    fn a_strong_tag_matches_both_ways() {
        let tags = parse("\"a\"").unwrap();
        assert!(tags.names_strongly(b"a") && tags.names_weakly(b"a"));
        assert!(!tags.names_strongly(b"b") && !tags.names_weakly(b"b"));
    }

    #[test]
    fn a_weak_tag_matches_only_weakly() {
        let tags = parse("W/\"a\"").unwrap();
        assert!(tags.names_weakly(b"a") && !tags.names_strongly(b"a"));
    }

    #[test]
    fn a_star_matches_everything() {
        for text in ["*", " *\t"] {
            let tags = parse(text).unwrap();
            assert!(tags == Tags::Any && tags.names_weakly(b"a") && tags.names_strongly(b"a"), "{text}");
        }
    }

    #[test]
    fn lists_are_taken_with_commas_in_tags_and_empty_elements() {
        let expected = [
            Tag { weak: false, opaque: b"one, with comma" },
            Tag { weak: true, opaque: b"" },
            Tag { weak: false, opaque: b"\xff" },
        ];
        let tags = Tags::parse([&b" \"one, with comma\" ,,W/\"\",\t\"\xff\","[..]]);
        assert_eq!(tags, Ok(Some(Tags::List(expected.to_vec()))));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let wrong = [
            "",
            "abc",
            "\"abc",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a\", *",
            "*,",
            ",*",
            "**",
            "w/\"a\"",
            "W/",
            ",",
        ];
        for text in wrong {
            assert_eq!(parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        assert_eq!(
            Tags::parse([&b"\"a\""[..], b"W/\"b\""]).unwrap().unwrap(),
            parse("\"a\", W/\"b\"").unwrap()
        );
        assert_eq!(Tags::parse([]), Ok(None));
    }

    #[test]
    fn a_star_stands_alone() {
        for lines in [[&b"*"[..], b"*"], [b"*", b"\"a\""], [b"\"a\"", b"*"], [b"\"a\"", b""]] {
            assert_eq!(Tags::parse(lines), Err(Malformed));
        }
    }
}
