// SPDX-License-Identifier: MIT OR Apache-2.0
//! Standard output, whose reader may go away (`| head`).

use std::fmt;
use std::io::Write as _;

/// Prints one line. When nobody reads any more, the program ends, as others do.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if out.write_fmt(text).and_then(|()| out.write_all(b"\n")).is_err() {
        std::process::exit(0);
    }
}

/// `println!` that does not panic when nobody reads.
macro_rules! say {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}

pub(crate) use say;
