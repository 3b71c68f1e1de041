// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entity tags (RFC 9110, section 8.8.3) and the conditions that are made of them (section 13.1).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use throughline::Version;

use super::problem::{Problem, ProblemKind};

/// The most tags of one write's `If-Match`: as many versions as a condition takes.
const TAGS_MAX: usize = 16;

/// The `ETag` of a version: strong, 16 hexadecimal digits.
pub(crate) fn etag(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{:016x}\"", version.0)).expect("digits and quotes are a header value")
}

/// The tags of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: whatever version, if there is a record.
    Any,
    /// These.
    List(Vec<Tag>),
}

/// One tag of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    weak: bool,
    /// The version that it names; `None` for a tag that none of ours can be equal to.
    version: Option<Version>,
}

impl Tags {
    /// Whether a record of this version is named, weak tags included (for `If-None-Match`).
    pub(crate) fn names_weakly(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag.version == Some(version)),
        }
    }

    /// Whether a record of this version is named by a strong tag (for `If-Match`).
    pub(crate) fn names_strongly(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| !tag.weak && tag.version == Some(version)),
        }
    }
}

/// The conditions of a request. Dates are no conditions here: a version says more than a second does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
}

impl Preconditions {
    /// The conditions in `headers`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { if_match: tags(headers, &IF_MATCH)?, if_none_match: tags(headers, &IF_NONE_MATCH)? })
    }

    /// The condition of a write, as the engine decides it under the row's lock.
    pub(crate) fn of_write(headers: &HeaderMap) -> Result<throughline::Condition, Problem> {
        let preconditions = Self::of(headers)?;
        match (preconditions.if_match, preconditions.if_none_match) {
            (None, None) => Ok(throughline::Condition::Always),
            (Some(Tags::Any), None) => Ok(throughline::Condition::Present),
            (None, Some(Tags::Any)) => Ok(throughline::Condition::Absent),
            (Some(Tags::List(tags)), None) => {
                let strong = tags.iter().filter(|tag| !tag.weak);
                let versions: Vec<Version> = strong.filter_map(|tag| tag.version).collect();
                if versions.len() > TAGS_MAX {
                    let detail = format!("`If-Match` takes at most {TAGS_MAX} tags");
                    return Err(Problem::new(ProblemKind::InvalidHeader, detail));
                }
                Ok(throughline::Condition::Unchanged(versions))
            }
            (None, Some(Tags::List(_))) => Err(Problem::new(
                ProblemKind::InvalidHeader,
                "`If-None-Match` of a write takes only `*`: write if there is no such record",
            )),
            (Some(_), Some(_)) => Err(Problem::new(
                ProblemKind::InvalidHeader,
                "`If-Match` and `If-None-Match` of a write contradict each other",
            )),
        }
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let mut found: Option<Tags> = None;
    for value in headers.get_all(name) {
        let parsed = parse(value.as_bytes());
        found = match (found, parsed) {
            (None, Some(tags)) => Some(tags),
            (Some(Tags::List(mut all)), Some(Tags::List(more))) => {
                all.extend(more);
                Some(Tags::List(all))
            }
            _ => {
                let detail = format!("`{name}` must be `*` or a list of tags in quotes");
                return Err(Problem::new(ProblemKind::InvalidHeader, detail));
            }
        };
    }
    Ok(found)
}

/// `*`, or `"tag"` and `W/"tag"` with commas between; `None` for anything else.
fn parse(text: &[u8]) -> Option<Tags> {
    let text = text.trim_ascii();
    if text == b"*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        // Empty elements of a list are to be ignored (RFC 9110, section 5.6.1.2).
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(Tags::List(tags));
        }
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let opaque = quoted.strip_prefix(b"\"")?;
        let end = opaque.iter().position(|byte| *byte == b'"')?;
        let version = version(&opaque[..end]);
        tags.push(Tag { weak, version });
        rest = opaque[end + 1..].trim_ascii_start();
        if !(rest.is_empty() || rest.starts_with(b",")) {
            return None;
        }
    }
}

/// The version of a tag that [`etag`] wrote.
fn version(opaque: &[u8]) -> Option<Version> {
    let ours = opaque.len() == 16 && opaque.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(opaque).ok().filter(|_| ours)?;
    u64::from_str_radix(text, 16).ok().map(Version)
}

#[cfg(test)]
mod tests {
    use super::{Preconditions, Tags, etag, parse};
    use axum::http::HeaderMap;
    use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
    use throughline::{Condition, Version};

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_tag_that_was_sent_is_recognised() {
        let version = Version(0x1234);
        let tags = parse(etag(version).as_bytes()).unwrap();
        assert!(tags.names_strongly(version) && tags.names_weakly(version));
        assert!(!tags.names_weakly(Version(0x1235)));
    }

    #[test]
    fn a_weak_tag_matches_only_weakly() {
        let tags = parse(b"W/\"0000000000001234\"").unwrap();
        assert!(tags.names_weakly(Version(0x1234)) && !tags.names_strongly(Version(0x1234)));
    }

    #[test]
    fn lists_are_taken_with_strangers_tags_and_empty_elements() {
        let tags = parse(b" \"stranger, with comma\" ,, \"0000000000000001\",").unwrap();
        assert!(tags.names_strongly(Version(1)));
        let Tags::List(list) = tags else { unreachable!("a list") };
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for text in ["", "abc", "\"abc", "\"a\" \"b\"", "*, \"a\"", "w/\"a\"", ","] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_digits_must_be_the_ones_that_were_sent() {
        assert!(!parse(b"\"00000000000000AB\"").unwrap().names_weakly(Version(0xab)));
        assert!(!parse(b"\"+000000000000001\"").unwrap().names_weakly(Version(1)));
        assert!(!parse(b"\"1\"").unwrap().names_weakly(Version(1)));
    }

    #[test]
    fn two_headers_are_one_list() {
        let two = headers(&[(IF_MATCH, "\"0000000000000001\""), (IF_MATCH, "\"0000000000000002\"")]);
        assert_eq!(
            Preconditions::of_write(&two).unwrap(),
            Condition::Unchanged(vec![Version(1), Version(2)])
        );
    }

    #[test]
    fn a_write_with_only_weak_tags_matches_no_version() {
        let weak = headers(&[(IF_MATCH, "W/\"0000000000000001\"")]);
        assert_eq!(Preconditions::of_write(&weak).unwrap(), Condition::Unchanged(Vec::new()));
    }

    #[test]
    fn contradicting_conditions_are_refused() {
        let both = headers(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]);
        assert!(Preconditions::of_write(&both).is_err());
        let list = headers(&[(IF_NONE_MATCH, "\"a\"")]);
        assert!(Preconditions::of_write(&list).is_err());
    }
}
