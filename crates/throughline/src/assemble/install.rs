// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own tables in the databases that settings name.

use throughline_sources::mysql;

use super::source::{mistake, mysql_config};
use crate::config::{ConfigError, Settings, SourceKind};

/// What was done for one source, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The source's name.
    pub source: String,
    /// What was done, in a sentence.
    pub done: String,
}

/// Makes the control tables (`tl_*`) in every database that `settings` name, or brings them to the present version.
/// Running it again changes nothing.
///
/// # Errors
/// What a database refuses, with the right that is missing.
pub async fn install(settings: &Settings) -> Result<Vec<Installation>, ConfigError> {
    let mut installations = Vec::with_capacity(settings.sources.len());
    for source in &settings.sources {
        let done = match &source.kind {
            SourceKind::Sqlite { .. } => NOT_NEEDED.to_owned(),
            SourceKind::Postgres { .. } => NOT_YET.to_owned(),
            SourceKind::Mysql { url, password } => {
                let installed = mysql::install(
                    mysql_config(source, url, password.as_ref()).map_err(|error| mistake(&error))?,
                )
                .await
                .map_err(|error| mistake(&error))?;
                match installed.before {
                    0 => format!("the control tables (tl_*, version {}) were made", installed.version),
                    before if before == installed.version => {
                        format!("the control tables (tl_*, version {before}) are there; nothing was changed")
                    }
                    before => {
                        format!(
                            "the control tables (tl_*) were brought from version {before} to {}",
                            installed.version
                        )
                    }
                }
            }
        };
        installations.push(Installation { source: source.name.clone(), done });
    }
    Ok(installations)
}

const NOT_NEEDED: &str =
    "a SQLite file needs no control tables: one daemon owns it, and keeps what the tables would hold";

const NOT_YET: &str = "control tables are not kept in PostgreSQL in this version";

/// The SQL that [`install`] runs on databases without control tables, and the rights that a daemon's account needs
/// then; touches nothing.
///
/// # Errors
/// A URL that cannot be read.
pub fn install_script(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    let mut lines = Vec::new();
    for source in &settings.sources {
        match &source.kind {
            SourceKind::Sqlite { .. } => lines.push(format!("-- {}: {NOT_NEEDED}", source.name)),
            SourceKind::Postgres { .. } => lines.push(format!("-- {}: {NOT_YET}", source.name)),
            SourceKind::Mysql { url, password } => {
                let config = mysql_config(source, url, password.as_ref()).map_err(|error| mistake(&error))?;
                lines.push(format!("-- {}: database `{}` on {}", source.name, config.database, config.host));
                lines.extend(mysql::install_script(&config).into_iter().map(|sql| format!("{sql};")));
            }
        }
    }
    Ok(lines)
}
