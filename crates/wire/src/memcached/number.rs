// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decimal numbers as the protocol writes them.
//!
//! Only digits (and a leading `-` where a number may be negative) are numbers here. memcached asks
//! `strtol`, which also takes `+5`, a leading tab, `12\tx`, and cuts what is too large down to 32 bits; a
//! cut length would shift every later command, so anything of the kind is refused.

/// Most digits of which every number fits `u64`, so that only the twentieth needs a check.
const DIGITS_UNCHECKED_MAX: usize = 19;

/// Reads an unsigned number; `None` if it is none or does not fit.
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (head, tail) = text.split_at(text.len().min(DIGITS_UNCHECKED_MAX));
    let mut number = 0_u64;
    for byte in head {
        number = number * 10 + u64::from(digit(*byte)?);
    }
    for byte in tail {
        number = number.checked_mul(10)?.checked_add(u64::from(digit(*byte)?))?;
    }
    Some(number)
}

/// Reads an unsigned number of 32 bits; `None` if it is none or does not fit.
#[must_use]
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    parse_u64(text).and_then(|number| u32::try_from(number).ok())
}

/// Reads a number that may have a minus sign; `None` if it is none or does not fit.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(parse_u64(digits)?),
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Appends an unsigned number.
pub fn push_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number that may have a minus sign.
pub fn push_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{parse_i64, parse_u32, parse_u64, push_i64, push_u64};

    #[test]
    fn every_edge_of_the_range_is_read() {
        assert_eq!(parse_u64(b"0"), Some(0));
        assert_eq!(parse_u64(b"0000000000000000000000007"), Some(7));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u32(b"4294967295"), Some(u32::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn overflow_is_refused() {
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"99999999999999999999999"), None);
        assert_eq!(parse_u32(b"4294967296"), None);
        assert_eq!(parse_i64(b"-9223372036854775809"), None);
        assert_eq!(parse_i64(b"9223372036854775808"), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [&b""[..], b"-", b"+1", b" 1", b"1 ", b"1x", b"--1", b"\t1", b"1\r"] {
            assert_eq!(parse_u64(text), None, "{text:?}");
            assert_eq!(parse_i64(text), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"-1"), None);
    }

    #[test]
    fn a_written_number_is_read_back() {
        for number in [0, 9, 10, u64::MAX] {
            let mut out = Vec::new();
            push_u64(&mut out, number);
            assert_eq!(parse_u64(&out), Some(number));
        }
        for number in [i64::MIN, -1, 0, i64::MAX] {
            let mut out = Vec::new();
            push_i64(&mut out, number);
            assert_eq!(parse_i64(&out), Some(number));
        }
    }
}
