// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about marks, publishes and invalidations.

use throughline_core::{Fill, Lookup, Mark, Slot};

use super::{CacheSubject, copied, entry, slot};

fn copied_mark(mark: &Mark) -> Mark {
    Mark { slot: mark.slot.clone(), token: mark.token }
}

pub async fn a_mark_removes_the_entry_and_is_seen(subject: CacheSubject) {
    subject.put(&slot("a"), entry("old")).await;
    let mark = subject.mark(&slot("a")).await;
    assert_eq!(mark.slot, slot("a"));
    assert!(mark.token.is_some(), "a cache with room gives a token");
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Marked));
}

pub async fn marks_are_confirmed_in_order(subject: CacheSubject) {
    let slots: Vec<Slot> = (0..50).map(|n| slot(&n.to_string())).collect();
    for slot in slots.iter().step_by(2) {
        subject.put(slot, entry("old")).await;
    }
    let marks = subject.cache.mark(&slots).await;
    assert_eq!(marks.len(), slots.len());
    for (mark, slot) in marks.into_iter().zip(&slots) {
        let mark = mark.expect("a healthy cache confirms");
        assert_eq!(&mark.slot, slot);
        assert_eq!(subject.publish(mark, entry(slot.key.as_str().to_owned())).await, Fill::Stored);
        assert_eq!(subject.hit(slot).await.into_entry(), entry(slot.key.as_str().to_owned()));
    }
}

pub async fn a_mark_without_an_entry_voids_the_lease(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let mark = subject.mark(&slot("a")).await;
    subject.cache.unmark(mark);
    assert_eq!(subject.fill(lease, entry("old")).await, Fill::Refused);
}

pub async fn a_published_entry_is_found(subject: CacheSubject) {
    subject.put(&slot("a"), entry("old")).await;
    let mark = subject.mark(&slot("a")).await;
    assert_eq!(subject.publish(mark, entry("new")).await, Fill::Stored);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("new"));
}

pub async fn a_mark_publishes_once(subject: CacheSubject) {
    let mark = subject.mark(&slot("a")).await;
    let second = copied_mark(&mark);
    assert_eq!(subject.publish(mark, entry("first")).await, Fill::Stored);
    assert_eq!(subject.publish(second, entry("second")).await, Fill::Refused);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("first"));
}

pub async fn a_publish_under_a_superseded_mark_is_refused(subject: CacheSubject) {
    let older = subject.mark(&slot("a")).await;
    let newer = subject.mark(&slot("a")).await;
    assert_eq!(subject.publish(older, entry("old")).await, Fill::Refused);
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Marked));
    assert_eq!(subject.publish(newer, entry("new")).await, Fill::Stored);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("new"));
}

pub async fn a_publish_after_invalidate_is_refused(subject: CacheSubject) {
    let mark = subject.mark(&slot("a")).await;
    subject.invalidate(&slot("a")).await;
    assert_eq!(subject.publish(mark, entry("old")).await, Fill::Refused);
    let _empty = subject.lease(&slot("a")).await;
}

pub async fn an_unmarked_slot_is_empty(subject: CacheSubject) {
    subject.put(&slot("a"), entry("old")).await;
    let mark = subject.mark(&slot("a")).await;
    let copy = copied_mark(&mark);
    subject.cache.unmark(mark);
    let _empty = subject.lease(&slot("a")).await;
    assert_eq!(subject.publish(copy, entry("late")).await, Fill::Refused);
}

pub async fn a_superseded_mark_does_not_unmark(subject: CacheSubject) {
    let older = subject.mark(&slot("a")).await;
    let newer = subject.mark(&slot("a")).await;
    subject.cache.unmark(older);
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Marked));
    assert_eq!(subject.publish(newer, entry("new")).await, Fill::Stored);
}

pub async fn releasing_an_old_lease_leaves_the_mark(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let mark = subject.mark(&slot("a")).await;
    subject.cache.release(copied(&lease));
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Marked));
    assert_eq!(subject.publish(mark, entry("new")).await, Fill::Stored);
    subject.cache.release(lease);
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry("new"));
}

pub async fn an_invalidated_slot_is_empty(subject: CacheSubject) {
    let slots: Vec<Slot> = (0..50).map(|n| slot(&n.to_string())).collect();
    for slot in slots.iter().step_by(2) {
        subject.put(slot, entry("old")).await;
    }
    for answer in subject.cache.invalidate(&slots).await {
        answer.expect("a slot without an entry is confirmed as well");
    }
    for slot in &slots {
        let _empty = subject.lease(slot).await;
    }
}
