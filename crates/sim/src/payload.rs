// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text that the checker stores: every write's is unique and says who wrote it.

/// What every payload begins with, so that it is found inside whatever a cache wraps around it.
const HEAD: &str = "tl1.";
/// The padding's length stays below this, so that a payload fits `varchar(200)`.
const PADDING_MAX: u64 = 100;

/// What one write stored under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The key it was written under; another key that shows it has been given a foreign value.
    pub key: i64,
    /// The worker that wrote it.
    pub worker: u32,
    /// The operation that wrote it, unique in the run.
    pub op: u64,
    /// How many writes this worker had begun when it began this one.
    pub counter: u64,
}

impl Payload {
    /// The text as it is stored: printable ASCII without quotes, at most 200 bytes.
    ///
    /// The padding's length follows from the operation, so that a value cut short or glued together changes
    /// the checksum.
    pub fn encode(&self) -> String {
        let padding = "x".repeat((self.op.wrapping_mul(31) % PADDING_MAX) as usize);
        let Self { key, worker, op, counter } = self;
        let text = format!("{HEAD}k{key}.w{worker}.o{op}.c{counter}.{padding}.");
        let sum = checksum(text.as_bytes());
        format!("{text}{sum:08x}~")
    }

    /// The payload that `text` is, or `None` when it is anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let body = text.strip_suffix('~')?;
        let (covered, sum) = body.split_at_checked(body.len().checked_sub(8)?)?;
        if u32::from_str_radix(sum, 16).ok()? != checksum(covered.as_bytes()) {
            return None;
        }
        let mut fields = covered.strip_prefix(HEAD)?.split('.');
        Some(Self {
            key: fields.next()?.strip_prefix('k')?.parse().ok()?,
            worker: fields.next()?.strip_prefix('w')?.parse().ok()?,
            op: fields.next()?.strip_prefix('o')?.parse().ok()?,
            counter: fields.next()?.strip_prefix('c')?.parse().ok()?,
        })
    }

    /// The payload somewhere inside `bytes`, whatever a cache has put around it; `None` when there is none.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let start = bytes.windows(HEAD.len()).position(|window| window == HEAD.as_bytes())?;
        let len = bytes[start..].iter().position(|byte| *byte == b'~')? + 1;
        Self::decode(std::str::from_utf8(&bytes[start..start + len]).ok()?)
    }
}

/// CRC-32C (Castagnoli), bit by bit: payloads are short and the checker is not the hot path.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::{PADDING_MAX, Payload, checksum};

    fn payload(op: u64) -> Payload {
        Payload { key: i64::MIN, worker: u32::MAX, op, counter: u64::MAX }
    }

    #[test]
    fn the_checksum_is_crc32c() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn every_padding_fits_the_column_and_comes_back() {
        for op in (0..PADDING_MAX).chain([u64::MAX]) {
            let text = payload(op).encode();
            assert!(text.len() <= 200, "{} bytes", text.len());
            assert_eq!(Payload::decode(&text), Some(payload(op)));
        }
    }

    #[test]
    fn a_changed_or_shortened_text_is_refused() {
        let text = payload(7).encode();
        assert_eq!(Payload::decode(&text.replacen('7', "8", 1)), None);
        for len in 0..text.len() {
            assert_eq!(Payload::decode(&text[..len]), None);
        }
        assert_eq!(Payload::decode("ünïcode~"), None);
    }

    #[test]
    fn a_payload_is_found_inside_an_envelope() {
        let bytes = [b"\x01\xff{\"body\":\"".as_slice(), payload(9).encode().as_bytes(), b"\"}"].concat();
        assert_eq!(Payload::find(&bytes), Some(payload(9)));
        assert_eq!(Payload::find(b"a mark"), None);
    }
}
