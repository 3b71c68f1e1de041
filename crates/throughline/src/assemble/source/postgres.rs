// SPDX-License-Identifier: MIT OR Apache-2.0
//! PostgreSQL as a source.

use std::sync::Arc;

use throughline_core::Result;
use throughline_sources::postgres::{Password, PostgresConfig, PostgresSource, PostgresStats};
use throughline_sources::sql::TableMapping;

use super::{Kind, Obstacle, OpenSource, OpenTable, usable};
use crate::assemble::Surroundings;
use crate::assemble::feed::Consumption;
use crate::config::{Secret, SourceSettings};
use crate::throughline::Gauge;

pub(super) async fn open(
    settings: &SourceSettings,
    url: &Secret,
    password: Option<&Secret>,
    wants_control: bool,
    consumption: Consumption,
    surroundings: &Surroundings,
) -> Result<OpenSource> {
    let mut config = config(settings, url, password)?;
    config.consumer = consumption.marks_all.then(|| consumption.consumer.clone());
    let label = format!(
        "{} (PostgreSQL, database {} on {}:{})",
        settings.name, config.database, config.host, config.port
    );
    let source = PostgresSource::connect(config, Arc::new(surroundings.tasks.clone())).await?;
    let tables = source.tables().await?;
    let control = match wants_control {
        true => Some(usable(source.control().await?)),
        false => None,
    };
    Ok(OpenSource {
        label,
        control,
        hidden_changes: source.hidden_changes(),
        tables,
        notes: source.notes(),
        faults: Vec::new(),
        name: settings.name.clone(),
        fed_tables: source.fed_tables().await?,
        kind: Kind::Postgres { source, consumption },
    })
}

pub(in crate::assemble) fn config(
    settings: &SourceSettings,
    url: &Secret,
    password: Option<&Secret>,
) -> Result<PostgresConfig> {
    let mut config = PostgresConfig::parse_url(url.reveal())?;
    if let Some(password) = password {
        config.password = Password::new(password.reveal());
    }
    config.reader_count = usize::from(settings.read_connections);
    config.writer_count = usize::from(settings.write_connections);
    config.statement_timeout_ms = settings.statement_timeout_ms;
    settings.tls.apply(&mut config.tls);
    Ok(config)
}

pub(super) async fn table(
    source: &PostgresSource,
    mapping: &TableMapping,
    is_fed: bool,
    is_behind: bool,
) -> Result<OpenTable> {
    let table = source.resource(mapping).await?;
    let remedy = "use a primary server, and an ordinary table without rules and row security";
    let no_locks = table.strict_obstacle().map(|why| Obstacle { why, remedy: remedy.to_owned() });
    let denied =
        "the account may not insert, update and delete: GRANT it these rights, or use access = \"read\"";
    let no_writes = (!table.may_write()).then(|| denied.to_owned());
    let fingerprint = table.fingerprint();
    let drain = if is_behind { Some(table.drain().await?) } else { None };
    Ok(OpenTable {
        member: Some(table.member()),
        loader: table.clone(),
        writer: table,
        fingerprint,
        no_locks,
        no_writes,
        is_fed,
        drain,
    })
}

pub(super) fn gauges(
    stats: &PostgresStats,
    gauge: impl Fn(&'static str, &'static str, u64) -> Gauge,
) -> Vec<Gauge> {
    vec![
        gauge("read_statements", "Statements that were sent for loads.", stats.read_statements),
        gauge(
            "probe_statements",
            "Probes of keys' locks that were sent in front of them.",
            stats.probe_statements,
        ),
        gauge(
            "write_round_trips",
            "Round trips to the server for writes, commits included.",
            stats.write_round_trips,
        ),
        gauge(
            "control_statements",
            "Statements that were sent to the control tables, on connections of their own.",
            stats.control_statements,
        ),
        gauge("keys_read", "Keys that loads asked for.", stats.keys_read),
        gauge(
            "probes_refused",
            "Keys whose fill was declined, because a writer held them.",
            stats.probes_refused,
        ),
        gauge("connections_opened", "Connections that were opened.", stats.connections_opened),
    ]
}
