// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources that settings name.

mod http;
mod ledger;
pub(super) mod postgres;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use throughline_core::{
    Access, ControlStore, Drain, Error, ErrorKind, Feed, Fingerprint, Loader, Member, Result, Transactions,
    WriteStrategy, Writer,
};
use throughline_engine::Space;
use throughline_sources::http::HttpSource;
use throughline_sources::mysql::{MysqlConfig, MysqlSource, Password};
use throughline_sources::postgres::{PostgresConfig, PostgresSource};
use throughline_sources::sql::{ControlTables, HiddenChange, Table, TableMapping, hidden_changes};
use throughline_sources::sqlite::{SqliteConfig, SqliteSource};

use super::Surroundings;
use super::feed::Consumption;
use super::level::Obstacle;
use crate::config::{CacheKind, ConfigError, ResourceSettings, Secret, Settings, SourceKind, SourceSettings};
use crate::tasks::TrackedTasks;
use crate::throughline::{Gauge, Notice};

pub(super) use ledger::Ledger;

/// The tables and rows of the sample database.
const SAMPLE: &str = include_str!("sample.sql");

/// A source with its catalogue.
pub(super) struct OpenSource {
    /// What it is, for people.
    pub(super) label: String,
    pub(super) tables: Vec<Table>,
    /// What it costs in promises, in sentences for people.
    notes: Vec<String>,
    /// What is wrong with it now, although it may pass by itself.
    faults: Vec<String>,
    pub(super) name: String,
    hidden_changes: Vec<HiddenChange>,
    /// The tables whose changes an outbox tells row by row.
    fed_tables: Vec<String>,
    kind: Kind,
    /// The control tables, or why there are none to be used; `None` when nobody asked.
    control: Option<std::result::Result<Arc<dyn ControlStore>, Obstacle>>,
}

enum Kind {
    Sqlite {
        source: SqliteSource,
        /// Whether nobody else writes to the file by Throughline.
        alone: bool,
    },
    Mysql {
        source: MysqlSource,
        consumption: Consumption,
    },
    Postgres {
        source: PostgresSource,
        consumption: Consumption,
    },
    Http {
        source: HttpSource,
        tasks: TrackedTasks,
    },
}

/// One table as a resource gets it.
pub(super) struct OpenTable {
    pub(super) loader: Arc<dyn Loader>,
    pub(super) writer: Arc<dyn Writer>,
    pub(super) fingerprint: Fingerprint,
    /// Why the source cannot tell whether one of its rows is being written.
    pub(super) no_locks: Option<Obstacle>,
    /// Why the account cannot write to it, as far as is known.
    pub(super) no_writes: Option<String>,
    /// The table's number at the source, for transactions.
    pub(super) member: Option<Member>,
    /// Whether an outbox tells which of its rows other programs change.
    pub(super) is_fed: bool,
    /// What applies accepted writes, if that was asked for.
    pub(super) drain: Option<Arc<dyn Drain>>,
}

pub(super) async fn open_all(
    settings: &Settings,
    surroundings: &Surroundings,
) -> std::result::Result<Vec<OpenSource>, ConfigError> {
    refuse_twins(&settings.sources)?;
    // Only daemons that share a cache have something to agree on.
    let wants_control = settings.caches.iter().any(|cache| matches!(cache.kind, CacheKind::Memcached { .. }));
    let mut sources = Vec::with_capacity(settings.sources.len());
    for (place, source) in settings.sources.iter().enumerate() {
        let named =
            |resource: &&ResourceSettings| resource.source == place && resource.access == Access::Write;
        let writes = source.access == Access::Write || settings.resources.iter().find(named).is_some();
        let consumption = Consumption::of(settings, place, &surroundings.rng);
        let open = open(settings, place, writes, wants_control, consumption, surroundings).await;
        sources.push(open.map_err(|error| mistake(&error))?);
    }
    Ok(sources)
}

/// Two sources over one database would not know of each other's resources over a table, so a write by one would
/// not reach the entries of the other.
fn refuse_twins(sources: &[SourceSettings]) -> std::result::Result<(), ConfigError> {
    for (place, source) in sources.iter().enumerate() {
        let Some(twin) = sources[..place].iter().find(|other| identity(other) == identity(source)) else {
            continue;
        };
        let message = format!("sources `{}` and `{}` are the same database", twin.name, source.name);
        return Err(ConfigError::new(message).help("keep one; any number of resources can share it"));
    }
    Ok(())
}

/// Names the database behind a source, as far as its settings tell.
fn identity(source: &SourceSettings) -> String {
    match &source.kind {
        SourceKind::Sqlite { path, .. } => {
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            format!("sqlite:{}", path.display())
        }
        SourceKind::Mysql { url, .. } => match MysqlConfig::parse_url(url.reveal()) {
            Ok(config) => format!("mysql:{}:{}/{}", config.host, config.port, config.database),
            // Opening it will say what is wrong.
            Err(_) => format!("mysql source {}", source.name),
        },
        SourceKind::Postgres { url, .. } => match PostgresConfig::parse_url(url.reveal()) {
            Ok(config) => format!("postgres:{}:{}/{}", config.host, config.port, config.database),
            Err(_) => format!("postgres source {}", source.name),
        },
        SourceKind::Http(config) => format!("http:{}:{}{}", config.host, config.port, config.base_path),
    }
}

/// A source's error as a mistake of the configuration, which it is at start-up.
pub(super) fn mistake(error: &Error) -> ConfigError {
    let mistake = ConfigError::new(error.to_string());
    match error.kind() {
        ErrorKind::Denied => mistake.help(
            "a password comes from ${NAME} in the url, from `password_file`, or, for a url on the command line, from \
             THROUGHLINE_PASSWORD",
        ),
        _ => mistake,
    }
}

async fn open(
    all: &Settings,
    place: usize,
    writes: bool,
    wants_control: bool,
    consumption: Consumption,
    surroundings: &Surroundings,
) -> Result<OpenSource> {
    let settings = &all.sources[place];
    match &settings.kind {
        SourceKind::Http(config) => {
            let resources = all.resources.iter().filter(|resource| resource.source == place);
            http::open(settings, config, resources, surroundings).await
        }
        SourceKind::Sqlite { path, sample } => {
            open_sqlite(settings, path, *sample, writes, surroundings.checking).await
        }
        SourceKind::Mysql { url, password } => {
            open_mysql(settings, url, password.as_ref(), wants_control, consumption, surroundings).await
        }
        SourceKind::Postgres { url, password } => {
            postgres::open(settings, url, password.as_ref(), wants_control, consumption, surroundings).await
        }
    }
}

async fn open_sqlite(
    settings: &SourceSettings,
    path: &Path,
    sample: bool,
    writes: bool,
    checking: bool,
) -> Result<OpenSource> {
    let config = SqliteConfig {
        create: sample,
        seed: sample.then(|| SAMPLE.to_owned()),
        // Opening for writing would already change the file's journal mode.
        read_only: !writes || checking,
        reader_count: usize::from(settings.read_connections).min(64),
        ..SqliteConfig::new(path)
    };
    let folder = path.parent().filter(|_| sample).map(Path::to_owned);
    let opening = tokio::task::spawn_blocking(move || {
        if let Some(folder) = folder {
            std::fs::create_dir_all(&folder).map_err(|cause| {
                let detail = format!("`{}` cannot be made: {}", folder.display(), cause.kind());
                Error::new(ErrorKind::Denied, "make the data folder", detail)
            })?;
        }
        SqliteSource::open(&config)
    });
    let source = opening.await.expect("opening a file does not panic")?;
    if writes && !checking && !source.owned() {
        // The other process answers from its own memory, which a write of ours would not reach.
        let detail = format!(
            "another process serves `{}` and may write to it; stop it, or serve the file for reading only",
            path.display()
        );
        return Err(Error::new(ErrorKind::Unavailable, "open an SQLite database for writing", detail));
    }
    Ok(OpenSource {
        label: format!("{} (SQLite {})", settings.name, path.display()),
        tables: source.tables().map(|table| Table::clone(table)).collect(),
        notes: Vec::new(),
        faults: Vec::new(),
        name: settings.name.clone(),
        hidden_changes: source.hidden_changes(),
        fed_tables: source.fed_tables().await?,
        kind: Kind::Sqlite { source, alone: writes },
        control: None,
    })
}

async fn open_mysql(
    settings: &SourceSettings,
    url: &Secret,
    password: Option<&Secret>,
    wants_control: bool,
    consumption: Consumption,
    surroundings: &Surroundings,
) -> Result<OpenSource> {
    let mut config = mysql_config(settings, url, password)?;
    config.consumer = consumption.marks_all.then(|| consumption.consumer.clone());
    let label = format!(
        "{} (MySQL or MariaDB, database {} on {}:{})",
        settings.name, config.database, config.host, config.port
    );
    let source = MysqlSource::connect(config, &surroundings.tasks).await?;
    let tables = source.tables().await?;
    let control = match wants_control {
        true => Some(usable(source.control(&surroundings.tasks).await?)),
        false => None,
    };
    Ok(OpenSource {
        label,
        control,
        hidden_changes: hidden_changes(&tables),
        fed_tables: source.fed_tables().await?,
        tables,
        notes: source.notes(),
        faults: Vec::new(),
        name: settings.name.clone(),
        kind: Kind::Mysql { source, consumption },
    })
}

pub(super) fn mysql_config(
    settings: &SourceSettings,
    url: &Secret,
    password: Option<&Secret>,
) -> Result<MysqlConfig> {
    let mut config = MysqlConfig::parse_url(url.reveal())?;
    if let Some(password) = password {
        config.password = Password::new(password.reveal());
    }
    config.reader_count = usize::from(settings.read_connections);
    config.writer_count = usize::from(settings.write_connections);
    config.statement_timeout_ms = settings.statement_timeout_ms;
    settings.tls.apply(&mut config.tls);
    Ok(config)
}

impl OpenSource {
    /// The loads and writes of one table.
    pub(super) async fn resource(
        &self,
        settings: &ResourceSettings,
        mapping: &TableMapping,
    ) -> Result<OpenTable> {
        let is_fed = self.fed_tables.contains(&mapping.table);
        let is_behind = settings.write == WriteStrategy::WriteBehind;
        Ok(match &self.kind {
            Kind::Sqlite { source, .. } => {
                let table = source.resource(mapping)?;
                let (fingerprint, member) = (table.fingerprint(), table.member());
                // The locks that a load probes are in the memory of the process that owns the file.
                let remedy = "serve it with --write or access = \"write\", if this is the only daemon that writes to it";
                let no_locks = self.others_may_write().map(|why| Obstacle { why, remedy: remedy.to_owned() });
                let drain = if is_behind { Some(table.drain().await?) } else { None };
                OpenTable {
                    loader: table.clone(),
                    writer: table,
                    fingerprint,
                    no_locks,
                    no_writes: None,
                    is_fed,
                    member: Some(member),
                    drain,
                }
            }
            Kind::Mysql { source, .. } => {
                let table = source.resource(mapping).await?;
                let remedy = "use an InnoDB table, and an account that may read with a lock";
                let no_locks = table.strict_obstacle().map(|why| Obstacle { why, remedy: remedy.to_owned() });
                let (fingerprint, member) = (table.fingerprint(), table.member());
                let drain = if is_behind { Some(table.drain().await?) } else { None };
                OpenTable {
                    loader: table.clone(),
                    writer: table,
                    fingerprint,
                    no_locks,
                    no_writes: None,
                    is_fed,
                    member: Some(member),
                    drain,
                }
            }
            Kind::Postgres { source, .. } => postgres::table(source, mapping, is_fed, is_behind).await?,
            Kind::Http { source, tasks } => http::table(source, tasks, settings),
        })
    }

    /// What a person should know of it.
    pub(super) fn notices(&self) -> Vec<Notice> {
        let notice =
            |note: &String, is_fault| Notice { text: format!("source {}: {note}", self.label), is_fault };
        let notes = self.notes.iter().map(|note| notice(note, false));
        notes.chain(self.faults.iter().map(|fault| notice(fault, true))).collect()
    }

    /// Its name in the configuration.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its transactions, if it has them.
    pub(super) fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        match &self.kind {
            Kind::Sqlite { source, .. } => Some(Arc::new(source.clone())),
            Kind::Mysql { source, .. } => Some(Arc::new(source.clone())),
            Kind::Postgres { source, .. } => Some(Arc::new(source.clone())),
            Kind::Http { .. } => None,
        }
    }

    /// Whether its loads notice that a writer has their key.
    pub(super) fn probes(&self) -> bool {
        !matches!(self.kind, Kind::Http { .. })
    }

    /// Why no resource of it can be strict, whatever else is there.
    pub(super) fn never_strict(&self) -> Option<String> {
        matches!(self.kind, Kind::Http { .. })
            .then(|| "HTTP knows no locks by which a load could notice a write".to_owned())
    }

    /// Why another process may write to it by Throughline, if one may.
    pub(super) fn others_may_write(&self) -> Option<String> {
        match &self.kind {
            Kind::Sqlite { alone: true, .. } => None,
            Kind::Sqlite { .. } => {
                Some("the file is open for reading only, so others may write to it".to_owned())
            }
            Kind::Mysql { .. } | Kind::Postgres { .. } => {
                Some("another daemon may write to the database".to_owned())
            }
            Kind::Http { .. } => Some("the service has other clients".to_owned()),
        }
    }

    /// The control tables, if they may be used.
    pub(super) fn control(&self) -> Option<&Arc<dyn ControlStore>> {
        self.control.as_ref()?.as_ref().ok()
    }

    /// Why daemons cannot agree, through the database, on which cache servers may be read.
    pub(super) fn no_control(&self) -> Option<Obstacle> {
        self.control.as_ref()?.as_ref().err().cloned()
    }

    /// Why rows of `table` may change without anybody writing to it, if they may.
    pub(super) fn hidden_change(&self, table: &str) -> Option<String> {
        let hidden = self.hidden_changes.iter().find(|hidden| hidden.table == table);
        hidden.map(|hidden| hidden.reason.clone())
    }

    /// Its news of other programs' writes to `tables`, if it has any.
    pub(super) fn feed(
        &self,
        tables: &HashMap<Arc<str>, Vec<Arc<Space>>>,
        surroundings: &Surroundings,
    ) -> Option<Arc<dyn Feed>> {
        match &self.kind {
            Kind::Http { .. } => None,
            Kind::Sqlite { source, .. } => Some(Arc::new(source.feed())),
            Kind::Mysql { source, consumption } => {
                let fed = self.fed(tables);
                let consumer = consumption.consumer.clone();
                let feed = || Arc::new(source.feed(&fed, consumer, &surroundings.tasks)) as Arc<dyn Feed>;
                (!fed.is_empty()).then(feed)
            }
            Kind::Postgres { source, consumption } => {
                let fed = self.fed(tables);
                let consumer = consumption.consumer.clone();
                (!fed.is_empty()).then(|| Arc::new(source.feed(&fed, consumer)) as Arc<dyn Feed>)
            }
        }
    }

    /// Those of `tables` that an outbox speaks for.
    fn fed(&self, tables: &HashMap<Arc<str>, Vec<Arc<Space>>>) -> Vec<&Table> {
        let fed = |table: &&Table| {
            self.fed_tables.contains(&table.name) && tables.contains_key(table.name.as_str())
        };
        self.tables.iter().filter(fed).collect()
    }

    /// Whether it tells that another program changed it, although not which rows.
    pub(super) fn tells_that_it_changed(&self) -> bool {
        matches!(self.kind, Kind::Sqlite { .. })
    }

    /// Whether what a foreign key changes fires triggers.
    pub(super) fn cascades_fire_triggers(&self) -> bool {
        !matches!(self.kind, Kind::Mysql { .. })
    }

    /// What it counts about itself.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, meaning, number| Gauge {
            role: "source",
            backend: self.name.clone(),
            node: None,
            name,
            meaning,
            number,
        };
        match &self.kind {
            Kind::Postgres { source, .. } => postgres::gauges(&source.stats(), gauge),
            Kind::Http { source, .. } => http::gauges(&source.stats(), gauge),
            Kind::Sqlite { source, .. } => {
                let stats = source.stats();
                vec![
                    gauge(
                        "read_statements",
                        "SELECTs that were run, for loads and within writes.",
                        stats.read_statements,
                    ),
                    gauge("rows_read", "Rows that they found.", stats.rows_read),
                    gauge(
                        "probes_refused",
                        "Keys whose fill was declined, because a writer held them.",
                        stats.probes_refused,
                    ),
                    gauge("transactions", "Write transactions that were begun.", stats.transactions),
                ]
            }
            Kind::Mysql { source, .. } => {
                let stats = source.stats();
                vec![
                    gauge("read_statements", "Statements that were sent for loads.", stats.read_statements),
                    gauge(
                        "write_statements",
                        "Statements that were sent for writes, commits included.",
                        stats.write_statements,
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
        }
    }
}

fn usable<S: ControlStore>(
    tables: ControlTables<Arc<S>>,
) -> std::result::Result<Arc<dyn ControlStore>, Obstacle> {
    match tables {
        ControlTables::Ready(control) => Ok(control),
        ControlTables::Unusable { why, remedy } => Err(Obstacle { why, remedy }),
    }
}
