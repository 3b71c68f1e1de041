// SPDX-License-Identifier: MIT OR Apache-2.0
//! One resource of the file.

use throughline_core::{Access, Level, ReadStrategy, ResourceName, Ttl, WriteStrategy};
use toml::Spanned;

use super::{find, http, span_ms};
use crate::config::file::ResourceConfig;
use crate::config::settings::{CacheSettings, ResourceSettings, SourceKind, SourceSettings};
use crate::config::{ConfigError, Span};
use crate::listing::Format;

pub(super) fn resource(
    name: &Spanned<String>,
    config: &ResourceConfig,
    sources: &[SourceSettings],
    caches: &[CacheSettings],
) -> Result<ResourceSettings, ConfigError> {
    let resource_name = ResourceName::new(name.get_ref()).ok_or_else(|| {
        ConfigError::new("not a resource's name")
            .at(name.span())
            .help("1 to 64 letters, digits, `_`, `-` or `.`")
    })?;
    let source = find("source", &config.source, sources.iter().map(|source| source.name.as_str()))?;
    let cache = cache(name, config, caches)?;
    let table = config.table.as_ref().map_or_else(|| name.get_ref().clone(), |table| table.get_ref().clone());
    let mut settings = ResourceSettings::of_table(resource_name, source, table, cache, Access::Read);
    settings.place = Some(name.span());
    choose(&config.read, ReadStrategy::parse, ReadStrategy::ALL, &mut settings.read)?;
    choose(&config.write, WriteStrategy::parse, WriteStrategy::ALL, &mut settings.write)?;
    if let Some(behind) = &config.behind {
        if settings.write != WriteStrategy::WriteBehind {
            return Err(ConfigError::new(
                "`behind` says how a resource is written behind, and this one is not",
            )
            .at(behind.span())
            .help("add write = \"write-behind\", or leave `behind` out"));
        }
        settings.behind = super::behind::behind(behind.get_ref())?;
    }
    choose(&config.access, Access::parse, Access::ALL, &mut settings.access)?;
    if config.level.is_some() {
        let mut level = Level::Strict;
        choose(&config.level, Level::parse, Level::ALL, &mut level)?;
        settings.level = Some(level);
    }
    ttl(&config.ttl, &mut settings.ttl.entry_ms)?;
    ttl(&config.negative_ttl, &mut settings.ttl.negative_ms)?;
    if let Some(staleness) = &config.max_staleness {
        settings.staleness_ms_max = span_ms(staleness, 1_000, 86_400_000)?;
        settings.is_staleness_asked = true;
    }
    if settings.write == WriteStrategy::WriteBehind && settings.access == Access::Read {
        return Err(ConfigError::new("a resource that may not be changed cannot be written behind")
            .at(name.span())
            .help("add access = \"write\""));
    }
    if let Some(choice) = &config.on_control_lost {
        settings.control_lost_ms = control_lost_ms(choice, settings.level)?;
    }
    if let Some(wait) = &config.lease_wait {
        settings.lease_wait_ms = span_ms(wait, 0, 10_000)?;
    }
    if let Some(size) = &config.max_entry {
        settings.entry_bytes_max = usize::try_from(size.get_ref().0).unwrap_or(usize::MAX);
    }
    settings.columns =
        config.columns.as_ref().map(|columns| columns.iter().map(|c| c.get_ref().clone()).collect());
    match sources[source].kind {
        SourceKind::Http(_) => http::resource(config, &mut settings)?,
        _ => {
            http::refuse_resource(config)?;
            format(config, &mut settings)?;
        }
    }
    Ok(settings)
}

/// `bypass` or `bounded(SPAN)`.
fn control_lost_ms(choice: &Spanned<String>, level: Option<Level>) -> Result<u64, ConfigError> {
    let text = choice.get_ref();
    if text == "bypass" {
        return Ok(0);
    }
    let span = text.strip_prefix("bounded(").and_then(|rest| rest.strip_suffix(')'));
    let span = span.and_then(|span| Span::parse(span.trim())).ok_or_else(|| {
        ConfigError::new(format!("`{text}` is not what can be done without the control tables"))
            .at(choice.span())
            .help("`bypass`, or for how long the cache still answers: `bounded(30s)`")
    })?;
    if level == Some(Level::Bounded) {
        return Err(ConfigError::new("a bounded resource goes on without the control tables in any case")
            .at(choice.span())
            .help("leave `on_control_lost` out, or set level = \"strict\""));
    }
    span_ms(&Spanned::new(choice.span(), span), 1_000, 3_600_000)
}

fn cache(
    name: &Spanned<String>,
    config: &ResourceConfig,
    caches: &[CacheSettings],
) -> Result<Option<usize>, ConfigError> {
    match &config.cache {
        Some(cache) if cache.get_ref() == "none" => Ok(None),
        Some(cache) => find("cache", cache, caches.iter().map(|cache| cache.name.as_str())).map(Some),
        None if caches.len() == 1 => Ok(Some(0)),
        None => Err(ConfigError::new(format!("resource `{}` must say which cache it uses", name.get_ref()))
            .at(name.span())
            .help("there is more than one: add cache = \"NAME\", or cache = \"none\"")),
    }
}

fn format(config: &ResourceConfig, settings: &mut ResourceSettings) -> Result<(), ConfigError> {
    let text = |column: &Option<Spanned<String>>| column.as_ref().map(|column| column.get_ref().clone());
    match config.format.as_ref().map(|format| (format.get_ref().as_str(), format.span())) {
        None | Some(("json", _)) => settings.format = Format::Json,
        Some(("raw", span)) => {
            settings.format = Format::Raw;
            if config.value_column.is_none() {
                return Err(ConfigError::new("a raw resource needs the column that its values are")
                    .at(span)
                    .help("add value_column = \"NAME\""));
            }
        }
        Some((_, span)) => {
            return Err(ConfigError::new("not a format").at(span).help("write \"json\" or \"raw\""));
        }
    }
    settings.value_column = text(&config.value_column);
    settings.flags_column = text(&config.flags_column);
    settings.version_column = text(&config.version_column);
    let raw_only = config.value_column.as_ref().or(config.flags_column.as_ref());
    if let Some(column) = raw_only.filter(|_| settings.format == Format::Json) {
        return Err(ConfigError::new("only a raw resource has a value column and a flags column")
            .at(column.span())
            .help("add format = \"raw\""));
    }
    Ok(())
}

fn choose<T: Copy + std::fmt::Display>(
    written: &Option<Spanned<String>>,
    parse: fn(&str) -> Option<T>,
    all: &[T],
    choice: &mut T,
) -> Result<(), ConfigError> {
    let Some(written) = written else { return Ok(()) };
    *choice = parse(written.get_ref()).ok_or_else(|| {
        let known = all.iter().map(|known| format!("\"{known}\"")).collect::<Vec<_>>().join(", ");
        let mistake =
            ConfigError::new(format!("`{}` is none of the choices", written.get_ref())).at(written.span());
        match written.get_ref().as_str() {
            "refresh-ahead" | "write-behind" => {
                mistake.help(format!("not in this version; there are: {known}"))
            }
            _ => mistake.help(format!("there are: {known}")),
        }
    })?;
    Ok(())
}

fn ttl(written: &Option<Spanned<Span>>, ttl_ms: &mut u64) -> Result<(), ConfigError> {
    if let Some(written) = written {
        *ttl_ms = span_ms(written, Ttl::MS_MIN, Ttl::MS_MAX)?;
    }
    Ok(())
}
