// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entity tags of versions, and the conditions that are made of tags (RFC 9110, section 13.1).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use throughline::Version;
use throughline_wire::http::{Malformed, Tags};

use super::problem::{Problem, ProblemKind};

/// The most tags of one write's `If-Match`: as many versions as a condition takes.
const TAGS_MAX: usize = 16;

/// The `ETag` of a version: strong, 16 hexadecimal digits.
pub(crate) fn etag(version: Version) -> HeaderValue {
    let text = format!("\"{}\"", opaque(version));
    HeaderValue::from_str(&text).expect("digits and quotes are a header value")
}

/// What stands between the quotes of [`etag`].
fn opaque(version: Version) -> String {
    format!("{:016x}", version.0)
}

/// The conditions of a request. Dates are no conditions here: a version says more than a second does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions<'a> {
    if_match: Option<Tags<'a>>,
    if_none_match: Option<Tags<'a>>,
}

impl<'a> Preconditions<'a> {
    /// The conditions in `headers`.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Self, Problem> {
        Ok(Self { if_match: tags(headers, &IF_MATCH)?, if_none_match: tags(headers, &IF_NONE_MATCH)? })
    }

    /// Whether there is an `If-Match` that a record of this version, or no record, does not meet.
    pub(crate) fn fail(&self, version: Option<Version>) -> bool {
        let named = |tags: &Tags<'_>| version.is_some_and(|v| tags.names_strongly(opaque(v).as_bytes()));
        self.if_match.as_ref().is_some_and(|tags| !named(tags))
    }

    /// Whether the client has this version, by its `If-None-Match`.
    pub(crate) fn know(&self, version: Version) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.names_weakly(opaque(version).as_bytes()))
    }

    /// The condition of a write, as the engine decides it under the row's lock.
    pub(crate) fn of_write(headers: &'a HeaderMap) -> Result<throughline::Condition, Problem> {
        let preconditions = Self::of(headers)?;
        match (preconditions.if_match, preconditions.if_none_match) {
            (None, None) => Ok(throughline::Condition::Always),
            (Some(Tags::Any), None) => Ok(throughline::Condition::Present),
            (None, Some(Tags::Any)) => Ok(throughline::Condition::Absent),
            (Some(Tags::List(tags)), None) => {
                let strong = tags.iter().filter(|tag| !tag.weak);
                let versions: Vec<Version> = strong.filter_map(|tag| version(tag.opaque)).collect();
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

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Tags<'a>>, Problem> {
    let lines = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    Tags::parse(lines).map_err(|Malformed| {
        let detail = format!("`{name}` must be `*` or a list of tags in quotes");
        Problem::new(ProblemKind::InvalidHeader, detail)
    })
}

/// The version of a tag that [`etag`] wrote.
fn version(opaque: &[u8]) -> Option<Version> {
    let ours = opaque.len() == 16 && opaque.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(opaque).ok().filter(|_| ours)?;
    u64::from_str_radix(text, 16).ok().map(Version)
}

#[cfg(test)]
mod tests {
    use super::{Preconditions, etag};
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
        let mut sent = HeaderMap::new();
        sent.insert(IF_MATCH, etag(Version(0x1234)));
        sent.insert(IF_NONE_MATCH, etag(Version(0x1234)));
        let preconditions = Preconditions::of(&sent).unwrap();
        assert!(!preconditions.fail(Some(Version(0x1234))) && preconditions.know(Version(0x1234)));
        assert!(preconditions.fail(Some(Version(0x1235))) && !preconditions.know(Version(0x1235)));
    }

    #[test]
    fn a_weak_tag_is_known_and_matches_nothing() {
        let weak = "W/\"0000000000001234\"";
        let sent = headers(&[(IF_MATCH, weak), (IF_NONE_MATCH, weak)]);
        let preconditions = Preconditions::of(&sent).unwrap();
        assert!(preconditions.fail(Some(Version(0x1234))) && preconditions.know(Version(0x1234)));
    }

    #[test]
    fn no_record_meets_no_match() {
        let any = headers(&[(IF_MATCH, "*")]);
        let preconditions = Preconditions::of(&any).unwrap();
        assert!(preconditions.fail(None) && !preconditions.fail(Some(Version(1))));
        assert!(!Preconditions::default().fail(None));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        assert!(Preconditions::of(&headers(&[(IF_MATCH, "abc")])).is_err());
        assert!(Preconditions::of(&headers(&[(IF_NONE_MATCH, "*"), (IF_NONE_MATCH, "*")])).is_err());
    }

    #[test]
    fn the_digits_must_be_the_ones_that_were_sent() {
        let strangers = "\"00000000000000AB\", \"+000000000000001\", \"1\", \"stranger\"";
        let sent = headers(&[(IF_MATCH, strangers)]);
        assert_eq!(Preconditions::of_write(&sent).unwrap(), Condition::Unchanged(Vec::new()));
        let preconditions = Preconditions::of(&sent).unwrap();
        assert!(preconditions.fail(Some(Version(0xab))) && preconditions.fail(Some(Version(1))));
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
