// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about look-ups.

use std::future::poll_fn;
use std::task::Poll;

use throughline_core::{BoxFuture, Entry, Fingerprint, Lookup, Record, Slot, Version};

use super::{CacheSubject, entry, slot};

pub async fn an_empty_slot_is_leased_to_one_caller_at_a_time(subject: CacheSubject) {
    let lease = subject.lease(&slot("a")).await;
    assert_eq!(lease.slot, slot("a"));
    assert!(matches!(subject.get(&slot("a")).await, Lookup::Busy));
    let other = subject.lease(&slot("b")).await;
    assert_ne!(lease.token, other.token);
}

pub async fn of_many_callers_one_gets_the_lease(subject: CacheSubject) {
    let looks = (0..64).map(|_| {
        let cache = subject.cache.clone();
        tokio::spawn(async move { cache.get(&slot("a")).await.expect("a healthy cache answers") })
    });
    let mut leased = 0;
    for look in looks.collect::<Vec<_>>() {
        match look.await.expect("the look-up does not panic") {
            Lookup::Leased(_) => leased += 1,
            other => assert!(matches!(other, Lookup::Busy), "got {other:?}"),
        }
    }
    assert_eq!(leased, 1);
}

pub async fn what_was_filled_is_found_whole(subject: CacheSubject) {
    let record = Record { value: "{\"id\":1}".into(), version: Version(u64::MAX - 7), flags: u32::MAX };
    let entry = Entry { record: Some(record), fingerprint: Fingerprint::of(b"columns") };
    subject.put(&slot("a"), entry.clone()).await;
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry);
}

pub async fn a_negative_entry_is_found_as_one(subject: CacheSubject) {
    let negative = Entry { record: None, fingerprint: Fingerprint::of(b"columns") };
    subject.put(&slot("a"), negative.clone()).await;
    let hit = subject.hit(&slot("a")).await;
    assert!(hit.is_negative());
    assert_eq!(hit.into_entry(), negative);
}

pub async fn the_fingerprint_survives(subject: CacheSubject) {
    for bits in [0, 1, 0x00ff_ffff, 0x00a5_5a01] {
        let slot = slot(&bits.to_string());
        let entry = Entry { fingerprint: Fingerprint::from_bits(bits), ..entry("v") };
        subject.put(&slot, entry).await;
        assert_eq!(subject.hit(&slot).await.fingerprint().bits(), bits);
    }
}

pub async fn peek_finds_entries_only_and_takes_no_lease(subject: CacheSubject) {
    let peek = async |slot: &Slot| subject.cache.peek(slot).await.expect("a healthy cache answers");
    assert_eq!(peek(&slot("a")).await, None);
    subject.put(&slot("a"), entry("v")).await;
    assert_eq!(peek(&slot("a")).await.map(|hit| hit.into_entry()), Some(entry("v")));

    let _lease = subject.lease(&slot("leased")).await;
    assert_eq!(peek(&slot("leased")).await, None);
    let _mark = subject.mark(&slot("marked")).await;
    assert_eq!(peek(&slot("marked")).await, None);
}

pub async fn get_many_answers_in_order(subject: CacheSubject) {
    let slots: Vec<Slot> = (0..200).map(|n| slot(&n.to_string())).collect();
    for slot in slots.iter().step_by(3) {
        subject.put(slot, entry(slot.key.as_str().to_owned())).await;
    }
    let looks = subject.cache.get_many(&slots).await;
    assert_eq!(looks.len(), slots.len());
    for (n, (look, slot)) in looks.into_iter().zip(&slots).enumerate() {
        match look.expect("a healthy cache answers") {
            Lookup::Hit(hit) if n % 3 == 0 => {
                assert_eq!(hit.into_entry(), entry(slot.key.as_str().to_owned()))
            }
            Lookup::Leased(lease) if n % 3 != 0 => assert_eq!(&lease.slot, slot),
            other => panic!("look-up {n} got {other:?}"),
        }
    }
    assert!(subject.cache.get_many(&[]).await.is_empty());
}

pub async fn a_dropped_look_up_shifts_nobodys_answer(subject: CacheSubject) {
    let slots: Vec<Slot> = (0..16).map(|n| slot(&n.to_string())).collect();
    for slot in &slots {
        subject.put(slot, entry(slot.key.as_str().to_owned())).await;
    }
    for n in 0..400 {
        let dropped = &slots[n % 16];
        let mut look = subject.cache.get(dropped);
        poll_once(&mut look).await;
        drop(look);
        let slot = &slots[(n * 7 + 3) % 16];
        assert_eq!(subject.hit(slot).await.into_entry(), entry(slot.key.as_str().to_owned()));
    }
}

async fn poll_once<T>(future: &mut BoxFuture<'_, T>) {
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}
