// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a database says about its tables.

/// A table, as far as it matters to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The schema (MySQL: database) that holds it; `None` where there is only one.
    pub schema: Option<String>,
    /// Its name, as the database spells it.
    pub name: String,
    /// Its columns, in the table's order.
    pub columns: Vec<Column>,
    /// The places in `columns` of the primary key's columns, in the key's order; empty without one.
    pub primary_key: Vec<usize>,
    /// Whether another unique index exists, so that an upsert could touch a row that the key does not name.
    pub has_other_unique: bool,
    /// Its references to other tables.
    pub foreign_keys: Vec<ForeignKey>,
    /// What the database runs when this table (or view) is written.
    pub triggers: Vec<Trigger>,
    /// Why it cannot be a resource, if it cannot: a view, no primary key, …
    pub unservable: Option<String>,
}

impl Table {
    /// The place of the column that is called `name`: exactly, or else but for ASCII case, as databases
    /// compare the names of columns.
    pub fn place(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column.name == name);
        exact.or_else(|| self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
    }

    /// Its name with its schema, the same for every account whatever the account's settings are.
    pub fn whole_name(&self) -> String {
        match &self.schema {
            // What is not found by its name alone is called so anyway.
            Some(schema) if self.name.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.')) => {
                self.name.clone()
            }
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether the database runs something that is not ours when it is written.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn has_foreign_triggers(&self) -> bool {
        self.triggers.iter().any(|trigger| !trigger.name.starts_with(super::outbox::OWN_PREFIX))
    }

    /// The primary key's columns, in the key's order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.primary_key.iter().map(|place| &self.columns[*place])
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the database spells it.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether a cell may hold another class of value than `kind` says (SQLite without STRICT). Such a cell
    /// is shown with a tag, see [`crate::sql::Cell`].
    pub loose: bool,
    /// Whether a cell may be null.
    pub nullable: bool,
    /// The default as an SQL expression, ready to stand in a statement, where there is one.
    pub default: Option<String>,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether the database numbers new rows by it.
    pub auto_increment: bool,
}

impl Column {
    /// A column of `kind` that takes null and has nothing special.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            loose: false,
            nullable: true,
            default: None,
            generated: false,
            auto_increment: false,
        }
    }

    /// Whether an insert may leave it out.
    pub fn may_be_omitted(&self) -> bool {
        self.nullable || self.default.is_some() || self.generated || self.auto_increment
    }
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers of 8 to 64 bits.
    Integer {
        /// 8, 16, 24, 32 or 64.
        bits: u8,
        /// Whether it starts at 0.
        unsigned: bool,
    },
    /// Decimal numbers, with every digit.
    Decimal,
    /// Floating point of 32 or 64 bits.
    Float {
        /// 32 or 64.
        bits: u8,
    },
    /// Text.
    Text {
        /// Whether equal means equal byte by byte: no case folding, no padding.
        exact: bool,
    },
    /// Bytes, compared byte by byte.
    Bytes {
        /// The length to which the database pads with zero bytes, if it does.
        fixed: Option<u32>,
    },
    /// True or false.
    Bool,
    /// A date.
    Date,
    /// A time of day or a duration.
    Time,
    /// Date and time.
    DateTime,
    /// A year.
    Year,
    /// A JSON document.
    Json,
    /// One of these texts.
    Enum(Vec<String>),
    /// Some of these texts, joined by commas.
    Set(Vec<String>),
    /// A UUID.
    Uuid,
    /// Up to 64 bits, as a whole number.
    Bit {
        /// How many.
        bits: u8,
    },
    /// An array of these (PostgreSQL), of any number of dimensions.
    Array(Box<Kind>),
    /// Whatever it is given (SQLite's columns of numeric or no type).
    Any,
}

impl Kind {
    /// Whether a key of this kind is known to be canonical without asking the database.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Text { exact } => *exact,
            Self::Integer { .. } | Self::Bytes { .. } | Self::Bool | Self::Uuid | Self::Bit { .. } => true,
            // MySQL takes 24 for the year 2024, among others.
            _ => false,
        }
    }
}

/// What a reference does to the referring row when the row that it refers to changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, or it forbids the change.
    Restrict,
    /// The referring row is removed or follows.
    Cascade,
    /// The referring columns become null.
    SetNull,
    /// The referring columns get their defaults.
    SetDefault,
}

impl Action {
    /// Reads the database's spelling (`SET NULL`); everything that changes no row is [`Action::Restrict`].
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "CASCADE" => Self::Cascade,
            "SET NULL" => Self::SetNull,
            "SET DEFAULT" => Self::SetDefault,
            _ => Self::Restrict,
        }
    }
}

/// A table's reference to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that is referred to.
    pub parent: String,
    /// What happens when its row is deleted.
    pub on_delete: Action,
    /// What happens when its row's key changes.
    pub on_update: Action,
}

/// What the database runs when a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its statements.
    pub body: String,
}
