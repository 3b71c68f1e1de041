// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose a lane is.

use throughline_core::{Claim, Drained, ErrorKind, Owner};
use tokio::task::JoinSet;

use super::super::source::{person, put};
use super::{DrainSubject, Line, held, lane, owner, watermark};

pub async fn a_lane_begins_at_zero_and_each_claim_raises_its_epoch(subject: DrainSubject) {
    let drain = &subject.person.1;
    let lanes = [lane(2), lane(1)];
    let first = held(drain, &lanes, &owner("a"), false).await;
    assert_eq!(first, [watermark(1, 0), watermark(1, 0)]);
    held(drain, &[lane(1)], &owner("a"), false).await;
    let third = held(drain, &lanes, &owner("a"), false).await;
    assert_eq!(third, [watermark(2, 0), watermark(3, 0)], "in the order of the lanes");
}

pub async fn a_lane_of_another_is_told_and_none_is_changed(subject: DrainSubject) {
    let drain = &subject.person.1;
    held(drain, &[lane(2)], &owner("a"), false).await;
    let claim = drain.claim(&[lane(1), lane(2), lane(3)], &owner("b"), false).await;
    assert_eq!(claim.expect("a healthy source answers"), Claim::Taken(owner("a")));
    // The free ones stayed free, and the other is as it was.
    let free = held(drain, &[lane(1), lane(3)], &owner("c"), false).await;
    assert_eq!(free, [watermark(1, 0), watermark(1, 0)]);
    assert_eq!(held(drain, &[lane(2)], &owner("a"), false).await, [watermark(2, 0)]);
}

pub async fn a_forced_claim_takes_a_lane_and_begins_anew(subject: DrainSubject) {
    let mut line = Line::claim(&subject.person.1, 1, "a").await;
    line.apply(&[put("1", &person(1, "Ada"))]).await;
    // The positions are those of another journal, and mean nothing in this one.
    let taken = held(&subject.person.1, &[lane(1)], &owner("b"), true).await;
    assert_eq!(taken, [watermark(2, 0)]);
}

pub async fn a_claim_of_the_same_journal_finds_its_watermark(subject: DrainSubject) {
    let mut line = Line::claim(&subject.person.1, 1, "a").await;
    line.apply(&[put("1", &person(1, "Ada")), put("2", &person(2, "Eve"))]).await;
    let renamed = Owner { name: "another name".into(), ..owner("a") };
    assert_eq!(held(&subject.person.1, &[lane(1)], &renamed, false).await, [watermark(2, 2)]);
    let claim = subject.person.1.claim(&[lane(1)], &owner("b"), false).await;
    assert_eq!(claim.expect("a healthy source answers"), Claim::Taken(renamed));
}

pub async fn a_lane_that_was_given_up_is_free(subject: DrainSubject) {
    let drain = &subject.person.1;
    let mut line = Line::claim(drain, 1, "a").await;
    line.apply(&[put("1", &person(1, "Ada"))]).await;
    for _ in 0..2 {
        drain.release(&[lane(1), lane(7)], &owner("a")).await.expect("giving up is always safe");
    }
    let lost = line.give(&[put("1", &person(1, "Eve"))]).await.expect("it is answered");
    assert!(matches!(lost, Drained::Taken(_)), "{lost:?}");
    // Its own watermark is found again, another's begins anew.
    assert_eq!(held(drain, &[lane(1)], &owner("a"), false).await, [watermark(2, 1)]);
    drain.release(&[lane(1)], &owner("a")).await.expect("giving up is always safe");
    assert_eq!(held(drain, &[lane(1)], &owner("b"), false).await, [watermark(3, 0)]);
}

pub async fn only_its_owner_gives_a_lane_up(subject: DrainSubject) {
    let drain = &subject.person.1;
    held(drain, &[lane(1)], &owner("a"), false).await;
    drain.release(&[lane(1)], &owner("b")).await.expect("there is nothing to give up");
    let claim = drain.claim(&[lane(1)], &owner("b"), false).await;
    assert_eq!(claim.expect("a healthy source answers"), Claim::Taken(owner("a")));
}

pub async fn who_lost_a_lane_never_writes(subject: DrainSubject) {
    let line = Line::claim(&subject.person.1, 1, "a").await;
    let write = [put("1", &person(1, "Ada"))];
    held(&subject.person.1, &[lane(1)], &owner("b"), true).await;
    let lost = line.give(&write).await.expect("it is answered");
    assert_eq!(lost, Drained::Taken(owner("b")));
    // Not under its old epoch either, when the lane is its own again.
    held(&subject.person.1, &[lane(1)], &owner("a"), true).await;
    let lost = line.give(&write).await.expect("it is answered");
    assert_eq!(lost, Drained::Taken(owner("a")));
    // And not on a lane that nobody ever claimed.
    let never = Line { lane: lane(9), ..line };
    let lost = never.give(&write).await.expect("it is answered");
    assert!(matches!(lost, Drained::Taken(_)), "{lost:?}");
    assert_eq!(subject.person.0.value("1").await, None);
}

pub async fn of_many_claims_at_once_one_holds_the_lanes(subject: DrainSubject) {
    let mut claims = JoinSet::new();
    for number in 0..8 {
        let drain = subject.person.1.clone();
        claims.spawn(async move {
            let mut lanes = [lane(1), lane(2), lane(3)];
            lanes.rotate_left(number % 3);
            drain.claim(&lanes, &owner(&format!("journal {number}")), false).await
        });
    }
    let claims: Vec<Claim> =
        claims.join_all().await.into_iter().map(|claim| claim.expect("it is answered")).collect();
    let holders = claims.iter().filter(|claim| matches!(claim, Claim::Held(_))).count();
    assert_eq!(holders, 1, "{claims:?}");
}

pub async fn a_name_that_is_too_long_is_refused(subject: DrainSubject) {
    for owner in [owner(&"j".repeat(65)), Owner { name: "n".repeat(256), ..owner("a") }] {
        let claim = subject.person.1.claim(&[lane(1)], &owner, false).await;
        assert_eq!(claim.expect_err("it cannot be kept").kind(), ErrorKind::TooLarge);
    }
}
