// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps and states in words, for counterexamples.

use super::{Content, FillRule, OutsiderAt, Phase, Protocol, ReaderAt, State, Step, WriteRule, WriterAt};

pub(super) fn step(protocol: &Protocol, state: &State, step: Step) -> String {
    match step {
        Step::Read { reader, .. } => {
            format!("reader {reader} {}", read(protocol, state, state.readers[usize::from(reader)].at))
        }
        Step::GiveUp { reader } => format!("reader {reader} has waited long enough"),
        Step::Join { reader, leader } => format!("reader {reader} begins and joins reader {leader}'s flight"),
        Step::Write { writer, .. } => {
            format!("writer {writer} {}", write(protocol, state.writers[usize::from(writer)].at))
        }
        Step::Arrive { index, .. } => match state.sent[usize::from(index)].value {
            Some(version) => format!("the late store of v{version} reaches the cache"),
            None => "a late release reaches the cache".to_owned(),
        },
        Step::LookUpLost { reader, .. } => format!("reader {reader} looks up and is not answered"),
        Step::CommandLost { writer, applied } => {
            format!(
                "writer {writer}'s cache command is lost {}",
                if applied { "afterwards" } else { "before" }
            )
        }
        Step::Crash { writer } => format!("writer {writer} DIES"),
        Step::OutcomeLost { writer } => format!("writer {writer} loses the database at COMMIT"),
        Step::Decide { writer, committed: true } => format!("the database commits for writer {writer}"),
        Step::Decide { writer, committed: false } => format!("the database rolls back for writer {writer}"),
        Step::Evict => "EVICTION".to_owned(),
        Step::Expire => "a mark expires".to_owned(),
        Step::Restart => "memcached RESTARTS".to_owned(),
        Step::Outside { outsider } => outside(state, usize::from(outsider)),
        Step::Feed => match state.phase {
            Phase::Idle => "the feed takes what it sees".to_owned(),
            Phase::Taken | Phase::Half => "the feed goes on (invalidates, or confirms)".to_owned(),
        },
        Step::FeedCrash => "the feed DIES and starts again".to_owned(),
    }
}

fn read(protocol: &Protocol, state: &State, at: ReaderAt) -> String {
    let looks = match state.slot.map(|item| item.content) {
        Some(Content::Value(version)) => format!("finds v{version}, returns it"),
        Some(Content::Lease) => "finds another's lease".to_owned(),
        Some(Content::Mark(writer)) => format!("finds writer {writer}'s mark"),
        None if protocol.fill == FillRule::Lease => "misses and gets a lease".to_owned(),
        None => "misses".to_owned(),
    };
    match at {
        ReaderAt::Idle => format!("begins, {looks}"),
        ReaderAt::Boarded => format!("sends its look-up, {looks}"),
        ReaderAt::Waiting => format!("looks again, {looks}"),
        ReaderAt::Leased => format!("asks the database (row: v{})", state.row),
        ReaderAt::Probed => format!("reads v{}, returns it, sends its fill", state.row),
        ReaderAt::Unprobed(version) => format!("tries the lock after its read, returns v{version}"),
        ReaderAt::Past => format!("reads past the cache, returns v{}", state.row),
        ReaderAt::Landed(version) => format!("and who joined it return v{version}"),
        ReaderAt::Joined(_) => "waits".to_owned(),
    }
}

fn write(protocol: &Protocol, at: WriterAt) -> &'static str {
    match (at, protocol.write) {
        (WriterAt::Idle, WriteRule::MarkInside | WriteRule::InvalidateInside) => "locks the row",
        (WriterAt::Idle, _) => "commits",
        (WriterAt::Locked, WriteRule::MarkInside) => "marks the slot",
        (WriterAt::Locked, _) => "invalidates the slot",
        (WriterAt::Marked, _) => "commits and is acknowledged",
        (WriterAt::Committed, WriteRule::SetAfter) => "sets the slot and is acknowledged",
        (WriterAt::Committed, _) => "deletes the slot and is acknowledged",
        (WriterAt::Undecided | WriterAt::Done | WriterAt::RolledBack | WriterAt::Gone, _) => "waits",
    }
}

fn outside(state: &State, index: usize) -> String {
    let outsider = state.outsiders[index];
    let row = if outsider.is_this_row { "the row" } else { "another row" };
    match outsider.at {
        OutsiderAt::Idle => {
            format!("program {index} changes {row}; its outbox row gets id {}", state.next_id)
        }
        _ => format!("program {index} commits"),
    }
}

/// The row, the slot, what is due, and what is wrong.
pub(super) fn state(state: &State) -> String {
    let slot = match state.slot.map(|item| item.content) {
        None => "empty".to_owned(),
        Some(Content::Lease) => "lease".to_owned(),
        Some(Content::Value(version)) => format!("v{version}"),
        Some(Content::Mark(writer)) => format!("mark of {writer}"),
    };
    let breach = state.breach.map(|breach| format!("  <== v{} where v{} is due", breach.shown, breach.due));
    format!("row v{}, slot {slot}{}", state.row, breach.unwrap_or_default())
}
