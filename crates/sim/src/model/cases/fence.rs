// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases of the fence.

use super::{Case, Scope};
use crate::model::fence::{ControlRule, Fence, UnmarkableRule};
use crate::model::{Promise, Verdict, search};

const STRICT: Fence = Fence::STRICT;
const ONE_READ: Fence = Fence { reads: 1, ..STRICT };

fn case(name: &'static str, scope: Scope, expected: Verdict, fence: Fence) -> Case {
    let fence = Fence { is_symmetric: expected == Verdict::Holds, ..fence };
    let run = Box::new(move || search(&fence, expected));
    Case { model: "fence", name, promise: fence.promise, scope, expected, run }
}

pub(super) fn cases() -> Vec<Case> {
    use Scope::{Full, Quick};
    let holds = |name, scope, fence| case(name, scope, Verdict::Holds, fence);
    let violated = |name, fence| case(name, Quick, Verdict::Violated, fence);
    vec![
        holds("partition, fence, re-admission, 1 read each", Quick, ONE_READ),
        holds("partition, fence, re-admission", Full, STRICT),
        holds(
            "partition, fence, re-admission, eviction, 1 read each",
            Full,
            Fence { evictions: 1, ..ONE_READ },
        ),
        holds(
            "fence, node comes back with old contents; 1 read",
            Quick,
            Fence { returns: 1, cuts: 0, ..ONE_READ },
        ),
        holds("the same with a partition", Full, Fence { returns: 1, ..ONE_READ }),
        holds("partition, fence, re-admission, eviction", Full, Fence { evictions: 1, ..STRICT }),
        holds("2 partitions, 2 fences, 1 read each", Full, Fence { cuts: 2, fences: 2, ..ONE_READ }),
        violated(
            "commit unmarked, invalidate later",
            Fence { unmarkable: UnmarkableRule::Owe, promise: Promise::Headline, ..STRICT },
        ),
        violated("no wait for the readers' leases", Fence { waits_for_leases: false, ..STRICT }),
        violated("re-admission under the same generation", Fence { bumps: false, ..STRICT }),
        violated(
            "control row read before the key's lock",
            Fence { control: ControlRule::BeforeLock, ..ONE_READ },
        ),
        violated(
            "a writer trusts its daemon's last poll",
            Fence { control: ControlRule::LastPoll, ..STRICT },
        ),
        violated(
            "node comes back with old contents, lease not checked again",
            Fence { returns: 1, cuts: 0, rechecks_lease: false, ..ONE_READ },
        ),
        violated(
            "node comes back with old contents and nobody looks who it is",
            Fence { checks_identity: false, returns: 1, cuts: 0, fences: 0, ..ONE_READ },
        ),
    ]
}
