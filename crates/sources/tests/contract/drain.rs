// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources whose drains keep the promises of `throughline_testkit::contract::drain`, and some whose do not.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Claim, Drain, DrainBatch, Drained, Lane, Owner, Record, Result, Undrained, Watermark, Write,
};
use throughline_testkit::contract::drain::{DrainSubject, broken_promises};

use crate::{assert_convicted, subjects};

mod mysql {
    throughline_testkit::drain_contract!(async { crate::subjects::mysql().await.drain() });
}

mod postgres {
    throughline_testkit::drain_contract!(async { crate::subjects::postgres().await.drain() });
}

mod sqlite {
    throughline_testkit::drain_contract!(async { crate::subjects::sqlite().await.drain() });
}

/// What is wrong with a broken drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It applies a batch wherever the watermark is, and whoever has the lane.
    NoWatermark,
    /// It applies a batch write by write, each by itself.
    Piecemeal,
    /// It applies the writes of a batch in another order.
    Disorder,
}

/// An honest drain with one fault.
#[derive(Debug)]
struct Broken(Arc<dyn Drain>, Fault);

impl Broken {
    async fn at_any_rate(&self, batch: DrainBatch<'_>) -> std::result::Result<Drained, Undrained> {
        let claim = self.0.claim(std::slice::from_ref(batch.lane), batch.owner, true).await;
        let Ok(Claim::Held(watermarks)) = claim else { panic!("a forced claim of a healthy source holds") };
        self.0.apply(DrainBatch { from: watermarks[0], ..batch }).await
    }

    async fn piecemeal(&self, batch: DrainBatch<'_>) -> std::result::Result<Drained, Undrained> {
        let (mut from, mut all) = (batch.from, Vec::new());
        for write in batch.writes {
            let piece = DrainBatch { from, to: write.position, writes: std::slice::from_ref(write), ..batch };
            match self.0.apply(piece).await? {
                Drained::Done(applied) => all.extend(applied),
                other => return Ok(other),
            }
            from = Watermark { position: write.position, ..from };
        }
        Ok(Drained::Done(all))
    }

    async fn reversed(&self, batch: DrainBatch<'_>) -> std::result::Result<Drained, Undrained> {
        let writes: Vec<_> = batch.writes.iter().rev().cloned().collect();
        self.0.apply(DrainBatch { writes: &writes, ..batch }).await
    }
}

impl Drain for Broken {
    fn batch_max(&self) -> usize {
        self.0.batch_max()
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        self.0.check(write)
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        self.0.claim(lanes, owner, by_force)
    }

    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        self.0.release(lanes, owner)
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        match self.1 {
            Fault::NoWatermark => Box::pin(self.at_any_rate(batch)),
            Fault::Piecemeal => Box::pin(self.piecemeal(batch)),
            Fault::Disorder => Box::pin(self.reversed(batch)),
        }
    }
}

async fn honest() -> DrainSubject {
    subjects::sqlite().await.drain()
}

async fn broken(fault: Fault) -> DrainSubject {
    let mut subject = honest().await;
    for (_, drain) in [&mut subject.person, &mut subject.note, &mut subject.account] {
        *drain = Arc::new(Broken(drain.clone(), fault));
    }
    subject
}

#[test]
fn the_suite_finds_nothing_against_an_honest_drain() {
    assert_eq!(broken_promises(honest), [""; 0]);
}

#[test]
fn the_suite_convicts_a_drain_that_ignores_the_watermark() {
    assert_convicted(
        &broken_promises(|| broken(Fault::NoWatermark)),
        &[
            "who_lost_a_lane_never_writes",
            "a_batch_that_is_given_twice_is_applied_once",
            "a_batch_that_is_given_by_several_at_once_is_applied_once",
        ],
    );
}

#[test]
fn the_suite_convicts_a_drain_that_commits_in_pieces() {
    assert_convicted(
        &broken_promises(|| broken(Fault::Piecemeal)),
        &["a_batch_with_a_bad_row_changes_nothing_and_the_row_is_found"],
    );
}

#[test]
fn the_suite_convicts_a_drain_that_changes_the_order() {
    assert_convicted(
        &broken_promises(|| broken(Fault::Disorder)),
        &[
            "versions_of_a_key_are_applied_in_their_order",
            "a_key_that_comes_and_goes_ends_as_it_was_left_last",
            "random_batches_agree_with_a_model",
        ],
    );
}
