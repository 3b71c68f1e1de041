// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors of a server that does not answer, or not any more.

use std::io;

use throughline_core::{Error, ErrorKind, Retry};

/// The error of a call that no worker takes any more.
pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the source was shut down")
}

/// The error of a statement on `table` whose connection is gone.
pub(crate) fn connection_lost(operation: &'static str, table: &str) -> Error {
    let detail = format!("table `{table}`: the connection to the server was lost");
    Error::new(ErrorKind::Unavailable, operation, detail)
}

/// The error of a statement on `table` that took too long. Its connection is dropped, so the server rolls back.
pub(crate) fn no_answer(operation: &'static str, table: &str) -> Error {
    let detail = format!("table `{table}`: no answer within the statement time-out");
    Error::new(ErrorKind::Timeout, operation, detail).with_retry(Retry::Safe)
}

/// The error of a COMMIT on `table` of which nobody knows how it went.
pub(crate) fn commit_unknown(table: &str) -> Error {
    let detail = format!("table `{table}`: the server did not say whether the commit took place");
    Error::new(ErrorKind::OutcomeUnknown, "commit a write", detail)
}

/// The error of an attempt to connect to `place` (`host:port`) that the network refused.
pub(crate) fn unreachable(operation: &'static str, place: &str, cause: io::Error) -> Error {
    let detail = if cause.kind() == io::ErrorKind::ConnectionRefused {
        format!("nothing listens on {place}: start the server or correct host and port")
    } else {
        format!("{place} cannot be reached: correct host and port, or look at the network")
    };
    Error::new(ErrorKind::Unavailable, operation, detail).with_cause(cause)
}
