// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mistake in the configuration, with its place and its remedy.

use std::fmt;
use std::ops::Range;

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The offending bytes of the text, if they are known.
    pub span: Option<Range<usize>>,
    /// What would be right.
    pub help: Option<String>,
}

impl ConfigError {
    /// A mistake without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, help: None }
    }

    /// The same mistake at these bytes of the text.
    #[must_use]
    pub fn at(self, span: Range<usize>) -> Self {
        Self { span: Some(span), ..self }
    }

    /// The same mistake with what would be right.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The line on which the mistake begins, counted from 1.
    pub fn line(&self, text: &str) -> Option<usize> {
        let start = self.span.as_ref()?.start.min(text.len());
        Some(text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

impl std::error::Error for ConfigError {}

/// The known name that is most like `given`, if one is like it at all.
pub(super) fn closest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (distance(given, name), name));
    scored.filter(|(distance, name)| *distance <= name.len().max(3) / 3 + 1).min().map(|(_, name)| name)
}

/// Levenshtein's distance, two rows at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, closest};

    #[test]
    fn the_closest_name_is_proposed_and_a_strange_one_is_not() {
        assert_eq!(closest("pesron", ["person", "product"]), Some("person"));
        assert_eq!(closest("zzzzzzzz", ["person", "product"]), None);
    }

    #[test]
    fn the_line_is_counted_from_one() {
        assert_eq!(ConfigError::new("x").at(4..5).line("a\nb\nc"), Some(3));
    }
}
