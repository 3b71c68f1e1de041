// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which resources are served, and what each is made of.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{
    Access, Fingerprint, Level, Loader, Member, ResourceName, Scope, WriteStrategy, Writer,
};
use throughline_engine::{Behind, Generations, Policy, Space, SpaceParts};
use throughline_sources::sql;

use super::behind::Journals;
use super::cache::OpenCache;
use super::fence::Fences;
use super::level::{self, Decision, Facts};
use super::source::{OpenSource, OpenTable};
use super::{Assembly, Surroundings, about, feed, staleness};
use crate::config::{ConfigError, ResourceSettings, Settings, TableChoice};
use crate::listing::{About, Format, Listing};
use crate::throughline::Notice;

/// How long a start waits for the cache to forget what an earlier process may have left in it.
const REFRESH_LIMIT: Duration = Duration::from_secs(5);

/// Everything that is to be served: what settings name, and the tables that sources were told to add.
pub(super) fn choose(
    settings: &Settings,
    sources: &[OpenSource],
    notices: &mut Vec<Notice>,
) -> Result<Vec<ResourceSettings>, ConfigError> {
    let mut chosen = settings.resources.clone();
    for (place, (source, open)) in settings.sources.iter().zip(sources).enumerate() {
        let wanted = |name: &str| match &source.tables {
            TableChoice::Named => false,
            TableChoice::All { except } => !except.iter().any(|left_out| left_out == name),
            TableChoice::List(names) => names.iter().any(|listed| listed == name),
        };
        if let TableChoice::List(names) = &source.tables {
            let missing = names.iter().find(|name| !open.tables.iter().any(|table| table.name == **name));
            if let Some(missing) = missing {
                return Err(no_table(open, missing));
            }
        }
        for table in open.tables.iter().filter(|table| wanted(&table.name) && !sql::is_own_table(&table.name))
        {
            if chosen.iter().any(|named| named.source == place && named.table == table.name) {
                continue;
            }
            let reason = match (&table.unservable, ResourceName::new(&table.name)) {
                (Some(reason), _) => reason.clone(),
                (None, None) => {
                    "its name is no resource's name; name it in [resources.NAME] with `table`".to_owned()
                }
                (None, Some(name)) if chosen.iter().any(|named| named.name == name) => {
                    "another resource has its name".to_owned()
                }
                (None, Some(name)) => {
                    let cache = (!settings.caches.is_empty()).then_some(0);
                    chosen.push(ResourceSettings::of_table(
                        name,
                        place,
                        table.name.clone(),
                        cache,
                        source.access,
                    ));
                    continue;
                }
            };
            let text = format!("table `{}` of {} is not served: {reason}", table.name, open.label);
            notices.push(Notice { text, is_fault: false });
        }
    }
    Ok(chosen)
}

fn no_table(source: &OpenSource, name: &str) -> ConfigError {
    let tables: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let mistake = ConfigError::new(format!("{} has no table `{name}`", source.label));
    match tables.len() {
        0 => mistake.help("it has no tables at all"),
        1..=20 => mistake.help(format!("there are: {}", tables.join(", "))),
        more => mistake.help(format!("there are {more} others")),
    }
}

/// What resources are made over.
pub(super) struct Opened<'a> {
    pub(super) sources: &'a [OpenSource],
    pub(super) caches: &'a [OpenCache],
    pub(super) fences: &'a Fences,
    /// Of accepted writes, if a resource is written behind.
    pub(super) journals: Option<&'a Journals>,
    /// All that are to be made.
    pub(super) chosen: &'a [ResourceSettings],
}

impl Assembly {
    /// One resource: its table, its level, its parts; and its number at its source.
    pub(super) async fn resource(
        &self,
        settings: &ResourceSettings,
        opened: &Opened<'_>,
        surroundings: &Surroundings,
        notices: &mut Vec<Notice>,
    ) -> Result<(Listing, Option<Member>), ConfigError> {
        let Opened { sources, caches, fences, journals, chosen } = *opened;
        let placed = |mistake: ConfigError| match settings.place.clone() {
            Some(place) if mistake.span.is_none() => mistake.at(place),
            _ => mistake,
        };
        let source = &sources[settings.source];
        if sql::is_own_table(&settings.table) {
            let mistake =
                ConfigError::new(format!("table `{}` is one of our own and not served", settings.table));
            return Err(placed(mistake));
        }
        let table = source.tables.iter().find(|table| table.name == settings.table);
        let table = table.ok_or_else(|| placed(no_table(source, &settings.table)))?;
        refuse_behind(settings, table, chosen).map_err(placed)?;
        let open = source
            .resource(settings, &mapping(settings))
            .await
            .map_err(|error| placed(super::source::mistake(&error)))?;
        if let (Some(why), Access::Write) = (&open.no_writes, settings.access) {
            notices.push(Notice { text: format!("resource `{}`: {why}", settings.name), is_fault: true });
        }
        let hears_news = open.is_fed || source.tells_that_it_changed();
        let settings = &staleness::bounded(settings, hears_news).map_err(placed)?;
        let cache = settings.cache.map(|place| &caches[place]);
        let facts = Facts {
            scope: cache.map(|cache| cache.cache.scope()),
            others_may_write: source.others_may_write(),
            hidden_change: source.hidden_change(&table.name),
            no_locks: open.no_locks.clone(),
            never_strict: source.never_strict(),
            unchecked: cache.and_then(OpenCache::unchecked),
            no_control: source.no_control().or_else(|| fences.obstacle(settings)),
        };
        let decision = level::settle(settings.name.as_str(), settings.level, &facts).map_err(placed)?;
        let decision = decision.with_patience(settings.control_lost_ms);
        let generations = generations(settings, source, cache, fences, surroundings);
        let sides = self.sides(settings, &open, journals, surroundings, notices).await.map_err(placed)?;
        let behind = sides.behind.clone();
        let settled = Settled { level: decision.level, probes: source.probes(), generations };
        let space = space(settings, cache, open.fingerprint, sides, settled, surroundings);
        if let Some(behind) = &behind {
            behind.attach(&space);
            // A cache that does not answer is no reason not to start: its entries go when it does.
            drop(tokio::time::timeout(REFRESH_LIMIT, behind.refresh()).await);
        }
        let others_seen = feed::others_seen(source, table, &open, settings);
        let about = About { others_seen, ..about(settings, source, cache, table, &decision) };
        Ok((Listing { space, about, behind }, open.member))
    }

    /// The two sides of a resource's source, with what stands before them.
    async fn sides(
        &self,
        settings: &ResourceSettings,
        open: &OpenTable,
        journals: Option<&Journals>,
        surroundings: &Surroundings,
        notices: &mut Vec<Notice>,
    ) -> Result<Sides, ConfigError> {
        let guard = &surroundings.guards[settings.source];
        let loader = match &self.wrap_loader {
            Some(wrap) => wrap(open.loader.clone()),
            None => open.loader.clone(),
        };
        let writer = match &self.wrap_writer {
            Some(wrap) => wrap(open.writer.clone()),
            None => open.writer.clone(),
        };
        let loader = guard.loader(loader);
        let is_behind = settings.write == WriteStrategy::WriteBehind;
        let (Some(journals), Some(drain)) = (journals.filter(|_| is_behind), &open.drain) else {
            return Ok(Sides { loader, writer: guard.writer(writer), behind: None });
        };
        let journal = match &self.wrap_journal {
            Some(wrap) => wrap(journals.of_writes()),
            None => journals.of_writes(),
        };
        let sides = (loader, guard.drain(drain.clone()));
        let behind = journals.resource(settings, sides, journal, surroundings, notices).await?;
        Ok(Sides { loader: behind.loader(), writer: behind.writer(), behind: Some(behind) })
    }
}

/// What was found out about a resource.
struct Settled {
    level: Level,
    /// Whether loads notice writers.
    probes: bool,
    generations: Generations,
}

/// What a resource is read from and written to.
struct Sides {
    loader: Arc<dyn Loader>,
    writer: Arc<dyn Writer>,
    /// Its accepted writes, if it is written behind; then both sides are theirs.
    behind: Option<Arc<Behind>>,
}

fn space(
    settings: &ResourceSettings,
    cache: Option<&OpenCache>,
    fingerprint: Fingerprint,
    sides: Sides,
    settled: Settled,
    surroundings: &Surroundings,
) -> Arc<Space> {
    let Settled { level, probes, generations } = settled;
    let policy = Policy {
        level,
        probes,
        read: settings.read,
        write: settings.write,
        access: settings.access,
        ttl: settings.ttl,
        staleness_ms_max: settings.staleness_ms_max,
        copies_ms: cache.and_then(OpenCache::unchecked_ms).unwrap_or(0),
        control_lost_ms: settings.control_lost_ms,
        lease_wait_ms: settings.lease_wait_ms,
        entry_bytes_max: settings.entry_bytes_max,
    };
    Space::new(SpaceParts {
        name: settings.name.clone(),
        loader: sides.loader,
        writer: Some(sides.writer),
        cache: cache.map(|cache| cache.cache.clone()),
        local: cache.and_then(|cache| cache.local.clone()),
        nodes: cache.and_then(|cache| cache.nodes.clone()),
        fingerprint,
        generations,
        policy,
        clock: surroundings.clock.clone(),
        rng: surroundings.rng.clone(),
        tasks: Arc::new(surroundings.tasks.clone()),
        bypass_rate: surroundings.guards[settings.source].bypass_rate.clone(),
    })
}

/// Who decides on the generations of a resource's entries.
fn generations(
    settings: &ResourceSettings,
    source: &OpenSource,
    cache: Option<&OpenCache>,
    fences: &Fences,
    surroundings: &Surroundings,
) -> Generations {
    let shared = cache.is_some_and(|cache| cache.cache.scope() == Scope::Shared);
    match (source.others_may_write(), fences.of(settings)) {
        (Some(_), Some(fence)) if shared => Generations::Fleet(fence.clone()),
        (Some(_), None) if shared => Generations::Shared(0),
        // By chance: entries of an earlier run on a shared server must not be found again, and a cache in
        // this process tells the keys of its resources apart by it. Room is left for it to grow.
        _ => Generations::Own(surroundings.rng.next_u64() >> 2),
    }
}

fn mapping(settings: &ResourceSettings) -> sql::TableMapping {
    let format = match (settings.format, &settings.value_column) {
        (Format::Raw, Some(value_column)) => sql::Format::Raw {
            value_column: value_column.clone(),
            flags_column: settings.flags_column.clone(),
        },
        _ => sql::Format::Json,
    };
    sql::TableMapping {
        table: settings.table.clone(),
        columns: settings.columns.clone(),
        format,
        version_column: settings.version_column.clone(),
    }
}

fn about(
    settings: &ResourceSettings,
    source: &OpenSource,
    cache: Option<&OpenCache>,
    table: &sql::Table,
    decision: &Decision,
) -> About {
    let shown = |column: &&sql::Column| {
        settings.columns.as_ref().is_none_or(|columns| columns.contains(&column.name))
    };
    About {
        source: source.label.clone(),
        table: table.name.clone(),
        cache: cache.map_or_else(|| "none".to_owned(), |cache| cache.label.clone()),
        key: table.key_columns().map(|column| column.name.clone()).collect(),
        // A service does not tell the fields of its records.
        fields: match settings.http {
            Some(_) => Vec::new(),
            None => table.columns.iter().filter(shown).map(about::field).collect(),
        },
        format: settings.format,
        level_reason: decision.reason.clone(),
        remedy: decision.remedy.clone(),
        others_seen: String::new(),
    }
}

/// Why a resource over `table` cannot be written behind, if it cannot.
fn refuse_behind(
    settings: &ResourceSettings,
    table: &sql::Table,
    chosen: &[ResourceSettings],
) -> Result<(), ConfigError> {
    if settings.write != WriteStrategy::WriteBehind {
        return Ok(());
    }
    let refused = |why: String, help: &str| {
        Err(ConfigError::new(format!("resource `{}` cannot be written behind: {why}", settings.name))
            .help(help))
    };
    if let Some(column) = table.key_columns().find(|column| !column.kind.is_exact()) {
        let why = format!(
            "its key column `{}` takes several spellings for the same, so an accepted write could be overlooked",
            column.name
        );
        return refused(why, "give the column a binary collation, or use write = \"write-through\"");
    }
    let is_other = |other: &&ResourceSettings| {
        other.name != settings.name && other.source == settings.source && other.table == settings.table
    };
    if let Some(other) = chosen.iter().find(is_other) {
        let why =
            format!("resource `{}` is over the same table and would not see what is accepted", other.name);
        return refused(why, "serve the table by one resource");
    }
    Ok(())
}

/// Tells the resources over one table of each other.
pub(super) fn introduce_siblings(chosen: &[ResourceSettings], listings: &[Listing]) {
    for (settings, listing) in chosen.iter().zip(listings) {
        let others = chosen.iter().zip(listings).filter(|(other, _)| {
            other.name != settings.name && other.source == settings.source && other.table == settings.table
        });
        listing.space.set_siblings(others.map(|(_, other)| Arc::downgrade(&other.space)).collect());
    }
}
