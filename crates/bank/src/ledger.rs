// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bank's own database, and what it was told to go through.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use hyper::StatusCode;
use tokio::time::Instant;

use crate::idempotency::Idempotency;

/// Where a save ends with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// Nothing was saved.
    BeforeSaving,
    /// It was saved.
    AfterSaving,
}

#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) content_type: String,
    pub(crate) tag: String,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    documents: BTreeMap<String, Document>,
    revision: u64,
    pub(crate) idempotency: Idempotency,
    pub(crate) declines_until: Option<Instant>,
    pub(crate) hang_ups: VecDeque<HangUp>,
    pub(crate) refusals: VecDeque<u16>,
}

/// What a save asks the bank to see to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

impl Ledger {
    pub(crate) fn get(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }

    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let text = |document: &Document| String::from_utf8_lossy(&document.body).into_owned();
        self.documents.iter().map(|(path, document)| (path.clone(), text(document))).collect()
    }

    /// The documents of a collection (`/payments`), as one JSON object.
    pub(crate) fn list(&self, collection: &str) -> String {
        let mut listing = serde_json::Map::new();
        for (path, document) in &self.documents {
            if let Some(id) = path.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')) {
                let text = String::from_utf8_lossy(&document.body).into_owned();
                let value = serde_json::from_slice(&document.body).unwrap_or(serde_json::Value::String(text));
                listing.insert(id.to_owned(), value);
            }
        }
        serde_json::Value::Object(listing).to_string()
    }

    /// Saves a document; whether it is new, and its tag.
    pub(crate) fn save(&mut self, path: &str, body: Bytes, content_type: &str) -> (bool, String) {
        self.revision += 1;
        let tag = format!("\"r{}\"", self.revision);
        let document = Document { body, content_type: content_type.to_owned(), tag: tag.clone() };
        (self.documents.insert(path.to_owned(), document).is_none(), tag)
    }

    pub(crate) fn remove(&mut self, path: &str) -> bool {
        self.documents.remove(path).is_some()
    }

    /// Whether the conditions of a save hold.
    pub(crate) fn holds(&self, path: &str, conditions: &Conditions) -> bool {
        let tag = self.get(path).map(|document| document.tag.as_str());
        let matches = |wanted: &String| {
            tag.is_some_and(|tag| wanted == "*" || wanted.split(", ").any(|one| one == tag))
        };
        conditions.if_match.as_ref().is_none_or(matches)
            && conditions.if_none_match.as_ref().is_none_or(|wanted| !matches(wanted))
    }

    /// For how many seconds more it declines everything.
    pub(crate) fn declines_for(&self) -> Option<u64> {
        let left = self.declines_until?.checked_duration_since(Instant::now())?;
        Some(left.as_millis().div_ceil(1_000) as u64).filter(|seconds| *seconds > 0)
    }

    pub(crate) fn refusal(&mut self) -> Option<StatusCode> {
        StatusCode::from_u16(self.refusals.pop_front()?).ok()
    }
}
