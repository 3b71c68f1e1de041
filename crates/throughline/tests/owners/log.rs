// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the daemons of all tests say in their log.

use std::io::{Result, Write};
use std::sync::Mutex;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Keep;

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Keeps what is said from now on.
pub(crate) fn keep() {
    // Another test may have done so already.
    drop(tracing_subscriber::fmt().with_ansi(false).with_writer(|| Keep).try_init());
}

/// How many lines hold all of `words`.
pub(crate) fn count(words: &[&str]) -> usize {
    let log = LOG.lock().unwrap();
    let holds = |line: &&str| words.iter().all(|word| line.contains(word));
    String::from_utf8_lossy(&log).lines().filter(holds).count()
}
