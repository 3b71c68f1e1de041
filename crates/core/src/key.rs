// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key of a record within its resource.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// The longest key, in bytes of its text.
pub const KEY_LEN_MAX: usize = 1_024;

/// The key of a record: one part per column of the primary key, joined by `:`.
///
/// In a part, `:`, `%`, spaces, control characters and bytes that are not UTF-8 are percent-encoded in
/// upper-case hexadecimal, and nothing else is; so every sequence of parts has exactly one text. A clone
/// counts a reference.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Reads a key as users send it. Bytes that are percent-encoded without need are decoded, so the
    /// same record's key always becomes the same text. The empty text is one empty part.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] for a text above [`KEY_LEN_MAX`] or a `%` without two hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > KEY_LEN_MAX {
            return Err(invalid(format!("{} bytes, at most {KEY_LEN_MAX} are taken", text.len())));
        }
        if !text.bytes().any(needs_encoding_or_is_percent) {
            return Ok(Self(text.into()));
        }
        let parts = text.split(':').map(decode).collect::<Result<Vec<_>>>()?;
        Self::from_parts(parts.iter().map(AsRef::as_ref))
    }

    /// The key of these parts, which are taken as they are: a `:` in a part belongs to the part.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when the text gets longer than [`KEY_LEN_MAX`].
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let mut text = String::new();
        for (place, part) in parts.into_iter().enumerate() {
            if place > 0 {
                text.push(':');
            }
            encode(part, &mut text);
        }
        if text.len() > KEY_LEN_MAX {
            return Err(invalid(format!("{} bytes encoded, at most {KEY_LEN_MAX} are taken", text.len())));
        }
        Ok(Self(text.into()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, decoded; at least one.
    pub fn parts(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.0.split(':').map(|part| decode(part).expect("the text was encoded by this type"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidKey, "read a key", detail)
}

/// A `:` separates parts, so it needs no look here: only bytes that could change the text do.
fn needs_encoding_or_is_percent(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || byte == b'%'
}

fn encode(part: &[u8], text: &mut String) {
    for chunk in part.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                ':' | '%' | '\0'..=' ' | '\x7f' => escape(char as u8, text),
                _ => text.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(*byte, text));
    }
}

fn escape(byte: u8, text: &mut String) {
    write!(text, "%{byte:02X}").expect("writing to a string does not fail");
}

fn decode(part: &str) -> Result<Cow<'_, [u8]>> {
    if !part.contains('%') {
        return Ok(Cow::Borrowed(part.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let decoded = tail.get(..2).and_then(|two| Some(hex(two[0])? << 4 | hex(two[1])?));
        let Some(decoded) = decoded else {
            return Err(invalid(
                "`%` must be followed by two hexadecimal digits (a `%` itself is `%25`)".into(),
            ));
        };
        bytes.push(decoded);
        rest = &tail[2..];
    }
    Ok(Cow::Owned(bytes))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN_MAX, Key};
    use crate::ErrorKind;
    use proptest::prelude::{any, prop, proptest};

    fn parts(key: &Key) -> Vec<Vec<u8>> {
        key.parts().map(|part| part.into_owned()).collect()
    }

    proptest! {
        #[test]
        fn every_sequence_of_parts_survives_its_text(
            given in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..5)
        ) {
            let key = Key::from_parts(given.iter().map(Vec::as_slice)).unwrap();
            assert_eq!(parts(&key), given);
            assert_eq!(Key::parse(key.as_str()).unwrap(), key);
        }

        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_canonical(text in ".{0,40}") {
            if let Ok(key) = Key::parse(&text) {
                assert_eq!(Key::parse(key.as_str()).unwrap(), key);
            }
        }
    }

    #[test]
    fn needless_encoding_is_undone() {
        assert_eq!(Key::parse("%34%32").unwrap().as_str(), "42");
        assert_eq!(Key::parse("a%3ab").unwrap().as_str(), "a%3Ab");
        assert_eq!(parts(&Key::parse("a%3Ab:c").unwrap()), [b"a:b".to_vec(), b"c".to_vec()]);
        assert_eq!(Key::parse("a b").unwrap().as_str(), "a%20b");
    }

    #[test]
    fn a_broken_escape_and_an_overlong_key_are_refused() {
        for text in ["%", "a%4", "%zz", "%+1"] {
            assert_eq!(Key::parse(text).unwrap_err().kind(), ErrorKind::InvalidKey);
        }
        assert!(Key::parse(&"k".repeat(KEY_LEN_MAX)).is_ok());
        assert_eq!(Key::parse(&"k".repeat(KEY_LEN_MAX + 1)).unwrap_err().kind(), ErrorKind::InvalidKey);
    }

    #[test]
    fn a_hostile_id_is_just_a_key() {
        let key = Key::parse("1'; DROP TABLE person; --").unwrap();
        assert_eq!(parts(&key), [b"1'; DROP TABLE person; --".to_vec()]);
    }
}
