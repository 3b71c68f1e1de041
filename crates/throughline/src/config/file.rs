// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration as it is written (`throughline.toml`). Unknown fields are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::size::{ByteSize, Span};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the doors listen.
    #[serde(default)]
    pub listen: ListenConfig,
    /// Folder of our own data, of one daemon alone. Default: `throughline-data`, and then what a bounded resource owes its
    /// cache is not kept there over a crash.
    pub data_dir: Option<PathBuf>,
    /// Systems of record, by name.
    #[serde(default)]
    pub sources: BTreeMap<Spanned<String>, SourceConfig>,
    /// Caches, by name.
    #[serde(default)]
    pub caches: BTreeMap<Spanned<String>, CacheConfig>,
    /// What is served, by name.
    #[serde(default)]
    pub resources: BTreeMap<Spanned<String>, ResourceConfig>,
    /// The plain space: cached keys without a source. Default: there is none.
    pub plain: Option<PlainConfig>,
}

/// Where the doors listen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address of the HTTP door, or `none`. Default: `127.0.0.1:8311`.
    pub http: Option<Spanned<String>>,
    /// Address of the memcached door, or `none`. Default: `127.0.0.1:11311`. It has no token, so it stays on loopback.
    pub memcached: Option<Spanned<String>>,
    /// Bearer token that HTTP requests must show. Default: none, and then the doors stay on loopback.
    pub token: Option<Spanned<String>>,
    /// File that holds the token.
    pub token_file: Option<Spanned<PathBuf>>,
}

/// A system of record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `sqlite:shop.db`, `postgres://user@host:5432/database`, `mysql://user@host:3306/database`, or `https://host/base` of a
    /// service; `${NAME}` is replaced from the environment.
    pub url: Spanned<String>,
    /// File that holds the password.
    pub password_file: Option<Spanned<PathBuf>>,
    /// `off`, `require` (encrypted, whoever is at the other end) or `verify` (and the server shows a certificate for its
    /// host name). Default: `off` on this machine, `verify` beyond it.
    pub tls: Option<Spanned<String>>,
    /// File with the certificates (PEM) of the authorities that `verify` relies on. Default: those that browsers know.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// HTTP: bearer token that the service wants to see; `${NAME}` is replaced from the environment. Default: none.
    pub token: Option<Spanned<String>>,
    /// HTTP: file that holds the token.
    pub token_file: Option<Spanned<PathBuf>>,
    /// HTTP: headers that the service wants to see; `${NAME}` is replaced from the environment. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<Spanned<String>, Spanned<String>>,
    /// HTTP: the largest answer, and the largest value that is sent. Default: 8 MiB.
    pub max_body: Option<Spanned<ByteSize>>,
    /// Also serve tables that no resource names: `"all"`, or a list. Default: only what resources name.
    pub tables: Option<Spanned<TablesConfig>>,
    /// Tables that `tables` leaves out. Default: none.
    #[serde(default)]
    pub except: Vec<Spanned<String>>,
    /// The longest time one statement, or one HTTP request, may take. Default: 5 s.
    pub statement_timeout: Option<Spanned<Span>>,
    /// Connections for reading. Default: 4, HTTP 16.
    pub read_connections: Option<Spanned<u16>>,
    /// Connections for writing (SQLite has one writer). Default: 8.
    pub write_connections: Option<Spanned<u16>>,
    /// The most loads that may be at the source at once, and as many may wait. Below it the number follows by itself
    /// from how long loads take; how much of a database is this daemon's to use, only its operator knows.
    /// Default: 256.
    pub max_concurrency: Option<Spanned<u16>>,
    /// The most reads per second that may go past a cache which does not answer; others are refused. How much load
    /// a database bears without its cache cannot be seen before that day. Default: any number.
    pub max_bypass_rate: Option<Spanned<u32>>,
}

/// Which tables are served beside those that resources name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "`tables` takes \"all\" or a list of table names")]
pub enum TablesConfig {
    /// `"all"`.
    Word(String),
    /// A list of names.
    List(Vec<String>),
}

/// A cache: exactly one of its kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// In this process.
    pub memory: Option<MemoryConfig>,
    /// On memcached, shared with every daemon that names the same servers.
    pub memcached: Option<MemcachedConfig>,
    /// Copies in this process of what is on memcached: `off`, `validate` or `{ ttl = "1s" }`. Default: `off`.
    pub l1: Option<Spanned<L1Config>>,
}

/// Copies in this process: `"validate"`, or a table. Without a `ttl` every read asks memcached whether its copy is
/// still right; with one, memcached is not asked while a copy is younger, and the resources are bounded.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "`l1` takes \"off\", \"validate\" or { ttl = \"1s\", capacity = \"64 MiB\" }"
)]
pub enum L1Config {
    /// `"off"` or `"validate"`.
    Word(String),
    /// A table.
    Table {
        /// How long a copy is used without asking, from 10 ms to 1 h. Default: memcached is always asked.
        ttl: Option<Span>,
        /// The room for copies. Default: 64 MiB.
        capacity: Option<ByteSize>,
    },
}

/// A cache in this process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// The room for entries. Default: 256 MiB.
    pub capacity: Option<Spanned<ByteSize>>,
}

/// A cache on memcached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemcachedConfig {
    /// The servers, each under a name of its own. Every daemon lists the same names; the order does not matter.
    pub servers: Spanned<Vec<Spanned<ServerConfig>>>,
    /// Which server keeps a key: `rendezvous`, or `ketama` as libmemcached computes it. Default: `rendezvous`.
    pub distribution: Option<Spanned<String>>,
    /// Connections per server, shared by all requests. Default: 1.
    pub connections: Option<Spanned<u16>>,
    /// The longest time a look-up may take before the source is asked. Default: 20 ms.
    pub timeout: Option<Spanned<Span>>,
    /// TLS to the servers. Default: none.
    pub tls: Option<Spanned<TlsConfig>>,
    /// User name for servers that want one (`-Y`). Default: none.
    pub username: Option<Spanned<String>>,
    /// Password of `username`; `${NAME}` is replaced from the environment.
    pub password: Option<Spanned<String>>,
    /// File that holds the password.
    pub password_file: Option<Spanned<PathBuf>>,
}

/// TLS to a cache's servers. Their certificates are always verified.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// File with the authorities that may have signed the servers' certificates, in PEM.
    pub ca_file: PathBuf,
    /// File with our own certificate chain, for servers that want to see one. Default: none.
    pub cert_file: Option<PathBuf>,
    /// File with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// The name that the servers' certificates are for. Default: the host of each address.
    pub server_name: Option<String>,
}

/// One cache server: `"127.0.0.1:11211"`, or `{ name = "a", address = "…" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a server is \"host:port\" or { name = \"…\", address = \"host:port\" }"
)]
pub enum ServerConfig {
    /// The address, which is the name as well.
    Address(String),
    /// A name apart from the address, since daemons may see different addresses.
    Named {
        /// The name, the same in every daemon.
        name: String,
        /// `host:port`.
        address: String,
    },
}

/// What is served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// Its source.
    pub source: Spanned<String>,
    /// Its table. Default: the resource's name.
    pub table: Option<Spanned<String>>,
    /// HTTP: where a record is, with a place for each part of the key: `/banks/{bank}/payments/{id}`. Default: `/NAME/{key}`.
    pub path: Option<Spanned<String>>,
    /// HTTP: how a record is put, `PUT`, `POST` or `PATCH`. Default: `PUT`. Only the service's makers know.
    pub put: Option<Spanned<String>>,
    /// Its cache, or `none`. Default: the only cache there is, or one in this process.
    pub cache: Option<Spanned<String>>,
    /// `read-through` or `cache-aside`. Default: `read-through`.
    pub read: Option<Spanned<String>>,
    /// `write-through`, `write-around` or `write-behind` (needs `data_dir`). Default: `write-through`.
    pub write: Option<Spanned<String>>,
    /// When and how accepted writes are brought to the source, with `write = "write-behind"`.
    pub behind: Option<Spanned<BehindConfig>>,
    /// `read` or `write`. Default: `read`.
    pub access: Option<Spanned<String>>,
    /// `strict` or `bounded`. Default: `strict` where it can be kept, else `bounded`.
    pub level: Option<Spanned<String>>,
    /// Life of an entry, from 2 s to 30 d. Default: 5 m.
    pub ttl: Option<Spanned<Span>>,
    /// Life of the knowledge that there is no such key, from 2 s to 30 d. Default: 30 s.
    pub negative_ttl: Option<Spanned<Span>>,
    /// The largest record that is cached. Default: 1 MiB.
    pub max_entry: Option<Spanned<ByteSize>>,
    /// How late news of other programs' writes may be; while they are later, entries older than this are not
    /// used. Without an outbox no entry lives longer. From 1 s (without an outbox 2 s) to 1 d. Default: 10 s, and
    /// without an outbox the ttl. No heuristic knows how old an answer an application bears.
    pub max_staleness: Option<Spanned<Span>>,
    /// What a strict resource does when the control tables in its database do not answer: `bypass` asks the source for
    /// every read; `bounded(30s)` (1 s to 1 h) goes on answering from the cache for so long, and answers may be so
    /// old. Default: `bypass`.
    pub on_control_lost: Option<Spanned<String>>,
    /// How long a reader waits for another's load. Default: 50 ms.
    pub lease_wait: Option<Spanned<Span>>,
    /// The columns that are served. Default: all.
    pub columns: Option<Vec<Spanned<String>>>,
    /// `json` (the row) or `raw` (one column). Default: `json`.
    pub format: Option<Spanned<String>>,
    /// The column that a raw value is.
    pub value_column: Option<Spanned<String>>,
    /// The column that keeps the memcached client's flags of a raw value.
    pub flags_column: Option<Spanned<String>>,
    /// The column that counts a row's versions. Default: versions follow from the content.
    pub version_column: Option<Spanned<String>>,
}

/// How a resource is written behind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehindConfig {
    /// How long a write waits, so that later ones of its key can take its place; `never` leaves it to `count`, `schedule`
    /// and `throughline drain`. From 0 to 1 d. Default: 1 s, and `never` with a `schedule`.
    pub delay: Option<Spanned<String>>,
    /// At how many pending writes of a lane (an eighth of the keys) it waits no longer. Default: 1,000.
    pub count: Option<Spanned<u32>>,
    /// When else pending writes are applied, as five fields of cron in UTC: `0 3 * * *` is every day at three.
    pub schedule: Option<Spanned<String>>,
    /// The most writes of one transaction, from 1 to 500. Default: 500.
    pub batch: Option<Spanned<u16>>,
    /// How many batches may be at the source at once, from 1 to 8. Default: 2.
    pub parallel: Option<Spanned<u16>>,
    /// Whether only the newest of several pending writes of a key is applied. Default: true.
    pub coalesce: Option<bool>,
    /// What becomes of a write whose row others have changed since: `overwrite`, or `dead-letter`, for which the source is
    /// read before each write that nothing is pending for. Default: `overwrite`.
    pub on_conflict: Option<Spanned<String>>,
}

/// The plain space.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainConfig {
    /// The room for values. Default: 64 MiB.
    pub capacity: Option<Spanned<ByteSize>>,
}
