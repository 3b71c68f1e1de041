// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the stores are: what the environment says.

use std::env;

use throughline::config::{ConfigError, Settings};
use throughline::{Assembly, Throughline};

/// Where the stores are. The database's URL is not among it: the configuration names the variable
/// `DATABASE_URL`, so the password in it passes through nobody's hands here.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    /// Address of memcached.
    pub(crate) memcached: String,
    /// What a read may return: `strict` or `bounded`.
    pub(crate) level: String,
}

impl Stores {
    /// What `MEMCACHED` and `LEVEL` say, or the usual port and `strict`.
    pub(crate) fn from_environment() -> Self {
        let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        Self { memcached: variable("MEMCACHED", "127.0.0.1:11211"), level: variable("LEVEL", "strict") }
    }

    /// Connects to what `configuration` names.
    ///
    /// # Errors
    /// A mistake in the configuration, a variable that is not set, a database that cannot be reached.
    pub(crate) async fn open(configuration: &str) -> Result<Throughline, ConfigError> {
        let settings = Settings::parse(configuration, &|name| env::var(name).ok())?;
        Assembly::new(settings).open().await
    }
}
