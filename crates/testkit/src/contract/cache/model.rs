// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random calls, compared with the simplest thing that could be right.

use throughline_core::{Fill, Lease, Lookup, Mark, Rng, Slot};

use super::{CacheSubject, copied, entry, slot};

const SLOTS: u64 = 3;
const CALLS: u64 = 3_000;
/// Replays of one failure need nothing but this.
const SEED: u64 = 0x7468_726f_7567_686c;

/// What a slot holds; the numbers are drawn by the model, one for each lease, mark and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Lease(u64),
    Value(u64),
    Mark(u64),
}

pub async fn random_calls_agree_with_a_model(subject: CacheSubject) {
    let rng = Rng::from_seed(SEED);
    let slots: Vec<Slot> = (0..SLOTS).map(|n| slot(&n.to_string())).collect();
    let mut held = [Held::Nothing; SLOTS as usize];
    let mut leases: Vec<(usize, u64, Lease)> = Vec::new();
    let mut marks: Vec<(usize, u64, Mark)> = Vec::new();
    for number in 1..=CALLS {
        let at = rng.below(SLOTS) as usize;
        match rng.below(16) {
            0..=5 => match (subject.get(&slots[at]).await, held[at]) {
                (Lookup::Leased(lease), Held::Nothing) => {
                    leases.push((at, number, lease));
                    held[at] = Held::Lease(number);
                }
                (Lookup::Hit(hit), Held::Value(value)) => {
                    assert_eq!(hit.into_entry(), entry(value.to_string()))
                }
                (Lookup::Busy, Held::Lease(_)) | (Lookup::Marked, Held::Mark(_)) => {}
                (look, held) => panic!("call {number}: the model holds {held:?}, the cache said {look:?}"),
            },
            6 | 7 => {
                marks.push((at, number, subject.mark(&slots[at]).await));
                held[at] = Held::Mark(number);
            }
            8 => {
                subject.invalidate(&slots[at]).await;
                held[at] = Held::Nothing;
            }
            // Leases are used more than once, because an old one must be refused for ever.
            9..=11 if !leases.is_empty() => {
                let (at, leased, lease) = &leases[rng.below(leases.len() as u64) as usize];
                let fill = subject.fill(copied(lease), entry(number.to_string())).await;
                settle(&mut held[*at], Held::Lease(*leased), number, fill);
            }
            12 if !leases.is_empty() => {
                let (at, leased, lease) = leases.swap_remove(rng.below(leases.len() as u64) as usize);
                subject.cache.release(lease);
                clear(&mut held[at], Held::Lease(leased));
            }
            13 | 14 if !marks.is_empty() => {
                let (at, marked, mark) = &marks[rng.below(marks.len() as u64) as usize];
                let mark = Mark { slot: mark.slot.clone(), token: mark.token };
                let fill = subject.publish(mark, entry(number.to_string())).await;
                settle(&mut held[*at], Held::Mark(*marked), number, fill);
            }
            15 if !marks.is_empty() => {
                let (at, marked, mark) = marks.swap_remove(rng.below(marks.len() as u64) as usize);
                subject.cache.unmark(mark);
                clear(&mut held[at], Held::Mark(marked));
            }
            _ => {}
        }
        // The newest proofs are the ones that matter; a few old ones stay to be refused.
        leases.drain(..leases.len().saturating_sub(6));
        marks.drain(..marks.len().saturating_sub(6));
    }
}

fn settle(held: &mut Held, needed: Held, number: u64, fill: Fill) {
    let expected = if *held == needed { Fill::Stored } else { Fill::Refused };
    assert_eq!(fill, expected, "call {number}: the slot holds {held:?}, the proof is of {needed:?}");
    if fill == Fill::Stored {
        *held = Held::Value(number);
    }
}

fn clear(held: &mut Held, needed: Held) {
    if *held == needed {
        *held = Held::Nothing;
    }
}
