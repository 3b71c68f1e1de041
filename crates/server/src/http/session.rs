// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Throughline-Session`: what a client wrote through one daemon and must not read older through another.
//!
//! An answer has the header only where there is something to remember; the client sends back the last one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use throughline::{Key, Session, Space};

use super::problem::{Problem, ProblemKind};

const SESSION: HeaderName = HeaderName::from_static("throughline-session");

/// The session that a request carries.
pub(crate) fn of(headers: &HeaderMap) -> Result<Session, Problem> {
    let Some(value) = headers.get(SESSION) else { return Ok(Session::default()) };
    let session = value.to_str().ok().and_then(|text| text.parse().ok());
    session.ok_or_else(|| {
        let detail =
            "`Throughline-Session` cannot be read: send back what the last answer had, or leave it out";
        Problem::new(ProblemKind::InvalidHeader, detail)
    })
}

/// Adds to the answer of a write what the client is to carry from now on.
pub(crate) fn carry(mut session: Session, space: &Space, key: &Key, response: &mut Response) {
    session.wrote(space, key);
    if !session.is_empty() {
        let value =
            HeaderValue::from_str(&session.to_string()).expect("digits and commas are a header value");
        response.headers_mut().insert(SESSION, value);
    }
}
