// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the file to the settings.

mod behind;
mod http;
mod memcached;
mod resource;
mod tls;

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use throughline_core::Access;
use toml::Spanned;

use super::{CacheKind, CacheSettings, Listen, Settings, SourceKind, SourceSettings, TableChoice, TlsChoice};
use crate::config::error::closest;
use crate::config::expand::expand;
use crate::config::file::{CacheConfig, ListenConfig, SourceConfig, TablesConfig};
use crate::config::{Config, ConfigError, Secret, Span};

pub(super) const DATA_DIR: &str = "throughline-data";
pub(super) const PLAIN_BYTES: u64 = 64 << 20;
const MEMORY_BYTES: u64 = 256 << 20;
const HTTP_PORT: u16 = 8311;
const MEMCACHED_PORT: u16 = 11311;
const STATEMENT_TIMEOUT_MS: u64 = 5_000;
const READ_CONNECTIONS: u16 = 4;

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn settings(config: &Config, variable: Variable<'_>) -> Result<Settings, ConfigError> {
    let sources = config.sources.iter().map(|(name, source)| self::source(name, source, variable));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let mut caches = config
        .caches
        .iter()
        .map(|(name, cache)| self::cache(name, cache, variable))
        .collect::<Result<Vec<_>, _>>()?;
    if caches.is_empty() {
        caches.push(cache_default());
    }
    let resources =
        config.resources.iter().map(|(name, resource)| resource::resource(name, resource, &sources, &caches));
    let resources = resources.collect::<Result<Vec<_>, _>>()?;
    if sources.is_empty() && config.plain.is_none() {
        return Err(ConfigError::new("nothing is served: there is no source and no plain space")
            .help("add [sources.NAME] with a url, and [resources.NAME] for each table"));
    }
    let plain_bytes = config
        .plain
        .as_ref()
        .map(|plain| plain.capacity.as_ref().map_or(PLAIN_BYTES, |size| size.get_ref().0));
    Ok(Settings {
        listen: listen(&config.listen, variable)?,
        data_dir: config.data_dir.clone().unwrap_or_else(|| DATA_DIR.into()),
        is_data_kept: config.data_dir.is_some(),
        sources,
        caches,
        resources,
        plain_bytes,
    })
}

pub(super) fn listen_default() -> Listen {
    let loopback = |port| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    Listen { http: loopback(HTTP_PORT), memcached: loopback(MEMCACHED_PORT), token: None }
}

fn listen(config: &ListenConfig, variable: Variable<'_>) -> Result<Listen, ConfigError> {
    let mut listen = listen_default();
    listen.token = match (&config.token, &config.token_file) {
        (Some(token), None) => {
            Some(Secret::new(expand(token.get_ref(), variable).map_err(|e| e.at(token.span()))?))
        }
        (None, Some(file)) => Some(read_secret(file)?),
        (None, None) => None,
        (Some(_), Some(file)) => {
            return Err(ConfigError::new("`token` and `token_file` exclude each other").at(file.span()));
        }
    };
    if let Some(http) = &config.http {
        listen.http = address(http)?;
        let open = listen.http.is_some_and(|address| !address.ip().is_loopback());
        if open && listen.token.is_none() {
            return Err(ConfigError::new("a listener beyond loopback needs a token")
                .at(http.span())
                .help("set `token = \"${NAME}\"` or `token_file` in [listen], or listen on 127.0.0.1"));
        }
    }
    if let Some(memcached) = &config.memcached {
        listen.memcached = address(memcached)?;
        if listen.memcached.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(ConfigError::new(
                "the memcached protocol has no token, so its listener stays on loopback",
            )
            .at(memcached.span())
            .help("listen on 127.0.0.1 and reach it from elsewhere through a tunnel, or use the HTTP door"));
        }
    }
    Ok(listen)
}

fn address(written: &Spanned<String>) -> Result<Option<SocketAddr>, ConfigError> {
    let text = written.get_ref();
    if text == "none" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        ConfigError::new("not an address")
            .at(written.span())
            .help("write \"127.0.0.1:8311\", \"[::1]:8311\" or \"none\"")
    })
}

fn read_secret(file: &Spanned<PathBuf>) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(file.get_ref()).map_err(|error| {
        ConfigError::new(format!("cannot read `{}`: {}", file.get_ref().display(), error.kind()))
            .at(file.span())
    })?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

pub(super) fn source_default(
    name: String,
    kind: SourceKind,
    tables: TableChoice,
    access: Access,
) -> SourceSettings {
    SourceSettings {
        name,
        kind,
        tables,
        access,
        tls: TlsChoice::default(),
        statement_timeout_ms: STATEMENT_TIMEOUT_MS,
        read_connections: READ_CONNECTIONS,
        write_connections: 8,
        concurrency_max: 256,
        bypass_rate_max: None,
    }
}

fn source(
    name: &Spanned<String>,
    config: &SourceConfig,
    variable: Variable<'_>,
) -> Result<SourceSettings, ConfigError> {
    let url = expand(config.url.get_ref(), variable).map_err(|error| error.at(config.url.span()))?;
    let password = config.password_file.as_ref().map(read_secret).transpose()?;
    let kind = match http::is_url(&url) {
        true => http::source(config, &url, variable)?,
        false => {
            http::refuse(config)?;
            source_kind(&url, password).map_err(|error| error.at(config.url.span()))?
        }
    };
    let tables = match config.tables.as_ref().map(|tables| (tables.get_ref(), tables.span())) {
        None => TableChoice::Named,
        Some((TablesConfig::List(names), _)) => TableChoice::List(names.clone()),
        Some((TablesConfig::Word(word), _)) if word == "all" => {
            TableChoice::All { except: config.except.iter().map(|name| name.get_ref().clone()).collect() }
        }
        Some((TablesConfig::Word(_), span)) => {
            return Err(ConfigError::new("`tables` takes \"all\" or a list of table names").at(span));
        }
    };
    let tls = tls::tls(config, &kind)?;
    let read_connections =
        if matches!(kind, SourceKind::Http(_)) { http::READ_CONNECTIONS } else { READ_CONNECTIONS };
    let mut source = source_default(name.get_ref().clone(), kind, tables, Access::Read);
    source.read_connections = read_connections;
    source.tls = tls;
    if let Some(timeout) = &config.statement_timeout {
        source.statement_timeout_ms = span_ms(timeout, 10, 3_600_000)?;
    }
    for (written, connections) in [
        (&config.read_connections, &mut source.read_connections),
        (&config.write_connections, &mut source.write_connections),
    ] {
        if let Some(written) = written {
            *connections = within(written, 1, 256)?;
        }
    }
    if let Some(written) = &config.max_concurrency {
        source.concurrency_max = within(written, 1, 10_000)?;
    }
    if let Some(written) = &config.max_bypass_rate {
        source.bypass_rate_max = Some(within(written, 1, 1_000_000)?);
    }
    Ok(source)
}

/// What and where the source of `url` is.
pub(super) fn source_kind(url: &str, password: Option<Secret>) -> Result<SourceKind, ConfigError> {
    const SCHEMES: &str = "urls of these kinds are served: sqlite:shop.db, postgres://user@host:5432/database, mysql://user@host:3306/database";
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(ConfigError::new("not a source's url").help(SCHEMES));
    };
    match scheme {
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() {
                return Err(ConfigError::new("the url names no file").help("write sqlite:shop.db"));
            }
            Ok(SourceKind::Sqlite { path: Path::new(path).to_owned(), sample: false })
        }
        "mysql" | "mariadb" => {
            let url = Secret::new(format!("mysql:{rest}"));
            Ok(SourceKind::Mysql { url, password })
        }
        "postgres" | "postgresql" => {
            let url = Secret::new(format!("postgres:{rest}"));
            Ok(SourceKind::Postgres { url, password })
        }
        "http" | "https" => Err(ConfigError::new("a service over HTTP has no catalogue to find resources in")
            .help("list them in a configuration file: [sources.NAME] with the url, and [resources.NAME] with source and path")),
        _ => Err(ConfigError::new(format!("`{scheme}` is no kind of source")).help(SCHEMES)),
    }
}

pub(super) fn cache_default() -> CacheSettings {
    CacheSettings { name: "memory".to_owned(), kind: CacheKind::Memory { capacity_bytes: MEMORY_BYTES } }
}

fn cache(
    name: &Spanned<String>,
    config: &CacheConfig,
    variable: Variable<'_>,
) -> Result<CacheSettings, ConfigError> {
    let kind = match (&config.memory, &config.memcached) {
        (Some(_), None) if config.l1.is_some() => {
            let l1 = config.l1.as_ref().map_or(name.span(), Spanned::span);
            return Err(ConfigError::new("a cache in this process has no l1 before it")
                .at(l1)
                .help("leave `l1` out, or use a memcached cache"));
        }
        (Some(memory), None) => {
            let capacity = memory.capacity.as_ref();
            if let Some(capacity) = capacity.filter(|capacity| capacity.get_ref().0 < 1 << 20) {
                return Err(ConfigError::new("a cache needs at least 1 MiB").at(capacity.span()));
            }
            CacheKind::Memory {
                capacity_bytes: capacity.map_or(MEMORY_BYTES, |capacity| capacity.get_ref().0),
            }
        }
        (None, Some(memcached)) => {
            CacheKind::Memcached(memcached::memcached(memcached, config.l1.as_ref(), variable)?)
        }
        _ => {
            return Err(ConfigError::new(format!("cache `{}` must be of exactly one kind", name.get_ref()))
                .at(name.span())
                .help("write memory = { capacity = \"256 MiB\" } or memcached = { servers = [\"127.0.0.1:11211\"] }"));
        }
    };
    Ok(CacheSettings { name: name.get_ref().clone(), kind })
}

fn within<N>(written: &Spanned<N>, min: N, max: N) -> Result<N, ConfigError>
where
    N: Copy + Display + PartialOrd,
{
    let number = *written.get_ref();
    let wrong = || ConfigError::new(format!("{number} is not between {min} and {max}")).at(written.span());
    (min..=max).contains(&number).then_some(number).ok_or_else(wrong)
}

fn span_ms(written: &Spanned<Span>, min: u64, max: u64) -> Result<u64, ConfigError> {
    let ms = written.get_ref().as_ms();
    if (min..=max).contains(&ms) {
        return Ok(ms);
    }
    let spelled = |ms| humantime::format_duration(Duration::from_millis(ms));
    let message = format!("a time from {} to {} is taken here", spelled(min), spelled(max));
    Err(ConfigError::new(message).at(written.span()))
}

/// The place in `names` of what was written, or a mistake that proposes the closest name.
fn find<'a>(
    what: &str,
    written: &Spanned<String>,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<usize, ConfigError> {
    let name = written.get_ref();
    names.clone().position(|known| known == name).ok_or_else(|| {
        let mistake = ConfigError::new(format!("there is no {what} `{name}`")).at(written.span());
        match closest(name, names.clone()) {
            Some(known) => mistake.help(format!("did you mean `{known}`?")),
            None => mistake.help(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
        }
    })
}
