// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every case of the model that is quick to search, and the monitor against stateright's own tester.

use throughline_sim::model::protocol::{CrossCheck, Faults, FillRule, ProbeRule, Protocol, WriteRule};
use throughline_sim::model::{Scope, Verdict, cases, line, trace};

#[test]
fn what_is_implemented_holds_and_what_is_wrong_is_convicted() {
    for case in cases().iter().filter(|case| case.scope == Scope::Quick) {
        let finding = (case.run)();
        println!("{}", line(case, &finding));
        assert_eq!(finding.verdict, case.expected, "{}\n{}", line(case, &finding), trace(&finding));
        assert_eq!(finding.verdict == Verdict::Violated, !finding.counterexample.is_empty(), "{}", case.name);
    }
}

#[test]
fn a_content_monitor_means_a_history_that_can_be_explained() {
    let usual = Protocol { probe: ProbeRule::Never, fill: FillRule::Set, reads: 1, ..Protocol::STRICT };
    let faults = Faults { crashes: 1, evictions: 1, ..Faults::default() };
    for (is_convicted, protocol) in [
        (true, Protocol { write: WriteRule::SetAfter, ..usual }),
        (true, Protocol { write: WriteRule::DeleteAfter, ..usual }),
        (
            true,
            Protocol { write: WriteRule::DeleteAfter, fill: FillRule::Lease, reads: 2, writers: 1, ..usual },
        ),
        (false, Protocol { reads: 1, faults, ..Protocol::STRICT }),
        (false, Protocol { reads: 1, faults, write: WriteRule::InvalidateInside, ..Protocol::STRICT }),
    ] {
        let found = CrossCheck::run(protocol);
        assert!(found.is_right, "{protocol:?}");
        assert_eq!(found.is_convicted, is_convicted, "{protocol:?}");
    }
}
