// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a record is: a path with places for the parts of a key.

use std::fmt::{self, Write as _};

use hyper::Uri;

use throughline_core::{Error, ErrorKind, Key, Result};

const OPERATION: &str = "read the path of a resource";

/// The longest template, in bytes.
const LEN_MAX: usize = 1_000;

/// A path with places for the parts of a key: `/banks/{bank}/payments/{id}`.
///
/// The first place takes the key's first part, and so on; their names are for people and for new records, whose value
/// may hold the key under them. A part is percent-encoded but for letters, digits, `-`, `.`, `_` and `~`, so it never
/// leaves its segment or its query field. A part that is empty, or that makes a segment `.` or `..`, is refused,
/// because servers and proxies take such segments away before anybody looks at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    pieces: Vec<Piece>,
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The key's next part.
    Place,
}

impl PathTemplate {
    /// Reads a template. It begins with `/` and has at least one place.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LEN_MAX {
            let detail = format!("it has {} bytes, at most {LEN_MAX} are taken", text.len());
            return Err(Error::new(ErrorKind::Configuration, OPERATION, detail));
        }
        if !text.starts_with('/') {
            return Err(wrong(text, "it must begin with `/`"));
        }
        let is_path = |byte: u8| byte.is_ascii_graphic() && !br##"#"<>\^`|"##.contains(&byte);
        if !text.bytes().all(is_path) {
            return Err(wrong(text, "a path has neither blanks nor any of `#\"<>\\^|`: percent-encode them"));
        }
        let (mut pieces, mut names) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| wrong(text, "a `{` has no closing `}`"))?;
            push_text(text, before, &mut pieces)?;
            if pieces.last() == Some(&Piece::Place) {
                return Err(wrong(text, "two places must have a `/` or another text between them"));
            }
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_name || names.iter().any(|known| known == name) {
                return Err(wrong(text, "each place has a name of its own, of letters, digits and `_`"));
            }
            names.push(name.to_owned());
            pieces.push(Piece::Place);
            rest = after;
        }
        push_text(text, rest, &mut pieces)?;
        if names.is_empty() {
            return Err(wrong(text, "it has no place for the key: write `/things/{id}`"));
        }
        let template = Self { text: text.to_owned(), pieces, names };
        match template.render(&Key::parse(&vec!["x"; template.names.len()].join(":"))?) {
            Ok(path) if path.parse::<Uri>().is_ok() => Ok(template),
            Ok(_) => Err(wrong(text, "it is no path of a URL")),
            Err(_) => Err(wrong(text, "no segment of it may be `.` or `..`")),
        }
    }

    /// The names of the places, in the order of the key's parts.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The path of `key`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] for a wrong number of parts, an empty one, and one that makes a segment `.` or `..`.
    pub fn render(&self, key: &Key) -> Result<String> {
        let count = key.parts().count();
        if count != self.names.len() {
            let detail = format!("`{self}` takes keys of {} parts, this one has {count}", self.names.len());
            return Err(invalid(detail));
        }
        let mut parts = key.parts();
        let mut path = String::with_capacity(self.text.len() + key.as_str().len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Place => {
                    let part = parts.next().expect("the parts were counted");
                    if part.is_empty() {
                        return Err(invalid(format!("`{self}` takes no empty part of a key")));
                    }
                    encode(&part, &mut path);
                }
            }
        }
        let before_query = path.split('?').next().unwrap_or_default();
        if before_query.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(invalid(format!("`{self}` takes no `.` or `..` as a part of a key")));
        }
        Ok(path)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn push_text(whole: &str, text: &str, pieces: &mut Vec<Piece>) -> Result<()> {
    if text.contains('}') {
        return Err(wrong(whole, "a `}` has no opening `{`"));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

fn encode(part: &[u8], path: &mut String) {
    for &byte in part {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

fn wrong(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION, format!("`{text}`: {why}"))
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidKey, "find the path of a key", detail)
}

#[cfg(test)]
mod tests {
    use super::PathTemplate;
    use proptest::prelude::{any, prop, proptest};
    use throughline_core::{ErrorKind, Key};

    fn key(parts: &[&[u8]]) -> Key {
        Key::from_parts(parts.iter().copied()).unwrap()
    }

    fn path(template: &str, parts: &[&[u8]]) -> Result<String, ErrorKind> {
        let template = PathTemplate::parse(template).unwrap();
        template.render(&key(parts)).map_err(|error| error.kind())
    }

    #[test]
    fn each_part_of_the_key_has_its_place() {
        assert_eq!(path("/payments/{id}", &[b"42"]).unwrap(), "/payments/42");
        assert_eq!(path("/b/{bank}/p/{id}.json?v={v}", &[b"a", b"b", b"c"]).unwrap(), "/b/a/p/b.json?v=c");
        assert_eq!(path("/payments/{id}", &[b"1", b"2"]), Err(ErrorKind::InvalidKey));
    }

    #[test]
    fn a_part_that_a_server_would_take_away_is_refused() {
        for part in ["", ".", ".."] {
            assert_eq!(path("/payments/{id}", &[part.as_bytes()]), Err(ErrorKind::InvalidKey), "{part:?}");
        }
        assert_eq!(path("/x/{id}.", &[b"."]), Err(ErrorKind::InvalidKey));
        assert_eq!(path("/x/{id}", &[b"..."]).unwrap(), "/x/...");
    }

    proptest! {
        #[test]
        fn a_hostile_part_stays_in_its_segment(part in prop::collection::vec(any::<u8>(), 1..40)) {
            let Ok(path) = path("/payments/{id}/x", &[&part]) else {
                assert!(part == b"." || part == b"..");
                return Ok(());
            };
            assert_eq!(path.split('/').count(), 4);
            assert!(!path.contains(['?', '#', '\\', '&', ' ']) && path.is_ascii(), "{path}");
            let segment = path.split('/').nth(2).unwrap();
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
            assert_eq!(decoded, part);
        }

        #[test]
        fn any_template_is_refused_or_makes_paths_of_urls(text in "/[ -~]{0,20}\\{id\\}[ -~]{0,20}", part in ".{1,20}") {
            let Ok(template) = PathTemplate::parse(&text) else { return Ok(()) };
            if let Ok(path) = template.render(&key(&[part.as_bytes()])) {
                assert!(path.parse::<hyper::Uri>().is_ok(), "{path}");
            }
        }
    }

    #[test]
    fn a_template_that_means_nothing_is_refused() {
        for text in [
            "", "x/{id}", "/x", "/{", "/{}", "/}", "/{a}{b}", "/{a}/{a}", "/{a b}", "/../{a}", "/x y/{a}",
            "/{a}#b",
        ] {
            assert_eq!(PathTemplate::parse(text).unwrap_err().kind(), ErrorKind::Configuration, "{text:?}");
        }
    }
}
