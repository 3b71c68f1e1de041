// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as an RFC 9457 problem document. Every answer from 400 up is one.

mod kind;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use throughline::{Error, ErrorKind, ResourceName, Retry};

pub(crate) use kind::ProblemKind;

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which a client may try again what failed because of the present state of things.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// An answer that says what went wrong, where, and whether the same request may be sent again.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ProblemKind,
    detail: String,
    resource: Option<ResourceName>,
    retry: Retry,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of `kind`. `detail` says what and where, never a value, a key or a secret.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let retry = kind.retry();
        let detail = detail.into();
        Self(Box::new(Inner { kind, detail, resource: None, retry, headers: Vec::new() }))
    }

    /// What `error` means for a client. Its cause stays here: a driver's text may quote a value.
    pub(crate) fn of(error: &Error) -> Self {
        let mut problem = Self::new(ProblemKind::of(error.kind()), error.to_string());
        problem.0.retry = error.retry();
        let passes = matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Unmarkable | ErrorKind::Closed
        );
        match error.retry_after_ms() {
            // What the source said to us holds for whoever asks us.
            Some(ms) => problem.with_header(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))),
            None if passes => problem.with_header(RETRY_AFTER, RETRY_AFTER_S),
            None => problem,
        }
    }

    /// The same problem, said to be one of this resource.
    pub(crate) fn in_resource(mut self, resource: &ResourceName) -> Self {
        self.0.resource = Some(resource.clone());
        self
    }

    /// The same problem with another header in its answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The document.
    pub(crate) fn document(&self) -> Value {
        let inner = &self.0;
        let mut document = Map::new();
        document.insert("type".into(), inner.kind.uri().into());
        document.insert("title".into(), inner.kind.title().into());
        document.insert("status".into(), inner.kind.status().as_u16().into());
        document.insert("detail".into(), inner.detail.as_str().into());
        if let Some(resource) = &inner.resource {
            document.insert("resource".into(), resource.as_str().into());
        }
        document.insert("retry".into(), json!(retry_word(inner.retry)));
        Value::Object(document)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let media_type = (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        let mut response = (self.0.kind.status(), [media_type], self.document().to_string()).into_response();
        for (name, value) in self.0.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn retry_word(retry: Retry) -> &'static str {
    match retry {
        Retry::Safe => "safe",
        Retry::Unsafe => "unsafe",
        Retry::Never => "never",
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use axum::response::IntoResponse as _;
    use throughline::{Error, ErrorKind};

    #[test]
    fn the_time_that_the_source_asks_for_is_passed_on() {
        let retry_after = |error: Error| {
            let answer = Problem::of(&error).into_response();
            answer.headers().get("retry-after").map(|value| value.to_str().expect("a number").to_owned())
        };
        let error = || Error::new(ErrorKind::Unavailable, "load a record", "it declines");
        assert_eq!(retry_after(error().with_retry_after_ms(6_500)).as_deref(), Some("7"));
        assert_eq!(retry_after(error()).as_deref(), Some("1"));
        assert_eq!(retry_after(Error::new(ErrorKind::Denied, "load a record", "no")), None);
    }

    #[test]
    fn the_cause_of_an_error_is_not_told() {
        let error = Error::new(ErrorKind::Constraint, "write a row", "unique index `name`")
            .with_cause(std::io::Error::other("duplicate entry 'secret value'"));
        let text = Problem::of(&error).document().to_string();
        assert!(!text.contains("secret value"), "{text}");
        assert!(text.contains("cannot write a row: constraint violated: unique index `name`"), "{text}");
    }
}
