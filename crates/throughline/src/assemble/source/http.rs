// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service over HTTP as a source.

use std::sync::Arc;

use throughline_core::Result;
use throughline_sources::http::{HttpConfig, HttpSource, HttpStats};
use throughline_sources::sql::{Column, Kind as ColumnKind, Table};

use super::{Kind, OpenSource, OpenTable};
use crate::assemble::Surroundings;
use crate::config::{ResourceSettings, SourceSettings};
use crate::tasks::TrackedTasks;
use crate::throughline::Gauge;

/// Unlike a database it need not be there yet: it tells nothing about its resources that would be needed now, and to be
/// away at times is what such services do.
pub(super) async fn open(
    settings: &SourceSettings,
    config: &HttpConfig,
    resources: impl Iterator<Item = &ResourceSettings>,
    surroundings: &Surroundings,
) -> Result<OpenSource> {
    let config = HttpConfig {
        reader_count: settings.read_connections.into(),
        writer_count: settings.write_connections.into(),
        request_timeout_ms: settings.statement_timeout_ms,
        ..config.clone()
    };
    let scheme = if config.encrypted { "HTTPS" } else { "HTTP" };
    let label = format!("{} ({scheme}, {}:{}{})", settings.name, config.host, config.port, config.base_path);
    let source = HttpSource::open(config, surroundings.clock.clone())?;
    let faults = source.probe().await.err().map(|error| error.to_string());
    Ok(OpenSource {
        label,
        control: None,
        hidden_changes: Vec::new(),
        tables: tables(resources),
        notes: source.notes(),
        faults: faults.into_iter().collect(),
        name: settings.name.clone(),
        fed_tables: Vec::new(),
        kind: Kind::Http { source, tasks: surroundings.tasks.clone() },
    })
}

/// Each path as a table, of which no more is known than the parts of its key.
fn tables<'a>(resources: impl Iterator<Item = &'a ResourceSettings>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for settings in resources {
        let Some(mapping) = &settings.http else { continue };
        if tables.iter().any(|table| table.name == settings.table) {
            continue;
        }
        let part =
            |name: &String| Column { nullable: false, ..Column::new(name, ColumnKind::Text { exact: true }) };
        let columns: Vec<Column> = mapping.path.names().iter().map(part).collect();
        tables.push(Table {
            schema: None,
            name: settings.table.clone(),
            primary_key: (0..columns.len()).collect(),
            columns,
            has_other_unique: false,
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
            unservable: None,
        });
    }
    tables
}

pub(super) fn table(source: &HttpSource, tasks: &TrackedTasks, settings: &ResourceSettings) -> OpenTable {
    let mapping = settings.http.clone().expect("a resource of a service was resolved to one");
    let resource = source.resource(mapping, Arc::new(tasks.clone()));
    OpenTable {
        fingerprint: resource.fingerprint(),
        loader: resource.clone(),
        drain: Some(resource.clone()),
        writer: resource,
        no_locks: None,
        no_writes: None,
        member: None,
        is_fed: false,
    }
}

pub(super) fn gauges(
    stats: &HttpStats,
    gauge: impl Fn(&'static str, &'static str, u64) -> Gauge,
) -> Vec<Gauge> {
    vec![
        gauge(
            "read_requests",
            "GETs that were sent, for loads and to decide conditions.",
            stats.read_requests,
        ),
        gauge("write_requests", "Requests that were sent to write.", stats.write_requests),
        gauge(
            "failed_requests",
            "Requests that were answered by 429 or 5xx, or not at all.",
            stats.failed_requests,
        ),
        gauge("connections_opened", "Connections that were opened.", stats.connections_opened),
    ]
}
