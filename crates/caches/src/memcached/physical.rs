// SPDX-License-Identifier: MIT OR Apache-2.0
//! Under which key memcached keeps a slot, and the check that tells whether a value belongs there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use throughline_core::Slot;
use throughline_wire::memcached::{KEY_LEN_MAX, Key};

/// How much of the key's BLAKE3 hash stands for a key that memcached does not take: 160 bits.
const HASH_LEN: usize = 20;

/// A slot's key on the server: `<resource>:<node generation>.<resource generation>:<key>`.
///
/// Keys that memcached does not take, and those that could be mistaken for one that it did not take, are
/// replaced by `~` and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Physical {
    text: Vec<u8>,
    check: u64,
}

impl Physical {
    pub(super) fn of(slot: &Slot) -> Self {
        let generation = slot.route.generation;
        let key = slot.key.as_str().as_bytes();
        let mut text = Vec::with_capacity(slot.resource.as_str().len() + key.len().min(KEY_LEN_MAX) + 32);
        text.extend_from_slice(slot.resource.as_str().as_bytes());
        text.push(b':');
        push_base36(&mut text, generation.node);
        text.push(b'.');
        push_base36(&mut text, generation.resource);
        text.push(b':');
        if text.len() + key.len() > KEY_LEN_MAX || key.first() == Some(&b'~') || Key::new(key).is_err() {
            text.push(b'~');
            let hash = blake3::hash(key);
            text.extend_from_slice(URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..HASH_LEN]).as_bytes());
        } else {
            text.extend_from_slice(key);
        }
        Self { text, check: check(slot) }
    }

    /// The key as the wire takes it.
    pub(super) fn key(&self) -> Key<'_> {
        Key::new(&self.text).expect("a resource's name is short and what memcached does not take was hashed")
    }

    /// The first 64 bits of the BLAKE3 hash of resource and key, kept with every value.
    pub(super) fn check(&self) -> u64 {
        self.check
    }
}

/// The algorithm is fixed, because values outlive the process that stored them.
fn check(slot: &Slot) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(slot.resource.as_str().as_bytes());
    // No resource's name has this byte, so the end of the name is where it is.
    hasher.update(b":");
    hasher.update(slot.key.as_str().as_bytes());
    let mut head = [0; 8];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(head)
}

fn push_base36(text: &mut Vec<u8>, mut number: u64) {
    let start = text.len();
    loop {
        let digit = (number % 36) as u8;
        text.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        number /= 36;
        if number == 0 {
            break;
        }
    }
    text[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN_MAX, Physical, Slot};
    use throughline_core::{Generation, Key as LogicalKey, NodeId, ResourceName, Route};

    fn physical(resource: &str, node: u64, generation: u64, key: &str) -> Physical {
        Physical::of(&Slot {
            resource: ResourceName::new(resource).unwrap(),
            route: Route { node: NodeId(0), generation: Generation { node, resource: generation } },
            key: LogicalKey::parse(key).unwrap(),
        })
    }

    fn text(physical: &Physical) -> &str {
        std::str::from_utf8(&physical.text).unwrap()
    }

    #[test]
    fn a_short_key_is_readable() {
        assert_eq!(text(&physical("person", 0, 0, "42")), "person:0.0:42");
        assert_eq!(text(&physical("person", 35, 36, "a:b")), "person:z.10:a:b");
        assert_eq!(
            text(&physical("person", u64::MAX, 0, "")),
            "person:3w5e11264sgsf.0:~rxNJufX5oaagQE3qNtzJSZvLJck"
        );
    }

    #[test]
    fn the_longest_key_still_fits() {
        let longest = physical(&"r".repeat(64), u64::MAX, u64::MAX, &"k".repeat(1_024));
        assert!(longest.key().as_bytes().len() <= KEY_LEN_MAX);
        assert!(text(&longest).contains(":~"));
    }

    #[test]
    fn a_key_that_looks_like_a_hash_is_hashed_too() {
        let long = physical("r", 0, 0, &"k".repeat(1_024));
        let (_, hash) = text(&long).rsplit_once(':').unwrap();
        assert_ne!(physical("r", 0, 0, hash).text, long.text);
    }

    #[test]
    fn the_check_follows_from_resource_and_key_alone() {
        let first = physical("person", 0, 0, "42").check();
        assert_eq!(first, physical("person", 7, 9, "42").check());
        assert_ne!(first, physical("person", 0, 0, "43").check());
        assert_ne!(first, physical("persons", 0, 0, "42").check());
        assert_ne!(physical("a", 0, 0, "b:c").check(), physical("a", 0, 0, "c").check());
    }
}
