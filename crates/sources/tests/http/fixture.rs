// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bank of its own for each test, and short words for what tests do with it.

use std::sync::Arc;

use bytes::Bytes;
use throughline_bank::{Bank, BankOptions};
use throughline_core::{
    Change, Condition, Effect, Error, Intent, Key, Loaded, Loader as _, Result, Sent, Target, Write,
    Writer as _,
};
use throughline_sources::http::{HttpConfig, HttpMapping, HttpResource, HttpSource, PathTemplate};
use throughline_testkit::{TestTasks, TokioClock};

/// A bank and one of its collections as a resource.
pub(crate) struct House {
    pub(crate) bank: Bank,
    pub(crate) source: HttpSource,
    pub(crate) payment: Arc<HttpResource>,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(BankOptions::quick(), |config| config).await
    }

    pub(crate) async fn with(options: BankOptions, change: impl FnOnce(HttpConfig) -> HttpConfig) -> Self {
        let bank = Bank::start(options).await.unwrap();
        let config = change(HttpConfig::parse_url(&bank.url()).unwrap());
        let source = open(config);
        let payment = resource(&source, "/payments/{id}");
        Self { bank, source, payment }
    }

    /// The document of payment `id` in the bank's own database.
    pub(crate) fn row(&self, id: &str) -> Option<String> {
        let path = format!("/payments/{id}");
        self.bank.rows().into_iter().find(|(at, _)| *at == path).map(|(_, document)| document)
    }

    pub(crate) async fn load(&self, id: &str) -> Result<Loaded> {
        load(&self.payment, id).await
    }

    pub(crate) async fn value(&self, id: &str) -> Option<Bytes> {
        self.load(id).await.unwrap().record.map(|record| record.value)
    }

    /// Prepares and commits one write.
    pub(crate) async fn write(&self, write: Write) -> Result<Effect> {
        let prepared = self.payment.prepare(&[write]).await?;
        let effect = prepared.effects()[0].clone();
        prepared.commit().await?;
        Ok(effect)
    }

    pub(crate) async fn write_error(&self, write: Write) -> Error {
        self.write(write).await.unwrap_err()
    }
}

pub(crate) fn open(config: HttpConfig) -> HttpSource {
    HttpSource::open(config, Arc::new(TokioClock::start())).unwrap()
}

pub(crate) fn resource(source: &HttpSource, path: &str) -> Arc<HttpResource> {
    source.resource(HttpMapping::json(PathTemplate::parse(path).unwrap()), Arc::new(TestTasks))
}

pub(crate) async fn load(resource: &HttpResource, id: &str) -> Result<Loaded> {
    resource.load(&key(id), Intent { fill: true, sent: Sent::new() }).await
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn put(id: &str, value: &str) -> Write {
    let change = Change::Put { value: Bytes::copy_from_slice(value.as_bytes()), flags: 0 };
    Write { target: Target::Key(key(id)), change, condition: Condition::Always }
}

pub(crate) fn delete(id: &str) -> Write {
    Write { target: Target::Key(key(id)), change: Change::Delete, condition: Condition::Always }
}

pub(crate) fn when(condition: Condition, write: Write) -> Write {
    Write { condition, ..write }
}
