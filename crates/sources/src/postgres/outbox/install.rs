// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements that give a database its outbox, and those that take it away.

use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result, Tasks};

use super::super::catalogue::{self, Found};
use super::super::client::{Role, Server, Session};
use super::super::map::{Failure, statement_error};
use super::super::statement::quoted;
use super::super::{PostgresConfig, PostgresSource};
use super::poll::{self, text};
use crate::sql::outbox::{OUTBOX, ROW_COUNT_MAX, SHARED, own_name};
use crate::sql::{Action, Column, ForeignKey, Kind};

const INSTALL: &str = "install an outbox";

/// The tables of ours, in the schema `{}`.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS {}.tl_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
     consumer text NOT NULL DEFAULT '', origin text, tbl text NOT NULL, k text, \
     at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())",
    "CREATE INDEX IF NOT EXISTS tl_outbox_consumer ON {}.tl_outbox (consumer, id)",
    "CREATE TABLE IF NOT EXISTS {}.tl_consumer (name text PRIMARY KEY, \
     since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
     seen timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())",
    "CREATE TABLE IF NOT EXISTS {}.tl_table (tbl text PRIMARY KEY, rel oid NOT NULL, shape text NOT NULL DEFAULT '', \
     at timestamptz)",
];

/// What is to be removed, each as the statement that does it: triggers, then their functions, then tables.
const REMOVALS: &str = "SELECT pg_catalog.format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname) \
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE NOT t.tgisinternal AND t.tgname LIKE 'tl\\_%' AND t.tgparentid = 0 \
    UNION ALL SELECT pg_catalog.format('DROP FUNCTION %I.%I()', n.nspname, p.proname) \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE p.proname LIKE 'tl\\_%\\_changed' AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype \
    UNION ALL SELECT pg_catalog.format('DROP TABLE %I.%I', n.nspname, c.relname) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND c.relname LIKE 'tl\\_%' AND pg_catalog.pg_table_is_visible(c.oid)";

impl PostgresSource {
    /// The statements that make the outbox and the triggers on `names`, in their order. Again, they do no harm.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a table that is not there or whose changes triggers cannot tell.
    pub async fn outbox_statements(
        config: PostgresConfig,
        names: &[String],
        tasks: Arc<dyn Tasks>,
    ) -> Result<Vec<String>> {
        let session = open(config, tasks).await?;
        plan(&session, names).await
    }

    /// The same as the `psql` program reads it, with the rights that a daemon's account needs.
    ///
    /// # Errors
    /// As [`PostgresSource::outbox_statements`].
    pub async fn outbox_script(
        config: PostgresConfig,
        names: &[String],
        tasks: Arc<dyn Tasks>,
    ) -> Result<Vec<String>> {
        let account = quoted(&config.user);
        let mut statements = vec!["BEGIN".to_owned()];
        statements.extend(Self::outbox_statements(config, names, tasks).await?);
        let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON tl_outbox, tl_consumer, tl_table TO";
        statements.extend([format!("{grant} {account}"), "COMMIT".to_owned()]);
        Ok(statements.into_iter().map(|statement| format!("{statement};")).collect())
    }

    /// Makes the outbox and the triggers on `names`, all or nothing.
    ///
    /// # Errors
    /// As [`PostgresSource::outbox_statements`]; [`ErrorKind::Timeout`] when another transaction holds a table;
    /// [`ErrorKind::Denied`] without the right.
    pub async fn install_outbox(
        config: PostgresConfig,
        names: &[String],
        tasks: Arc<dyn Tasks>,
    ) -> Result<Vec<String>> {
        let session = open(config, tasks).await?;
        let statements = plan(&session, names).await?;
        run(&session, &statements).await?;
        Ok(statements)
    }

    /// Removes every trigger and table of ours.
    ///
    /// # Errors
    /// As [`PostgresSource::install_outbox`].
    pub async fn remove_own(config: PostgresConfig, tasks: Arc<dyn Tasks>) -> Result<Vec<String>> {
        let session = open(config, tasks).await?;
        let rows = session.run(REMOVALS, &[]).await.map_err(|failure| failed(&failure))?;
        let statements: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
        run(&session, &statements).await?;
        Ok(statements)
    }
}

async fn open(config: PostgresConfig, tasks: Arc<dyn Tasks>) -> Result<Arc<Session>> {
    let server = Arc::new(Server::new(config, tasks)?);
    Ok(server.open(Role::Catalogue).await?.0)
}

async fn run(session: &Session, statements: &[String]) -> Result<()> {
    let text = format!("BEGIN; {}; COMMIT", statements.join("; "));
    session.command(&text).await.map_err(|failure| failed(&failure))
}

async fn plan(session: &Session, names: &[String]) -> Result<Vec<String>> {
    let found = catalogue::read(session).await.map_err(|failure| failed(&failure))?.found;
    let rows = session.run("SELECT pg_catalog.current_schema()::text", &[]).await;
    let schema = rows.map_err(|failure| failed(&failure))?.first().map(|row| text(row, 0));
    let schema = schema.filter(|schema| !schema.is_empty()).ok_or_else(|| {
        let detail = "the account's search_path names no schema in which tables can be made";
        Error::new(ErrorKind::Configuration, INSTALL, detail)
    })?;
    let own = quoted(&schema);
    // What is installed already is made anew, so that an older version's triggers do not stay.
    let mut all = poll::fed(session).await.map_err(|failure| failed(&failure))?;
    all.retain(|name| !names.contains(name));
    let mut statements: Vec<String> = TABLES.iter().map(|statement| statement.replace("{}", &own)).collect();
    for name in names.iter().chain(&all) {
        let refused =
            |why: &str| Error::new(ErrorKind::Configuration, INSTALL, format!("table `{name}`: {why}"));
        let found = found.iter().find(|found| found.table.name == *name);
        let found = found.ok_or_else(|| refused("there is no such table"))?;
        if let Some(reason) = &found.table.unservable {
            return Err(refused(reason));
        }
        let kind = "SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.regclass";
        let on = format!("{}.{}", quoted(&found.schema), quoted(&found.name));
        let kind = session.run(kind, &[poll::wire(&on)]).await.map_err(|failure| failed(&failure))?;
        if kind.first().is_none_or(|row| text(row, 0) != "r") {
            return Err(refused(
                "it is partitioned, and a write to one partition fires no trigger of the whole",
            ));
        }
        statements.extend(triggers(found, &own, &on));
    }
    Ok(statements)
}

/// The function and the triggers of one table.
fn triggers(found: &Found, own: &str, on: &str) -> Vec<String> {
    let name = &found.table.name;
    let function = format!("{own}.{}", quoted(&own_name(name, "changed")));
    let mut statements = vec![create_function(found, own, &function)];
    let tables = [
        ("insert", "REFERENCING NEW TABLE AS new_rows "),
        ("update", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "),
        ("delete", "REFERENCING OLD TABLE AS old_rows "),
        ("truncate", ""),
    ];
    for (event, referencing) in tables {
        let trigger = quoted(&own_name(name, event));
        statements.push(format!("DROP TRIGGER IF EXISTS {trigger} ON {on}"));
        statements.push(format!(
            "CREATE TRIGGER {trigger} AFTER {} ON {on} {referencing}FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            event.to_ascii_uppercase()
        ));
    }
    statements.push(format!(
        "INSERT INTO {own}.tl_table (tbl, rel, at) VALUES ({0}, {1}::pg_catalog.regclass, pg_catalog.clock_timestamp()) \
         ON CONFLICT (tbl) DO UPDATE SET rel = {1}::pg_catalog.regclass, at = pg_catalog.clock_timestamp()",
        literal(name),
        literal(on)
    ));
    statements
}

/// Writes the keys of the rows that a statement changed, unless the connection that wrote marks their entries
/// itself: it says so by `throughline.origin`. Behind another trigger (a depth above 1), and where a row changed its
/// key, it did not mark them. Nor did it where a foreign key cascades, which looks like a statement of its own: in a
/// table into which one does, every row is written.
fn create_function(found: &Found, own: &str, function: &str) -> String {
    let cascades =
        |key: &ForeignKey| [key.on_delete, key.on_update].iter().any(|action| *action != Action::Restrict);
    let origin = match found.table.foreign_keys.iter().any(cascades) {
        true => "NULL",
        false => "nullif(current_setting('throughline.origin', true), '')",
    };
    let name = literal(&found.table.name);
    let key = key(found);
    let insert = format!("INSERT INTO {own}.{OUTBOX} (origin, tbl, k)");
    let all = format!("{insert} VALUES (written, {name}, NULL)");
    let keys = |rows: &str| format!("SELECT {key} AS k FROM {rows} r");
    let each = |rows: &str, keys: &str| {
        format!(
            "IF (SELECT count(*) FROM (SELECT FROM {rows} LIMIT {}) x) > {ROW_COUNT_MAX} THEN {all}; \
             ELSE {insert} SELECT written, {name}, k.k FROM ({keys}) k; END IF;",
            ROW_COUNT_MAX + 1
        )
    };
    let (old, new) = (keys("old_rows"), keys("new_rows"));
    format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' \
         SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $tl$\n\
         DECLARE written text := {origin};\n\
         BEGIN\n\
         IF pg_trigger_depth() > 1 OR TG_OP = 'TRUNCATE' THEN written := NULL; END IF;\n\
         IF TG_OP = 'UPDATE' THEN\n\
         IF written IS NOT NULL AND EXISTS ({old} EXCEPT {new}) THEN written := NULL; END IF;\n\
         END IF;\n\
         IF written = '{SHARED}' THEN RETURN NULL; END IF;\n\
         IF TG_OP = 'INSERT' THEN {}\n\
         ELSIF TG_OP = 'UPDATE' THEN {}\n\
         ELSIF TG_OP = 'DELETE' THEN {}\n\
         ELSE {all};\n\
         END IF;\n\
         RETURN NULL;\n\
         END $tl$",
        each("new_rows", &new),
        each("new_rows", &format!("{old} UNION {new}")),
        each("old_rows", &old),
    )
}

/// The parts of a row's key; null when one of them has no exact text.
fn key(found: &Found) -> String {
    let exact = |column: &Column| !matches!(column.kind, Kind::Float { .. } | Kind::Json);
    if !found.table.key_columns().all(exact) {
        return "NULL::text".to_owned();
    }
    let part = |column: &Column| {
        let cell = format!("r.{}", quoted(&column.name));
        match column.kind {
            Kind::Bytes { .. } => format!("encode({cell}, 'hex')"),
            _ => format!("encode(convert_to({cell}::text, 'UTF8'), 'hex')"),
        }
    };
    found.table.key_columns().map(part).collect::<Vec<_>>().join(" || ',' || ")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn failed(failure: &Failure) -> Error {
    statement_error(INSTALL, OUTBOX, failure, &|_| false)
}
