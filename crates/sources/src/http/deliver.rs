// SPDX-License-Identifier: MIT OR Apache-2.0
//! One write as one request.

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use throughline_core::{Change, Key, Result};
use uuid::Uuid;

use super::HttpResource;
use super::client::{Question, Side};
use super::complaint;
use super::map::{self, Asked};

pub(super) const WRITE: &str = "write a record";

/// By which a service knows a request that it was sent before.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the service is to see to while it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing.
    Open,
    /// That there is no such record.
    Absent,
    /// That there is one.
    Present,
    /// That it is in the state of this entity tag.
    Unchanged(HeaderValue),
}

/// A write that is ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) key: Key,
    /// What is sent: the value, or nothing to delete.
    pub(super) value: Option<Bytes>,
    pub(super) guard: Guard,
    /// The same for every try, different for any other write.
    pub(super) id: Uuid,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Delivered {
    /// It took place.
    Done(HeaderMap, Bytes),
    /// The guard did not hold.
    Refused,
}

impl HttpResource {
    /// The bytes that `change` sends, `None` for a deletion.
    pub(super) fn value_of(&self, change: &Change) -> Result<Option<Bytes>> {
        let Change::Put { value, .. } = change else { return Ok(None) };
        let value = self.mapping.format.sent(WRITE, value)?;
        if value.len() > self.client.config().body_bytes_max {
            return Err(self.too_large(WRITE, "the value"));
        }
        Ok(Some(value))
    }

    /// Sends it, once.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::OutcomeUnknown`] when the service may have done it; every other kind means that it did
    /// not.
    pub(super) async fn deliver(&self, delivery: &Delivery) -> Result<Delivered> {
        let method = match delivery.value {
            Some(_) => self.mapping.put.method(),
            None => Method::DELETE,
        };
        let id = HeaderValue::from_str(&delivery.id.to_string()).expect("a uuid is a header");
        let mut headers = vec![(IDEMPOTENCY_KEY, id), (header::ACCEPT, self.mapping.format.accept())];
        match &delivery.guard {
            Guard::Open => {}
            Guard::Absent => headers.push((header::IF_NONE_MATCH, HeaderValue::from_static("*"))),
            Guard::Present => headers.push((header::IF_MATCH, HeaderValue::from_static("*"))),
            Guard::Unchanged(tag) => headers.push((header::IF_MATCH, tag.clone())),
        }
        if delivery.value.is_some() {
            headers.push((header::CONTENT_TYPE, self.mapping.format.content_type()));
        }
        let at = format!("{method} {}", self.mapping.path);
        let body = delivery.value.clone().unwrap_or_default();
        let question = Question { method, path: self.path_of(&delivery.key)?, headers, body };
        let answer = self.client.ask(Side::Write, &question, None).await;
        let answer = answer.map_err(|failure| map::of_write(WRITE, self.client.place(), &failure))?;
        match answer.status {
            status if status.is_success() => {
                Ok(Delivered::Done(answer.headers, answer.body.unwrap_or_default()))
            }
            // It is gone, as it should be.
            StatusCode::NOT_FOUND | StatusCode::GONE if delivery.value.is_none() => {
                Ok(Delivered::Done(HeaderMap::new(), Bytes::new()))
            }
            StatusCode::PRECONDITION_FAILED if delivery.guard != Guard::Open => Ok(Delivered::Refused),
            status => {
                let complaint = complaint::of(&answer, &question, self.client.config().headers());
                Err(map::refused(WRITE, &at, Asked::Write, status, &answer.headers, complaint))
            }
        }
    }
}
