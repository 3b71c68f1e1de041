// SPDX-License-Identifier: MIT OR Apache-2.0
//! Header fields of HTTP requests.
//!
//! Where lines of one name make one list (RFC 9110, section 5.3), a parser takes all lines of that name, in
//! their order. No parser takes more memory than a small multiple of its text, so what bounds a request's
//! head bounds them too.
//!
//! The fuzz target is `http_headers`; in `crates/wire/fuzz`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run http_headers -- -dict=http.dict -max_len=300 -max_total_time=60`.

mod cache_control;
mod entity_tag;
mod media_type;
mod prefer;

use std::error::Error;
use std::fmt;

pub use cache_control::CacheControl;
pub use entity_tag::{Tag, Tags};
pub use media_type::MediaType;
pub use prefer::Prefer;

/// A header that is not what its grammar says. It never shows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header does not follow its grammar")
    }
}

impl Error for Malformed {}

/// The line as text, if all of it is printable ASCII or white space within a line.
fn printable(line: &[u8]) -> Result<&str, Malformed> {
    let sound = line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    std::str::from_utf8(line).ok().filter(|_| sound).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, printable};

    #[test]
    fn only_printable_ascii_is_text() {
        assert_eq!(printable(b" a\t~"), Ok(" a\t~"));
        for line in [&b"a\n"[..], b"\0", b"\x7f", b"\xff", "ä".as_bytes()] {
            assert_eq!(printable(line), Err(Malformed), "{}", line.escape_ascii());
        }
    }
}
