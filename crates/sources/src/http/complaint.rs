// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be shown of a service's own words.
//!
//! A problem document (RFC 9457) often says what is wrong better than a status does, and often repeats what was sent.
//! Every word of it that occurs in the value, the key or a header of ours, and every one with a digit, is left out.

use std::collections::HashSet;

use hyper::header;
use serde_json::Value;

use super::client::{Answer, Question};

/// The longest text that is shown, in characters.
const LEN_MAX: usize = 160;

/// Values beyond this are not searched for words, so nothing is shown.
const BODY_BYTES_MAX: usize = 64 << 10;

const GAP: char = '…';

/// The cleaned `detail` of a problem document, or its `title`.
pub(super) fn of(
    answer: &Answer,
    question: &Question,
    secrets: &[(header::HeaderName, header::HeaderValue)],
) -> Option<String> {
    if question.body.len() > BODY_BYTES_MAX {
        return None;
    }
    let content_type = answer.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !content_type.to_ascii_lowercase().starts_with("application/problem+json") {
        return None;
    }
    let problem: Value = serde_json::from_slice(answer.body.as_ref().ok()?).ok()?;
    let text = ["detail", "title"].iter().find_map(|name| problem.get(name)?.as_str())?;
    let mut hidden = HashSet::new();
    hide(&String::from_utf8_lossy(question.path.as_bytes()), &mut hidden);
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(&question.path).collect();
    hide(&String::from_utf8_lossy(&decoded), &mut hidden);
    for (_, value) in secrets {
        hide(&String::from_utf8_lossy(value.as_bytes()), &mut hidden);
    }
    match serde_json::from_slice(&question.body) {
        Ok(value) => hide_leaves(&value, &mut hidden),
        Err(_) => hide(&String::from_utf8_lossy(&question.body), &mut hidden),
    }
    clean(text, &hidden)
}

/// The words of `text` that are not hidden, if any is left.
fn clean(text: &str, hidden: &HashSet<String>) -> Option<String> {
    let mut shown = String::new();
    let mut words_shown = 0;
    for word in text.chars().take(LEN_MAX).collect::<String>().split_whitespace() {
        let mut pieces = words(word).peekable();
        let is_hidden = pieces.peek().is_some()
            && pieces.any(|piece| {
                piece.chars().any(char::is_numeric)
                    || hidden.contains(&piece)
                    || hidden.iter().any(|own| own.len() >= 6 && piece.contains(own.as_str()))
            });
        if !shown.is_empty() {
            shown.push(' ');
        }
        if is_hidden {
            shown.push(GAP);
        } else {
            shown.extend(word.chars().filter(|char| !char.is_control() && *char != '`'));
            words_shown += 1;
        }
    }
    (words_shown > 0).then_some(shown)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn hide(text: &str, hidden: &mut HashSet<String>) {
    hidden.extend(words(text));
}

/// The names of fields are what a complaint is about, so they stay.
fn hide_leaves(value: &Value, hidden: &mut HashSet<String>) {
    match value {
        Value::String(text) => hide(text, hidden),
        Value::Array(values) => values.iter().for_each(|value| hide_leaves(value, hidden)),
        Value::Object(fields) => fields.values().for_each(|value| hide_leaves(value, hidden)),
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::http::client::{Answer, Question};
    use bytes::Bytes;
    use hyper::header::{CONTENT_TYPE, HeaderValue};
    use hyper::{HeaderMap, Method, StatusCode};

    fn shown(content_type: &'static str, body: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let answer = Answer {
            status: StatusCode::BAD_REQUEST,
            headers,
            body: Ok(Bytes::copy_from_slice(body.as_bytes())),
        };
        let question = Question {
            method: Method::PUT,
            path: "/payments/hush-hush".to_owned(),
            headers: Vec::new(),
            body: Bytes::from_static(br#"{"amount":100,"iban":"DE S3cretword","note":["quiet"]}"#),
        };
        let token = HeaderValue::from_static("Bearer s3cr3ttoken");
        of(&answer, &question, &[(CONTENT_TYPE, token)])
    }

    const PROBLEM: &str = "application/problem+json; charset=utf-8";

    #[test]
    fn a_complaint_names_fields_and_repeats_no_value() {
        let body = r#"{"title":"No","detail":"amount 100 must be positive; iban 'S3CRETWORD' is QUIET, token=xs3cr3ttokenx"}"#;
        assert_eq!(shown(PROBLEM, body).as_deref(), Some("amount … must be positive; iban … is … …"));
        assert_eq!(
            shown(PROBLEM, r#"{"title":"insufficient\nfunds"}"#).as_deref(),
            Some("insufficient funds")
        );
    }

    #[test]
    fn nothing_is_shown_of_anything_else() {
        assert_eq!(shown("text/html", r#"{"detail":"no"}"#), None);
        assert_eq!(shown(PROBLEM, "<html>"), None);
        assert_eq!(shown(PROBLEM, r#"{"detail":"hush 100"}"#), None);
        assert!(shown(PROBLEM, &format!(r#"{{"detail":"{}"}}"#, "no ".repeat(1_000))).unwrap().len() < 200);
    }
}
