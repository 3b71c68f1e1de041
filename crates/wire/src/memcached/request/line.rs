// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts lines from the buffer and words from lines. Words are parted by spaces alone, as in memcached.

use super::super::limits::{LINE_LEN_MAX, Limits};

/// First byte of a request in memcached's binary protocol, which we do not speak.
const BINARY_MAGIC: u8 = 0x80;

/// Most spaces before `get` in a line that may be long; memcached looks no further.
const LEADING_SPACE_MAX: usize = 100;

/// Most arguments that [`Words`] keeps: no classic command takes as many.
const WORDS_MAX: usize = 7;

/// The front of a buffer, as lines.
pub(super) enum Line<'a> {
    /// There is no line end yet.
    Incomplete,
    /// There will be no line that we would read; close.
    Refused { reply: &'static [u8] },
    /// A line without its end, and its length with it.
    Whole { text: &'a [u8], len: usize },
}

/// Finds the first line.
pub(super) fn split<'a>(buf: &'a [u8], limits: &Limits) -> Line<'a> {
    if buf.first() == Some(&BINARY_MAGIC) {
        return Line::Refused { reply: b"" };
    }
    let near = &buf[..buf.len().min(LINE_LEN_MAX + 1)];
    if let Some(at) = memchr::memchr(b'\n', near) {
        return whole(buf, at);
    }
    if buf.len() <= LINE_LEN_MAX {
        return Line::Incomplete;
    }
    if !lists_keys(buf) {
        return Line::Refused { reply: b"" };
    }
    let far = &buf[..buf.len().min(limits.keys_line_len_max.saturating_add(1))];
    match memchr::memchr(b'\n', far) {
        Some(at) => whole(buf, at),
        None if buf.len() <= limits.keys_line_len_max => Line::Incomplete,
        None => Line::Refused { reply: b"CLIENT_ERROR line too long\r\n" },
    }
}

fn whole(buf: &[u8], at: usize) -> Line<'_> {
    let line = &buf[..at];
    Line::Whole { text: line.strip_suffix(b"\r").unwrap_or(line), len: at + 1 }
}

/// Says whether a line that has no end yet may grow beyond [`LINE_LEN_MAX`].
fn lists_keys(buf: &[u8]) -> bool {
    let spaces = buf.iter().take(LEADING_SPACE_MAX + 1).take_while(|byte| **byte == b' ').count();
    let (command, _) = word(&buf[..LINE_LEN_MAX]);
    spaces <= LEADING_SPACE_MAX && matches!(command, b"get" | b"gets" | b"gat" | b"gats")
}

/// Cuts the first word off a line; the word is empty when there is none.
pub(super) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = skip_spaces(line);
    // Commands, flags and numbers end before memchr would have warmed up.
    line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()))
}

/// Does as [`word`], sooner where words are long.
pub(super) fn key(line: &[u8]) -> (&[u8], &[u8]) {
    let line = skip_spaces(line);
    line.split_at(memchr::memchr(b' ', line).unwrap_or(line.len()))
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| *byte != b' ').unwrap_or(line.len());
    &line[start..]
}

/// Finds the first byte that ends a key: a space or anything below it.
///
/// Eight bytes at a time: subtracting borrows into the top bit of each byte below the bound, and a byte
/// wrongly flagged by its neighbour's borrow is always behind a right one.
pub(super) fn key_end(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    const ABOVE: u64 = ONES * (b' ' as u64 + 1);
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        let below = eight.wrapping_sub(ABOVE) & !eight & TOPS;
        if below != 0 {
            return Some(at * 8 + below.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte <= b' ')?;
    Some(eights.len() * 8 + at)
}

/// Returns the first word, if there is one.
pub(super) fn first(line: &[u8]) -> Option<&[u8]> {
    Some(word(line).0).filter(|word| !word.is_empty())
}

/// Returns the last word, if there is one.
pub(super) fn last(line: &[u8]) -> Option<&[u8]> {
    line.rsplit(|byte| *byte == b' ').find(|word| !word.is_empty())
}

/// The words of a line in an array, so that they can be counted before they are read.
pub(super) struct Words<'a> {
    words: [&'a [u8]; WORDS_MAX],
    len: usize,
}

impl<'a> Words<'a> {
    /// Takes the words of a line, of which those beyond [`WORDS_MAX`] are dropped.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let mut words = Words { words: [b""; WORDS_MAX], len: 0 };
        let mut rest = line;
        while words.len < WORDS_MAX {
            let (word, after) = self::word(rest);
            if word.is_empty() {
                break;
            }
            words.words[words.len] = word;
            words.len += 1;
            rest = after;
        }
        words
    }

    pub(super) fn as_slice(&self) -> &[&'a [u8]] {
        &self.words[..self.len]
    }
}
