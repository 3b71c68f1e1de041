// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about time.

use throughline_core::{Fill, Lookup, Touch, Ttl};

use super::{CacheSubject, TTL_MS, copied, entry, slot};

/// How far off a server that counts whole seconds may be.
const SECOND_MS: u64 = 1_000;

pub async fn a_lease_expires(subject: CacheSubject) {
    let expired = subject.lease(&slot("a")).await;
    let next = subject
        .after_ms(subject.lease_ms, async || match subject.get(&slot("a")).await {
            Lookup::Leased(lease) => Some(lease),
            other => {
                assert!(matches!(other, Lookup::Busy), "got {other:?}");
                None
            }
        })
        .await;
    assert_eq!(subject.fill(expired, entry("old")).await, Fill::Refused);
    assert_eq!(subject.fill(next, entry("new")).await, Fill::Stored);
}

pub async fn a_mark_expires(subject: CacheSubject) {
    let mark = subject.mark(&slot("a")).await;
    let lease = subject
        .after_ms(subject.mark_ms, async || match subject.get(&slot("a")).await {
            Lookup::Leased(lease) => Some(lease),
            other => {
                assert!(matches!(other, Lookup::Marked), "got {other:?}");
                None
            }
        })
        .await;
    assert_eq!(subject.publish(mark, entry("late")).await, Fill::Refused);
    assert_eq!(subject.fill(lease, entry("new")).await, Fill::Stored);
}

pub async fn an_entry_expires(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    let fill = subject.cache.fill(lease, entry("v"), Ttl::MS_MIN).await;
    assert_eq!(fill.expect("a healthy cache answers"), Fill::Stored);
    let _empty = subject
        .after_ms(Ttl::MS_MIN, async || match subject.get(&slot("a")).await {
            Lookup::Leased(lease) => Some(lease),
            other => {
                assert!(matches!(other, Lookup::Hit(_)), "got {other:?}");
                None
            }
        })
        .await;
}

pub async fn a_hit_tells_age_and_time_left(subject: CacheSubject) {
    subject.put(&slot("a"), entry("v")).await;
    let fresh = subject.hit(&slot("a")).await;
    assert!(fresh.age_ms() <= SECOND_MS, "{fresh:?}");
    assert!((TTL_MS - SECOND_MS..=TTL_MS).contains(&fresh.ttl_left_ms()), "{fresh:?}");
    let older = subject
        .after_ms(SECOND_MS, async || {
            Some(subject.hit(&slot("a")).await).filter(|hit| hit.age_ms() >= fresh.age_ms() + SECOND_MS)
        })
        .await;
    assert!(older.ttl_left_ms() < fresh.ttl_left_ms(), "{older:?}");
}

pub async fn touch_gives_an_entry_another_life(subject: CacheSubject) {
    subject.put(&slot("a"), entry("v")).await;
    let touch =
        async |ttl_ms| subject.cache.touch(&slot("a"), ttl_ms).await.expect("a healthy cache answers");
    assert_eq!(touch(10 * TTL_MS).await, Touch::Done);
    let kept = subject.hit(&slot("a")).await;
    let (ttl_left_ms, age_ms) = (kept.ttl_left_ms(), kept.age_ms());
    assert_eq!(kept.into_entry(), entry("v"));
    assert!((10 * TTL_MS - 2 * SECOND_MS..=10 * TTL_MS).contains(&ttl_left_ms), "{ttl_left_ms}");
    assert!(age_ms <= 2 * SECOND_MS, "a touch is no fill: {age_ms}");

    assert_eq!(touch(Ttl::MS_MIN).await, Touch::Done);
    let _empty = subject
        .after_ms(Ttl::MS_MIN, async || match subject.get(&slot("a")).await {
            Lookup::Leased(lease) => Some(lease),
            _ => None,
        })
        .await;
}

pub async fn touch_never_touches_a_lease_or_a_mark(subject: CacheSubject) {
    let touch =
        async |key| subject.cache.touch(&slot(key), 100 * TTL_MS).await.expect("a healthy cache answers");
    assert_eq!(touch("empty").await, Touch::Absent);
    let _still_empty = subject.lease(&slot("empty")).await;

    let mark = subject.mark(&slot("marked")).await;
    assert_eq!(touch("marked").await, Touch::Absent);
    assert_eq!(subject.publish(mark, entry("v")).await, Fill::Stored);

    let lease = subject.lease(&slot("leased")).await;
    assert_eq!(touch("leased").await, Touch::Absent);
    let next = subject
        .after_ms(subject.lease_ms, async || match subject.get(&slot("leased")).await {
            Lookup::Leased(lease) => Some(lease),
            _ => None,
        })
        .await;
    assert_eq!(subject.fill(copied(&lease), entry("old")).await, Fill::Refused);
    assert_eq!(subject.fill(next, entry("v")).await, Fill::Stored);
}
