// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source is compared with a plain map under random writes.

use std::collections::BTreeMap;

use throughline_core::{Condition, Effect, Refusal, Rng, Version};

use super::{SourceSubject, delete, person, put, when};

const STEP_COUNT: usize = 400;
const NAMES: [&str; 3] = ["Ada", "Eve", "Zoë"];

/// What the model holds of a row.
type Rows = BTreeMap<i64, &'static str>;

pub async fn random_writes_agree_with_a_model(subject: SourceSubject) {
    // The seed is fixed, so that a failure repeats.
    let rng = Rng::from_seed(0x7468_726f);
    let mut rows = Rows::new();
    for step in 0..STEP_COUNT {
        let id = rng.below(5) as i64 + 1;
        let name = NAMES[rng.below(3) as usize];
        let deletes = rng.below(3) == 0;
        let present = rows.get(&id).copied();
        let condition = condition(&rng, id, present);
        let write = if deletes {
            delete(&id.to_string())
        } else {
            put(&id.to_string(), &format!(r#"{{"first_name":"{name}"}}"#))
        };
        let expected = expected(&condition, deletes, id, present);
        let prepared = subject.person.prepare(&[when(condition.clone(), write)]).await;
        let outcome = outcome(&prepared.effects()[0]);
        assert_eq!(outcome, expected, "step {step}: {condition:?} on {present:?}");
        if rng.below(4) == 0 {
            prepared.roll_back().await.expect("a healthy source rolls back");
        } else {
            prepared.commit().await.expect("a healthy source commits");
            match expected {
                Outcome::Stored { .. } => drop(rows.insert(id, name)),
                Outcome::Deleted => drop(rows.remove(&id)),
                Outcome::Refused(_) => {}
            }
        }
        let value = subject.person.value(&id.to_string()).await;
        assert_eq!(value, rows.get(&id).map(|name| person(id, name)), "step {step}");
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Stored { created: bool },
    Deleted,
    Refused(Refusal),
}

fn condition(rng: &Rng, id: i64, present: Option<&str>) -> Condition {
    match rng.below(5) {
        0 => Condition::Always,
        1 => Condition::Absent,
        2 => Condition::Present,
        3 => Condition::Unchanged(vec![Version(1)]),
        _ => Condition::Unchanged(vec![version(id, present.unwrap_or(NAMES[0]))]),
    }
}

fn version(id: i64, name: &str) -> Version {
    Version::of_content(person(id, name).as_bytes())
}

fn expected(condition: &Condition, deletes: bool, id: i64, present: Option<&str>) -> Outcome {
    let Some(name) = present else {
        let allowed = matches!(condition, Condition::Always | Condition::Absent) && !deletes;
        return if allowed { Outcome::Stored { created: true } } else { Outcome::Refused(Refusal::Absent) };
    };
    let version = version(id, name);
    match condition {
        Condition::Absent => Outcome::Refused(Refusal::Exists),
        Condition::Unchanged(versions) if !versions.contains(&version) => {
            Outcome::Refused(Refusal::Conflict(version))
        }
        _ if deletes => Outcome::Deleted,
        _ => Outcome::Stored { created: false },
    }
}

fn outcome(effect: &Effect) -> Outcome {
    match effect {
        Effect::Stored { created, .. } => Outcome::Stored { created: *created },
        Effect::Deleted { .. } => Outcome::Deleted,
        Effect::Refused(refusal) => Outcome::Refused(*refusal),
        Effect::Accepted { .. } => unreachable!("a source's own writer applies at once"),
    }
}
