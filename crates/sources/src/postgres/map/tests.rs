// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test per kind, with the codes that PostgreSQL 15 really sends.

use std::io;

use throughline_core::{Error, ErrorKind, Retry};

use super::{Complaint, Failure, commit_error, connect_error, statement_error};

fn server(code: &str, column: Option<&str>, constraint: Option<&str>) -> Failure {
    Failure::Server(Complaint {
        code: code.to_owned(),
        column: column.map(str::to_owned),
        constraint: constraint.map(str::to_owned),
    })
}

fn mapped(failure: &Failure) -> Error {
    let names = ["price", "product_price_check"];
    statement_error("write a row", "product", failure, &|name| names.contains(&name))
}

fn assert_mapped(code: &str, kind: ErrorKind, part: &str) {
    let error = mapped(&server(code, Some("price"), Some("product_price_check")));
    assert_eq!(error.kind(), kind, "{code}: {error}");
    assert!(error.detail().contains(part), "{code}: {error}");
}

#[test]
fn a_value_that_does_not_fit_is_invalid() {
    for (code, part) in [
        ("23502", "column `price` must not be null"),
        ("22001", "too long"),
        ("22003", "out of range"),
        ("22008", "out of range"),
        ("22P02", "does not fit its type"),
        ("22007", "does not fit its type"),
        ("22P05", "cannot store"),
        ("22021", "cannot store"),
        ("428C9", "generated"),
    ] {
        assert_mapped(code, ErrorKind::InvalidValue, part);
    }
}

#[test]
fn constraints_are_constraint_errors_by_their_names() {
    for (code, part) in [
        ("23505", "unique index"),
        ("23503", "foreign key"),
        ("23514", "check constraint"),
        ("23P01", "excludes"),
        ("P0001", "trigger"),
    ] {
        assert_mapped(code, ErrorKind::Constraint, part);
        assert_mapped(code, ErrorKind::Constraint, "`product_price_check`");
    }
}

#[test]
fn a_name_that_the_catalogue_does_not_know_is_not_shown() {
    let error = mapped(&server("23502", Some("geheim"), None));
    assert!(error.detail().starts_with("a column of table `product`"), "{error}");
    let error = mapped(&server("23514", None, Some("geheim")));
    assert!(!error.detail().contains("geheim"), "{error}");
}

#[test]
fn a_missing_right_and_a_replica_are_denied() {
    assert_mapped("42501", ErrorKind::Denied, "GRANT");
    assert_mapped("25006", ErrorKind::Denied, "replica");
}

#[test]
fn time_outs_and_deadlocks_may_be_repeated() {
    for code in ["55P03", "57014", "40P01", "40001"] {
        let error = mapped(&server(code, None, None));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe), "{code}");
    }
    assert!(server("40P01", None, None).is_deadlock());
    let error = mapped(&Failure::TimedOut);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
}

#[test]
fn a_server_at_its_limits_is_overloaded_and_a_full_disk_unavailable() {
    assert_mapped("53300", ErrorKind::Overloaded, "limit");
    assert_mapped("53200", ErrorKind::Overloaded, "limit");
    assert_mapped("53100", ErrorKind::Unavailable, "disk");
    assert_mapped("54000", ErrorKind::TooLarge, "larger");
}

#[test]
fn a_table_that_changed_is_configuration_and_the_rest_is_told_by_its_code() {
    assert_mapped("42P01", ErrorKind::Configuration, "altered or dropped");
    assert_mapped("42703", ErrorKind::Configuration, "altered or dropped");
    assert_mapped("XX000", ErrorKind::Other, "XX000");
}

#[test]
fn a_lost_connection_is_unavailable_and_a_lost_commit_unknown() {
    let error = mapped(&Failure::Lost);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    for failure in [Failure::Lost, Failure::TimedOut] {
        let error = commit_error("product", &failure);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::OutcomeUnknown, Retry::Unsafe));
    }
    // A deferred constraint is checked by COMMIT, and its refusal is an answer.
    assert_eq!(commit_error("product", &server("23503", None, None)).kind(), ErrorKind::Constraint);
}

#[test]
fn an_attempt_to_connect_says_what_to_do() {
    let connect = |failure| connect_error("h:5432", "app", "shop", failure);
    for (code, kind, part) in [
        ("28P01", ErrorKind::Denied, "correct user and password"),
        ("28000", ErrorKind::Denied, "pg_hba.conf"),
        ("3D000", ErrorKind::Configuration, "no database `shop`"),
        ("53300", ErrorKind::Overloaded, "max_connections"),
        ("42501", ErrorKind::Denied, "GRANT CONNECT"),
        ("XX000", ErrorKind::Other, "XX000"),
    ] {
        let error = connect(server(code, None, None));
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.detail().contains(part), "{error}");
    }
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let error = connect(Failure::Unreachable(refused));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.detail().contains("start the server"), "{error}");
    assert_eq!(connect(Failure::Lost).kind(), ErrorKind::Unavailable);
    assert_eq!(connect(Failure::TimedOut).kind(), ErrorKind::Timeout);
    assert_eq!(connect(Failure::Foreign("strange")).kind(), ErrorKind::Configuration);
}
