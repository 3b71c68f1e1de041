// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration file: what may be said in it, and the settings that come of it.
//!
//! [`Config`] is the file as it is written; [`Settings`] is what it means, and cannot be wrong: names are
//! resolved, addresses and sizes are parsed, combinations that contradict each other are refused. A
//! mistake is a [`ConfigError`] that knows the place in the text and what would be right.

mod error;
mod expand;
mod file;
mod schedule;
mod secret;
mod settings;
mod size;

pub use error::ConfigError;
pub use file::{
    BehindConfig, CacheConfig, Config, L1Config, ListenConfig, MemcachedConfig, MemoryConfig, PlainConfig,
    ResourceConfig, ServerConfig, SourceConfig, TablesConfig, TlsConfig,
};
pub use schedule::Schedule;
pub use secret::Secret;
pub use settings::{
    BehindSettings, CacheKind, CacheSettings, L1Settings, Listen, MemcachedSettings, ResourceSettings,
    ServerSettings, Settings, SourceKind, SourceSettings, TableChoice,
};
pub use size::{ByteSize, Span};
pub use throughline_caches::{Distribution, MemcachedCredentials, MemcachedTls};
