// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test per kind, with the texts that MariaDB 10.11 and MySQL 8 really send.

use std::io;

use mysql_async::{DriverError, IoError, ServerError};
use throughline_core::{Error, ErrorKind, Retry};

use super::{Failure, commit_error, connect_error, statement_error};

/// A value that users would not want to find in a log.
const SECRET: &str = "geheim";

fn server(code: u16, message: &str) -> Failure {
    Failure::from(mysql_async::Error::Server(ServerError {
        code,
        message: message.to_owned(),
        state: "HY000".to_owned(),
    }))
}

fn mapped(code: u16, message: &str) -> Error {
    let names = ["price", "name", "uw", "PRIMARY"];
    let error =
        statement_error("write a row", "product", &server(code, message), &|name| names.contains(&name));
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    error
}

fn assert_mapped(code: u16, message: &str, kind: ErrorKind, part: &str) {
    let error = mapped(code, message);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.detail().contains(part), "{error}");
}

#[test]
fn a_value_that_does_not_fit_names_its_column() {
    for (code, message) in [
        (1366, "Incorrect integer value: 'geheim' for column `shop`.`product`.`price` at row 1"),
        (1292, "Incorrect datetime value: 'geheim' for column 'price' at row 1"),
        (1264, "Out of range value for column 'price' at row 1"),
        (1265, "Data truncated for column 'price' at row 1"),
        (1406, "Data too long for column 'price' at row 1"),
        (1048, "Column 'price' cannot be null"),
        (1364, "Field 'price' doesn't have a default value"),
    ] {
        assert_mapped(code, message, ErrorKind::InvalidValue, "column `price`");
    }
}

#[test]
fn a_value_that_looks_like_a_name_is_not_shown() {
    let message = "Incorrect integer value: 'x' for column 'geheim' at row 1";
    assert_mapped(1366, message, ErrorKind::InvalidValue, "a column of table `product`");
    let message = "Duplicate entry 'x' for key 'geheim'";
    assert_mapped(1062, message, ErrorKind::Constraint, "unique index");
}

#[test]
fn a_duplicate_names_its_index_whatever_the_value_holds() {
    let message = "Duplicate entry 'geheim' for key 'PRIMARY'' for key 'uw'";
    assert_mapped(1062, message, ErrorKind::Constraint, "unique index `uw`");
    let message = "Duplicate entry 'geheim' for key 'product.uw'";
    assert_mapped(1062, message, ErrorKind::Constraint, "unique index `uw`");
    assert_eq!(server(1062, message).duplicate_index(), Some("uw"));
}

#[test]
fn constraints_are_constraint_errors() {
    for code in [1451, 1452, 3819, 4025, 1644] {
        assert_mapped(code, "CONSTRAINT `geheim` failed", ErrorKind::Constraint, "product");
    }
}

#[test]
fn a_missing_right_is_denied_and_says_so() {
    let message = "UPDATE command denied to user 'ro'@'%' for table `shop`.`product`";
    assert_mapped(1142, message, ErrorKind::Denied, "GRANT");
    assert!(server(1142, message).is_denied());
    assert_mapped(1290, "--read-only", ErrorKind::Denied, "primary");
}

#[test]
fn a_lock_and_a_time_limit_are_time_outs_that_may_be_repeated() {
    for code in [1205, 1213, 1969, 3024, 3572] {
        let error = mapped(code, "");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    }
    assert!(server(1205, "").is_locked() && server(3572, "").is_locked() && !server(1969, "").is_locked());
    let error = statement_error("load a row", "product", &Failure::TimedOut, &|_| false);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
}

#[test]
fn a_lost_connection_is_unavailable() {
    let lost = [
        mysql_async::Error::Driver(DriverError::ConnectionClosed),
        mysql_async::Error::Io(IoError::Io(io::ErrorKind::UnexpectedEof.into())),
        mysql_async::Error::Io(IoError::Io(io::ErrorKind::ConnectionReset.into())),
    ];
    for error in lost.map(Failure::from).into_iter().chain([server(1053, ""), server(1927, "")]) {
        assert!(error.is_lost());
        let error = statement_error("load a row", "product", &error, &|_| false);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    }
}

#[test]
fn a_statement_beyond_the_packet_limit_is_too_large() {
    let driver = Failure::from(mysql_async::Error::Driver(DriverError::PacketTooLarge));
    for failure in [driver, server(1153, "Got a packet bigger than 'max_allowed_packet' bytes")] {
        let error = statement_error("write a row", "product", &failure, &|_| false);
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

#[test]
fn limits_alterations_and_the_rest_have_their_kinds() {
    assert_mapped(1040, "Too many connections", ErrorKind::Overloaded, "limit");
    assert_mapped(1054, "Unknown column 'geheim'", ErrorKind::Configuration, "altered");
    assert_mapped(1146, "Table 'geheim' doesn't exist", ErrorKind::Configuration, "altered");
    assert_mapped(1114, "The table 'geheim' is full", ErrorKind::Other, "1114");
}

#[test]
fn only_an_answer_that_means_rolled_back_says_how_a_commit_went() {
    for failure in [Failure::Lost, Failure::TimedOut, server(1053, ""), server(1180, "geheim")] {
        assert_eq!(commit_error("product", &failure).kind(), ErrorKind::OutcomeUnknown);
    }
    let error = commit_error("product", &server(1213, ""));
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
}

#[test]
fn every_failed_connection_says_what_to_do() {
    let refused = || Failure::Unreachable(io::ErrorKind::ConnectionRefused.into());
    let other = || Failure::Unreachable(io::ErrorKind::HostUnreachable.into());
    for (failure, kind, part) in [
        (server(1045, "using password: YES"), ErrorKind::Denied, "password"),
        (server(1130, ""), ErrorKind::Denied, "CREATE USER"),
        (server(1044, ""), ErrorKind::Denied, "GRANT SELECT"),
        (server(1049, ""), ErrorKind::Configuration, "has no database `shop`"),
        (server(1040, ""), ErrorKind::Overloaded, "max_connections"),
        (server(3159, ""), ErrorKind::Configuration, "encrypted connections"),
        (server(1827, ""), ErrorKind::Other, "1827"),
        (refused(), ErrorKind::Unavailable, "start the server"),
        (other(), ErrorKind::Unavailable, "cannot be reached"),
        (Failure::TimedOut, ErrorKind::Timeout, "is it a MySQL"),
        (Failure::Lost, ErrorKind::Unavailable, "is it a MySQL"),
        (Failure::Foreign("not the protocol"), ErrorKind::Configuration, "not the protocol"),
    ] {
        let error = connect_error("db:3306", "app", "shop", failure);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.detail().contains(part), "{error}");
    }
}
