// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /v1/{resource}/_get`: many records at once, each with its own result.
//!
//! It shares its route with the records, because a record may have the key `_get`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, BytesMut};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use throughline::{Error, ErrorKind, Format, Key, Read, Record, Result as Outcome};

use super::body;
use super::door::Shared;
use super::etag::etag;
use super::problem::{Problem, ProblemKind};
use super::record_path::RecordPath;
use super::session;

/// The most keys of one request: as many as the engine takes.
pub(crate) const KEYS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    keys: Vec<String>,
}

/// Reads the records of the keys in the body; answers in their order.
pub(crate) async fn get_many(
    State(door): State<Shared>,
    path: RecordPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if path.key.as_str() != "_get" {
        let allow = HeaderValue::from_static("GET,HEAD,PUT,DELETE");
        return Err(
            Problem::new(ProblemKind::MethodNotAllowed, "POST is not taken").with_header(ALLOW, allow)
        );
    }
    let session = session::of(&headers)?;
    let body = body::read_json(&door, &headers, body).await?;
    let Question { keys: texts } = serde_json::from_slice(&body).map_err(|_| {
        let detail = "the body must be an object with `keys`, a list of texts, and nothing else";
        Problem::new(ProblemKind::InvalidValue, detail)
    })?;
    if texts.len() > KEYS_MAX {
        let detail = format!("{} keys at once, at most {KEYS_MAX} are taken", texts.len());
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    let keys: Vec<Outcome<Key>> = texts.iter().map(|text| Key::parse(text)).collect();
    let sound: Vec<Key> = keys.iter().filter_map(|key| key.as_ref().ok().cloned()).collect();
    let space = &path.listing.space;
    let mut reads = space.get_many(&sound).await;
    let own = sound.iter().zip(&mut reads).filter(|(key, _)| session.must_ask(space, key));
    join_all(own.map(async |(key, read)| *read = space.get_fresh(key).await)).await;
    let mut reads = reads.into_iter();
    let reads =
        keys.into_iter().map(|key| key.and_then(|_| reads.next().expect("every sound key is answered")));
    let mut answer = Answer::new(&path, door.answer_bytes_max);
    texts.iter().zip(reads).for_each(|(text, read)| answer.add(text, read));
    Ok(answer.finish())
}

/// The answer, composed as bytes: records are JSON already.
struct Answer<'a> {
    path: &'a RecordPath,
    bytes: BytesMut,
    /// How many bytes of records there is still room for.
    room: usize,
}

impl<'a> Answer<'a> {
    fn new(path: &'a RecordPath, room: usize) -> Self {
        let bytes = BytesMut::from(&b"{\"results\":["[..]);
        Self { path, bytes, room }
    }

    fn add(&mut self, text: &str, read: Outcome<Read>) {
        if !self.bytes.ends_with(b"[") {
            self.bytes.put_u8(b',');
        }
        self.bytes.put_slice(b"{\"key\":");
        self.bytes.put_slice(json!(text).to_string().as_bytes());
        match read.and_then(|read| self.within_limit(read)) {
            Ok(read) => match read.record() {
                Some(record) => self.add_record(record),
                None => self.bytes.put_slice(b",\"found\":false}"),
            },
            Err(error) => {
                let document = self.path.problem(&error).document();
                self.bytes.put_slice(b",\"error\":");
                self.bytes.put_slice(document.to_string().as_bytes());
                self.bytes.put_u8(b'}');
            }
        }
    }

    /// Refuses a record that there is no room for.
    fn within_limit(&mut self, read: Read) -> Outcome<Read> {
        let needed = read.record().map_or(0, |record| record.value.len());
        if let Some(left) = self.room.checked_sub(needed) {
            self.room = left;
            return Ok(read);
        }
        let detail = "the answer has no room for this record; ask for fewer keys at once";
        Err(Error::new(ErrorKind::TooLarge, "read several records", detail))
    }

    fn add_record(&mut self, record: &Record) {
        let tag = etag(record.version);
        let tag = json!(tag.to_str().expect("a tag is ASCII"));
        let head = format!(",\"found\":true,\"etag\":{tag},\"value\":");
        self.bytes.put_slice(head.as_bytes());
        match self.path.listing.about.format {
            Format::Json => self.bytes.put_slice(&record.value),
            Format::Raw => {
                self.bytes.put_u8(b'"');
                self.bytes.put_slice(BASE64.encode(&record.value).as_bytes());
                self.bytes.put_u8(b'"');
            }
        }
        self.bytes.put_u8(b'}');
    }

    fn finish(mut self) -> Response {
        self.bytes.put_slice(b"]}");
        let media_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (media_type, Body::from(self.bytes.freeze())).into_response()
    }
}
