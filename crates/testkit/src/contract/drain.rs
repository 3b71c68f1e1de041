// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every [`Drain`] of a SQL source promises.
//!
//! A backend lists itself with [`drain_contract!`](crate::drain_contract), which makes one test of each promise. A
//! promise is a function that takes a fresh [`DrainSubject`] and panics when it is broken.

#![allow(missing_docs, reason = "the name of a promise is the promise")]

pub mod batches;
pub mod checks;
pub mod lanes;
pub mod writes;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use throughline_core::{
    AcceptedWrite, Applied, Claim, Drain, DrainBatch, Drained, Lane, Owner, Position, ResourceName,
    Undrained, Watermark, Write,
};

use super::source::SourceTable;

/// A source to be tested: fresh, with three empty tables and the table of applied writes, and nobody else's.
pub struct DrainSubject {
    /// `person (id, first_name, last_name)`: a whole number of 64 bits, a text that is never null, one that may be.
    pub person: (SourceTable, Arc<dyn Drain>),
    /// `note (name, body)`: the key is a text, the body a text that may be null.
    pub note: (SourceTable, Arc<dyn Drain>),
    /// `account (id, mail, balance)`: whole numbers of 64 bits and a text of up to 40 characters; no two rows have the
    /// same `mail`, `balance` is 0 where it is not given and never negative.
    pub account: (SourceTable, Arc<dyn Drain>),
    /// What must live as long as the tables, a server for example.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for DrainSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainSubject").field("person", &self.person).finish_non_exhaustive()
    }
}

/// A promise by its name, for whoever runs the suite as a table.
pub type Promise = (&'static str, fn(DrainSubject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Every promise.
pub const PROMISES: &[Promise] = crate::drain_contract!(@promises table ());

/// Makes a test of every promise of a source's drains; `$subject` is a future of a [`DrainSubject`], made anew for
/// each.
///
/// The crate that calls it needs tokio.
#[macro_export]
macro_rules! drain_contract {
    (@promises $then:ident $args:tt) => {
        $crate::drain_contract! { @$then $args
            lanes::a_lane_begins_at_zero_and_each_claim_raises_its_epoch,
            lanes::a_lane_of_another_is_told_and_none_is_changed,
            lanes::a_forced_claim_takes_a_lane_and_begins_anew,
            lanes::a_claim_of_the_same_journal_finds_its_watermark,
            lanes::a_lane_that_was_given_up_is_free,
            lanes::only_its_owner_gives_a_lane_up,
            lanes::who_lost_a_lane_never_writes,
            lanes::of_many_claims_at_once_one_holds_the_lanes,
            lanes::a_name_that_is_too_long_is_refused,
            batches::a_batch_that_is_given_twice_is_applied_once,
            batches::a_batch_that_is_given_by_several_at_once_is_applied_once,
            batches::a_batch_that_was_dropped_is_given_again_and_applied_once,
            batches::a_batch_without_writes_moves_the_watermark,
            batches::a_batch_with_a_bad_row_changes_nothing_and_the_row_is_found,
            batches::batches_of_several_lanes_are_applied_at_once,
            batches::a_full_batch_is_applied_and_a_longer_one_refused,
            writes::versions_of_a_key_are_applied_in_their_order,
            writes::a_key_that_comes_and_goes_ends_as_it_was_left_last,
            writes::a_put_replaces_the_whole_row,
            writes::exact_is_only_what_a_reader_sees,
            writes::a_delete_of_nothing_is_exact,
            writes::a_condition_that_does_not_hold_spoils_its_batch,
            writes::a_value_that_moves_from_one_row_to_another_is_no_collision,
            writes::no_row_but_the_keys_own_is_changed,
            writes::random_batches_agree_with_a_model,
            checks::what_fits_is_let_through,
            checks::what_no_row_can_be_is_refused_without_asking,
        }
    };
    (@table () $($topic:ident::$promise:ident,)*) => {
        &[$((stringify!($promise), |subject| Box::pin($crate::contract::drain::$topic::$promise(subject))),)*]
    };
    (@tests ($subject:expr) $($topic:ident::$promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::drain::$topic::$promise($subject.await).await;
            }
        )*
    };
    ($subject:expr) => {
        $crate::drain_contract! { @promises tests ($subject) }
    };
}

/// The promises that the subjects which `make` makes break, by name: to show that the suite convicts.
pub fn broken_promises<F: Future<Output = DrainSubject>>(make: impl Fn() -> F) -> Vec<&'static str> {
    let is_broken = |promise: &&Promise| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let run = || runtime.block_on(async { promise.1(make().await).await });
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    PROMISES.iter().filter(is_broken).map(|promise| promise.0).collect()
}

/// A lane of the suite.
pub fn lane(number: u16) -> Lane {
    Lane { resource: ResourceName::new("suite").expect("a good name"), number }
}

/// The holder of a journal.
pub fn owner(journal: &str) -> Owner {
    Owner { journal: journal.to_owned(), name: format!("daemon of {journal}") }
}

/// A watermark of these numbers.
pub fn watermark(epoch: u64, position: u64) -> Watermark {
    Watermark { epoch, position: Position(position) }
}

/// A lane with its owner and where its next batch begins.
#[derive(Clone, Debug)]
pub struct Line {
    drain: Arc<dyn Drain>,
    /// The lane.
    pub lane: Lane,
    /// Who applies its writes.
    pub owner: Owner,
    /// How far it was applied.
    pub at: Watermark,
}

impl Line {
    /// Claims lane `number` for `journal`.
    ///
    /// # Panics
    /// When another has it.
    pub async fn claim(drain: &Arc<dyn Drain>, number: u16, journal: &str) -> Self {
        let (lane, owner) = (lane(number), owner(journal));
        let at = held(drain, std::slice::from_ref(&lane), &owner, false).await[0];
        Self { drain: drain.clone(), lane, owner, at }
    }

    /// Gives a batch whose writes follow each other; the line stays where it is.
    ///
    /// # Errors
    /// As [`Drain::apply`].
    pub async fn give(&self, writes: &[Write]) -> Result<Drained, Undrained> {
        let accepted = |(at, write): (usize, &Write)| AcceptedWrite {
            position: Position(self.at.position.0 + 1 + at as u64),
            write: write.clone(),
        };
        let writes: Vec<AcceptedWrite> = writes.iter().enumerate().map(accepted).collect();
        let to = Position(self.at.position.0 + writes.len() as u64);
        let batch = DrainBatch {
            lane: &self.lane,
            owner: &self.owner,
            from: self.at,
            to,
            writes: &writes,
            unanswered_ms: None,
        };
        self.drain.apply(batch).await
    }

    /// Gives a batch that must be applied, and goes on behind it.
    ///
    /// # Panics
    /// When it is not.
    pub async fn apply(&mut self, writes: &[Write]) -> Vec<Applied> {
        let drained = self.give(writes).await.expect("a healthy source applies what fits");
        let Drained::Done(all) = drained else { panic!("not applied: {drained:?}") };
        assert_eq!(all.len(), writes.len(), "each write is answered");
        self.at.position.0 += writes.len() as u64;
        all
    }
}

/// Claims lanes that must be free, or anybody's if `by_force`.
///
/// # Panics
/// When they are not.
pub async fn held(drain: &Arc<dyn Drain>, lanes: &[Lane], owner: &Owner, by_force: bool) -> Vec<Watermark> {
    match drain.claim(lanes, owner, by_force).await.expect("a healthy source answers a claim") {
        Claim::Held(watermarks) => watermarks,
        Claim::Taken(other) => panic!("taken by {other:?}"),
    }
}
