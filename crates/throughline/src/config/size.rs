// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes and times as people write them: `256 MiB`, `5m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A number of bytes, written as `1048576`, `"512 KiB"`, `"256 MiB"`, `"2 GB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// A time, written as `"20ms"`, `"5m"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 8] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

impl ByteSize {
    /// Reads a size.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.or(unit.is_empty().then_some(1))?;
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| {
                de::Error::custom("not a size: write a number of bytes or, for example, \"256 MiB\"")
            }),
        }
    }
}

impl Span {
    /// Reads a time.
    pub fn parse(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok().map(Self)
    }

    /// Milliseconds; the largest number there is when it is longer.
    pub fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("not a time: write, for example, \"500ms\", \"30s\" or \"5m\""))
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        let read = |text| ByteSize::parse(text).map(|size| size.0);
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(read("256 MiB"), Some(256 << 20));
        assert_eq!(read("1kB"), Some(1_000));
        assert_eq!(read("many"), None);
        assert_eq!(read("99999999999 TiB"), None);
    }
}
