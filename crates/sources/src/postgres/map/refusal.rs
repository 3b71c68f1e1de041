// SPDX-License-Identifier: MIT OR Apache-2.0
//! What PostgreSQL's codes mean to a caller.

use throughline_core::ErrorKind;

/// What a caller can do about an error of this code.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    match code {
        "23502" | "428C9" => ErrorKind::InvalidValue,
        "P0001" | "44000" => ErrorKind::Constraint,
        "42501" | "25006" | "55000" => ErrorKind::Denied,
        "55P03" | "57014" => ErrorKind::Timeout,
        "54000" | "54001" | "54011" => ErrorKind::TooLarge,
        "53100" => ErrorKind::Unavailable,
        "42P01" | "42703" | "42704" | "42804" | "42883" | "3F000" => ErrorKind::Configuration,
        _ => match code.get(..2) {
            Some("22") => ErrorKind::InvalidValue,
            Some("23") => ErrorKind::Constraint,
            Some("28") => ErrorKind::Denied,
            Some("40") => ErrorKind::Timeout,
            Some("53") => ErrorKind::Overloaded,
            _ => ErrorKind::Other,
        },
    }
}

/// What is wrong with a value.
pub(super) fn unfit(code: &str) -> &'static str {
    match code {
        "22001" | "22026" => "too long",
        "22003" | "22008" => "out of range",
        "22021" | "22P05" => "holds a character that the database cannot store",
        "428C9" => "is generated and cannot be set",
        _ => "the value does not fit its type",
    }
}

/// What is wrong with a statement on a table.
pub(super) fn reason(code: &str) -> &'static str {
    match code {
        "23503" => {
            "a foreign key refers to a row that does not exist, or a row of another table refers to this one"
        }
        "23001" => "a row of another table refers to this one",
        "23505" => "another row has the same value in a unique index",
        "23514" => "a check constraint is not met",
        "23P01" => "another row excludes this one",
        "P0001" => "a trigger refused the write",
        "25006" => "the server is read-only: is it a replica? connect to the primary",
        "42501" => "the account lacks the right: GRANT it, or use another account",
        "55P03" => "another transaction holds a lock",
        "57014" => "the server stopped the statement at its time limit",
        "40001" => "other transactions stood in its way",
        "40P01" => "a deadlock with another transaction, of which the server rolled this one back",
        "53100" => "the server's disk is full",
        "54000" | "54001" | "54011" => "the row is larger than the server takes",
        "42P01" | "42703" | "42704" | "42804" | "42883" | "3F000" => {
            "it was altered or dropped since its catalogue was read"
        }
        _ => match code.get(..2) {
            Some("23" | "44") => "a constraint is not met",
            Some("28" | "55") => "the server does not allow it",
            _ => "the server is at its limit",
        },
    }
}
