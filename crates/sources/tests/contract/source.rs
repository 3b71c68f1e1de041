// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources that keep the promises of `throughline_testkit::contract::source`, and some that do not.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Condition, Effect, Error, Intent, Key, Loaded, Loader, Prepared, Refusal, Result,
    Sent, Target, Write, Writer,
};
use throughline_testkit::contract::source::{SourceSubject, SourceTable, broken_promises};

use crate::{assert_convicted, subjects};

mod mysql {
    throughline_testkit::source_contract!(async { crate::subjects::mysql().await.source() });
}

mod postgres {
    throughline_testkit::source_contract!(async { crate::subjects::postgres().await.source() });
}

mod sqlite {
    throughline_testkit::source_contract!(async { crate::subjects::sqlite().await.source() });
}

async fn sqlite_subject() -> SourceSubject {
    subjects::sqlite().await.source()
}

/// Gives the writer's lock no thought.
#[derive(Debug)]
struct AlwaysFillable(Arc<dyn Loader>);

impl Loader for AlwaysFillable {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.0.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let loaded = self.0.load(key, intent).await?;
            Ok(Loaded { fillable: true, ..loaded })
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for key in keys {
                all.push(self.load(key, intent.clone()).await?);
            }
            Ok(all)
        })
    }
}

/// Commits before it is asked to.
#[derive(Debug)]
struct Hasty(Arc<dyn Writer>);

/// A write that has taken place.
#[derive(Debug)]
pub(crate) struct Done(pub(crate) Vec<Effect>);

impl Writer for Hasty {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            let prepared = self.0.prepare(writes).await?;
            let effects = prepared.effects().to_vec();
            prepared.commit().await?;
            Ok(Box::new(Done(effects)) as Box<dyn Prepared>)
        })
    }
}

impl Prepared for Done {
    fn effects(&self) -> &[Effect] {
        &self.0
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, std::result::Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// Looks whether its condition holds without the lock, and then writes blindly.
#[derive(Debug)]
struct CheckThenAct(SourceTable);

impl CheckThenAct {
    async fn refusal(&self, write: &Write) -> Result<Option<Refusal>> {
        let Target::Key(key) = &write.target else {
            return Ok(None);
        };
        let loaded = self.0.loader.load(key, Intent { fill: false, sent: Sent::new() }).await?;
        Ok(match (&write.condition, loaded.record) {
            (Condition::Absent, Some(_)) => Some(Refusal::Exists),
            (Condition::Unchanged(versions), Some(record)) if !versions.contains(&record.version) => {
                Some(Refusal::Conflict(record.version))
            }
            _ => None,
        })
    }
}

impl Writer for CheckThenAct {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            let mut blind = Vec::new();
            for write in writes {
                if let Some(refusal) = self.refusal(write).await? {
                    return Ok(Box::new(Done(vec![Effect::Refused(refusal)])) as Box<dyn Prepared>);
                }
                blind.push(Write { condition: Condition::Always, ..write.clone() });
            }
            self.0.writer.prepare(&blind).await
        })
    }
}

#[test]
fn the_suite_finds_nothing_against_an_honest_source() {
    assert_eq!(broken_promises(sqlite_subject), [""; 0]);
}

#[test]
fn the_suite_convicts_a_loader_that_fills_always_and_loads_one_by_one() {
    let broken = broken_promises(|| async {
        let mut subject = sqlite_subject().await;
        subject.person.loader = Arc::new(AlwaysFillable(subject.person.loader));
        subject
    });
    assert_convicted(
        &broken,
        &[
            "beside_a_prepared_write_the_old_row_is_read_and_not_filled",
            "beside_a_prepared_insert_absence_is_not_filled",
            "beside_a_prepared_delete_the_row_is_not_filled",
            "another_spelling_of_a_key_is_never_fillable",
            "without_a_lease_nothing_is_fillable",
            "load_many_probes_each_key",
            "what_the_protocol_fills_is_never_older_than_a_completed_write",
            "load_many_answers_in_order_with_one_statement",
        ],
    );
}

#[test]
fn the_suite_convicts_a_writer_that_commits_too_early() {
    let broken = broken_promises(|| async {
        let mut subject = sqlite_subject().await;
        subject.person.writer = Arc::new(Hasty(subject.person.writer));
        subject
    });
    assert_convicted(
        &broken,
        &[
            "nothing_is_visible_before_the_commit",
            "a_rolled_back_write_leaves_no_trace",
            "a_dropped_write_leaves_no_trace",
            "a_dropped_prepare_leaves_the_source_usable",
            "random_writes_agree_with_a_model",
        ],
    );
}

#[test]
fn the_suite_convicts_a_writer_that_checks_and_then_acts() {
    let broken = broken_promises(|| async {
        let mut subject = sqlite_subject().await;
        subject.person.writer = Arc::new(CheckThenAct(subject.person.clone()));
        subject
    });
    assert_convicted(
        &broken,
        &[
            "an_insert_that_waited_sees_the_row_of_the_first",
            "a_compare_and_set_that_waited_sees_the_version_of_the_first",
        ],
    );
}
