// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust values as keys.

use std::borrow::Cow;

use throughline_core::{Key, Result};

/// A value that is one part of a key: one column of a primary key.
pub trait KeyPart {
    /// The part, as it is: a `:` in it belongs to it.
    fn part(&self) -> Cow<'_, [u8]>;
}

/// A value that is a whole key: one part, a tuple of parts, or a prepared [`Key`].
pub trait RecordKey {
    /// The key.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::InvalidKey`] when it gets too long.
    fn key(&self) -> Result<Key>;
}

macro_rules! integers {
    ($($integer:ty)+) => {
        $(impl KeyPart for $integer {
            fn part(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_string().into_bytes())
            }
        })+
    };
}

integers!(i8 i16 i32 i64 u8 u16 u32 u64);

impl KeyPart for str {
    fn part(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl KeyPart for String {
    fn part(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl KeyPart for [u8] {
    fn part(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl<T: KeyPart + ?Sized> KeyPart for &T {
    fn part(&self) -> Cow<'_, [u8]> {
        (**self).part()
    }
}

impl<T: KeyPart + ?Sized> RecordKey for T {
    fn key(&self) -> Result<Key> {
        Key::from_parts([self.part().as_ref()])
    }
}

impl RecordKey for Key {
    fn key(&self) -> Result<Key> {
        Ok(self.clone())
    }
}

impl<A: KeyPart, B: KeyPart> RecordKey for (A, B) {
    fn key(&self) -> Result<Key> {
        Key::from_parts([self.0.part().as_ref(), self.1.part().as_ref()])
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart> RecordKey for (A, B, C) {
    fn key(&self) -> Result<Key> {
        Key::from_parts([self.0.part().as_ref(), self.1.part().as_ref(), self.2.part().as_ref()])
    }
}

#[cfg(test)]
mod tests {
    use super::RecordKey as _;
    use throughline_core::Key;

    #[test]
    fn values_become_the_parts_of_a_key() {
        assert_eq!(42_i64.key().expect("a key").as_str(), "42");
        assert_eq!((7_u32, "en").key().expect("a key").as_str(), "7:en");
        assert_eq!("a:b".key().expect("a key").as_str(), "a%3Ab");
        let prepared = Key::parse("7:en").expect("a key");
        assert_eq!(prepared.key().expect("a key"), prepared);
    }
}
