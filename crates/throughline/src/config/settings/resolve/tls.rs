// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the way to a source is encrypted.

use throughline_sources::TlsMode;

use crate::config::ConfigError;
use crate::config::file::SourceConfig;
use crate::config::settings::{SourceKind, TlsChoice};

pub(super) fn tls(config: &SourceConfig, kind: &SourceKind) -> Result<TlsChoice, ConfigError> {
    if matches!(kind, SourceKind::Http(_)) {
        // Its url says it.
        return Ok(TlsChoice::default());
    }
    let is_file = matches!(kind, SourceKind::Sqlite { .. });
    let said = config.tls.as_ref().map(|tls| tls.span());
    if let Some(span) = said.or(config.ca_file.as_ref().map(|file| file.span())).filter(|_| is_file) {
        return Err(ConfigError::new("a SQLite file has no way to it that could be encrypted").at(span));
    }
    let mut choice = TlsChoice::default();
    if let Some(tls) = &config.tls {
        let mode = TlsMode::parse(tls.get_ref()).ok_or_else(|| {
            ConfigError::new(format!("`{}` is none of the choices", tls.get_ref()))
                .at(tls.span())
                .help("there are: \"off\", \"require\", \"verify\"")
        })?;
        choice.mode = Some(mode);
    }
    if let Some(file) = &config.ca_file {
        if !matches!(choice.mode, None | Some(TlsMode::Verify)) {
            return Err(
                ConfigError::new("authorities are relied on by tls = \"verify\" only").at(file.span())
            );
        }
        choice = TlsChoice { mode: Some(TlsMode::Verify), ca_file: Some(file.get_ref().clone()) };
    }
    Ok(choice)
}
