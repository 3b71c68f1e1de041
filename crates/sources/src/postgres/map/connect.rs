// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an attempt to connect says.

use throughline_core::{Error, ErrorKind, Retry};

use super::Failure;
use crate::remote::unreachable;
use crate::tls::DEMANDED;

/// The error of an attempt to connect to `place` (`host:port`) as `user` for `database`.
pub(in crate::postgres) fn connect_error(place: &str, user: &str, database: &str, failure: Failure) -> Error {
    const OPERATION: &str = "connect to PostgreSQL";
    let error = |kind, detail: String| Error::new(kind, OPERATION, detail);
    match failure {
        Failure::Server(complaint) => match complaint.code.as_str() {
            "28P01" => {
                error(ErrorKind::Denied, format!("{place} refuses user `{user}`: correct user and password"))
            }
            "28000" => error(
                ErrorKind::Denied,
                format!(
                    "{place} has no account `{user}`, or takes no such connections of it from this host to database \
                     `{database}`: see pg_hba.conf there; if {DEMANDED}"
                ),
            ),
            "42501" => error(
                ErrorKind::Denied,
                format!("user `{user}` may not use database `{database}`: GRANT CONNECT on it"),
            ),
            "3D000" => error(
                ErrorKind::Configuration,
                format!("{place} has no database `{database}`: create it or correct the name"),
            ),
            "53300" => error(
                ErrorKind::Overloaded,
                format!("{place} has no connection left: raise its `max_connections` or lower our counts"),
            ),
            code => error(ErrorKind::Other, format!("{place} answered PostgreSQL error {code}")),
        },
        Failure::Insecure(why) => error(ErrorKind::Configuration, format!("{place}: {why}")),
        Failure::Foreign(why) => error(ErrorKind::Configuration, format!("{place}: {why}")),
        Failure::TimedOut => {
            error(ErrorKind::Timeout, format!("{place} did not answer in time: is it a PostgreSQL server?"))
                .with_retry(Retry::Safe)
        }
        Failure::Lost => error(
            ErrorKind::Unavailable,
            format!(
                "{place} ended the connection at once: it is starting or stopping, or no PostgreSQL server"
            ),
        ),
        Failure::Unreachable(cause) => unreachable(OPERATION, place, cause),
    }
}
