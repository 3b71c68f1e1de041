// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps what the driver and the server say into our errors.
//!
//! A server's message may hold values ("Duplicate entry 'x' for key 'y'"), so none is ever passed on: our
//! text is made from the error's number and from names that the catalogue confirms.

use std::io;

use mysql_async::{DriverError, IoError, TlsError};
use throughline_core::{Error, ErrorKind, Retry};

use crate::remote::{commit_unknown, connection_lost, no_answer, unreachable};
use crate::tls::{self, DEMANDED};

/// Why a statement or a connection failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered with an error; the connection goes on.
    Server {
        /// MySQL's error number.
        code: u16,
        /// The server's text, which may hold values: only names are taken from it.
        message: String,
    },
    /// The connection is gone; what was under way may have taken place.
    Lost,
    /// No answer in time; the connection was dropped.
    TimedOut,
    /// The statement is larger than the server takes.
    TooLarge,
    /// What answers does not speak the protocol.
    Foreign(&'static str),
    /// The connection could not be made.
    Unreachable(io::Error),
}

impl Failure {
    /// Whether the connection was lost before an answer, so that a statement that changes nothing may be
    /// sent again on another.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Whether another transaction's lock stood in the way of a look that does not wait.
    pub(super) fn is_locked(&self) -> bool {
        // 3572 is MySQL's answer to NOWAIT, 1205 MariaDB's; a deadlock (1213) with a writer means the same.
        matches!(self, Self::Server { code: 1205 | 1213 | 3572, .. })
    }

    /// Whether the server ended the transaction because of a deadlock.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Self::Server { code: 1213, .. })
    }

    /// Whether the account lacks a right.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Server { code: 1044 | 1142 | 1143 | 1227 | 1370, .. })
    }

    /// The name of the index when a row with the same unique value exists.
    pub(super) fn duplicate_index(&self) -> Option<&str> {
        match self {
            Self::Server { code: 1062 | 1586, message } => duplicate_index(message),
            _ => None,
        }
    }
}

/// Whether the server closes the connection after this answer: it shuts down, killed the connection (MySQL
/// and MariaDB number it differently), gave up on its network, or found it idle for too long.
fn ends_connection(code: u16) -> bool {
    matches!(code, 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 4031)
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) if error.code == 1153 => Self::TooLarge,
            mysql_async::Error::Server(error) if ends_connection(error.code) => Self::Lost,
            mysql_async::Error::Server(error) => Self::Server { code: error.code, message: error.message },
            mysql_async::Error::Driver(DriverError::PacketTooLarge) => Self::TooLarge,
            mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { .. }) => Self::Foreign(
                "the account's authentication plugin is not known: use `mysql_native_password`, \
                 `caching_sha2_password` or `ed25519`",
            ),
            mysql_async::Error::Driver(
                DriverError::UnexpectedPacket { .. }
                | DriverError::PacketOutOfOrder
                | DriverError::CantParseServerVersion { .. },
            ) => Self::Foreign("what it answers is not the MySQL protocol: correct host and port"),
            mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => Self::Foreign(tls::WITHOUT),
            mysql_async::Error::Io(IoError::Tls(TlsError::Tls(error))) => Self::Foreign(tls::why(&error)),
            mysql_async::Error::Io(IoError::Io(error)) if rustls_error(&error).is_some() => {
                Self::Foreign(rustls_error(&error).map_or("", tls::why))
            }
            mysql_async::Error::Io(IoError::Io(error)) => match error.kind() {
                // `Other` is how a stream ends within a packet.
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    Self::Foreign("what it answers is not the MySQL protocol: correct host and port")
                }
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Lost,
                _ => Self::Unreachable(error),
            },
            _ => Self::Lost,
        }
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The error of a statement on `table`, whose columns and indexes `is_name` confirms.
pub(super) fn statement_error(
    operation: &'static str,
    table: &str,
    failure: &Failure,
    is_name: &dyn Fn(&str) -> bool,
) -> Error {
    match failure {
        Failure::Server { code, message } => server_error(operation, table, *code, message, is_name),
        Failure::TooLarge => Error::new(
            ErrorKind::TooLarge,
            operation,
            format!("table `{table}`: the row is larger than the server's `max_allowed_packet`"),
        ),
        Failure::TimedOut => no_answer(operation, table),
        Failure::Lost | Failure::Foreign(_) | Failure::Unreachable(_) => connection_lost(operation, table),
    }
}

fn server_error(
    operation: &'static str,
    table: &str,
    code: u16,
    message: &str,
    is_name: &dyn Fn(&str) -> bool,
) -> Error {
    let kind = kind_of(code);
    let column = |quoted: Option<&str>| match quoted {
        Some(name) if is_name(name) => format!("column `{name}`"),
        _ => format!("a column of table `{table}`"),
    };
    let detail = match (kind, code) {
        (ErrorKind::InvalidValue, 1048 | 1263 | 1364) => {
            let what = if code == 1364 { "has no default and must be given" } else { "must not be null" };
            format!("{} {what}", column(message.split(['\'', '`']).nth(1)))
        }
        (ErrorKind::InvalidValue, _) => {
            let head = message.rsplit_once(" at row ").map_or(message, |(head, _)| head);
            format!("{}: {}", column(last_quoted(head)), unfit(code))
        }
        (ErrorKind::Constraint, 1062 | 1586) => match duplicate_index(message) {
            Some(index) if is_name(index) => {
                format!("table `{table}`: another row has the same value in the unique index `{index}`")
            }
            _ => format!("table `{table}`: another row has the same value in a unique index"),
        },
        (ErrorKind::Other, _) => format!("table `{table}`: MySQL error {code}"),
        _ => format!("table `{table}`: {}", reason(code)),
    };
    let error = Error::new(kind, operation, detail);
    match kind {
        // The statement was undone, so the same call may be made again.
        ErrorKind::Timeout => error.with_retry(Retry::Safe),
        _ => error,
    }
}

fn kind_of(code: u16) -> ErrorKind {
    match code {
        1048 | 1263 | 1364 => ErrorKind::InvalidValue,
        1264 | 1416 | 1690 | 1162 | 1406 => ErrorKind::InvalidValue,
        1265 | 1292 | 1366 | 1367 | 1411 | 1525 | 3140 | 3141 | 3156 | 1906 | 3105 => ErrorKind::InvalidValue,
        1118 | 1301 => ErrorKind::TooLarge,
        1062 | 1586 | 1216 | 1217 | 1451 | 1452 | 3819 | 4025 | 1643 | 1644 => ErrorKind::Constraint,
        1044 | 1142 | 1143 | 1227 | 1370 | 1290 | 1792 | 1836 => ErrorKind::Denied,
        1205 | 1213 | 3572 | 1317 | 1907 | 1969 | 3024 => ErrorKind::Timeout,
        1037 | 1040 | 1041 | 1203 | 1226 => ErrorKind::Overloaded,
        1049 | 1054 | 1146 | 1665 => ErrorKind::Configuration,
        1267 | 1270 | 1271 => ErrorKind::InvalidKey,
        _ => ErrorKind::Other,
    }
}

/// What is wrong with a value.
fn unfit(code: u16) -> &'static str {
    match code {
        1264 | 1690 => "out of range",
        1162 | 1406 => "too long",
        1906 | 3105 => "is generated and cannot be set",
        _ => "the value does not fit its type",
    }
}

/// What is wrong with a statement on a table.
fn reason(code: u16) -> &'static str {
    match code {
        1118 | 1301 => "the row is too large",
        1216 | 1452 => "a foreign key refers to a row that does not exist",
        1217 | 1451 => "a row of another table refers to this one",
        1643 | 1644 => "a trigger refused the write",
        3819 | 4025 => "a check constraint is not met",
        1290 | 1792 | 1836 => "the server is read-only: is it a replica? connect to the primary",
        1044 | 1142 | 1143 | 1227 | 1370 => "the account lacks the right: GRANT it, or use another account",
        1213 => "a deadlock with another transaction, of which the server rolled this one back",
        1205 | 3572 => "another transaction holds a lock",
        1317 | 1907 | 1969 | 3024 => "the server stopped the statement at its time limit",
        1665 => "the server's binlog_format is STATEMENT: set it to MIXED or ROW",
        1049 | 1054 | 1146 => "it was altered or dropped since its catalogue was read",
        1267 | 1270 | 1271 => "the key's character set lacks a character",
        _ => "the server is at its limit",
    }
}

/// The name of the index in `Duplicate entry 'x' for key 'name'`; MySQL 8 writes `table.name`.
fn duplicate_index(message: &str) -> Option<&str> {
    let name = message.strip_suffix('\'')?.rsplit('\'').next()?;
    Some(name.rsplit_once('.').map_or(name, |(_, index)| index))
}

/// The error of a COMMIT: only an answer that means "rolled back" says how it went.
pub(super) fn commit_error(table: &str, failure: &Failure) -> Error {
    match failure {
        Failure::Server { code: 1205 | 1213 | 1290 | 1792 | 1836, .. } => {
            statement_error("commit a write", table, failure, &|_| false)
        }
        _ => commit_unknown(table),
    }
}

/// The error of an attempt to connect to `place` (`host:port`) as `user` for `database`.
pub(super) fn connect_error(place: &str, user: &str, database: &str, failure: Failure) -> Error {
    const OPERATION: &str = "connect to MySQL";
    let error = |kind, detail: String| Error::new(kind, OPERATION, detail);
    match failure {
        Failure::Server { code, .. } => match code {
            1045 | 1698 | 1862 => error(
                ErrorKind::Denied,
                format!(
                    "{place} refuses user `{user}`: correct user and password, or create the account for this host; \
                     if {DEMANDED}"
                ),
            ),
            1130 | 1129 => error(
                ErrorKind::Denied,
                format!(
                    "{place} takes no connections from this host: allow it with CREATE USER … @'this host'"
                ),
            ),
            1044 => error(
                ErrorKind::Denied,
                format!(
                    "user `{user}` may not use database `{database}`: GRANT SELECT ON `{database}`.* TO it"
                ),
            ),
            1049 => error(
                ErrorKind::Configuration,
                format!("{place} has no database `{database}`: create it or correct the name"),
            ),
            1040 | 1203 | 1226 => error(
                ErrorKind::Overloaded,
                format!("{place} has no connection left: raise its `max_connections` or lower our counts"),
            ),
            3159 => error(ErrorKind::Configuration, format!("{place}: {DEMANDED}")),
            code => error(ErrorKind::Other, format!("{place} answered MySQL error {code}")),
        },
        Failure::Foreign(why) => error(ErrorKind::Configuration, format!("{place}: {why}")),
        Failure::TimedOut => error(
            ErrorKind::Timeout,
            format!("{place} sent no greeting in time: is it a MySQL or MariaDB server?"),
        )
        .with_retry(Retry::Safe),
        Failure::Lost | Failure::TooLarge => error(
            ErrorKind::Unavailable,
            format!("{place} closed the connection during the greeting: is it a MySQL or MariaDB server?"),
        ),
        Failure::Unreachable(cause) => unreachable(OPERATION, place, cause),
    }
}

/// The last word in quotes of either sort; values come before names in every message of MySQL.
fn last_quoted(message: &str) -> Option<&str> {
    let quote = message.chars().next_back().filter(|last| matches!(last, '\'' | '`'))?;
    message.strip_suffix(quote)?.rsplit(quote).next()
}

#[cfg(test)]
mod tests;
