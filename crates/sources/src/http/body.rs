// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values on the way to the service and back.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{self, HeaderValue};
use serde_json::{Map, Value};
use throughline_core::{Error, ErrorKind, Record, Result, Retry, Version};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFormat {
    /// A JSON object, kept compact.
    Json,
    /// Bytes, as they are.
    Raw,
}

impl HttpFormat {
    /// What is sent with a value of this format.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Raw => "application/octet-stream",
        })
    }

    /// What is asked for.
    pub(super) fn accept(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Raw => "*/*",
        })
    }

    /// The bytes that are sent for `value`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] for what is no JSON object. Its text shows nothing of the value.
    pub(super) fn sent(self, operation: &'static str, value: &Bytes) -> Result<Bytes> {
        match self {
            Self::Raw => Ok(value.clone()),
            Self::Json => compact(value)
                .ok_or_else(|| Error::new(ErrorKind::InvalidValue, operation, "the value is no JSON object")),
        }
    }

    /// The record of an answer.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for what is not of this format.
    pub(super) fn record(
        self,
        operation: &'static str,
        at: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Record> {
        let corrupt = |why: &str| {
            // The service did answer; the same question gets the same answer.
            Error::new(ErrorKind::Corrupt, operation, format!("`GET {at}`: {why}")).with_retry(Retry::Never)
        };
        if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(corrupt("the answer is compressed, which was not asked for"));
        }
        let value = match self {
            Self::Raw => body.clone(),
            Self::Json if !is_json(headers) => {
                return Err(corrupt(
                    "the answer's Content-Type is not JSON (format = \"raw\" takes any bytes)",
                ));
            }
            Self::Json => compact(body).ok_or_else(|| corrupt("the answer is no JSON object"))?,
        };
        let mut record = Record::from_content(value);
        if let Some(tag) = entity_tag(headers) {
            record.version = Version::of_content(tag.as_bytes());
        }
        Ok(record)
    }
}

/// The strong entity tag of an answer. A weak one does not tell all states apart, and no condition may use it.
pub(super) fn entity_tag(headers: &HeaderMap) -> Option<&HeaderValue> {
    let tag = headers.get(header::ETAG)?;
    let is_strong = tag.as_bytes().starts_with(b"\"") && tag.as_bytes().ends_with(b"\"") && tag.len() >= 2;
    is_strong.then_some(tag)
}

/// Whether an answer says that it is JSON, or says nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return true };
    let text = content_type.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || (kind.contains('/') && kind.ends_with("+json"))
}

/// The fields of a JSON object, in their order and with every digit.
pub(super) fn object(value: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(value).ok()
}

fn compact(value: &[u8]) -> Option<Bytes> {
    let object = object(value)?;
    Some(serde_json::to_vec(&object).expect("what was read can be written").into())
}

#[cfg(test)]
mod tests {
    use super::{HttpFormat, entity_tag};
    use bytes::Bytes;
    use hyper::HeaderMap;
    use throughline_core::{ErrorKind, Version};

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn record(of: &[(&'static str, &str)], body: &'static str) -> Result<(Bytes, Version), ErrorKind> {
        let record = HttpFormat::Json.record("load", "/x/{id}", &headers(of), &Bytes::from(body));
        record.map(|record| (record.value, record.version)).map_err(|error| error.kind())
    }

    #[test]
    fn json_becomes_compact_and_keeps_order_and_digits() {
        let (value, _) = record(&[], "{ \"b\": 1.50,\n \"a\": 123456789012345678901234567890 }").unwrap();
        assert_eq!(value, r#"{"b":1.50,"a":123456789012345678901234567890}"#);
    }

    #[test]
    fn what_is_no_json_object_is_corrupt() {
        for body in ["", "<html>", "[1]", "{", "{}{}", "\u{0}"] {
            assert_eq!(record(&[], body), Err(ErrorKind::Corrupt), "{body:?}");
        }
        let deep: &'static str = Box::leak("{\"a\":".repeat(100_000).into_boxed_str());
        assert_eq!(record(&[], deep), Err(ErrorKind::Corrupt));
        assert_eq!(record(&[("content-type", "text/html")], "{}"), Err(ErrorKind::Corrupt));
        assert_eq!(record(&[("content-encoding", "gzip")], "{}"), Err(ErrorKind::Corrupt));
        assert!(record(&[("content-type", "application/hal+json; charset=utf-8")], "{}").is_ok());
    }

    #[test]
    fn only_a_strong_entity_tag_is_a_version() {
        let version = |tag| record(&[("etag", tag)], "{}").unwrap().1;
        assert_eq!(version("\"7\""), Version::of_content(b"\"7\""));
        assert_eq!(version("W/\"7\""), Version::of_content(b"{}"));
        assert!(entity_tag(&headers(&[("etag", "7")])).is_none());
    }
}
