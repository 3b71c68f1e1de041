// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps and states in words, for counterexamples.

use super::{Content, NodeState, ReaderAt, State, Step, WriterAt};

pub(super) fn step(state: &State, step: Step) -> String {
    match step {
        Step::Read(daemon) => format!("daemon {daemon}'s reader {}", read(state, usize::from(daemon))),
        Step::Write(daemon) => format!("daemon {daemon}'s writer {}", write(state, usize::from(daemon))),
        Step::Arrive(index) => {
            let sent = state.sent[usize::from(index)];
            format!("the late store of v{} reaches generation {}", sent.version, sent.generation)
        }
        Step::StartFence => "a fence begins".to_owned(),
        Step::CompleteFence => "the fence is complete".to_owned(),
        Step::Readmit => "the node is taken in again".to_owned(),
        Step::Renew(daemon) => format!("daemon {daemon} polls the control row"),
        Step::LeaseEnds(daemon) => format!("daemon {daemon}'s reader lease runs out"),
        Step::Cut(daemon) => format!("daemon {daemon} LOSES the node"),
        Step::Heal(daemon) => format!("daemon {daemon} reaches the node again"),
        Step::Evict(generation) => format!("EVICTION in generation {generation}"),
        Step::Save => "the node's contents are what may come back".to_owned(),
        Step::ComeBack => "the node RESTARTS with the contents it had".to_owned(),
        Step::Deliver => "an invalidation that was put off is carried out".to_owned(),
    }
}

fn read(state: &State, index: usize) -> String {
    let reader = state.readers[index];
    let slot = state.slots[usize::from(reader.generation)];
    match (reader.at, slot.map(|item| item.content)) {
        (ReaderAt::Idle, _) => "begins".to_owned(),
        (ReaderAt::Checked, Some(Content::Value(version))) => {
            format!("looks up in generation {}: v{version}", reader.generation)
        }
        (ReaderAt::Checked, _) => format!("looks up in generation {}: no value", reader.generation),
        (ReaderAt::Leased, _) => format!("reads v{}, returns it, sends its fill if granted", state.row),
        (ReaderAt::Past, _) => format!("reads past the cache, returns v{}", state.row),
    }
}

fn write(state: &State, index: usize) -> String {
    match state.writers[index].at {
        WriterAt::Idle => "begins: lock or control row".to_owned(),
        WriterAt::Informed => "gets the lock".to_owned(),
        WriterAt::Locked => format!("marks, or need not ({:?})", state.writers[index].seen),
        WriterAt::Marked => "commits and is acknowledged".to_owned(),
        WriterAt::Done => "is done".to_owned(),
    }
}

/// The row, the control row, the slots, what is due, and what is wrong.
pub(super) fn state(state: &State) -> String {
    let slot = |content| match content {
        None => "empty".to_owned(),
        Some(Content::Lease) => "lease".to_owned(),
        Some(Content::Value(version)) => format!("v{version}"),
        Some(Content::Mark) => "mark".to_owned(),
    };
    let node = match state.control.state {
        NodeState::Active => "active",
        NodeState::Fencing => "fencing",
        NodeState::Fenced => "fenced",
    };
    let slots: Vec<String> = state.slots.iter().map(|item| slot(item.map(|item| item.content))).collect();
    let breach = state.breach.map(|breach| format!("  <== v{} where v{} is due", breach.shown, breach.due));
    format!(
        "row v{}, {node} {}, slots {}{}",
        state.row,
        state.control.generation,
        slots.join("/"),
        breach.unwrap_or_default()
    )
}
