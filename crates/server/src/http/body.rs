// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies of requests: read whole, within a size and a time.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::IgnoredAny;
use throughline_wire::http::MediaType;

use super::door::DoorState;
use super::problem::{Problem, ProblemKind};

/// How much of a body that is too large is read and thrown away, so that a client that has sent all of it
/// before it reads sees the answer instead of a reset connection.
const DISCARD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads a body.
pub(crate) async fn read(door: &DoorState, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let coded = headers.get(CONTENT_ENCODING);
    if coded.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "content codings are not taken";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > door.body_bytes_max) && headers.contains_key(EXPECT) {
        // The client waits to be asked for the body, and is not asked.
        return Err(too_large(door));
    }
    let limit = Duration::from_millis(door.body_ms_max);
    tokio::time::timeout(limit, collect(door, body)).await.unwrap_or_else(|_| {
        let detail = format!("{} ms were waited", door.body_ms_max);
        Err(Problem::new(ProblemKind::SlowRequest, detail))
    })
}

/// Reads a body that must be JSON.
pub(crate) async fn read_json(door: &DoorState, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    check_is_json(headers)?;
    let bytes = read(door, headers, body).await?;
    check_syntax(&bytes)?;
    Ok(bytes)
}

async fn collect(door: &DoorState, body: Body) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut discarded = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::new(ProblemKind::MalformedBody, "the body ended early"))?;
        if discarded > 0 || bytes.len() + chunk.len() > door.body_bytes_max {
            discarded += chunk.len();
            bytes = BytesMut::new();
        } else {
            bytes.extend_from_slice(&chunk);
        }
        if discarded > DISCARD_BYTES_MAX {
            break;
        }
    }
    if discarded > 0 { Err(too_large(door)) } else { Ok(bytes.freeze()) }
}

fn too_large(door: &DoorState) -> Problem {
    let detail = format!("the body has more than {} bytes", door.body_bytes_max);
    Problem::new(ProblemKind::TooLarge, detail)
}

/// `application/json`, in no other encoding than UTF-8.
fn check_is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|line| MediaType::parse(line.as_bytes()).ok());
    if media_type.is_some_and(|media_type| media_type.is("application/json") && media_type.is_utf8()) {
        return Ok(());
    }
    let detail = "the body must be `application/json` in UTF-8";
    Err(Problem::new(ProblemKind::UnsupportedMediaType, detail))
}

/// Says where `bytes` stop being JSON. Whether the value fits the resource is for the source to say.
fn check_syntax(bytes: &[u8]) -> Result<(), Problem> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Problem::new(ProblemKind::MalformedBody, "the body is not UTF-8"));
    }
    serde_json::from_slice::<IgnoredAny>(bytes).map(drop).map_err(|error| {
        let detail = match error.classify() {
            serde_json::error::Category::Eof if bytes.trim_ascii().is_empty() => {
                "the body is empty".to_owned()
            }
            serde_json::error::Category::Eof => "the body ends in the middle of a JSON value".to_owned(),
            _ => format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
        };
        Problem::new(ProblemKind::MalformedBody, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::{check_is_json, check_syntax};
    use axum::http::HeaderMap;
    use axum::http::header::CONTENT_TYPE;

    fn is_json(media_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
        check_is_json(&headers).is_ok()
    }

    #[test]
    fn json_is_taken_in_utf8_only() {
        for taken in ["application/json", "Application/JSON ; charset=\"UTF-8\"", "application/json;v=1"] {
            assert!(is_json(taken), "{taken}");
        }
        for other in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json;charset=latin1",
            "application/merge-patch+json",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place_and_without_its_text() {
        for text in ["{\"secret\":}", "", "{", "{} x", "nul", "\u{feff}{}"] {
            let problem = check_syntax(text.as_bytes()).unwrap_err();
            assert!(!problem.document().to_string().contains("secret"), "{text}");
        }
        assert!(check_syntax(b"{\"a\":\"\xff\"}").is_err());
        assert!(check_syntax("[".repeat(100_000).as_bytes()).is_err());
        assert!(check_syntax(b" {\"a\": 1e400} ").is_ok());
    }
}
