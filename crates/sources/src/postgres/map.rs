// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps what the driver and the server say into our errors.
//!
//! A server's message may hold values ("Key (mail)=(x) already exists"), so none is ever passed on: our text is
//! made from the error's code (SQLSTATE) and from names that the catalogue confirms.

use std::error::Error as _;
use std::io;

use throughline_core::{Error, ErrorKind, Retry};
use tokio_postgres::error::Severity;

use crate::remote::{commit_unknown, connection_lost, no_answer};
use crate::tls;

mod connect;
mod refusal;

pub(super) use connect::connect_error;
use refusal::{kind_of, reason, unfit};

/// Why a statement or a connection failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered with an error; the connection goes on.
    Server(Complaint),
    /// The connection is gone, or of no use any more; what was under way may have taken place.
    Lost,
    /// No answer in time; the connection was dropped.
    TimedOut,
    /// What answers does not speak the protocol.
    Foreign(&'static str),
    /// The way there cannot be encrypted as it must be.
    Insecure(&'static str),
    /// The connection could not be made.
    Unreachable(io::Error),
}

/// What a server's error says apart from its message.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// Five letters and digits, of which the first two are a class.
    pub(super) code: String,
    pub(super) column: Option<String>,
    pub(super) constraint: Option<String>,
}

impl Failure {
    /// The failure of an answer that does not fit what the catalogue said.
    pub(super) fn altered() -> Self {
        Self::Server(Complaint { code: "42804".to_owned(), ..Complaint::default() })
    }

    /// Whether the connection was lost before an answer, so that a statement that changes nothing may be
    /// sent again on another.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Whether the server ended the transaction because others stood in its way, so that it may be begun anew.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Self::Server(complaint) if ["40P01", "40001"].contains(&complaint.code.as_str()))
    }
}

/// Whether the connection is of no use after this answer: the server ends it or has forgotten our statements, or
/// they no longer fit the tables.
fn ends_connection(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "26000")
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            let code = said.code().code();
            let is_fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
            // A prepared statement whose columns were altered since.
            let is_outdated = said.routine() == Some("RevalidateCachedQuery");
            if ends_connection(code) || is_outdated || (is_fatal && code.starts_with("57")) {
                return Self::Lost;
            }
            return Self::Server(Complaint {
                code: code.to_owned(),
                column: said.column().map(str::to_owned),
                constraint: said.constraint().map(str::to_owned),
            });
        }
        if let Some(why) = insecure(&error) {
            return Self::Insecure(why);
        }
        match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
            Some(cause) => match cause.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Lost,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    Self::Foreign("what it answers is not the PostgreSQL protocol: correct host and port")
                }
                kind => Self::Unreachable(kind.into()),
            },
            None if error.is_closed() => Self::Lost,
            None => Self::Foreign("what it answers is not the PostgreSQL protocol: correct host and port"),
        }
    }
}

/// What is wrong with the encryption, if that is what went wrong.
fn insecure(error: &tokio_postgres::Error) -> Option<&'static str> {
    let cause = error.source()?;
    if let Some(cause) = cause.downcast_ref::<io::Error>() {
        return cause.get_ref()?.downcast_ref::<rustls::Error>().map(tls::why);
    }
    // The driver's own words, which it gives no type.
    (cause.to_string() == "server does not support TLS").then_some(tls::WITHOUT)
}

/// The error of a statement on `table`, whose columns and constraints `is_name` confirms.
pub(super) fn statement_error(
    operation: &'static str,
    table: &str,
    failure: &Failure,
    is_name: &dyn Fn(&str) -> bool,
) -> Error {
    match failure {
        Failure::Server(complaint) => server_error(operation, table, complaint, is_name),
        Failure::TimedOut => no_answer(operation, table),
        Failure::Lost | Failure::Foreign(_) | Failure::Insecure(_) | Failure::Unreachable(_) => {
            connection_lost(operation, table)
        }
    }
}

fn server_error(
    operation: &'static str,
    table: &str,
    complaint: &Complaint,
    is_name: &dyn Fn(&str) -> bool,
) -> Error {
    let code = complaint.code.as_str();
    let known = |name: &Option<String>| name.as_deref().filter(|name| is_name(name)).map(str::to_owned);
    let column = known(&complaint.column)
        .map_or_else(|| format!("a column of table `{table}`"), |name| format!("column `{name}`"));
    let kind = kind_of(code);
    let detail = match (kind, code) {
        (ErrorKind::InvalidValue, "23502") => format!("{column} must not be null"),
        (ErrorKind::InvalidValue, _) => format!("{column}: {}", unfit(code)),
        (ErrorKind::Constraint, _) => match known(&complaint.constraint) {
            Some(name) => format!("table `{table}`: {} (`{name}`)", reason(code)),
            None => format!("table `{table}`: {}", reason(code)),
        },
        (ErrorKind::Other, _) => format!("table `{table}`: PostgreSQL error {code}"),
        _ => format!("table `{table}`: {}", reason(code)),
    };
    let error = Error::new(kind, operation, detail);
    match kind {
        // The transaction is rolled back, so the same call may be made again.
        ErrorKind::Timeout => error.with_retry(Retry::Safe),
        _ => error,
    }
}

/// The error of a COMMIT: an answer says how it went, and so does a connection that was gone before.
pub(super) fn commit_error(table: &str, failure: &Failure) -> Error {
    match failure {
        Failure::Server(_) => statement_error("commit a write", table, failure, &|_| false),
        _ => commit_unknown(table),
    }
}

#[cfg(test)]
mod tests;
