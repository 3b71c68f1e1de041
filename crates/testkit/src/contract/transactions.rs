// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every [`Transactions`] of a SQL source promise.
//!
//! A backend lists itself with [`transactions_contract!`](crate::transactions_contract), which makes one test of each
//! promise. A promise is a function that takes a fresh [`TransactionsSubject`] and panics when it is broken.

#![allow(missing_docs, reason = "the name of a promise is the promise")]

pub mod ends;
pub mod locks;
pub mod statements;
pub mod visible;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use throughline_core::{
    Effect, Executed, Hold, Key, Member, Parameter, Record, Retry, Transaction, Transactions, Write,
};

use super::source::SourceTable;

/// A source to be tested: fresh, with two empty tables, and nobody else's. Its transactions live for a minute.
pub struct TransactionsSubject {
    /// Its transactions.
    pub transactions: Arc<dyn Transactions>,
    /// `person (id, first_name, last_name)`: a whole number of 64 bits, a text that is never null, one that may be.
    pub person: (SourceTable, Member),
    /// `note (name, body)`: the key is a text, the body a text that may be null.
    pub note: (SourceTable, Member),
    /// How the database writes the first and the second value of a statement.
    pub places: [&'static str; 2],
    /// What must live as long as the tables, a server for example.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for TransactionsSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionsSubject")
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

/// A promise by its name, for whoever runs the suite as a table.
pub type Promise = (&'static str, fn(TransactionsSubject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Every promise.
pub const PROMISES: &[Promise] = crate::transactions_contract!(@promises table ());

/// Makes a test of every promise of a source's transactions; `$subject` is a future of a [`TransactionsSubject`], made
/// anew for each.
///
/// The crate that calls it needs tokio.
#[macro_export]
macro_rules! transactions_contract {
    (@promises $then:ident $args:tt) => {
        $crate::transactions_contract! { @$then $args
            visible::a_transaction_sees_its_own_writes_and_nobody_else_does,
            visible::what_was_committed_is_there_in_every_table,
            visible::a_write_tells_the_row_as_it_is_read_back,
            visible::a_refused_condition_is_told_and_ends_nothing,
            visible::a_prepared_transaction_has_no_effects_left_to_tell,
            ends::a_dropped_transaction_leaves_no_trace,
            ends::a_prepared_transaction_that_is_dropped_leaves_no_trace,
            ends::a_prepared_transaction_that_is_rolled_back_leaves_no_trace,
            ends::the_first_error_ends_it_and_nothing_was_written,
            ends::a_call_that_is_dropped_ends_it_and_nothing_was_written,
            ends::a_commit_takes_place_although_its_future_is_dropped,
            statements::values_are_bound_and_rows_are_told,
            statements::more_rows_than_may_be_told_are_an_error,
            statements::a_statement_that_is_not_about_rows_is_refused,
            statements::touch_tells_the_rows_own_key,
            statements::a_key_that_no_row_can_have_cannot_be_touched,
            locks::from_the_preparation_on_a_written_row_is_not_filled,
            locks::from_the_preparation_on_a_touched_row_is_not_filled,
            locks::other_rows_are_filled_beside_a_prepared_transaction,
            locks::a_locked_read_loses_no_update,
            locks::a_single_write_waits_for_the_row_of_a_transaction,
        }
    };
    (@table () $($topic:ident::$promise:ident,)*) => {
        &[$((
            stringify!($promise),
            |subject| Box::pin($crate::contract::transactions::$topic::$promise(subject)),
        ),)*]
    };
    (@tests ($subject:expr) $($topic:ident::$promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::transactions::$topic::$promise($subject.await).await;
            }
        )*
    };
    ($subject:expr) => {
        $crate::transactions_contract! { @promises tests ($subject) }
    };
}

/// The promises that the subjects which `make` makes break, by name: to show that the suite convicts.
pub fn broken_promises<F: Future<Output = TransactionsSubject>>(make: impl Fn() -> F) -> Vec<&'static str> {
    let is_broken = |promise: &&Promise| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let run = || runtime.block_on(async { promise.1(make().await).await });
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    PROMISES.iter().filter(is_broken).map(|promise| promise.0).collect()
}

const ADA: &str = r#"{"first_name":"Ada"}"#;
const EVE: &str = r#"{"first_name":"Eve"}"#;

/// An open transaction of a subject, with short words for its calls.
struct Open {
    transaction: Box<dyn Transaction>,
}

impl TransactionsSubject {
    async fn begin(&self) -> Open {
        Open { transaction: self.transactions.begin().await.expect("a healthy source begins") }
    }

    /// Persons 1 and 2, both called Ada.
    async fn with_persons(self) -> Self {
        for id in ["1", "2"] {
            self.person.0.write(super::source::put(id, ADA)).await;
        }
        self
    }

    /// The first name of a person, as everybody sees it.
    async fn name(&self, id: &str) -> Option<String> {
        self.person.0.value(id).await.map(|json| first_name(&json))
    }

    /// Gives the person of the second value the name of the first one.
    fn rename(&self) -> String {
        let [first, second] = self.places;
        format!("UPDATE person SET first_name = {first} WHERE id = {second}")
    }
}

/// The name in a person's compact JSON; the names of this suite have no quotes.
fn first_name(json: &str) -> String {
    let rest = json.split(r#""first_name":""#).nth(1).expect("a person has a first name");
    rest.split('"').next().expect("a text has an end").to_owned()
}

impl Open {
    async fn read(&mut self, table: &(SourceTable, Member), key: &str, hold: Hold) -> Option<String> {
        let key = super::source::key(key);
        let record: Option<Record> =
            self.transaction.read(table.1, &key, hold).await.expect("a healthy source reads");
        record.map(|record| String::from_utf8(record.value.to_vec()).expect("JSON is UTF-8"))
    }

    async fn write(&mut self, table: &(SourceTable, Member), write: Write) -> Effect {
        self.transaction.write(table.1, &write).await.expect("a healthy source writes what fits")
    }

    async fn execute(&mut self, sql: &str, values: &[Parameter]) -> Executed {
        self.transaction.execute(sql, values).await.expect("a healthy source runs a right statement")
    }

    async fn touch(&mut self, table: &(SourceTable, Member), key: &str) -> Key {
        let touched = self.transaction.touch(table.1, &super::source::key(key)).await;
        touched.expect("the row can be touched")
    }

    async fn prepare(self) -> Box<dyn throughline_core::Prepared> {
        self.transaction.prepare().await.expect("a healthy source prepares")
    }

    async fn commit(self) {
        self.prepare().await.commit().await.expect("a healthy source commits");
    }

    /// Every later call fails, and says that nothing was done.
    async fn assert_ended(mut self, table: &(SourceTable, Member)) {
        let key = super::source::key("1");
        let read = self.transaction.read(table.1, &key, Hold::Free).await.map(drop);
        let prepared = self.transaction.prepare().await.map(drop);
        for call in [read, prepared] {
            let error = call.expect_err("a transaction that has ended takes no call");
            assert_eq!(error.retry(), Retry::Safe, "{error}");
        }
    }
}

fn text(text: &str) -> Parameter {
    Parameter::Text(text.to_owned())
}
