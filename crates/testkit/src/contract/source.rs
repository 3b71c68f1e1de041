// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every [`Loader`] and [`Writer`] of a SQL source promise.
//!
//! A backend lists itself with [`source_contract!`](crate::source_contract), which makes one test of each
//! promise. A promise is a function that takes a fresh [`SourceSubject`] and panics when it is broken.

#![allow(missing_docs, reason = "the name of a promise is the promise")]

pub mod concurrent;
pub mod fills;
pub mod loads;
pub mod model;
pub mod refusals;
pub mod writes;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use throughline_core::{
    Change, Condition, Effect, Error, Intent, Key, Loaded, Loader, Prepared, Record, Result, Sent, Target,
    Version, Write, Writer,
};

/// The two sides of one table.
#[derive(Clone, Debug)]
pub struct SourceTable {
    /// Its loads.
    pub loader: Arc<dyn Loader>,
    /// Its writes.
    pub writer: Arc<dyn Writer>,
}

/// A source to be tested: fresh, with two empty tables, and nobody else's.
pub struct SourceSubject {
    /// `person (id, first_name, last_name)`: a whole number of 64 bits that the database makes, a text that
    /// is never null, a text that may be.
    pub person: SourceTable,
    /// `note (name, body)`: the key is a text, the body a text that may be null.
    pub note: SourceTable,
    /// Statements that were sent for loads so far.
    pub load_statements: Box<dyn Fn() -> u64 + Send + Sync>,
    /// What must live as long as the tables, a server for example.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for SourceSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSubject")
            .field("person", &self.person)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

/// A promise by its name, for whoever runs the suite as a table.
pub type Promise = (&'static str, fn(SourceSubject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Every promise.
pub const PROMISES: &[Promise] = crate::source_contract!(@promises table ());

/// Makes a test of every promise of a source; `$subject` is a future of a [`SourceSubject`], made anew for each.
///
/// The crate that calls it needs tokio.
#[macro_export]
macro_rules! source_contract {
    (@promises $then:ident $args:tt) => {
        $crate::source_contract! { @$then $args
            loads::an_absent_key_is_found_absent,
            loads::a_row_is_compact_json_in_the_order_of_its_columns,
            loads::load_many_answers_in_order_with_one_statement,
            loads::a_thousand_keys_are_one_statement,
            loads::sent_is_tripped_by_a_load_and_by_nothing_before,
            loads::another_spelling_of_a_key_finds_the_row,
            loads::a_key_that_no_row_can_have_is_invalid,
            loads::a_hostile_key_is_just_a_key,
            loads::a_hostile_value_is_just_a_value,
            fills::a_quiet_key_is_fillable_present_or_absent,
            fills::without_a_lease_nothing_is_fillable,
            fills::another_spelling_of_a_key_is_never_fillable,
            fills::beside_a_prepared_write_the_old_row_is_read_and_not_filled,
            fills::beside_a_prepared_insert_absence_is_not_filled,
            fills::beside_a_prepared_delete_the_row_is_not_filled,
            fills::other_keys_are_fillable_beside_a_prepared_write,
            fills::load_many_probes_each_key,
            writes::an_upsert_inserts_then_replaces,
            writes::a_replaced_row_gets_defaults_for_what_is_omitted,
            writes::the_effect_holds_the_row_as_it_is_read_back,
            writes::a_delete_removes_the_row,
            writes::a_new_record_gets_its_key_from_the_database,
            writes::a_new_record_may_bring_its_key,
            writes::the_canonical_key_is_written_whatever_the_spelling,
            writes::several_writes_are_one_transaction_in_their_order,
            writes::nothing_is_visible_before_the_commit,
            writes::a_rolled_back_write_leaves_no_trace,
            writes::a_dropped_write_leaves_no_trace,
            writes::a_failed_write_takes_the_whole_transaction_with_it,
            refusals::a_record_that_must_be_absent_is_refused_as_existing,
            refusals::a_record_that_must_be_present_is_refused_as_absent,
            refusals::another_version_is_refused_with_the_present_one,
            refusals::one_of_the_given_versions_suffices,
            refusals::a_new_record_whose_key_exists_is_refused,
            refusals::a_refused_write_changes_nothing,
            refusals::an_unknown_column_is_named_with_the_closest,
            refusals::a_value_of_the_wrong_type_is_refused_by_its_column,
            refusals::a_missing_column_without_default_is_named,
            refusals::a_key_in_the_value_must_equal_the_key,
            refusals::what_is_not_an_object_is_refused,
            concurrent::of_many_inserts_of_a_key_one_takes_place,
            concurrent::an_insert_that_waited_sees_the_row_of_the_first,
            concurrent::a_compare_and_set_that_waited_sees_the_version_of_the_first,
            concurrent::compare_and_set_loses_no_update,
            concurrent::what_the_protocol_fills_is_never_older_than_a_completed_write,
            concurrent::a_commit_takes_place_although_its_future_is_dropped,
            concurrent::a_dropped_load_leaves_the_source_usable,
            concurrent::a_dropped_prepare_leaves_the_source_usable,
            model::random_writes_agree_with_a_model,
        }
    };
    (@table () $($topic:ident::$promise:ident,)*) => {
        &[$((stringify!($promise), |subject| Box::pin($crate::contract::source::$topic::$promise(subject))),)*]
    };
    (@tests ($subject:expr) $($topic:ident::$promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::source::$topic::$promise($subject.await).await;
            }
        )*
    };
    ($subject:expr) => {
        $crate::source_contract! { @promises tests ($subject) }
    };
}

/// The promises that the subjects which `make` makes break, by name: to show that the suite convicts.
pub fn broken_promises<F: Future<Output = SourceSubject>>(make: impl Fn() -> F) -> Vec<&'static str> {
    let is_broken = |promise: &&Promise| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
        let run = || runtime.block_on(async { promise.1(make().await).await });
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    PROMISES.iter().filter(is_broken).map(|promise| promise.0).collect()
}

pub(super) fn key(text: &str) -> Key {
    Key::parse(text).expect("a short key")
}

fn intent(fill: bool) -> Intent {
    Intent { fill, sent: Sent::new() }
}

/// A put to `key` of a JSON object.
pub(super) fn put(key_text: &str, value: &str) -> Write {
    Write {
        target: Target::Key(key(key_text)),
        change: Change::Put { value: Bytes::copy_from_slice(value.as_bytes()), flags: 0 },
        condition: Condition::Always,
    }
}

/// A put of a new JSON object.
pub(super) fn create(value: &str) -> Write {
    Write { target: Target::New, ..put("0", value) }
}

pub(super) fn delete(key_text: &str) -> Write {
    Write { target: Target::Key(key(key_text)), change: Change::Delete, condition: Condition::Always }
}

pub(super) fn when(condition: Condition, write: Write) -> Write {
    Write { condition, ..write }
}

/// The compact JSON of a person.
pub(super) fn person(id: i64, first_name: &str) -> String {
    format!(r#"{{"id":{id},"first_name":"{first_name}","last_name":null}}"#)
}

impl SourceTable {
    pub(super) async fn load(&self, key_text: &str, fill: bool) -> Loaded {
        let loaded = self.loader.load(&key(key_text), intent(fill)).await;
        loaded.expect("a healthy source answers")
    }

    /// The JSON at `key_text`, by a plain read.
    pub(super) async fn value(&self, key_text: &str) -> Option<String> {
        let record = self.load(key_text, false).await.record;
        record.map(|record| String::from_utf8(record.value.to_vec()).expect("JSON is UTF-8"))
    }

    pub(super) async fn version(&self, key_text: &str) -> Version {
        let record = self.load(key_text, false).await.record;
        record.expect("the record is there").version
    }

    pub(super) async fn prepare(&self, writes: &[Write]) -> Box<dyn Prepared> {
        let prepared = self.writer.prepare(writes).await;
        prepared.expect("a healthy source prepares what fits")
    }

    /// Prepares and commits one write.
    pub(super) async fn write(&self, write: Write) -> Effect {
        self.try_write(write).await.expect("a healthy source writes what fits")
    }

    async fn try_write(&self, write: Write) -> Result<Effect> {
        let prepared = self.writer.prepare(&[write]).await?;
        let effect = prepared.effects()[0].clone();
        prepared.commit().await?;
        Ok(effect)
    }

    /// The error of a write that must fail before it is prepared.
    async fn refused(&self, write: Write) -> Error {
        let prepared = self.writer.prepare(&[write]).await;
        prepared.expect_err("the write must fail")
    }
}

/// The record that a write stored, with its key and whether it was made anew.
#[track_caller]
pub(super) fn stored(effect: &Effect) -> (&Key, &Record, bool) {
    match effect {
        Effect::Stored { key, record: Some(record), created } => (key, record, *created),
        other => panic!("expected a stored record, got {other:?}"),
    }
}
