// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about leases and what is filled under them.

use throughline_core::{Fill, Lease, Lookup, Token};

use super::{CacheSubject, TTL_MS, copied, entry, slot};

pub async fn a_lease_fills_once(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let second = copied(&lease);
    assert_eq!(subject.fill(lease, entry("first")).await, Fill::Stored);
    assert_eq!(subject.fill(second, entry("second")).await, Fill::Refused);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("first"));
}

pub async fn a_fill_after_invalidate_is_refused(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    subject.invalidate(&slot("a")).await;
    assert_eq!(subject.fill(lease, entry("old")).await, Fill::Refused);
    let _fresh = subject.lease(&slot("a")).await;
}

pub async fn a_fill_after_a_mark_is_refused(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let mark = subject.mark(&slot("a")).await;
    assert_eq!(subject.fill(lease, entry("old")).await, Fill::Refused);
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Marked));
    assert_eq!(subject.publish(mark, entry("new")).await, Fill::Stored);
}

pub async fn a_fill_after_release_is_refused(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    subject.cache.release(copied(&lease));
    assert_eq!(subject.fill(lease, entry("v")).await, Fill::Refused);
    let _fresh = subject.lease(&slot("a")).await;
}

pub async fn an_older_lease_does_not_fill_under_a_newer_one(subject: CacheSubject) {
    let older = subject.lease(&slot("a")).await;
    subject.invalidate(&slot("a")).await;
    let newer = subject.lease(&slot("a")).await;
    assert_eq!(subject.fill(older, entry("old")).await, Fill::Refused);
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Busy));
    assert_eq!(subject.fill(newer, entry("new")).await, Fill::Stored);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("new"));
}

pub async fn a_lease_of_elsewhere_is_refused(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let elsewhere = Token { connection: u64::MAX, number: lease.token.number };
    let stranger = Lease { slot: slot("a"), token: elsewhere };
    assert_eq!(subject.fill(stranger, entry("strange")).await, Fill::Refused);
    subject.cache.release(Lease { slot: slot("a"), token: elsewhere });
    assert_eq!(subject.fill(lease, entry("v")).await, Fill::Stored);
}

pub async fn a_released_lease_goes_to_the_next_caller(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    subject.cache.release(lease);
    let next = subject.lease(&slot("a")).await;
    assert_eq!(subject.fill(next, entry("v")).await, Fill::Stored);
}

pub async fn releasing_an_old_lease_leaves_the_newer_one(subject: CacheSubject) {
    let older = subject.lease(&slot("a")).await;
    subject.invalidate(&slot("a")).await;
    let newer = subject.lease(&slot("a")).await;
    subject.cache.release(older);
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Busy));
    assert_eq!(subject.fill(newer, entry("v")).await, Fill::Stored);
}

pub async fn a_fill_takes_place_before_every_later_call(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let fill = subject.cache.fill(lease, entry("v"), TTL_MS);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("v"));
    assert_eq!(fill.await.expect("a healthy cache answers"), Fill::Stored);

    let lease = subject.lease(&slot("b")).await;
    let fill = subject.cache.fill(lease, entry("v"), TTL_MS);
    subject.invalidate(&slot("b")).await;
    assert_eq!(fill.await.expect("a healthy cache answers"), Fill::Stored);
    let _empty = subject.lease(&slot("b")).await;
}

pub async fn a_fill_takes_place_although_its_future_is_dropped(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    drop(subject.cache.fill(lease, entry("filled"), TTL_MS));
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("filled"));
    let mark = subject.mark(&slot("a")).await;
    drop(subject.cache.publish(mark, entry("published"), TTL_MS));
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("published"));
}
