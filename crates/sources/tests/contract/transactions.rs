// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources whose transactions keep the promises of `throughline_testkit::contract::transactions`, and some whose
//! do not.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Effect, Executed, Hold, Intent, Key, Member, Parameter, Prepared, Record, Refusal, Result,
    Sent, Target, Transaction, Transactions, Write,
};
use throughline_testkit::contract::source::SourceTable;
use throughline_testkit::contract::transactions::{TransactionsSubject, broken_promises};

use crate::source::Done;
use crate::{assert_convicted, subjects};

mod mysql {
    throughline_testkit::transactions_contract!(async { crate::subjects::mysql().await.transactions() });
}

mod postgres {
    throughline_testkit::transactions_contract!(async { crate::subjects::postgres().await.transactions() });
}

mod sqlite {
    throughline_testkit::transactions_contract!(async { crate::subjects::sqlite().await.transactions() });
}

async fn honest() -> TransactionsSubject {
    subjects::sqlite().await.transactions()
}

/// What is wrong with a broken source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Writes go past the transaction and take place at once.
    WritesAtOnce,
    /// Writes are kept until the commit, and what is read is locked by nobody.
    Optimism,
    /// Nothing is done about touched rows.
    Deafness,
    /// An error is told, and then it goes on with a new transaction.
    Stubbornness,
}

/// An honest source with one fault.
#[derive(Clone, Debug)]
struct Broken {
    honest: Arc<dyn Transactions>,
    tables: Vec<(SourceTable, Member)>,
    fault: Fault,
}

#[derive(Debug)]
struct BrokenTransaction {
    source: Broken,
    inner: Option<Box<dyn Transaction>>,
    later: Vec<(Member, Write)>,
}

impl Transactions for Broken {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Transaction>>> {
        Box::pin(async {
            // SQLite has one writer, so that a transaction which writes past itself must not hold it.
            let goes_past = matches!(self.fault, Fault::WritesAtOnce | Fault::Optimism);
            let inner = if goes_past { None } else { Some(self.honest.begin().await?) };
            Ok(Box::new(BrokenTransaction { source: self.clone(), inner, later: Vec::new() })
                as Box<dyn Transaction>)
        })
    }
}

impl Broken {
    fn table(&self, member: Member) -> &SourceTable {
        &self.tables.iter().find(|(_, known)| *known == member).expect("a member of the suite").0
    }
}

impl BrokenTransaction {
    async fn inner(&mut self) -> Result<&mut Box<dyn Transaction>> {
        if self.inner.is_none() {
            self.inner = Some(self.source.honest.begin().await?);
        }
        Ok(self.inner.as_mut().expect("it was begun"))
    }

    /// What an honest call answered; a stubborn transaction has nothing to do with its error.
    fn told<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() && self.source.fault == Fault::Stubbornness {
            self.inner = None;
        }
        outcome
    }
}

impl Transaction for BrokenTransaction {
    fn read<'a>(
        &'a mut self,
        member: Member,
        key: &'a Key,
        hold: Hold,
    ) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move {
            if matches!(self.source.fault, Fault::WritesAtOnce | Fault::Optimism) {
                let intent = Intent { fill: false, sent: Sent::new() };
                return Ok(self.source.table(member).loader.load(key, intent).await?.record);
            }
            let outcome = self.inner().await?.read(member, key, hold).await;
            self.told(outcome)
        })
    }

    fn write<'a>(&'a mut self, member: Member, write: &'a Write) -> BoxFuture<'a, Result<Effect>> {
        Box::pin(async move {
            match self.source.fault {
                Fault::WritesAtOnce => {
                    let writer = &self.source.table(member).writer;
                    let prepared = writer.prepare(std::slice::from_ref(write)).await?;
                    let effect = prepared.effects()[0].clone();
                    prepared.commit().await?;
                    Ok(effect)
                }
                Fault::Optimism => {
                    self.later.push((member, write.clone()));
                    let Target::Key(key) = &write.target else {
                        return Ok(Effect::Refused(Refusal::Exists));
                    };
                    Ok(Effect::Stored { key: key.clone(), record: None, created: false })
                }
                Fault::Deafness | Fault::Stubbornness => {
                    let outcome = self.inner().await?.write(member, write).await;
                    self.told(outcome)
                }
            }
        })
    }

    fn execute<'a>(
        &'a mut self,
        sql: &'a str,
        parameters: &'a [Parameter],
    ) -> BoxFuture<'a, Result<Executed>> {
        Box::pin(async move {
            let outcome = self.inner().await?.execute(sql, parameters).await;
            self.told(outcome)
        })
    }

    fn touch<'a>(&'a mut self, member: Member, key: &'a Key) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            if self.source.fault == Fault::Deafness {
                return Ok(key.clone());
            }
            let outcome = self.inner().await?.touch(member, key).await;
            self.told(outcome)
        })
    }

    fn prepare(mut self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            for (member, write) in std::mem::take(&mut self.later) {
                self.source.table(member).writer.prepare(&[write]).await?.commit().await?;
            }
            match self.source.fault {
                Fault::WritesAtOnce | Fault::Optimism => Ok(Box::new(Done(Vec::new())) as Box<dyn Prepared>),
                Fault::Deafness => self.inner.take().expect("it was begun").prepare().await,
                Fault::Stubbornness => {
                    self.inner().await?;
                    self.inner.take().expect("it was begun").prepare().await
                }
            }
        })
    }
}

/// The promises that a source with this fault breaks.
fn broken(fault: Fault) -> Vec<&'static str> {
    broken_promises(|| async move {
        let mut subject = honest().await;
        let tables = vec![subject.person.clone(), subject.note.clone()];
        subject.transactions = Arc::new(Broken { honest: subject.transactions, tables, fault });
        subject
    })
}

#[test]
fn the_suite_finds_nothing_against_an_honest_source() {
    assert_eq!(broken_promises(honest), [""; 0]);
}

#[test]
fn the_suite_convicts_writes_that_take_place_at_once() {
    assert_convicted(
        &broken(Fault::WritesAtOnce),
        &[
            "a_transaction_sees_its_own_writes_and_nobody_else_does",
            "a_dropped_transaction_leaves_no_trace",
            "a_prepared_transaction_that_is_dropped_leaves_no_trace",
            "a_prepared_transaction_that_is_rolled_back_leaves_no_trace",
            "the_first_error_ends_it_and_nothing_was_written",
            "from_the_preparation_on_a_written_row_is_not_filled",
            "a_locked_read_loses_no_update",
            "a_single_write_waits_for_the_row_of_a_transaction",
        ],
    );
}

#[test]
fn the_suite_convicts_writes_without_locks() {
    assert_convicted(
        &broken(Fault::Optimism),
        &[
            "a_transaction_sees_its_own_writes_and_nobody_else_does",
            "a_write_tells_the_row_as_it_is_read_back",
            "a_refused_condition_is_told_and_ends_nothing",
            "a_prepared_transaction_that_is_dropped_leaves_no_trace",
            "from_the_preparation_on_a_written_row_is_not_filled",
            "a_locked_read_loses_no_update",
            "a_single_write_waits_for_the_row_of_a_transaction",
        ],
    );
}

#[test]
fn the_suite_convicts_a_source_that_does_nothing_about_touched_rows() {
    assert_eq!(
        broken(Fault::Deafness),
        [
            "touch_tells_the_rows_own_key",
            "a_key_that_no_row_can_have_cannot_be_touched",
            "from_the_preparation_on_a_touched_row_is_not_filled",
        ]
    );
}

#[test]
fn the_suite_convicts_a_transaction_that_goes_on_after_an_error() {
    assert_convicted(
        &broken(Fault::Stubbornness),
        &[
            "the_first_error_ends_it_and_nothing_was_written",
            "more_rows_than_may_be_told_are_an_error",
            "a_key_that_no_row_can_have_cannot_be_touched",
        ],
    );
}
