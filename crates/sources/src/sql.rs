// SPDX-License-Identifier: MIT OR Apache-2.0
//! What SQL sources share: the catalogue, keys, rows and statements, without any I/O.
//!
//! A source reads its catalogue into [`Table`]s and gives each resource a [`Mapping`] onto one of them. The
//! mapping turns keys into values ([`KeyMap`]), bodies into [`Assignments`], rows into records, and
//! [`Statements`] are the texts that go with it: identifiers from the catalogue, values always bound.

mod application;
mod applied;
mod array;
mod catalogue;
mod control;
mod dialect;
mod json;
mod key;
mod mapping;
pub(crate) mod outbox;
mod owned;
mod preview;
mod read;
mod row;
mod statement;
mod trigger;
mod value;

pub(crate) use application::check_statement;
pub(crate) use applied::{
    APPLIED, AppliedDialect, AppliedStatements, JOURNAL_LEN_MAX, LaneRow, NAME_LEN_MAX, create_applied,
    extend_applied,
};
pub use array::value_of_text;
pub(crate) use array::{push_quoted, text_of_value};
pub use catalogue::{Action, Column, ForeignKey, Kind, Table, Trigger};
pub use control::{
    CONTROL_VERSION, ControlDialect, ControlTables, DAEMON_RIGHTS, Installed, NoView, READ_VERSION,
    TRY_RIGHTS, ViewRow, install_statements, is_own_table, read_view, transition_statement, view_statement,
};
pub use dialect::Dialect;
pub use key::KeyMap;
pub use mapping::{Format, Mapping, TableMapping};
pub use outbox::Consumer;
pub use owned::{LaneOwners, OwnedLane};
pub use row::{Assignment, Assignments};
pub use statement::{Lock, Statements};
pub use trigger::{HiddenChange, hidden_changes};
pub use value::{Cell, Value};
