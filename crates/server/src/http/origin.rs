// SPDX-License-Identifier: MIT OR Apache-2.0
//! What protects a door without a token from pages that a browser on the same machine shows.
//!
//! A listener without a token is on loopback, but every page that a browser opens can send requests there:
//! 1. by a name of its own that it lets point to 127.0.0.1 (DNS rebinding), after which the browser takes
//!    the answers for the page's own: so the host must be an address or `localhost`;
//! 2. across origins, without seeing the answer: so a browser's request from elsewhere changes nothing.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};

use super::problem::{Problem, ProblemKind};

/// Checks a request to a door that has no token.
pub(crate) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.get_all(HOST).iter().all(|host| is_local(host.as_bytes())) {
        return Err(Problem::new(
            ProblemKind::WrongHost,
            "the host of the URL is a name that anybody could let point here",
        ));
    }
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    let foreign = origin.is_some_and(|origin| origin.strip_prefix(b"http://") != host);
    if foreign && !method.is_safe() {
        return Err(Problem::new(
            ProblemKind::CrossOrigin,
            "the request comes from a page of another origin",
        ));
    }
    Ok(())
}

/// Whether the host, with or without a port, is an address or `localhost`.
fn is_local(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{check, is_local};
    use axum::http::header::{HOST, ORIGIN};
    use axum::http::{HeaderMap, Method};

    #[test]
    fn addresses_and_localhost_are_local_and_other_names_are_not() {
        for host in
            ["127.0.0.1:8311", "127.0.0.1", "[::1]:8311", "[::1]", "localhost:1", "LocalHost", "a.localhost"]
        {
            assert!(is_local(host.as_bytes()), "{host}");
        }
        for host in
            ["evil.example:8311", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "\u{fffd}"]
        {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_may_not_change_anything() {
        let headers = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8311".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            headers
        };
        assert!(check(&Method::POST, &headers("http://127.0.0.1:8311")).is_ok());
        assert!(check(&Method::POST, &headers("http://evil.example")).is_err());
        assert!(check(&Method::PUT, &headers("null")).is_err());
        assert!(check(&Method::GET, &headers("http://evil.example")).is_ok());
    }
}
