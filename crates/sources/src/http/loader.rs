// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads records by GET.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use throughline_core::{
    BoxFuture, Canonical, Error, ErrorKind, Intent, Key, Loaded, Loader, Record, Result, Sent,
};

use super::HttpResource;
use super::body::entity_tag;
use super::client::{Question, Side};
use super::complaint;
use super::map::{self, Asked};
use bytes::Bytes;

pub(super) const LOAD: &str = "load a record";

/// What [`Loader::load_many`] takes at a time.
const KEY_COUNT_MAX: usize = 1_000;

/// A record as the service has it now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) record: Record,
    /// Its strong entity tag, by which a condition can name this state of it.
    pub(super) entity_tag: Option<HeaderValue>,
}

impl HttpResource {
    /// Asks for `key`.
    pub(super) async fn find(&self, key: &Key, sent: Option<&Sent>) -> Result<Option<Found>> {
        let question = Question {
            method: Method::GET,
            path: self.path_of(key)?,
            headers: vec![(header::ACCEPT, self.mapping.format.accept())],
            body: Bytes::new(),
        };
        let at = self.mapping.path.to_string();
        let answer = self.client.ask(Side::Read, &question, sent).await;
        let answer = answer.map_err(|failure| map::of_load(LOAD, self.client.place(), &failure))?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            status => {
                let complaint = complaint::of(&answer, &question, self.client.config().headers());
                let at = format!("GET {at}");
                return Err(map::refused(LOAD, &at, Asked::Load, status, &answer.headers, complaint));
            }
        }
        let body = answer.body.map_err(|failure| match failure.kind {
            ErrorKind::TooLarge => self.too_large(LOAD, "the record"),
            _ => map::of_load(LOAD, self.client.place(), &failure),
        })?;
        let record = self.mapping.format.record(LOAD, &at, &answer.headers, &body)?;
        Ok(Some(Found { record, entity_tag: entity_tag(&answer.headers).cloned() }))
    }

    async fn load_one(&self, key: &Key, intent: &Intent) -> Result<Loaded> {
        let found = self.find(key, Some(&intent.sent)).await?;
        // There is no lock to probe: what overtakes this load voids its lease in the cache, if it comes through
        // Throughline, and else the resource is bounded.
        Ok(Loaded { record: found.map(|found| found.record), fillable: intent.fill })
    }
}

impl Loader for HttpResource {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.mapping.path.render(key).map(|_| Canonical::Same)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move { self.load_one(key, &intent).await })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            if keys.len() > KEY_COUNT_MAX {
                let detail = format!("{} keys at once, at most {KEY_COUNT_MAX} are taken", keys.len());
                return Err(Error::new(ErrorKind::TooLarge, LOAD, detail));
            }
            let intent = &intent;
            let loads: Vec<BoxFuture<'_, _>> = keys
                .iter()
                .map(|key| Box::pin(self.load_one(key, intent)) as BoxFuture<'_, Result<Loaded>>)
                .collect();
            stream::iter(loads).buffered(self.client.config().reader_count.max(1)).try_collect().await
        })
    }
}
