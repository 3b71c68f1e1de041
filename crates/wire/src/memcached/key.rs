// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys: what may be sent, and the base64 form of the meta commands.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::limits::KEY_LEN_MAX;

/// A key that our client may send: 1 to 250 bytes, none of them a space or a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// Checks a key.
    ///
    /// # Errors
    /// Says which bound the text breaks. memcached itself would take some of these and store another key
    /// (it reads up to a NUL), so they must not be sent.
    pub fn new(text: &'a [u8]) -> Result<Self, KeyError> {
        match text.len() {
            0 => Err(KeyError::Empty),
            len if len > KEY_LEN_MAX => Err(KeyError::TooLong { len }),
            _ => match text.iter().position(|byte| *byte <= b' ' || *byte == 0x7f) {
                Some(at) => Err(KeyError::Forbidden { at }),
                None => Ok(Key(text)),
            },
        }
    }

    /// Returns the key's bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Why a text is no [`Key`]. It never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The text is empty.
    Empty,
    /// The text is longer than [`KEY_LEN_MAX`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The text has a space or a control character.
    Forbidden {
        /// Where the first of them is.
        at: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Empty => write!(f, "the memcached key is empty"),
            KeyError::TooLong { len } => {
                write!(f, "the memcached key has {len} bytes, more than {KEY_LEN_MAX}")
            }
            KeyError::Forbidden { at } => {
                write!(f, "the memcached key has a space or control character at byte {at}")
            }
        }
    }
}

impl Error for KeyError {}

/// The key of a received meta command, as it was written: plain, or base64 under the flag `b`.
///
/// A base64 key was checked when the command was parsed, so it always decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaKey<'a> {
    text: &'a [u8],
    base64: bool,
}

impl<'a> MetaKey<'a> {
    /// Takes a key as it was written; `None` if it is empty, too long, or not the base64 it claims to be.
    #[must_use]
    pub fn new(text: &'a [u8], base64: bool) -> Option<Self> {
        if text.is_empty() || text.len() > KEY_LEN_MAX {
            return None;
        }
        let mut scratch = [0; KEY_LEN_MAX];
        if base64 && STANDARD.decode_slice(text, &mut scratch).is_err() {
            return None;
        }
        Some(MetaKey { text, base64 })
    }

    /// Returns the key as it was written, which is also how a reply's `k` writes it.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Says whether the key was written in base64.
    #[must_use]
    pub fn is_base64(&self) -> bool {
        self.base64
    }

    /// Returns the key's own bytes, decoded into `scratch` where it was written in base64.
    #[must_use]
    pub fn bytes<'s>(&self, scratch: &'s mut [u8; KEY_LEN_MAX]) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.base64 {
            return self.text;
        }
        // `new` has decoded the same text into as many bytes, so there is no error to report.
        let len = STANDARD.decode_slice(self.text, &mut scratch[..]).unwrap_or(0);
        &scratch[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN_MAX, Key, KeyError, MetaKey};

    #[test]
    fn a_key_that_would_break_the_line_is_refused() {
        assert_eq!(Key::new(b""), Err(KeyError::Empty));
        assert_eq!(Key::new(b"a b"), Err(KeyError::Forbidden { at: 1 }));
        assert_eq!(Key::new(b"ab\r\nflush_all"), Err(KeyError::Forbidden { at: 2 }));
        assert_eq!(Key::new(b"a\0"), Err(KeyError::Forbidden { at: 1 }));
        assert_eq!(Key::new(b"\x7f"), Err(KeyError::Forbidden { at: 0 }));
    }

    #[test]
    fn a_key_of_250_bytes_is_the_longest() {
        assert!(Key::new(&[b'k'; 250]).is_ok());
        assert_eq!(Key::new(&[b'k'; 251]), Err(KeyError::TooLong { len: 251 }));
    }

    #[test]
    fn a_base64_key_decodes_to_its_bytes() {
        let mut scratch = [0; KEY_LEN_MAX];
        let key = MetaKey::new(b"Zm9vAGJhcg==", true).unwrap();
        assert_eq!(key.bytes(&mut scratch), b"foo\0bar");
        let key = MetaKey::new(b"Zm9vAGJhcg==", false).unwrap();
        assert_eq!(key.bytes(&mut scratch), b"Zm9vAGJhcg==");
    }

    #[test]
    fn a_base64_key_has_one_spelling() {
        for text in [&b"Zm9vAGJhcg"[..], b"Zm9vAGJhch==", b"Zm9v!AGJhcg==", b"===="] {
            assert_eq!(MetaKey::new(text, true), None, "{text:?}");
        }
    }
}
