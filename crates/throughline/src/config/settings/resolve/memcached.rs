// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memcached caches, from the file to the settings.

use std::collections::HashSet;
use std::ops::Range;

use throughline_caches::{Distribution, MemcachedCredentials, MemcachedTls, MemcachedTlsFiles};
use throughline_core::NodeName;
use toml::Spanned;

use super::{Variable, find, read_secret, span_ms, within};
use crate::config::expand::expand;
use crate::config::file::{L1Config, MemcachedConfig, ServerConfig, TlsConfig};
use crate::config::settings::{L1Settings, MemcachedSettings, ServerSettings};
use crate::config::{ConfigError, Secret};

const LOOK_UP_TIMEOUT_MS: u64 = 20;
const L1_BYTES: u64 = 64 << 20;
const DISTRIBUTIONS: [(&str, Distribution); 2] =
    [("rendezvous", Distribution::Rendezvous), ("ketama", Distribution::Ketama)];

pub(super) fn memcached(
    config: &MemcachedConfig,
    l1: Option<&Spanned<L1Config>>,
    variable: Variable<'_>,
) -> Result<MemcachedSettings, ConfigError> {
    Ok(MemcachedSettings {
        servers: servers(&config.servers)?,
        distribution: config.distribution.as_ref().map_or(Ok(Distribution::default()), distribution)?,
        connections: config.connections.as_ref().map_or(Ok(1), |written| within(written, 1, 64))?,
        timeout_ms: config
            .timeout
            .as_ref()
            .map_or(Ok(LOOK_UP_TIMEOUT_MS), |written| span_ms(written, 1, 10_000))?,
        l1: l1.map_or(Ok(L1Settings::Off), self::l1)?,
        tls: config.tls.as_ref().map(tls).transpose()?,
        credentials: credentials(config, variable)?,
    })
}

fn tls(written: &Spanned<TlsConfig>) -> Result<MemcachedTls, ConfigError> {
    let TlsConfig { ca_file, cert_file, key_file, server_name } = written.get_ref();
    let own = match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some((cert_file.clone(), key_file.clone())),
        (None, None) => None,
        _ => {
            return Err(ConfigError::new("a certificate and its key are set together")
                .at(written.span())
                .help("set both `cert_file` and `key_file`, or neither"));
        }
    };
    let files = MemcachedTlsFiles { ca_file: ca_file.clone(), own, server_name: server_name.clone() };
    MemcachedTls::read(&files).map_err(|error| ConfigError::new(error.detail()).at(written.span()))
}

fn credentials(
    config: &MemcachedConfig,
    variable: Variable<'_>,
) -> Result<Option<MemcachedCredentials>, ConfigError> {
    let password = match (&config.password, &config.password_file) {
        (Some(password), None) => {
            let expanded = expand(password.get_ref(), variable).map_err(|error| error.at(password.span()))?;
            Some((Secret::new(expanded), password.span()))
        }
        (None, Some(file)) => Some((read_secret(file)?, file.span())),
        (None, None) => None,
        (Some(_), Some(file)) => {
            return Err(ConfigError::new("`password` and `password_file` exclude each other").at(file.span()));
        }
    };
    match (&config.username, password) {
        (None, None) => Ok(None),
        (Some(username), Some((password, _))) => {
            let credentials = MemcachedCredentials::new(username.get_ref(), password.reveal());
            let wrong = || {
                ConfigError::new("memcached takes no user name or password that is empty or holds a blank")
                    .at(username.span())
            };
            credentials.map(Some).ok_or_else(wrong)
        }
        (Some(username), None) => Err(ConfigError::new("a user name needs its password")
            .at(username.span())
            .help("set `password = \"${NAME}\"` or `password_file`")),
        (None, Some((_, span))) => {
            Err(ConfigError::new("a password needs its user name").at(span).help("set `username`"))
        }
    }
}

fn l1(written: &Spanned<L1Config>) -> Result<L1Settings, ConfigError> {
    let (ttl, capacity) = match written.get_ref() {
        L1Config::Word(word) if word == "off" => return Ok(L1Settings::Off),
        L1Config::Word(word) if word == "validate" => (None, None),
        L1Config::Word(word) => {
            return Err(ConfigError::new(format!("`{word}` is none of the choices"))
                .at(written.span())
                .help("write \"off\", \"validate\" or { ttl = \"1s\" }"));
        }
        L1Config::Table { ttl, capacity } => (*ttl, *capacity),
    };
    let capacity_bytes = capacity.map_or(L1_BYTES, |capacity| capacity.0);
    if capacity_bytes < 1 << 20 {
        return Err(ConfigError::new("copies need at least 1 MiB").at(written.span()));
    }
    match ttl.map(|ttl| ttl.as_ms()) {
        None => Ok(L1Settings::Validate { capacity_bytes }),
        Some(ttl_ms @ 10..=3_600_000) => Ok(L1Settings::ForTtl { ttl_ms, capacity_bytes }),
        Some(_) => Err(ConfigError::new("a copy is used for 10ms to 1h").at(written.span())),
    }
}

fn servers(written: &Spanned<Vec<Spanned<ServerConfig>>>) -> Result<Vec<ServerSettings>, ConfigError> {
    let servers = written.get_ref();
    if servers.is_empty() || servers.len() > throughline_caches::MemcachedConfig::SERVER_COUNT_MAX {
        let max = throughline_caches::MemcachedConfig::SERVER_COUNT_MAX;
        return Err(ConfigError::new(format!("a memcached cache has 1 to {max} servers"))
            .at(written.span())
            .help("write servers = [\"127.0.0.1:11211\"]"));
    }
    let servers = servers.iter().map(server).collect::<Result<Vec<_>, _>>()?;
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for (server, written) in servers.iter().zip(written.get_ref()) {
        if !names.insert(&server.name) {
            return Err(ConfigError::new(format!("two servers have the name `{}`", server.name))
                .at(written.span())
                .help("the name decides which keys a server keeps, so each has one of its own"));
        }
        if !addresses.insert(&server.address) {
            return Err(ConfigError::new(format!("two servers have the address `{}`", server.address))
                .at(written.span())
                .help("list each server once"));
        }
    }
    Ok(servers)
}

fn server(written: &Spanned<ServerConfig>) -> Result<ServerSettings, ConfigError> {
    let (name, address) = match written.get_ref() {
        ServerConfig::Address(address) => (address, address),
        ServerConfig::Named { name, address } => (name, address),
    };
    check_address(address, written.span())?;
    let name = NodeName::new(name).ok_or_else(|| {
        ConfigError::new(format!(
            "a server's name has 1 to {} printable characters and no blanks",
            NodeName::LEN_MAX
        ))
        .at(written.span())
        .help("write { name = \"a\", address = \"127.0.0.1:11211\" }")
    })?;
    Ok(ServerSettings { name, address: address.clone() })
}

fn check_address(address: &str, span: Range<usize>) -> Result<(), ConfigError> {
    let port = address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((!host.is_empty()).then_some(port)?.parse::<u16>()));
    if !matches!(port, Some(Ok(1..))) {
        return Err(ConfigError::new("not a server's address").at(span).help("write \"127.0.0.1:11211\""));
    }
    Ok(())
}

fn distribution(written: &Spanned<String>) -> Result<Distribution, ConfigError> {
    let place = find("distribution", written, DISTRIBUTIONS.iter().map(|(name, _)| *name))?;
    Ok(DISTRIBUTIONS[place].1)
}
