// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a configuration means: names resolved, addresses parsed, contradictions refused.

mod resolve;

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use throughline_caches::{Distribution, MemcachedCredentials, MemcachedTls};
use throughline_core::{Access, Level, NodeName, ReadStrategy, ResourceName, Ttl, WriteStrategy};
use throughline_engine::BehindPolicy;
use throughline_sources::http::{HttpConfig, HttpMapping};
use throughline_sources::{Tls, TlsMode};

use super::{Config, ConfigError, Schedule, Secret};
use crate::listing::Format;

/// Everything that assembly needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the doors listen.
    pub listen: Listen,
    /// Folder of our own data.
    pub data_dir: PathBuf,
    /// Whether somebody chose that folder, so that a journal may be kept in it: the default is the same for every
    /// daemon that is started in one place.
    pub is_data_kept: bool,
    /// Systems of record; a resource names one by its place.
    pub sources: Vec<SourceSettings>,
    /// Caches; a resource names one by its place.
    pub caches: Vec<CacheSettings>,
    /// What is served by name.
    pub resources: Vec<ResourceSettings>,
    /// Bytes of the plain space, if there is one.
    pub plain_bytes: Option<u64>,
}

/// Where the doors listen; `None` is a door that stays shut.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The HTTP door.
    pub http: Option<SocketAddr>,
    /// The memcached door.
    pub memcached: Option<SocketAddr>,
    /// What HTTP requests must show.
    pub token: Option<Secret>,
}

/// A system of record.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its name.
    pub name: String,
    /// What and where it is.
    pub kind: SourceKind,
    /// How the way to it is encrypted, where that was said.
    pub tls: TlsChoice,
    /// Which of its tables are served without being named by a resource.
    pub tables: TableChoice,
    /// What may be done with those.
    pub access: Access,
    /// The longest time one statement may take, in milliseconds.
    pub statement_timeout_ms: u64,
    /// Connections for reading.
    pub read_connections: u16,
    /// Connections for writing.
    pub write_connections: u16,
    /// The most loads at once.
    pub concurrency_max: u16,
    /// The most loads per second past a cache that does not answer; `None` for any number.
    pub bypass_rate_max: Option<u32>,
}

/// How the way to a server is encrypted, where that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    /// What is demanded of it.
    pub mode: Option<TlsMode>,
    /// The authorities to rely on.
    pub ca_file: Option<PathBuf>,
}

impl TlsChoice {
    /// Puts what was said in place of what would be demanded else.
    pub(crate) fn apply(&self, tls: &mut Tls) {
        tls.mode = self.mode.unwrap_or(tls.mode);
        if self.ca_file.is_some() {
            tls.ca_file.clone_from(&self.ca_file);
        }
    }
}

/// What and where a source is.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Fill a new file with the sample tables.
        sample: bool,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The URL, without the password unless it was written there.
        url: Secret,
        /// The password, if it came from elsewhere.
        password: Option<Secret>,
    },
    /// A MySQL or MariaDB server.
    Mysql {
        /// The URL, without the password unless it was written there.
        url: Secret,
        /// The password, if it came from elsewhere.
        password: Option<Secret>,
    },
    /// A service over HTTP.
    Http(Box<HttpConfig>),
}

/// Which tables are served beside those that resources name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableChoice {
    /// None.
    Named,
    /// Every one with a primary key, except these.
    All {
        /// Left out.
        except: Vec<String>,
    },
    /// These.
    List(Vec<String>),
}

/// A cache.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: CacheKind,
}

/// What a cache is.
#[derive(Clone, Debug)]
pub enum CacheKind {
    /// Entries in this process.
    Memory {
        /// Room in bytes.
        capacity_bytes: u64,
    },
    /// Entries on memcached servers.
    Memcached(MemcachedSettings),
}

/// Memcached servers and how they are used.
#[derive(Clone, Debug)]
pub struct MemcachedSettings {
    /// The servers; their names differ.
    pub servers: Vec<ServerSettings>,
    /// Which server keeps a key.
    pub distribution: Distribution,
    /// Connections to each.
    pub connections: u16,
    /// The longest time of a look-up, in milliseconds.
    pub timeout_ms: u64,
    /// Copies in this process.
    pub l1: L1Settings,
    /// TLS to the servers.
    pub tls: Option<MemcachedTls>,
    /// What is shown to servers that want a user name and password.
    pub credentials: Option<MemcachedCredentials>,
}

/// Copies in this process of what is on memcached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L1Settings {
    /// None.
    Off,
    /// Checked at every read.
    Validate {
        /// Room in bytes.
        capacity_bytes: u64,
    },
    /// Used for some time without asking.
    ForTtl {
        /// How long, in milliseconds.
        ttl_ms: u64,
        /// Room in bytes.
        capacity_bytes: u64,
    },
}

/// A cache server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Its name, the same in every daemon.
    pub name: NodeName,
    /// `host:port`.
    pub address: String,
}

/// How a resource is written behind.
#[derive(Clone, Debug, Default)]
pub struct BehindSettings {
    /// When and how accepted writes are applied.
    pub policy: BehindPolicy,
    /// When else.
    pub schedule: Option<Schedule>,
}

/// A resource that is served by name.
#[derive(Clone, Debug)]
pub struct ResourceSettings {
    /// Its name.
    pub name: ResourceName,
    /// Its source's place.
    pub source: usize,
    /// Its table; over HTTP its path.
    pub table: String,
    /// What it is at a service over HTTP.
    pub http: Option<HttpMapping>,
    /// Its cache's place; `None` for none.
    pub cache: Option<usize>,
    /// How a miss is handled.
    pub read: ReadStrategy,
    /// How a write reaches source and cache.
    pub write: WriteStrategy,
    /// How it is written behind, if it is.
    pub behind: BehindSettings,
    /// What may be done with its records.
    pub access: Access,
    /// The level that was asked for; `None` leaves it to what can be kept.
    pub level: Option<Level>,
    /// How long entries live.
    pub ttl: Ttl,
    /// How late news of other programs' writes may be, in milliseconds.
    pub staleness_ms_max: u64,
    /// Whether that was asked for, so that it holds without any news as well.
    pub is_staleness_asked: bool,
    /// For how long a strict resource answers from the cache while the control tables do not answer, in milliseconds
    /// after its lease has ended.
    pub control_lost_ms: u64,
    /// How long a reader waits for another's load, in milliseconds.
    pub lease_wait_ms: u64,
    /// The largest record that is cached, in bytes.
    pub entry_bytes_max: usize,
    /// The columns that are served; `None` for all.
    pub columns: Option<Vec<String>>,
    /// What a value is.
    pub format: Format,
    /// The column that a raw value is.
    pub value_column: Option<String>,
    /// The column that keeps a raw value's flags.
    pub flags_column: Option<String>,
    /// The column that counts versions.
    pub version_column: Option<String>,
    /// Where the file speaks of it, for what only assembly can find wrong.
    pub place: Option<Range<usize>>,
}

impl Settings {
    /// What `config` means. `variable` looks an environment variable up.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn resolve(config: &Config, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        resolve::settings(config, variable)
    }

    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let mistake = ConfigError::new(error.message().trim().replace('\n', ", "));
            match error.span() {
                Some(span) => mistake.at(span),
                None => mistake,
            }
        })?;
        Self::resolve(&config, variable)
    }

    /// Everything in a database, found from its URL, with one cache in this process.
    ///
    /// # Errors
    /// A URL of a kind that is not served.
    pub fn of_url(url: &str, access: Access) -> Result<Self, ConfigError> {
        let kind = resolve::source_kind(url, None)?;
        Ok(Self::of_source(kind, access))
    }

    /// The sample: a SQLite file in `data_dir` with tables to try things on, writable, and a plain space.
    pub fn sample(data_dir: PathBuf) -> Self {
        let kind = SourceKind::Sqlite { path: data_dir.join("sample.db"), sample: true };
        Self { data_dir, plain_bytes: Some(resolve::PLAIN_BYTES), ..Self::of_source(kind, Access::Write) }
    }

    /// Serves only these tables of every source, by these strategies.
    pub fn serve_tables(&mut self, tables: &[&str], read: ReadStrategy, write: WriteStrategy) {
        for (place, source) in self.sources.iter_mut().enumerate() {
            source.tables = TableChoice::Named;
            for table in tables {
                let name = ResourceName::new(table).expect("a table that is named here can be a resource");
                let cache = (!self.caches.is_empty()).then_some(0);
                let resource =
                    ResourceSettings::of_table(name, place, (*table).to_owned(), cache, source.access);
                self.resources.push(ResourceSettings { read, write, ..resource });
            }
        }
    }

    fn of_source(kind: SourceKind, access: Access) -> Self {
        let tables = TableChoice::All { except: Vec::new() };
        Self {
            listen: resolve::listen_default(),
            data_dir: resolve::DATA_DIR.into(),
            is_data_kept: false,
            sources: vec![resolve::source_default("default".to_owned(), kind, tables, access)],
            caches: vec![resolve::cache_default()],
            resources: Vec::new(),
            plain_bytes: None,
        }
    }
}

impl ResourceSettings {
    /// A table as it is served when nothing is said about it.
    pub fn of_table(
        name: ResourceName,
        source: usize,
        table: String,
        cache: Option<usize>,
        access: Access,
    ) -> Self {
        let policy = throughline_engine::Policy::default();
        Self {
            name,
            source,
            table,
            http: None,
            cache,
            read: policy.read,
            write: policy.write,
            behind: BehindSettings::default(),
            access,
            level: None,
            ttl: policy.ttl,
            staleness_ms_max: policy.staleness_ms_max,
            is_staleness_asked: false,
            control_lost_ms: policy.control_lost_ms,
            lease_wait_ms: policy.lease_wait_ms,
            entry_bytes_max: policy.entry_bytes_max,
            columns: None,
            format: Format::Json,
            value_column: None,
            flags_column: None,
            version_column: None,
            place: None,
        }
    }
}

#[cfg(test)]
mod tests;
