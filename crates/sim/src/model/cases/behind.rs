// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases of write-behind.

use super::{Case, Scope};
use crate::model::behind::Behind;
use crate::model::{Verdict, search};

const STRICT: Behind = Behind::STRICT;
const ONE_READ: Behind = Behind { reads: 1, ..STRICT };

fn case(name: &'static str, scope: Scope, expected: Verdict, behind: Behind) -> Case {
    let run = Box::new(move || search(&behind, expected));
    Case { model: "behind", name, promise: behind.promise, scope, expected, run }
}

pub(super) fn cases() -> Vec<Case> {
    use Scope::{Full, Quick};
    let holds = |name, scope, behind| case(name, scope, Verdict::Holds, behind);
    let violated = |name, behind| case(name, Quick, Verdict::Violated, behind);
    vec![
        holds("crash of the owner, eviction, a batch sent twice, 1 read each", Quick, ONE_READ),
        holds("the same with 2 reads each", Full, STRICT),
        holds("3 writers, 1 read each", Full, Behind { writers: 3, ..ONE_READ }),
        holds(
            "2 crashes, 2 evictions, 2 retries, 1 read each",
            Full,
            Behind { crashes: 2, evictions: 2, retries: 2, ..ONE_READ },
        ),
        violated("misses ask the database", Behind { has_overlay: false, ..STRICT }),
        violated("batches without a watermark", Behind { has_watermark: false, ..STRICT }),
        violated("no mark before the append", Behind { marks: false, ..STRICT }),
        violated("fills beside a writer", Behind { probes: false, ..STRICT }),
        violated("a queue in memory", Behind { is_durable: false, ..STRICT }),
    ]
}
