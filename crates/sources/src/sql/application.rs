// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which statements of an application may run within a transaction of ours.
//!
//! A COMMIT in the middle would make rows visible before any cache was told; a statement about the session would outlive the
//! transaction on a connection that others use later; one that changes tables commits on MySQL. So only statements about
//! rows are let through, told by their first word. More than one statement at a time is refused by every driver we use.

use throughline_core::{Error, ErrorKind, Result, Retry};

const ALLOWED: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "VALUES", "WITH"];

/// The longest statement, in bytes.
const LEN_MAX: usize = 1024 * 1024;

/// Checks one statement of the application.
///
/// # Errors
/// [`ErrorKind::Denied`] for a statement that is not about rows, [`ErrorKind::TooLarge`].
pub(crate) fn check_statement(operation: &'static str, sql: &str) -> Result<()> {
    if sql.len() > LEN_MAX {
        let detail = format!("the statement has {} bytes, at most {LEN_MAX} are taken", sql.len());
        return Err(Error::new(ErrorKind::TooLarge, operation, detail));
    }
    let word: String = after_space(sql).chars().take_while(char::is_ascii_alphabetic).collect();
    if ALLOWED.iter().any(|allowed| word.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    let detail = format!(
        "within a transaction only {} may be run: it is committed by `commit`, and its connection is used by others later",
        ALLOWED.join(", ")
    );
    Err(Error::new(ErrorKind::Denied, operation, detail).with_retry(Retry::Never))
}

/// What follows white space, comments and opening brackets. A comment that MySQL executes stays.
fn after_space(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == '(');
        rest = if let Some(comment) = rest.strip_prefix("--").or_else(|| rest.strip_prefix('#')) {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = rest.strip_prefix("/*")
            && !comment.starts_with(['!', 'M'])
        {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return rest;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::check_statement;

    #[test]
    fn statements_about_rows_are_let_through() {
        for sql in [
            "select 1",
            " \n-- why\n/* and */ UPDATE t SET a = ?",
            "(SELECT 1) UNION (SELECT 2)",
            "with x as (select 1) delete from t",
            "# mysql\nreplace into t values (1)",
        ] {
            check_statement("test", sql).unwrap();
        }
    }

    #[test]
    fn what_ends_the_transaction_or_outlives_it_is_refused() {
        for sql in [
            "COMMIT",
            "rollback",
            "/*! COMMIT */",
            "/*M! COMMIT */",
            "/* */ commit",
            "BEGIN",
            "SET autocommit = 1",
            "CREATE TABLE t (id INT)",
            "PRAGMA synchronous = OFF",
            "CALL p()",
            "SELECTED",
            "",
            "-- nothing",
        ] {
            let error = check_statement("test", sql).unwrap_err();
            assert!(!error.to_string().contains("autocommit"), "no statement is shown: {error}");
        }
    }
}
