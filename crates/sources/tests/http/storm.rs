// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted writes through everything that a service may do to them at once.

use std::collections::BTreeMap;

use throughline_bank::{BankOptions, HangUp};
use throughline_core::{
    AcceptedWrite, Drain as _, DrainBatch, Drained, ErrorKind, Lane, Owner, Position, ResourceName, Retry,
    Rng, Watermark,
};
use throughline_sources::http::HttpConfig;

use crate::fixture::{House, delete, put};

const WRITE_COUNT: u64 = 60;

/// Whatever befalls the next request.
fn trouble(house: &House, rng: &Rng) {
    match rng.below(6) {
        0 => house.bank.hang_up(&[HangUp::BeforeSaving]),
        1 => house.bank.hang_up(&[HangUp::AfterSaving]),
        2 => house.bank.refuse(&[[408, 429, 500, 502, 503, 504][rng.below(6) as usize]]),
        3 => house.bank.decline_for_ms(1 + rng.below(5)),
        // Longer than the request may take, so that the next try meets the first one still under way.
        4 => house.bank.take_ms(60, 0),
        _ => house.bank.take_ms(0, 0),
    }
}

#[tokio::test]
async fn every_write_is_applied_once_and_in_order_through_any_trouble() {
    let seed = 0x6261_6e6b;
    let rng = Rng::from_seed(seed);
    let house =
        House::with(BankOptions::quick(), |config| HttpConfig { request_timeout_ms: 25, ..config }).await;
    let lane = Lane { resource: ResourceName::new("payment").unwrap(), number: 0 };
    let owner = Owner { journal: "storm".to_owned(), name: "here".to_owned() };
    let from = Watermark { epoch: 0, position: Position(0) };
    let mut rows = BTreeMap::new();
    let mut failures = 0;
    for number in 1..=WRITE_COUNT {
        let id = rng.below(4).to_string();
        let write = match rng.below(5) {
            0 => {
                rows.remove(&id);
                delete(&id)
            }
            _ => {
                rows.insert(id.clone(), format!(r#"{{"number":{number}}}"#));
                put(&id, &rows[&id])
            }
        };
        let writes = [AcceptedWrite { position: Position(number), write }];
        let (to, mut unanswered_ms) = (Position(number), None);
        trouble(&house, &rng);
        loop {
            let batch = DrainBatch { lane: &lane, owner: &owner, from, to, writes: &writes, unanswered_ms };
            match house.payment.apply(batch).await {
                Ok(drained) => break assert!(matches!(drained, Drained::Done(_)), "{drained:?}"),
                Err(undrained) => {
                    assert_ne!(undrained.error.retry(), Retry::Never, "seed {seed}: {}", undrained.error);
                    failures += 1;
                    if undrained.error.kind() == ErrorKind::OutcomeUnknown {
                        unanswered_ms = Some(0);
                    }
                }
            }
        }
        let saved = house.row(&id);
        assert_eq!(saved.as_ref(), rows.get(&id), "seed {seed}, write {number}");
    }
    assert!(failures > WRITE_COUNT / 5, "{failures} were failed, so little was tried");
    assert_eq!(house.bank.counts().saves, WRITE_COUNT, "seed {seed}");
}
