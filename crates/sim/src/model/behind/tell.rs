// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps and states in words, for counterexamples.

use super::{Reader, Sent, Slot, State, Step, Writer};

pub(super) fn step(state: &State, step: Step) -> String {
    match step {
        Step::Write(index) => format!("writer {index} {}", write(state.writers[usize::from(index)])),
        Step::Read(index) => format!("reader {index} {}", read(state, state.readers[usize::from(index)])),
        Step::Arrive(index) => match state.sent[usize::from(index)] {
            Sent::Store(_, version) => format!("the store of v{version} arrives"),
            Sent::Drop => "an invalidation arrives".to_owned(),
        },
        Step::Send => "what is pending is sent to the database".to_owned(),
        Step::Apply(index) => {
            let flight = state.flights[usize::from(index)];
            format!("a batch with v{} from watermark {} arrives", flight.to, flight.from)
        }
        Step::Crash => "the owner CRASHES and starts again".to_owned(),
        Step::Evict => "EVICTION".to_owned(),
    }
}

fn write(writer: Writer) -> &'static str {
    match writer {
        Writer::Idle => "takes the key",
        Writer::Locked => "marks, or does not",
        Writer::Marked(_) => "appends to the journal",
        Writer::Kept(..) => "is shown and acknowledged",
        Writer::Done => "is done",
    }
}

fn read(state: &State, reader: Reader) -> String {
    match (reader, state.slot) {
        (Reader::Idle { .. }, Slot::Value(version)) => format!("hits v{version}"),
        (Reader::Idle { .. }, Slot::Empty) => "misses and gets a lease".to_owned(),
        (Reader::Idle { .. }, _) => "must go past the cache".to_owned(),
        (Reader::Looked { .. }, _) => {
            "looks whether the key is being written, and into the overlay".to_owned()
        }
        (Reader::Asking { .. }, _) => format!("reads v{} in the database", state.row),
    }
}

/// The row, the watermark, the journal, the overlay, the slot, and what is wrong.
pub(super) fn state(state: &State) -> String {
    let slot = match state.slot {
        Slot::Empty => "empty".to_owned(),
        Slot::Lease(_) => "lease".to_owned(),
        Slot::Mark(_) => "mark".to_owned(),
        Slot::Value(version) => format!("v{version}"),
    };
    let overlay = state.overlay.map_or("nothing".to_owned(), |version| format!("v{version}"));
    let breach = state.breach.map(|(shown, due)| format!("  <== v{shown} where v{due} is due"));
    format!(
        "row v{}, watermark {}, journal {}, overlay {overlay}, slot {slot}{}",
        state.row,
        state.watermark,
        state.journal,
        breach.unwrap_or_default()
    )
}
