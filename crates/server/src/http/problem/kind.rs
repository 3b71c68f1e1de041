// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of problems: name, status, title, and what to do. Names are a promise: clients match on them.

use axum::http::StatusCode;
use throughline::{ErrorKind, Retry};

macro_rules! kinds {
    ($($kind:ident = $status:ident $name:literal $retry:ident: $title:literal, $remedy:literal;)+) => {
        /// What sort of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ProblemKind {
            $(#[doc = $title] $kind,)+
        }

        impl ProblemKind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The problem's type, a reference relative to this door.
            pub(crate) const fn uri(self) -> &'static str {
                match self { $(Self::$kind => concat!("/problems/", $name)),+ }
            }

            /// The status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// What it is, in a few words that never change.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What a client or an operator can do about it.
            pub(crate) const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy),+ }
            }

            /// Whether the same request may be sent again, if nothing better is known.
            pub(crate) const fn retry(self) -> Retry {
                match self { $(Self::$kind => Retry::$retry),+ }
            }
        }
    };
}

kinds! {
    MalformedRequest = BAD_REQUEST "malformed-request" Never: "the request is not HTTP/1.1",
        "Send a request line, headers and a body as RFC 9112 says.";
    InvalidKey = BAD_REQUEST "invalid-key" Never: "no record can have this key",
        "Give one part per column of the primary key, percent-encode each, and join them by `:`.";
    InvalidHeader = BAD_REQUEST "invalid-header" Never: "a header cannot be taken as it is",
        "Correct the header that the detail names, or leave it out.";
    UnknownParameter = BAD_REQUEST "unknown-parameter" Never: "there are no query parameters",
        "Leave the query out: freshness and conditions are said in headers.";
    MalformedBody = BAD_REQUEST "malformed-body" Never: "the body cannot be read",
        "Send well-formed JSON in UTF-8, whole.";
    Unauthorized = UNAUTHORIZED "unauthorized" Never: "a token is needed",
        "Send `Authorization: Bearer <token>` with the token that the daemon was given.";
    ReadOnly = FORBIDDEN "read-only" Never: "the resource may not be changed",
        "Set `access = \"write\"` for the resource, or serve with `--write`.";
    CrossOrigin = FORBIDDEN "cross-origin" Never: "pages of other sites may not change anything",
        "Give the daemon a token, which pages of other sites do not know.";
    UnknownResource = NOT_FOUND "unknown-resource" Never: "there is no such resource",
        "See `/v1` for the resources that there are.";
    UnknownServer = NOT_FOUND "unknown-server" Never: "no such cache server is agreed on by control tables",
        "See `throughline stats` for the servers, and run `throughline init` where there are no control tables.";
    NoSuchReceipt = NOT_FOUND "no-such-receipt" Never: "there is no such accepted write",
        "Follow the `Location` of the answer that accepted the write.";
    NotFound = NOT_FOUND "not-found" Never: "there is no record with this key",
        "Nothing to do: the source has no such record.";
    NoSuchPath = NOT_FOUND "no-such-path" Never: "there is nothing at this path",
        "See `/openapi.json` for the paths that there are.";
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" Never: "the path does not take this method",
        "Use one of the methods in `Allow`.";
    SlowRequest = REQUEST_TIMEOUT "slow-request" Safe: "the body did not arrive in time",
        "Send the body faster.";
    Constraint = CONFLICT "constraint" Never: "a constraint of the source forbids the write",
        "Correct the value: the detail names the constraint.";
    AlreadyExists = CONFLICT "already-exists" Never: "there is a record with this key",
        "Use PUT to replace it.";
    PreconditionFailed = PRECONDITION_FAILED "precondition-failed" Never: "the record is not in the state that was asked for",
        "Read it again and decide anew; `ETag` tells its present version, if it is known.";
    TooLarge = PAYLOAD_TOO_LARGE "too-large" Never: "the request is too large",
        "Send less at a time.";
    UriTooLong = URI_TOO_LONG "uri-too-long" Never: "the path is too long",
        "A key has at most 1,024 bytes.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" Never: "the body is of another type than the resource takes",
        "Send `Content-Type: application/json`, without a content coding.";
    WrongHost = MISDIRECTED_REQUEST "wrong-host" Never: "without a token the host must be an address or localhost",
        "Use the address in the URL, or give the daemon a token.";
    InvalidValue = UNPROCESSABLE_ENTITY "invalid-value" Never: "the value does not fit the resource",
        "Correct the value: the detail names the column.";
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large" Never: "the headers are too large",
        "Send fewer or shorter headers.";
    Internal = INTERNAL_SERVER_ERROR "internal" Never: "the daemon cannot serve this",
        "See the daemon's log.";
    OutcomeUnknown = INTERNAL_SERVER_ERROR "outcome-unknown" Unsafe: "it is not known whether the write took place",
        "Read the record to find out. Sending the write again may do it twice.";
    Denied = BAD_GATEWAY "denied" Never: "the source does not allow this",
        "Give the daemon's account in the source the right that the detail names.";
    BadSource = BAD_GATEWAY "bad-source" Never: "the source answered what cannot be used",
        "See the detail and the source's log.";
    Unavailable = SERVICE_UNAVAILABLE "unavailable" Safe: "the source or cache cannot be reached",
        "Try again later.";
    Overloaded = SERVICE_UNAVAILABLE "overloaded" Safe: "too much is under way",
        "Try again later.";
    Unmarkable = SERVICE_UNAVAILABLE "unmarkable" Safe: "the cache did not confirm, so the write was rolled back",
        "Try again; if it stays so, see why the cache does not answer.";
    Closed = SERVICE_UNAVAILABLE "closed" Safe: "the daemon is shutting down",
        "Try again later, or elsewhere.";
    NotReady = SERVICE_UNAVAILABLE "not-ready" Safe: "the daemon is not ready",
        "Wait for what the detail names.";
    NotCached = GATEWAY_TIMEOUT "not-cached" Safe: "the cache has no entry that may be used",
        "Leave `only-if-cached` out to ask the source.";
    Timeout = GATEWAY_TIMEOUT "timeout" Unsafe: "the source did not answer in time",
        "A read may be sent again; before a write is, read the record.";
}

impl ProblemKind {
    /// What sort of problem an error is.
    pub(crate) const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidKey => Self::InvalidKey,
            ErrorKind::InvalidValue => Self::InvalidValue,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::ReadOnly => Self::ReadOnly,
            ErrorKind::Constraint => Self::Constraint,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::Unmarkable => Self::Unmarkable,
            ErrorKind::OutcomeUnknown => Self::OutcomeUnknown,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Corrupt | ErrorKind::Other => Self::BadSource,
            _ => Self::Internal,
        }
    }
}
