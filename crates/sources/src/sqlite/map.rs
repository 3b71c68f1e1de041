// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps SQLite's errors and values into ours.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use throughline_core::{Error, ErrorKind, Retry};

use crate::sql::{Cell, Value};

/// A failed call as an error; `file` is the database file's name.
///
/// SQLite's text is passed on only where it names columns and constraints; elsewhere it could hold values.
pub(super) fn error(operation: &'static str, file: &str, error: rusqlite::Error) -> Error {
    let Some((code, extended, text)) = parts(&error) else {
        return Error::new(ErrorKind::Other, operation, format!("`{file}`")).with_cause(error);
    };
    if code == ErrorCode::ConstraintViolation {
        return constraint(operation, file, extended, text);
    }
    let (kind, why) = described(code, text);
    let mapped = Error::new(kind, operation, format!("`{file}` {why}"));
    match kind {
        // Whether the lock or the disk gave way, the statement had no effect.
        ErrorKind::Timeout | ErrorKind::Unavailable => mapped.with_retry(Retry::Safe),
        ErrorKind::Corrupt => mapped.with_retry(Retry::Never),
        _ => mapped,
    }
}

/// What is wrong, to be read after the file's name.
fn described(code: ErrorCode, text: &str) -> (ErrorKind, &'static str) {
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            ErrorKind::Timeout,
            "is locked by another program: end its transaction, or raise `busy_timeout_ms`",
        ),
        ErrorCode::NotADatabase => (ErrorKind::Corrupt, "is not an SQLite database, or is encrypted"),
        ErrorCode::DatabaseCorrupt => {
            (ErrorKind::Corrupt, "is damaged: see `PRAGMA integrity_check`, then `.recover` or restore it")
        }
        ErrorCode::DiskFull => (ErrorKind::Unavailable, "cannot grow: the disk is full"),
        ErrorCode::ReadOnly => (ErrorKind::Denied, "may not be written: it is read-only"),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (ErrorKind::Denied, "may not be used: the system refuses access")
        }
        ErrorCode::CannotOpen => (
            ErrorKind::Unavailable,
            "cannot be opened: see that it exists and that its folder may be written",
        ),
        ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed => {
            (ErrorKind::Unavailable, "failed to read or write: see the system's log")
        }
        ErrorCode::TooBig => (ErrorKind::TooLarge, "takes no value of this size"),
        ErrorCode::OutOfMemory => (ErrorKind::Overloaded, "got no memory"),
        ErrorCode::TypeMismatch => (ErrorKind::InvalidValue, "takes only an integer as this table's key"),
        _ if code == ErrorCode::SchemaChanged
            || text.starts_with("no such")
            || text.contains("has no column") =>
        {
            (ErrorKind::Configuration, "has another schema than when it was opened: restart")
        }
        _ => (ErrorKind::Other, "refused the statement"),
    }
}

fn parts(error: &rusqlite::Error) -> Option<(ErrorCode, i32, &str)> {
    match error {
        rusqlite::Error::SqliteFailure(error, text) => {
            Some((error.code, error.extended_code, text.as_deref().unwrap_or_default()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => Some((error.code, error.extended_code, msg)),
        _ => None,
    }
}

/// Whether the file system failed, so that nobody knows what a crash would leave behind.
pub(super) fn is_io(error: &rusqlite::Error) -> bool {
    matches!(parts(error), Some((ErrorCode::SystemIoFailure, ..)))
}

fn constraint(operation: &'static str, file: &str, extended: i32, text: &str) -> Error {
    // "UNIQUE constraint failed: person.email"; a check's name or expression; never a value.
    let name = text.split_once("failed: ").map_or("", |(_, name)| name);
    let (kind, detail) = match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            (ErrorKind::Constraint, format!("another row has this `{name}`"))
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => (ErrorKind::Constraint, format!("`{name}` may not be null")),
        ffi::SQLITE_CONSTRAINT_CHECK => (ErrorKind::Constraint, format!("the check `{name}` fails")),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => (
            ErrorKind::Constraint,
            "a foreign key refers to a row that is not there, or would be left behind".into(),
        ),
        ffi::SQLITE_CONSTRAINT_TRIGGER => (ErrorKind::Constraint, "a trigger refuses the write".into()),
        // "cannot store TEXT value in INTEGER column person.age"
        ffi::SQLITE_CONSTRAINT_DATATYPE => (ErrorKind::InvalidValue, text.to_owned()),
        _ => (ErrorKind::Constraint, "a constraint forbids the write".into()),
    };
    Error::new(kind, operation, format!("`{file}`: {detail}"))
}

/// A cell as SQLite holds it.
pub(super) fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Float(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Cell::NotUtf8(bytes), Cell::Text),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes),
    }
}

/// A value to be bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::UInt(number) => match i64::try_from(*number) {
                Ok(number) => ValueRef::Integer(number),
                Err(error) => return Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
            },
            Value::Float(number) => ValueRef::Real(*number),
            Value::Decimal(text) | Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::NotUtf8(bytes) => ValueRef::Text(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use throughline_core::{ErrorKind, Retry};

    use super::error;

    fn failed(statements: &str) -> throughline_core::Error {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INT NOT NULL DEFAULT 0,
                                 c INT CONSTRAINT small CHECK (c < 9), r INT REFERENCES t);
                 CREATE TABLE s (id INTEGER PRIMARY KEY, n INT) STRICT;
                 CREATE TRIGGER g BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'secret'); END;
                 INSERT INTO t VALUES (1, 'secret', 1, 1, NULL);",
            )
            .unwrap();
        error("test", "a.db", connection.execute_batch(statements).unwrap_err())
    }

    #[test]
    fn a_constraint_is_named_without_values() {
        for (statement, names) in [
            ("INSERT INTO t (u) VALUES ('secret')", "`t.u`"),
            ("INSERT INTO t (id) VALUES (1)", "`t.id`"),
            ("UPDATE t SET n = NULL", "`t.n`"),
            ("UPDATE t SET c = 10", "`small`"),
            ("UPDATE t SET r = 5", "foreign key"),
            ("DELETE FROM t", "trigger"),
        ] {
            let error = failed(statement);
            assert_eq!(error.kind(), ErrorKind::Constraint, "{statement}");
            assert!(error.detail().contains(names), "{}", error.detail());
            assert!(!error.detail().contains("secret"));
        }
    }

    #[test]
    fn a_value_of_the_wrong_class_is_an_invalid_value() {
        let error = failed("INSERT INTO s (n) VALUES ('secret')");
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert!(error.detail().contains("s.n") && !error.detail().contains("secret"));
        assert_eq!(failed("INSERT INTO t (id) VALUES ('secret')").kind(), ErrorKind::InvalidValue);
    }

    #[test]
    fn a_changed_schema_asks_for_a_restart() {
        for statement in ["SELECT x FROM t", "SELECT * FROM x", "INSERT INTO t (x) VALUES (1)"] {
            let error = failed(statement);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{statement}");
            assert!(error.detail().contains("restart"));
        }
    }

    #[test]
    fn codes_become_what_a_caller_can_do() {
        for (code, kind, retry) in [
            (rusqlite::ffi::SQLITE_BUSY, ErrorKind::Timeout, Retry::Safe),
            (rusqlite::ffi::SQLITE_NOTADB, ErrorKind::Corrupt, Retry::Never),
            (rusqlite::ffi::SQLITE_CORRUPT, ErrorKind::Corrupt, Retry::Never),
            (rusqlite::ffi::SQLITE_FULL, ErrorKind::Unavailable, Retry::Safe),
            (rusqlite::ffi::SQLITE_READONLY, ErrorKind::Denied, Retry::Never),
            (rusqlite::ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable, Retry::Safe),
            (rusqlite::ffi::SQLITE_TOOBIG, ErrorKind::TooLarge, Retry::Never),
            (rusqlite::ffi::SQLITE_ERROR, ErrorKind::Other, Retry::Never),
        ] {
            let failure = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            let mapped = error("test", "a.db", failure);
            assert_eq!((mapped.kind(), mapped.retry()), (kind, retry), "{code}");
        }
    }
}
