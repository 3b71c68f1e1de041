// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own tables in the databases that settings name.

use std::sync::Arc;

use throughline_sources::sql::Installed;
use throughline_sources::sqlite::SqliteConfig;
use throughline_sources::{mysql, postgres, sqlite};
use tokio::runtime::Handle;

use super::source::{mistake, mysql_config, postgres as source_postgres};
use crate::config::{ConfigError, Settings, SourceKind};
use crate::tasks::TrackedTasks;

/// What was done for one source, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The source's name.
    pub source: String,
    /// What was done, in a sentence.
    pub done: String,
}

/// Makes the control tables (`tl_*`) in every database that `settings` name, or brings them to the present version; a
/// SQLite file gets the one that write-behind needs. Running it again changes nothing.
///
/// # Errors
/// What a database refuses, with the right that is missing.
pub async fn install(settings: &Settings) -> Result<Vec<Installation>, ConfigError> {
    let mut installations = Vec::with_capacity(settings.sources.len());
    for source in &settings.sources {
        let done = match &source.kind {
            SourceKind::Sqlite { path, .. } => {
                let config = SqliteConfig::new(path);
                let work = tokio::task::spawn_blocking(move || sqlite::install(&config));
                work.await.expect("making a table does not panic").map(told_of_a_file)
            }
            SourceKind::Http(_) => Ok(NOT_POSSIBLE.to_owned()),
            SourceKind::Postgres { url, password } => {
                let config = source_postgres::config(source, url, password.as_ref());
                let tasks = Arc::new(TrackedTasks::new(Handle::current()));
                postgres::install(config.map_err(|error| mistake(&error))?, tasks).await.map(told)
            }
            SourceKind::Mysql { url, password } => {
                let config = mysql_config(source, url, password.as_ref());
                mysql::install(config.map_err(|error| mistake(&error))?).await.map(told)
            }
        };
        let done = done.map_err(|error| mistake(&error))?;
        installations.push(Installation { source: source.name.clone(), done });
    }
    Ok(installations)
}

const FILE: &str =
    "a SQLite file needs no other table of ours: one daemon owns it, and keeps what they would hold";

fn told_of_a_file(was_made: bool) -> String {
    match was_made {
        true => format!("the table for write-behind (tl_applied) was made, in the present version; {FILE}"),
        false => format!("the table for write-behind (tl_applied) is there; nothing was changed; {FILE}"),
    }
}

const NOT_POSSIBLE: &str = "a service over HTTP keeps nothing of ours, so its resources are bounded";

fn told(installed: Installed) -> String {
    match (installed.before, installed.version) {
        (0, version) => format!("the control tables (tl_*, version {version}) were made"),
        (before, version) if before == version => {
            format!("the control tables (tl_*, version {version}) are there; nothing was changed")
        }
        (before, version) => {
            format!("the control tables (tl_*) were brought from version {before} to {version}")
        }
    }
}

/// The SQL that [`install`] runs on databases without control tables, and the rights that a daemon's account needs
/// then; touches nothing.
///
/// # Errors
/// A URL that cannot be read.
pub fn install_script(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    let mut lines = Vec::new();
    for source in &settings.sources {
        match &source.kind {
            SourceKind::Sqlite { .. } => {
                lines.push(format!("-- {}: {FILE}", source.name));
                lines.extend(sqlite::install_script().into_iter().map(|sql| format!("{sql};")));
            }
            SourceKind::Http(_) => lines.push(format!("-- {}: {NOT_POSSIBLE}", source.name)),
            SourceKind::Postgres { url, password } => {
                let config = source_postgres::config(source, url, password.as_ref());
                let config = config.map_err(|error| mistake(&error))?;
                lines.push(format!("-- {}: database `{}` on {}", source.name, config.database, config.host));
                lines.extend(postgres::install_script(&config).into_iter().map(|sql| format!("{sql};")));
            }
            SourceKind::Mysql { url, password } => {
                let config = mysql_config(source, url, password.as_ref()).map_err(|error| mistake(&error))?;
                lines.push(format!("-- {}: database `{}` on {}", source.name, config.database, config.host));
                lines.extend(mysql::install_script(&config).into_iter().map(|sql| format!("{sql};")));
            }
        }
    }
    Ok(lines)
}
