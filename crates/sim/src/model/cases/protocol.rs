// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases of the protocol for one key.

use super::{Case, Scope};
use crate::model::protocol::{Faults, Feed, FillRule, Flights, ProbeRule, Protocol, Tokens, WriteRule};
use crate::model::{Promise, Verdict, search};

const STRICT: Protocol = Protocol::STRICT;
const AROUND: Protocol = Protocol { write: WriteRule::InvalidateInside, ..STRICT };
const NO_FAULTS: Faults = STRICT.faults;
const CRASH_AND_EVICTION: Faults = Faults { crashes: 1, evictions: 1, ..NO_FAULTS };
const EVERYTHING: Faults =
    Faults { crashes: 1, evictions: 1, restarts: 1, losses: 1, unknowns: 1, ..NO_FAULTS };
const OUTBOX: Faults = Faults { outsiders: 1, feed_crashes: 1, ..CRASH_AND_EVICTION };

fn case(name: &'static str, scope: Scope, expected: Verdict, protocol: Protocol) -> Case {
    let protocol = Protocol { is_symmetric: expected == Verdict::Holds, ..protocol };
    let model = if protocol.feed == Feed::Off { "protocol" } else { "outbox" };
    let run = Box::new(move || search(&protocol, expected));
    Case { model, name, promise: protocol.promise, scope, expected, run }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = implemented();
    cases.extend(outbox());
    cases.extend(wrong());
    cases
}

fn implemented() -> Vec<Case> {
    use Scope::{Full, Quick};
    let holds = |name, scope, protocol| case(name, scope, Verdict::Holds, protocol);
    let with = |protocol: Protocol, faults| Protocol { faults, ..protocol };
    let converge = |protocol: Protocol| Protocol { promise: Promise::Converge, ..protocol };
    vec![
        holds("write-through", Quick, STRICT),
        holds("write-through, crash + eviction", Quick, with(STRICT, CRASH_AND_EVICTION)),
        holds("write-through, crash + eviction", Quick, converge(with(STRICT, CRASH_AND_EVICTION))),
        holds("write-around, crash + eviction", Quick, with(AROUND, CRASH_AND_EVICTION)),
        holds("write-around, crash + eviction", Quick, converge(with(AROUND, CRASH_AND_EVICTION))),
        holds(
            "write-through, restart + lost command + unknown outcome, 1 read each",
            Quick,
            Protocol { reads: 1, ..with(STRICT, Faults { crashes: 0, evictions: 0, ..EVERYTHING }) },
        ),
        holds(
            "write-through, readers join flights, eviction",
            Quick,
            Protocol {
                flights: Flights::Unsent,
                writers: 1,
                ..with(STRICT, Faults { crashes: 0, ..CRASH_AND_EVICTION })
            },
        ),
        holds(
            "write-through, readers join flights, crash + eviction",
            Full,
            Protocol { flights: Flights::Unsent, ..with(STRICT, CRASH_AND_EVICTION) },
        ),
        holds(
            "write-through, 3 readers join flights, crash + eviction",
            Full,
            Protocol { flights: Flights::Unsent, reads: 1, readers: 3, ..with(STRICT, CRASH_AND_EVICTION) },
        ),
        holds("write-through, every fault at once", Full, with(STRICT, EVERYTHING)),
        holds("write-around, every fault at once", Full, with(AROUND, EVERYTHING)),
        holds(
            "write-through, 2 crashes + 3 evictions",
            Full,
            with(STRICT, Faults { crashes: 2, evictions: 3, ..NO_FAULTS }),
        ),
        holds(
            "write-through, 3 writers, crash + eviction",
            Full,
            Protocol { writers: 3, ..with(STRICT, CRASH_AND_EVICTION) },
        ),
        holds(
            "write-through, 3 readers, crash + eviction",
            Full,
            Protocol { readers: 3, ..with(STRICT, CRASH_AND_EVICTION) },
        ),
    ]
}

fn outbox() -> Vec<Case> {
    let outbox =
        Protocol { feed: Feed::Taken, promise: Promise::Converge, writers: 1, faults: OUTBOX, ..STRICT };
    let two_rows = Faults { strangers: 1, ..OUTBOX };
    let holds = |name, scope, protocol| case(name, scope, Verdict::Holds, protocol);
    let violated = |name, feed| {
        case(name, Scope::Quick, Verdict::Violated, Protocol { feed, faults: two_rows, ..outbox })
    };
    let around = Protocol { write: WriteRule::InvalidateInside, ..outbox };
    vec![
        holds("taken, invalidated, confirmed; both crash, eviction", Scope::Quick, outbox),
        holds("… write-around", Scope::Quick, around),
        holds(
            "… and nothing older than our own writes",
            Scope::Quick,
            Protocol { promise: Promise::Headline, ..outbox },
        ),
        holds(
            "… 2 writes from outside, and 1 to another row",
            Scope::Full,
            Protocol { faults: Faults { outsiders: 2, ..two_rows }, ..outbox },
        ),
        holds("… 2 writers", Scope::Full, Protocol { writers: 2, ..outbox }),
        violated("ids beyond the last one seen", Feed::BeyondLastId),
        violated("confirmed before the invalidation", Feed::ConfirmedFirst),
    ]
}

fn wrong() -> Vec<Case> {
    let violated = |name, protocol| case(name, Scope::Quick, Verdict::Violated, protocol);
    let usual = Protocol { probe: ProbeRule::Never, promise: Promise::Headline, ..STRICT };
    let set = Protocol { fill: FillRule::Set, ..usual };
    let linear = Promise::Linear;
    vec![
        violated("get, set; write: commit, set", Protocol { write: WriteRule::SetAfter, ..set }),
        violated(
            "get, add; write: commit, set",
            Protocol { fill: FillRule::Add, write: WriteRule::SetAfter, ..usual },
        ),
        violated("get, set; write: commit, delete", Protocol { write: WriteRule::DeleteAfter, ..set }),
        violated(
            "lease; write: commit, delete",
            Protocol { write: WriteRule::DeleteAfter, promise: linear, ..usual },
        ),
        violated(
            "lease; write: commit, delete; crash",
            Protocol {
                write: WriteRule::DeleteAfter,
                promise: Promise::Converge,
                faults: Faults { crashes: 1, ..NO_FAULTS },
                ..usual
            },
        ),
        violated(
            "lease; write: delete, commit; fills ask for no lock",
            Protocol { write: WriteRule::InvalidateInside, ..usual },
        ),
        violated(
            "as implemented, but the probe comes after the snapshot; eviction",
            Protocol {
                probe: ProbeRule::AfterSnapshot,
                faults: Faults { evictions: 1, ..NO_FAULTS },
                ..STRICT
            },
        ),
        violated(
            "as implemented, but tokens outlive a restart; restart",
            Protocol { tokens: Tokens::Unbound, faults: Faults { restarts: 1, ..NO_FAULTS }, ..STRICT },
        ),
        violated(
            "as implemented, but readers join flights that were sent",
            Protocol { flights: Flights::Any, ..STRICT },
        ),
    ]
}
