// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installs outboxes in databases and removes them.

use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result};
use throughline_sources::mysql::MysqlSource;
use throughline_sources::postgres::PostgresSource;
use throughline_sources::sqlite::{self, SqliteConfig};
use tokio::runtime::Handle;

use super::source::{mistake, mysql_config, postgres};
use crate::config::{ConfigError, SourceKind, SourceSettings};
use crate::tasks::TrackedTasks;

/// What is to become of a database's outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxPlan {
    /// Only say which statements [`OutboxPlan::Install`] would run, as the database's own program reads them, and the
    /// rights that a daemon's account needs then.
    Print(Vec<String>),
    /// Make the outbox, and triggers on these tables. Again, it does no harm.
    Install(Vec<String>),
    /// Remove every table and trigger of ours.
    Remove,
}

impl OutboxPlan {
    /// Carries the plan out on the database behind `source`; the statements, in their order.
    ///
    /// # Errors
    /// A table that is not there or that triggers cannot speak for; what the database refuses.
    pub async fn carry_out(&self, source: &SourceSettings) -> std::result::Result<Vec<String>, ConfigError> {
        let statements = match &source.kind {
            SourceKind::Sqlite { path, .. } => {
                let (plan, config) = (self.clone(), SqliteConfig::new(path));
                let work = tokio::task::spawn_blocking(move || plan.sqlite(&config));
                work.await.expect("installing an outbox does not panic")
            }
            SourceKind::Http(_) => {
                let detail = "a service over HTTP runs no triggers of ours; its news are seen when entries expire (`ttl`)";
                Err(Error::new(ErrorKind::Configuration, "install an outbox", detail))
            }
            SourceKind::Mysql { url, password } => {
                let config = mysql_config(source, url, password.as_ref()).map_err(|error| mistake(&error))?;
                match self {
                    Self::Print(tables) => MysqlSource::outbox_script(config, tables).await,
                    Self::Install(tables) => MysqlSource::install_outbox(config, tables).await,
                    Self::Remove => MysqlSource::remove_own(config).await,
                }
            }
            SourceKind::Postgres { url, password } => {
                let config =
                    postgres::config(source, url, password.as_ref()).map_err(|error| mistake(&error))?;
                let tasks = Arc::new(TrackedTasks::new(Handle::current()));
                match self {
                    Self::Print(tables) => PostgresSource::outbox_script(config, tables, tasks).await,
                    Self::Install(tables) => PostgresSource::install_outbox(config, tables, tasks).await,
                    Self::Remove => PostgresSource::remove_own(config, tasks).await,
                }
            }
        };
        statements.map_err(|error| mistake(&error))
    }

    fn sqlite(&self, config: &SqliteConfig) -> Result<Vec<String>> {
        match self {
            Self::Print(tables) => {
                let statements = sqlite::outbox_statements(config, tables)?;
                Ok(statements.into_iter().map(|statement| format!("{statement};")).collect())
            }
            Self::Install(tables) => sqlite::install_outbox(config, tables),
            Self::Remove => sqlite::remove_own(config),
        }
    }
}
