// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps what the driver and the server say into our errors.
//!
//! A server's message may hold values ("Duplicate entry 'x' for key 'y'"), so none is ever passed on: our
//! text is made from the error's number and from names that the catalogue confirms.

use std::borrow::Cow;
use std::io;

use mysql_async::{DriverError, IoError};
use throughline_core::{Error, ErrorKind, Retry};

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
            Self::Server { code: 1062 | 1586, message } => {
                let name = message.strip_suffix('\'')?.rsplit('\'').next()?;
                // MySQL 8 writes `table.index`, MariaDB the index alone.
                Some(name.rsplit_once('.').map_or(name, |(_, index)| index))
            }
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
        Failure::TimedOut => Error::new(
            ErrorKind::Timeout,
            operation,
            format!("table `{table}`: no answer within the statement time-out"),
        )
        .with_retry(Retry::Safe),
        Failure::Lost | Failure::Foreign(_) | Failure::Unreachable(_) => Error::new(
            ErrorKind::Unavailable,
            operation,
            format!("table `{table}`: the connection to the server was lost"),
        ),
    }
}

fn server_error(
    operation: &'static str,
    table: &str,
    code: u16,
    message: &str,
    is_name: &dyn Fn(&str) -> bool,
) -> Error {
    let column = || match last_quoted(message.rsplit_once(" at row ").map_or(message, |(head, _)| head)) {
        Some(name) if is_name(name) => format!("column `{name}`"),
        _ => format!("a column of table `{table}`"),
    };
    let named = |what: &str, name: Option<&str>| match name {
        Some(name) if is_name(name) => format!("table `{table}`: {what} `{name}`"),
        _ => format!("table `{table}`: {what}"),
    };
    let (kind, detail): (ErrorKind, Cow<'static, str>) = match code {
        1048 | 1263 => (
            ErrorKind::InvalidValue,
            format!("{} must not be null", first_column(message, is_name, table)).into(),
        ),
        1364 => (
            ErrorKind::InvalidValue,
            format!("{} has no default and must be given", first_column(message, is_name, table)).into(),
        ),
        1264 | 1690 | 1416 => (ErrorKind::InvalidValue, format!("{}: out of range", column()).into()),
        1406 | 1162 => (ErrorKind::InvalidValue, format!("{}: too long", column()).into()),
        1265 | 1292 | 1366 | 1367 | 1411 | 1525 | 3140 | 3141 | 3156 => {
            (ErrorKind::InvalidValue, format!("{}: the value does not fit its type", column()).into())
        }
        1906 | 3105 => {
            (ErrorKind::InvalidValue, format!("{} is generated and cannot be set", column()).into())
        }
        1118 | 1301 => (ErrorKind::TooLarge, format!("table `{table}`: the row is too large").into()),
        1062 | 1586 => {
            let failure = Failure::Server { code, message: message.into() };
            let index = failure.duplicate_index();
            (ErrorKind::Constraint, named("another row has the same value in the unique index", index).into())
        }
        1216 | 1452 => (
            ErrorKind::Constraint,
            format!("table `{table}`: a foreign key refers to a row that does not exist").into(),
        ),
        1217 | 1451 => (
            ErrorKind::Constraint,
            format!("table `{table}`: a row of another table refers to this one").into(),
        ),
        3819 | 4025 => {
            (ErrorKind::Constraint, format!("table `{table}`: a check constraint is not met").into())
        }
        1644 | 1643 => {
            (ErrorKind::Constraint, format!("table `{table}`: a trigger refused the write").into())
        }
        1044 | 1142 | 1143 | 1227 | 1370 => (
            ErrorKind::Denied,
            format!("table `{table}`: the account lacks the right: GRANT it, or use another account").into(),
        ),
        1290 | 1792 | 1836 => {
            (ErrorKind::Denied, "the server is read-only: is it a replica? connect to the primary".into())
        }
        1205 | 1213 | 3572 => {
            (ErrorKind::Timeout, format!("table `{table}`: another transaction holds a lock").into())
        }
        1317 | 1907 | 1969 | 3024 => (
            ErrorKind::Timeout,
            format!("table `{table}`: the server stopped the statement at its time limit").into(),
        ),
        1040 | 1203 | 1226 | 1041 | 1037 => (ErrorKind::Overloaded, "the server is at its limit".into()),
        1054 | 1146 | 1049 => (
            ErrorKind::Configuration,
            format!("table `{table}` was altered or dropped since its catalogue was read").into(),
        ),
        _ => (ErrorKind::Other, format!("table `{table}`: MySQL error {code}").into()),
    };
    let error = Error::new(kind, operation, detail);
    // The statement was undone, so the same call may be made again.
    if kind == ErrorKind::Timeout { error.with_retry(Retry::Safe) } else { error }
}

/// The error of a COMMIT: only an answer that means "rolled back" says how it went.
pub(super) fn commit_error(table: &str, failure: &Failure) -> Error {
    const OPERATION: &str = "commit a write";
    match failure {
        Failure::Server { code: 1205 | 1213 | 1290 | 1792 | 1836, .. } => {
            statement_error(OPERATION, table, failure, &|_| false)
        }
        _ => Error::new(
            ErrorKind::OutcomeUnknown,
            OPERATION,
            format!("table `{table}`: the server did not say whether the commit took place"),
        ),
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
                    "{place} refuses user `{user}`: correct user and password, or create the account for this host"
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
            3159 => error(
                ErrorKind::Configuration,
                format!("{place} demands TLS, which is not offered yet: allow this account without it"),
            ),
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
        Failure::Unreachable(cause) => {
            let detail = if cause.kind() == io::ErrorKind::ConnectionRefused {
                format!("nothing listens on {place}: start the server or correct host and port")
            } else {
                format!("{place} cannot be reached: correct host and port, or look at the network")
            };
            error(ErrorKind::Unavailable, detail).with_cause(cause)
        }
    }
}

/// The first quoted word, for messages that begin with the column (`Column 'x' cannot be null`).
fn first_column(message: &str, is_name: &dyn Fn(&str) -> bool, table: &str) -> String {
    match message.split(['\'', '`']).nth(1) {
        Some(name) if is_name(name) => format!("column `{name}`"),
        _ => format!("a column of table `{table}`"),
    }
}

/// The last word in quotes of either sort; values come before names in every message of MySQL.
fn last_quoted(message: &str) -> Option<&str> {
    let quote = message.chars().next_back().filter(|last| matches!(last, '\'' | '`'))?;
    message.strip_suffix(quote)?.rsplit(quote).next()
}

#[cfg(test)]
mod tests;
