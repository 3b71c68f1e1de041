// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon with its folder, its cache and its database, and the doors to it.

mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Memcached, MemcachedOptions, Scratch, free_port, init_database,
};

use super::Keeping;
use super::ledger::{RecordId, Resource};
use crate::database::{Server, Session};
use crate::sut::Process;

pub(super) use tables::{applied, rows};

/// How long an answer may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The daemon and what is around it.
#[derive(Debug)]
pub(super) struct House {
    keeping: Keeping,
    daemon: Arc<dyn Process>,
    logs: Arc<Daemon>,
    database: Arc<dyn Process>,
    database_url: String,
    base: String,
    folder: Scratch,
    // Stopped after the daemon.
    _cache: Memcached,
}

impl House {
    /// Makes a database, and starts the daemon over it.
    pub(super) async fn open(server: &Server, keeping: Keeping, program: &Path) -> Result<Self> {
        let database_url = server.create_database(keeping.database());
        tables::create(server.kind(), &mut Session::connect(&database_url).await?).await?;
        init_database(program, &database_url);
        let (folder, cache) = (Scratch::new(), Memcached::start(MemcachedOptions::default()));
        let (config, address) = (folder.join("throughline.toml"), format!("127.0.0.1:{}", free_port()));
        let text = configuration(&database_url, &cache.address().to_string(), &folder.join("data"));
        std::fs::write(&config, text).map_err(failed("write a configuration file", "scratch folder"))?;
        let config = config.to_string_lossy().into_owned();
        let args = ["serve", "--config", &config, "--http", &address, "--memcached", "none"];
        let options = DaemonOptions { listeners: vec![Listener::Http], ..DaemonOptions::new(program, &args) };
        let daemon = Arc::new(Daemon::start(options));
        Ok(Self {
            keeping,
            daemon: daemon.clone(),
            logs: daemon,
            database: server.process(),
            database_url,
            base: format!("http://{address}"),
            folder,
            _cache: cache,
        })
    }

    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The end of what the daemon has said since its last start.
    pub(super) fn logs(&self) -> String {
        self.logs.log()
    }

    /// A way to the daemon with connections of its own.
    pub(super) fn door(&self) -> Door {
        let builder =
            reqwest::Client::builder().retry(reqwest::retry::never()).no_proxy().timeout(CALL_LIMIT);
        let client =
            builder.build().expect("a client without TLS and proxy needs nothing that can be missing");
        Door { base: self.base.clone(), client }
    }

    pub(super) async fn kill_daemon(&self) {
        act(&self.daemon, |daemon| daemon.kill()).await;
    }

    pub(super) async fn kill_database(&self) {
        act(&self.database, |database| database.kill()).await;
    }

    pub(super) async fn start_database(&self) {
        act(&self.database, |database| database.restart()).await;
    }

    /// Starts the daemon again; a control has lost before what it did not keep.
    pub(super) async fn start_again(&self) -> Result<()> {
        if self.keeping == Keeping::Memory {
            let journal = self.folder.join("data/journal");
            std::fs::remove_dir_all(journal).map_err(failed("take the journal away", "data_dir"))?;
        }
        if self.keeping != Keeping::Journal {
            Session::connect(&self.database_url).await?.execute("DELETE FROM tl_applied").await?;
        }
        act(&self.daemon, |daemon| daemon.restart()).await;
        Ok(())
    }
}

/// Signals and starts wait for the operating system, which must not stop the writers.
async fn act(process: &Arc<dyn Process>, act: impl FnOnce(&dyn Process) + Send + 'static) {
    let process = process.clone();
    tokio::task::spawn_blocking(move || act(process.as_ref())).await.expect("a server comes up again");
}

fn configuration(database_url: &str, cache: &str, data: &Path) -> String {
    let resource = |resource: Resource, behind: &str| {
        let name = resource.name();
        format!(
            r#"
[resources.{name}]
source = "shop"
cache = "main"
access = "write"
level = "strict"
write = "write-behind"
behind = {{ {behind} }}
"#
        )
    };
    format!(
        r#"data_dir = {data:?}

[sources.shop]
url = "{database_url}"

[caches.main]
memcached = {{ servers = ["{cache}"] }}
{}{}"#,
        resource(Resource::Newest, r#"delay = "20ms""#),
        resource(Resource::Steps, r#"delay = "20ms", coalesce = false"#),
    )
}

/// What became of a write, as far as its writer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Accepted, with the number of its receipt.
    Accepted(u64),
    /// Another answer.
    Declined,
    Nothing,
}

/// A way to the daemon.
#[derive(Debug)]
pub(super) struct Door {
    base: String,
    client: reqwest::Client,
}

impl Door {
    fn url(&self, record: RecordId) -> String {
        format!("{}/v1/{}/{}", self.base, record.resource.name(), record.id)
    }

    /// Stores a value, or deletes the record.
    pub(super) async fn write(&self, record: RecordId, value: Option<i64>) -> Said {
        let request = match value {
            Some(value) => {
                let body = format!("{{\"n\":{value}}}");
                self.client.put(self.url(record)).header(CONTENT_TYPE, "application/json").body(body)
            }
            None => self.client.delete(self.url(record)),
        };
        let Ok(response) = request.send().await else { return Said::Nothing };
        if response.status() != StatusCode::ACCEPTED {
            return Said::Declined;
        }
        let told = response.json::<Value>().await.unwrap_or_default();
        let receipt = told["receipt"].as_str().and_then(|receipt| receipt.parse().ok());
        // Without its end the answer tells nothing.
        receipt.map_or(Said::Nothing, Said::Accepted)
    }

    /// What readers see of a record: a value or that there is none; nothing when the daemon cannot tell now.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn read(&self, record: RecordId) -> Result<Option<Option<i64>>> {
        let asked = self.client.get(self.url(record)).send().await;
        let response = asked.map_err(failed("read a record", "the daemon"))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(Some(None)),
            StatusCode::OK => {
                let row = response.json::<Value>().await.map_err(failed("read a record", "the daemon"))?;
                Ok(Some(Some(row["n"].as_i64().unwrap_or_default())))
            }
            _ => Ok(None),
        }
    }

    /// Has everything applied that is pending.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn drain(&self, resource: Resource) -> Result<()> {
        let url = format!("{}/admin/journal/{}/_drain", self.base, resource.name());
        self.client.post(url).send().await.map(drop).map_err(failed("drain a resource", "the daemon"))
    }

    /// What is pending of a resource, and its dead letters.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn journal(&self, resource: Resource) -> Result<Value> {
        let asked = self.client.get(format!("{}/admin/journal/{}", self.base, resource.name())).send().await;
        let response = asked.map_err(failed("list the journal", "the daemon"))?;
        response.json().await.map_err(failed("list the journal", "the daemon"))
    }
}

fn failed<E>(operation: &'static str, whom: &'static str) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| Error::new(ErrorKind::Other, operation, whom).with_cause(error)
}
