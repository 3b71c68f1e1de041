// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers that nobody uses at the moment.
//!
//! A connection has buffers only while it works on something, so thousands of idle ones cost little, and
//! the few that are in use stay in the processor's cache.

use std::cell::RefCell;

/// The size of a fresh buffer: about a hundred pipelined requests, and more than most answers.
const CAPACITY: usize = 16 * 1024;
/// How many each thread keeps: more are only needed while peers do not read.
const SPARE_LEN_MAX: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
pub(super) fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(CAPACITY))
}

/// Keeps a buffer for the next to take. One that has grown is freed: it would stay large for ever.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() != CAPACITY {
        return;
    }
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_LEN_MAX {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, SPARE, SPARE_LEN_MAX, give, take};

    #[test]
    fn a_buffer_comes_back_empty_and_a_grown_one_does_not() {
        let mut buffer = take();
        buffer.extend_from_slice(b"something");
        let place = buffer.as_ptr();
        give(buffer);
        let again = take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        give(Vec::with_capacity(2 * CAPACITY));
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
    }

    #[test]
    fn a_thread_keeps_a_limited_number() {
        let buffers: Vec<_> = (0..2 * SPARE_LEN_MAX).map(|_| take()).collect();
        buffers.into_iter().for_each(give);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_LEN_MAX);
    }
}
