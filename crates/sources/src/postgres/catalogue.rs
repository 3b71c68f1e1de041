// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads PostgreSQL's own catalogue into tables.
//!
//! Tables that the account's `search_path` finds are called by their names, all others `schema.table`.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::client::Session;
use super::map::Failure;
use super::statement::{KeyPart, quoted};
use crate::sql::outbox::OWN_PREFIX;
use crate::sql::{Action, Column, ForeignKey, Kind, Table, Trigger};

mod kinds;
mod texts;

use kinds::Kinds;

/// A table and what only PostgreSQL says about it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) table: Table,
    pub(super) schema: String,
    pub(super) name: String,
    /// How the key's columns are compared.
    pub(super) key: Vec<KeyPart>,
    /// The types of its columns, where there are arrays of them.
    pub(super) types: Vec<Option<String>>,
    /// Why it cannot be written safely, if it cannot.
    pub(super) write_obstacle: Option<String>,
    /// Why what it shows may change without a write to it, if it may.
    pub(super) strict_obstacle: Option<String>,
    /// Whether the account may insert, update and delete.
    pub(super) may_write: bool,
    /// Whether triggers run behind a statement that changes a row.
    pub(super) rereads: bool,
    /// The names of its constraints and unique indexes.
    pub(super) constraints: Vec<String>,
}

/// What the catalogue holds.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// What can be named.
    pub(super) found: Vec<Found>,
    /// Tables that cannot, but whose triggers may change others.
    pub(super) unseen: Vec<Table>,
}

/// Reads every table and view of the database that the account may name.
pub(super) async fn read(session: &Session) -> Result<Catalogue, Failure> {
    let rows = async |sql| session.run(sql, &[]).await;
    let mut tables: BTreeMap<Oid, Relation> =
        rows(texts::RELATIONS).await?.iter().map(|row| (oid(row, 0), Relation::read(row))).collect();
    // Our own tables are never resources.
    tables.retain(|_, relation| !relation.found.name.starts_with(OWN_PREFIX));
    let kinds = Kinds::read(&rows(texts::TYPES).await?, &rows(texts::LABELS).await?);
    for row in &rows(texts::COLUMNS).await? {
        if let Some(relation) = tables.get_mut(&oid(row, 0)) {
            relation.add_column(row, &kinds);
        }
    }
    for row in &rows(texts::UNIQUE).await? {
        if let Some(relation) = tables.get_mut(&oid(row, 0)) {
            relation.add_unique(row);
        }
    }
    let names: HashMap<Oid, String> =
        tables.iter().map(|(oid, relation)| (*oid, relation.found.table.name.clone())).collect();
    for row in &rows(texts::CONSTRAINTS).await? {
        if let Some(relation) = tables.get_mut(&oid(row, 0)) {
            relation.add_constraint(row, &names);
        }
    }
    let routines = rows(texts::ROUTINES).await?;
    let routines: HashSet<String> = routines.iter().map(|row| text(row, 0).to_lowercase()).collect();
    for row in &rows(texts::TRIGGERS).await? {
        if let Some(relation) = tables.get_mut(&oid(row, 0))
            // Ours only write into the outbox, and change no row.
            && !text(row, 1).starts_with(OWN_PREFIX)
        {
            relation.add_trigger(row, &routines);
        }
    }
    let mut catalogue = Catalogue::default();
    for relation in tables.into_values() {
        if relation.named {
            catalogue.found.push(relation.judged());
        } else {
            catalogue.unseen.push(relation.found.table);
        }
    }
    catalogue.found.sort_by(|a, b| a.table.name.cmp(&b.table.name));
    Ok(catalogue)
}

/// A table or view while it is read.
struct Relation {
    found: Found,
    /// Whether it is offered: the account may use its schema, and it is no part of another table.
    named: bool,
    /// The places of its columns by their numbers.
    places: HashMap<i16, usize>,
}

impl Relation {
    fn read(row: &Row) -> Self {
        let (schema, name) = (text(row, 1), text(row, 2));
        let unservable = match text(row, 3).as_str() {
            "v" | "m" => Some("it is a view: name the table that holds its rows".to_owned()),
            "f" => Some("it is a foreign table: connect to the server that holds its rows".to_owned()),
            _ if flag(row, 4) => Some(
                "other tables inherit from it or it from them, so its key does not tell its rows apart"
                    .to_owned(),
            ),
            _ if !flag(row, 9) => Some("the account may not read it: GRANT SELECT on it".to_owned()),
            _ => None,
        };
        let strict_obstacle = match (text(row, 5).as_str(), flag(row, 10)) {
            ("u", _) => Some("it is UNLOGGED: a crash of the server empties it".to_owned()),
            (_, true) => Some("row security decides what this account sees of it".to_owned()),
            _ => None,
        };
        let shown = if flag(row, 7) { name.clone() } else { format!("{schema}.{name}") };
        Self {
            named: flag(row, 8),
            found: Found {
                table: Table {
                    schema: Some(schema.clone()),
                    name: shown,
                    columns: Vec::new(),
                    primary_key: Vec::new(),
                    has_other_unique: false,
                    foreign_keys: Vec::new(),
                    triggers: Vec::new(),
                    unservable,
                },
                schema,
                name,
                key: Vec::new(),
                types: Vec::new(),
                write_obstacle: flag(row, 6)
                    .then(|| "rules rewrite what is written to it: use triggers instead".to_owned()),
                strict_obstacle,
                may_write: flag(row, 11),
                rereads: false,
                constraints: Vec::new(),
            },
            places: HashMap::new(),
        }
    }

    fn add_column(&mut self, row: &Row, kinds: &Kinds) {
        let default = row.try_get::<_, Option<String>>(7).ok().flatten();
        let identity = text(row, 5);
        let computed = text(row, 6) == "s";
        let schema = row.try_get::<_, Option<String>>(9).ok().flatten();
        let type_name = schema.map(|schema| format!("{}.{}", quoted(&schema), quoted(&text(row, 10))));
        self.found.types.push(type_name);
        let columns = &mut self.found.table.columns;
        self.places.insert(row.try_get(1).unwrap_or_default(), columns.len());
        columns.push(Column {
            name: text(row, 2),
            kind: kinds.of(oid(row, 3), flag(row, 8)),
            loose: false,
            nullable: !flag(row, 4) && !kinds.refuses_null(oid(row, 3)),
            auto_increment: !identity.is_empty()
                || default.as_ref().is_some_and(|default| default.starts_with("nextval(")),
            // Only DEFAULT may be written to the latter once the row is there.
            generated: computed || identity == "a",
            default: default.filter(|_| !computed).or_else(|| kinds.default(oid(row, 3))),
        });
    }

    fn add_unique(&mut self, row: &Row) {
        let found = &mut self.found;
        let index = text(row, 1);
        if !found.constraints.contains(&index) {
            found.constraints.push(index);
        }
        if !flag(row, 2) {
            found.table.has_other_unique = true;
            return;
        }
        if !flag(row, 3) {
            found.write_obstacle = Some(
                "its primary key is DEFERRABLE, so an insert cannot tell whether a row exists".to_owned(),
            );
        }
        let Some(place) = row.try_get::<_, i16>(4).ok().and_then(|number| self.places.get(&number)) else {
            return;
        };
        found.table.primary_key.push(*place);
        let column = &mut found.table.columns[*place];
        // An identity in the key is given by a put, and made by the database otherwise.
        column.generated &= !column.auto_increment;
        if matches!(column.kind, Kind::Array(_)) {
            column.kind = Kind::Text { exact: false };
        }
        let type_name = format!("{}.{}", quoted(&text(row, 7)), quoted(&text(row, 8)));
        let equals = format!("OPERATOR({}.{})", quoted(&text(row, 5)), text(row, 6));
        found.key.push(KeyPart { equals, type_name });
    }

    fn add_constraint(&mut self, row: &Row, names: &HashMap<Oid, String>) {
        self.found.constraints.push(text(row, 1));
        if text(row, 2) == "f" {
            self.found.table.foreign_keys.push(ForeignKey {
                parent: names.get(&oid(row, 3)).cloned().unwrap_or_default(),
                on_delete: action(&text(row, 4)),
                on_update: action(&text(row, 5)),
            });
        }
    }

    fn add_trigger(&mut self, row: &Row, routines: &HashSet<String>) {
        let body = body(&text(row, 2), &text(row, 3), &text(row, 4), routines);
        self.found.table.triggers.push(Trigger { name: text(row, 1), body });
        self.found.rereads |= flag(row, 5);
    }

    fn judged(self) -> Found {
        let mut found = self.found;
        let unservable = &mut found.table.unservable;
        if unservable.is_none() && found.table.primary_key.is_empty() {
            *unservable = Some("it has no primary key: add one".to_owned());
        }
        found
    }
}

/// The statements of a trigger's function, and the word `call` where they may do what cannot be read from them.
fn body(schema: &str, language: &str, source: &str, routines: &HashSet<String>) -> String {
    if schema == "pg_catalog" {
        // PostgreSQL's own trigger functions change the row that is written, if anything.
        return String::new();
    }
    if !["plpgsql", "sql"].contains(&language) {
        return "call".to_owned();
    }
    let lower = source.to_lowercase();
    let words = lower.split(|char: char| !(char.is_alphanumeric() || char == '_'));
    let calls =
        words.into_iter().any(|word| matches!(word, "perform" | "execute") || routines.contains(word));
    if calls { format!("{source}\ncall") } else { source.to_owned() }
}

fn action(code: &str) -> Action {
    match code {
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::Restrict,
    }
}

fn text(row: &Row, place: usize) -> String {
    row.try_get::<_, Option<String>>(place).ok().flatten().unwrap_or_default()
}

fn oid(row: &Row, place: usize) -> Oid {
    row.try_get(place).unwrap_or_default()
}

fn flag(row: &Row, place: usize) -> bool {
    row.try_get(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::body;
    use std::collections::HashSet;

    #[test]
    fn a_trigger_that_may_do_anything_is_said_to_call() {
        let routines = HashSet::from(["refresh_all".to_owned()]);
        let calls = |language, source| body("public", language, source, &routines).contains("call");
        assert!(!calls("plpgsql", "BEGIN NEW.v := upper(NEW.v); RETURN NEW; END"));
        assert!(calls("plpgsql", "BEGIN PERFORM x(); RETURN NEW; END"));
        assert!(calls("plpgsql", "BEGIN EXECUTE 'delete from t'; RETURN NEW; END"));
        assert!(calls("plpgsql", "BEGIN NEW.v := Refresh_All(); RETURN NEW; END"));
        assert!(calls("plpython3u", "plpy.execute('x')"));
        assert_eq!(body("pg_catalog", "internal", "tsvector_update_trigger_byid", &routines), "");
    }
}
