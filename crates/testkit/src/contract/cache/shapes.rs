// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about keys and values of every shape.

use throughline_core::{Entry, Fill, KEY_LEN_MAX, Key, Slot};

use super::{CacheSubject, entry, resource, route, slot};

/// Puts each slot's own number into it, then finds each with its own.
async fn are_apart(subject: &CacheSubject, slots: &[Slot]) {
    let own = |n: usize| entry(format!("value {n}"));
    for (n, slot) in slots.iter().enumerate() {
        subject.put(slot, own(n)).await;
    }
    for (n, slot) in slots.iter().enumerate() {
        assert_eq!(subject.hit(slot).await.into_entry(), own(n), "{slot:?}");
    }
}

pub async fn generations_are_apart(subject: CacheSubject) {
    let routes = [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (11, 1),
        (1, 11),
        (u64::MAX, 0),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
    ];
    let slots = routes.map(|(node, resource)| Slot { route: route(node, resource), ..slot("a") });
    are_apart(&subject, &slots).await;
    subject.invalidate(&slots[0]).await;
    assert_eq!(subject.hit(&slots[1]).await.into_entry(), entry("value 1"));
}

pub async fn resources_are_apart(subject: CacheSubject) {
    let slots = ["a", "b", "a.b", "ab"].map(|name| Slot { resource: resource(name), ..slot("a") });
    are_apart(&subject, &slots).await;
    subject.invalidate(&slots[0]).await;
    assert_eq!(subject.hit(&slots[1]).await.into_entry(), entry("value 1"));
}

pub async fn keys_of_every_shape_are_apart(subject: CacheSubject) {
    let binary: Vec<u8> = (0..=255).collect();
    let mut keys: Vec<Key> = vec![
        Key::from_parts([binary.as_slice()]).expect("a key within bounds"),
        Key::from_parts([&b"a"[..], b"b"]).expect("a key within bounds"),
        Key::from_parts([&b"a:b"[..]]).expect("a key within bounds"),
        Key::from_parts([&b""[..], b""]).expect("a key within bounds"),
    ];
    let odd = [
        "",
        "1",
        "01",
        "~",
        "~1",
        "-",
        "a b",
        "\u{fc}",
        "\u{1f980}",
        "get",
        "a\r\nflush_all",
        "%25",
        "%2525",
    ];
    keys.extend(odd.iter().map(|text| Key::parse(text).expect("a short key")));
    // Around what memcached takes, with a prefix of any length, and up to the longest; each pair differs at
    // its end only.
    for len in (200..=260).chain([KEY_LEN_MAX]) {
        for end in ["x", "y"] {
            let text = "k".repeat(len - 1) + end;
            keys.push(Key::parse(&text).expect("a key within bounds"));
        }
    }
    let slots: Vec<Slot> = keys.into_iter().map(|key| Slot { key, ..slot("a") }).collect();
    are_apart(&subject, &slots).await;
}

pub async fn values_of_every_shape_survive(subject: CacheSubject) {
    let binary: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let values = [&b""[..], b"\r\n", b"END\r\n", b"VA 2 O1\r\nxx\r\n", b"\0", &binary];
    for (n, value) in values.into_iter().enumerate() {
        let slot = slot(&n.to_string());
        subject.put(&slot, entry(value.to_vec())).await;
        assert_eq!(subject.hit(&slot).await.into_entry(), entry(value.to_vec()));
    }
}

pub async fn a_large_entry_survives(subject: CacheSubject) {
    let value: Vec<u8> = (0..=250).cycle().take(subject.large_len).collect();
    subject.put(&slot("a"), entry(value.clone())).await;
    assert_eq!(subject.hit(&slot("a")).await.into_entry(), entry(value.clone()));
    let mark = subject.mark(&slot("a")).await;
    assert_eq!(subject.publish(mark, entry(value)).await, Fill::Stored);
}

pub async fn what_is_too_large_leaves_the_slot_empty(subject: CacheSubject) {
    let huge: Entry = entry(vec![b'h'; subject.too_large_len]);
    let lease = subject.lease(&slot("a")).await;
    assert_eq!(subject.fill(lease, huge.clone()).await, Fill::TooLarge);
    let lease = subject.lease(&slot("a")).await;
    assert_eq!(subject.fill(lease, entry("small")).await, Fill::Stored);

    let mark = subject.mark(&slot("a")).await;
    assert_eq!(subject.publish(mark, huge).await, Fill::TooLarge);
    let _empty = subject.lease(&slot("a")).await;
}
