// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a server did not come up.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many bytes of a log's end are worth reading in a failed test.
const TAIL_BYTES_MAX: usize = 4096;

/// Why a server did not come up, with the end of its log.
#[derive(thiserror::Error)]
pub enum StartError {
    /// The program is not installed.
    #[error("{program} is not installed; it comes with the Debian package {package} (./test installs it)")]
    Missing {
        /// The program that was looked for.
        program: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The operating system refused to start the program, or a file around it could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The program ended before it was ready.
    #[error("{program} ended with {status} before it was ready; the end of its log:\n{log}")]
    Ended {
        /// The program that ended.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The program runs but did not become ready within its limit.
    #[error("{program} was not ready after {limit:?}; the end of its log:\n{log}")]
    Late {
        /// The program that is late.
        program: String,
        /// How long it was given.
        limit: std::time::Duration,
        /// The end of its log.
        log: String,
    },
}

// A test that unwraps prints `Debug`, and a log with escaped line ends cannot be read.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StartError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether another process took the port between our look and the server's `bind`.
    pub(crate) fn is_lost_port(&self) -> bool {
        const PHRASES: [&str; 3] = ["Address already in use", "address in use", "Bind on TCP/IP port"];
        match self {
            Self::Ended { log, .. } => PHRASES.iter().any(|phrase| log.contains(phrase)),
            _ => false,
        }
    }
}

/// What was started, or a panic that shows the reason and the line that started it (`unwrap_or_else` with a
/// closure would show this crate's line).
#[track_caller]
pub(crate) fn or_panic<T>(started: Result<T, StartError>) -> T {
    match started {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

/// The end of these logs, at most a screen or two.
pub(crate) fn tail(logs: &[PathBuf]) -> String {
    logs.iter().map(|log| tail_of(log)).collect()
}

fn tail_of(log: &Path) -> String {
    let bytes = bytes_of(log);
    let start = bytes.len().saturating_sub(TAIL_BYTES_MAX);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

/// What a log says.
pub(crate) fn text_of(log: &Path) -> String {
    String::from_utf8_lossy(&bytes_of(log)).into_owned()
}

/// Nothing when the log cannot be read, because then there is something worse to tell.
fn bytes_of(log: &Path) -> Vec<u8> {
    std::fs::read(log).unwrap_or_default()
}
