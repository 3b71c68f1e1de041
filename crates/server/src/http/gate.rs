// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every request meets before its route: it is counted, its sender is checked, and so is its query.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::door::Shared;
use super::origin;
use super::problem::{Problem, ProblemKind};

/// The one path that needs no token: whoever starts the daemon anew if it hangs has none.
const OPEN_PATH: &str = "/healthz";

/// Counts a request and gives its answer the headers that every answer has.
pub(crate) async fn observe(State(door): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let measured = door.stats.begin(path.map(MatchedPath::as_str), request.method());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // A record's bytes are a user's: no browser may take them for a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    measured.end(response.status());
    response
}

/// Lets a request through to its route, or says why not.
pub(crate) async fn check(State(door): State<Shared>, request: Request, next: Next) -> Response {
    let sender = match &door.token {
        Some(_) if request.uri().path() == OPEN_PATH => Ok(()),
        Some(token) => token.check(request.headers()),
        None => origin::check(request.method(), request.headers()),
    };
    match sender.and_then(|()| check_query(&request)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// A parameter that is silently ignored is a wish that is silently not granted.
fn check_query(request: &Request) -> Result<(), Problem> {
    match request.uri().query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::new(ProblemKind::UnknownParameter, "the path has a query")),
    }
}

/// Answers for paths that are no route's.
pub(crate) async fn no_such_path() -> Problem {
    Problem::new(ProblemKind::NoSuchPath, "see `/openapi.json` for the paths that there are")
}

/// Answers for methods that a route does not take; the router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    // Only the methods that everybody knows are repeated: another one is the client's text.
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let method = known.iter().find(|known| **known == method);
    let detail = format!("{} is not taken", method.map_or("the method", Method::as_str));
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}
