// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /`: a page that says where what is.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse as _, Response};

use super::door::Shared;

/// How many resources the page shows; `/v1` shows all.
const ROWS_MAX: usize = 100;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Throughline</title>\n\
<h1>Throughline</h1>\n\
<p>Records of a database, read through a cache that is kept in agreement with it.</p>\n\
<ul>\n\
<li><a href=\"/v1\">/v1</a>: the resources, with what they are</li>\n\
<li><a href=\"/openapi.json\">/openapi.json</a>: every path, method and column</li>\n\
<li><a href=\"/metrics\">/metrics</a>: every counter, for Prometheus; \
<a href=\"/admin/stats\">/admin/stats</a>: the same as JSON</li>\n\
<li><a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>: alive, and wanting requests</li>\n\
</ul>\n<h2>Resources</h2>\n<ul>\n";

/// Answers with the page.
pub(crate) async fn page(State(door): State<Shared>) -> Response {
    let mut page = HEAD.to_owned();
    for listing in door.throughline.listings().iter().take(ROWS_MAX) {
        // Names are letters, digits, `_`, `-` and `.`; what else a page shows here is chosen from words.
        let (name, policy) = (listing.space.name(), listing.space.policy());
        let (access, level, mode) = (policy.access, policy.level, listing.space.mode());
        writeln!(page, "<li><code>/v1/{name}/{{key}}</code>: {access}, {level}, mode {mode}</li>")
            .expect("writing to a string does not fail");
    }
    page.push_str("</ul>\n</html>\n");
    let policy = [(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"))];
    (policy, Html(page)).into_response()
}
