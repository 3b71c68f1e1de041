// SPDX-License-Identifier: MIT OR Apache-2.0
//! What drains of every SQL source have in common: what a lane's row means to a claim and to a batch, what became of a
//! write, and which errors a write is to blame for. No I/O.

#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) mod runs;

use throughline_core::{
    Applied, Claim, Condition, DrainBatch, Drained, Effect, Error, ErrorKind, Key, Lane, Owner, Position,
    Record, Refusal, Result, Retry, Target, Undrained, Watermark,
};

use crate::sql::{APPLIED, Assignments, JOURNAL_LEN_MAX, LaneRow, Mapping, NAME_LEN_MAX};

pub(crate) const APPLY: &str = "apply accepted writes";
pub(crate) const CLAIM: &str = "claim lanes of accepted writes";
pub(crate) const RELEASE: &str = "give lanes of accepted writes up";
pub(crate) const OWNERS: &str = "look for the owners of lanes of accepted writes";
pub(crate) const LOOK: &str = "look for the table of applied writes";
const CHECK: &str = "check a write";

/// What a batch may hold: enough that its commit costs each write little, and few enough that its locks are held briefly.
pub(crate) const BATCH_MAX: usize = 500;
/// The most lanes of one claim.
const LANE_COUNT_MAX: usize = 1_024;

/// Where the writes of a batch go, owned, for whoever applies them.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) lane: Lane,
    pub(crate) owner: Owner,
    pub(crate) from: Watermark,
    pub(crate) to: Position,
}

impl Course {
    pub(crate) fn of(batch: &DrainBatch<'_>) -> Self {
        Self { lane: batch.lane.clone(), owner: batch.owner.clone(), from: batch.from, to: batch.to }
    }

    /// What the lane's row says to a batch whose watermark could not be moved; `None` when it could be by now.
    pub(crate) fn explained_by(&self, row: Option<&LaneRow>) -> Option<Drained> {
        let owner = row.and_then(LaneRow::owner);
        match (row, owner) {
            (Some(row), Some(owner))
                if owner.journal == self.owner.journal && row.watermark().epoch == self.from.epoch =>
            {
                (row.watermark() != self.from).then(|| Drained::Already(row.watermark()))
            }
            (_, owner) => {
                let nobody = || Owner { journal: String::new(), name: String::new() };
                Some(Drained::Taken(owner.unwrap_or_else(nobody)))
            }
        }
    }
}

/// What was accepted, as readers see it until it is applied.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// `None` for a delete.
    record: Option<Record>,
    is_conditional: bool,
}

impl Accepted {
    /// A write with these assignments.
    pub(crate) fn of(mapping: &Mapping, assignments: Option<&Assignments>, condition: &Condition) -> Self {
        let record = assignments.map(|assignments| mapping.preview(assignments));
        Self { record, is_conditional: *condition != Condition::Always }
    }

    /// The record as readers see it; `None` when it is removed.
    pub(crate) fn into_record(self) -> Option<Record> {
        self.record
    }

    /// What became of it. A row that changes without being written to (`is_hidden`) may change after it was read back.
    ///
    /// # Errors
    /// [`ErrorKind::Constraint`] when its condition did not hold.
    pub(crate) fn outcome(&self, mapping: &Mapping, effect: &Effect, is_hidden: bool) -> Result<Applied> {
        match effect {
            Effect::Refused(Refusal::Absent) if self.record.is_none() && !self.is_conditional => {
                Ok(Applied::Exact)
            }
            Effect::Refused(_) => {
                let detail =
                    format!("table `{}`: the write's condition does not hold any more", mapping.table().name);
                Err(Error::new(ErrorKind::Constraint, APPLY, detail))
            }
            Effect::Deleted { .. } => Ok(Applied::Exact),
            Effect::Stored { record, .. } => Ok(self.stored(record.as_ref(), is_hidden)),
            Effect::Accepted { .. } => unreachable!("a source keeps no journal"),
        }
    }

    /// What became of a put whose row was read back as `record`.
    pub(crate) fn stored(&self, record: Option<&Record>, is_hidden: bool) -> Applied {
        let is_exact = !is_hidden && record.is_some() && record == self.record.as_ref();
        if is_exact { Applied::Exact } else { Applied::Changed }
    }
}

/// What a claim must do once it has locked the rows of its lanes; each has one.
pub(crate) fn taken(rows: &[LaneRow], owner: &Owner, by_force: bool) -> Option<Owner> {
    if by_force {
        return None;
    }
    rows.iter().filter_map(LaneRow::owner).find(|other| other.journal != owner.journal)
}

/// The answer to a claim that changed these rows.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when a lane has none.
pub(crate) fn held(lanes: &[Lane], rows: &[LaneRow]) -> Result<Claim> {
    let watermark = |lane: &Lane| {
        let name = lane.to_string();
        let row = rows.iter().find(|row| row.lane == name);
        let missing = || {
            Error::new(
                ErrorKind::Corrupt,
                CLAIM,
                format!("`{APPLIED}` has no row of the lane that was claimed"),
            )
        };
        row.map(LaneRow::watermark).ok_or_else(missing)
    };
    lanes.iter().map(watermark).collect::<Result<_>>().map(Claim::Held)
}

/// Refuses what the table cannot hold.
///
/// # Errors
/// [`ErrorKind::TooLarge`].
pub(crate) fn check_claim(operation: &'static str, lanes: &[Lane], owner: &Owner) -> Result<()> {
    let too_large = |detail: String| Err(Error::new(ErrorKind::TooLarge, operation, detail));
    if lanes.len() > LANE_COUNT_MAX {
        return too_large(format!("{} lanes at once, at most {LANE_COUNT_MAX} are taken", lanes.len()));
    }
    if owner.journal.len() > JOURNAL_LEN_MAX || owner.name.len() > NAME_LEN_MAX {
        return too_large(format!(
            "an owner's journal has at most {JOURNAL_LEN_MAX} bytes, its name at most {NAME_LEN_MAX}"
        ));
    }
    Ok(())
}

/// The key of an accepted write.
///
/// # Errors
/// [`ErrorKind::InvalidKey`] for a new record.
pub(crate) fn key_of<'w>(write: &'w throughline_core::Write, table: &str) -> Result<&'w Key> {
    match &write.target {
        Target::Key(key) => Ok(key),
        Target::New => {
            let detail = format!("table `{table}`: a write that is applied later must name its key");
            Err(Error::new(ErrorKind::InvalidKey, CHECK, detail))
        }
    }
}

/// The error of a database without our table.
pub(crate) fn missing(database: &str) -> Error {
    let detail = format!(
        "`{database}` has no table `{APPLIED}`, in which is kept what was applied: run `throughline init` with the \
         database's URL"
    );
    Error::new(ErrorKind::Configuration, LOOK, detail)
}

/// The error of a database whose table is of an earlier version.
pub(crate) fn outdated(database: &str) -> Error {
    let detail = format!(
        "the table `{APPLIED}` of `{database}` is of an earlier version: run `throughline init` with the database's URL"
    );
    Error::new(ErrorKind::Configuration, LOOK, detail)
}

/// The error of an account that may not use our table.
pub(crate) fn denied() -> Error {
    let detail = format!("the account may not use it: GRANT SELECT, INSERT, UPDATE ON {APPLIED}");
    Error::new(ErrorKind::Denied, LOOK, detail)
}

/// The error of a batch, of whose `count` writes `at` is to blame, if one is.
///
/// What is wrong with the table, the account or the server is no write's fault, and somebody can repair it meanwhile.
pub(crate) fn undrained(at: Option<usize>, count: usize, error: Error) -> Undrained {
    if error.retry() != Retry::Never {
        return Undrained { at: None, error };
    }
    if !error.kind().is_of_the_write() || count == 0 {
        return Undrained { at: None, error: error.with_retry(Retry::Safe) };
    }
    Undrained { at: at.or((count == 1).then_some(0)), error }
}

/// Refuses a batch that is too long; smaller ones are not.
///
/// # Errors
/// [`ErrorKind::TooLarge`].
pub(crate) fn check_len(count: usize) -> std::result::Result<(), Undrained> {
    if count <= BATCH_MAX {
        return Ok(());
    }
    let detail = format!("{count} writes at once, at most {BATCH_MAX} are taken");
    Err(Undrained { at: None, error: Error::new(ErrorKind::TooLarge, APPLY, detail) })
}

#[cfg(test)]
mod tests {
    use throughline_core::{
        Drained, Error, ErrorKind, Lane, Owner, Position, ResourceName, Retry, Watermark,
    };

    use super::{APPLY, Course, undrained};
    use crate::sql::LaneRow;

    fn course() -> Course {
        Course {
            lane: Lane { resource: ResourceName::new("person").unwrap(), number: 3 },
            owner: Owner { journal: "ours".into(), name: "a".into() },
            from: Watermark { epoch: 2, position: Position(5) },
            to: Position(9),
        }
    }

    fn row(journal: &str, name: Option<&str>, epoch: i64, position: i64) -> LaneRow {
        let name = name.map(str::to_owned);
        LaneRow { lane: "person/3".into(), journal: journal.into(), name, epoch, position }
    }

    #[test]
    fn a_batch_that_did_not_move_is_told_why() {
        let course = course();
        let already = |position| Some(Drained::Already(Watermark { epoch: 2, position: Position(position) }));
        assert_eq!(course.explained_by(Some(&row("ours", Some("a"), 2, 9))), already(9));
        assert_eq!(course.explained_by(Some(&row("ours", Some("a"), 2, 4))), already(4));
        let other = Owner { journal: "theirs".into(), name: "b".into() };
        assert_eq!(course.explained_by(Some(&row("theirs", Some("b"), 3, 5))), Some(Drained::Taken(other)));
        // A newer claim of our own, and a lane that is nobody's.
        for lost in [Some(row("ours", Some("a"), 3, 5)), Some(row("ours", None, 2, 5)), None] {
            assert!(matches!(course.explained_by(lost.as_ref()), Some(Drained::Taken(_))), "{lost:?}");
        }
        // It came back in the moment between the two statements.
        assert_eq!(course.explained_by(Some(&row("ours", Some("a"), 2, 5))), None);
    }

    #[test]
    fn only_what_a_write_is_to_blame_for_is_told_as_its_fault() {
        let told = |kind, at, count| {
            let undrained = undrained(at, count, Error::new(kind, APPLY, "x"));
            (undrained.at, undrained.error.retry())
        };
        assert_eq!(told(ErrorKind::Constraint, Some(3), 5), (Some(3), Retry::Never));
        assert_eq!(told(ErrorKind::Constraint, None, 5), (None, Retry::Never));
        assert_eq!(told(ErrorKind::Constraint, None, 1), (Some(0), Retry::Never));
        for kind in [ErrorKind::Denied, ErrorKind::Configuration, ErrorKind::ReadOnly, ErrorKind::Closed] {
            assert_eq!(told(kind, Some(3), 5), (None, Retry::Safe), "{kind:?}");
        }
        assert_eq!(told(ErrorKind::OutcomeUnknown, None, 1), (None, Retry::Unsafe));
    }
}
