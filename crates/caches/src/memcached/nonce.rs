// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a server is still the one that it was.
//!
//! Each server keeps a random number under one key, for as long as it keeps its contents; whoever finds none makes
//! one. A server that was restarted shows another, and so does another server behind the same address. The
//! number is looked at before a connection is used, and once a second from then on, which also keeps it from
//! being evicted.

use parking_lot::Mutex;
use throughline_core::{Nonce, Rng};
use throughline_wire::memcached::command::{self, Read};
use throughline_wire::memcached::{Key, MetaCode};

use super::answer::Answer;

/// No resource's name has a slash, so no entry has this key.
const KEY: &[u8] = b"tl/inc";
/// The questions about it are the only ones of an admission that carry a number.
pub(super) const OPAQUE: u64 = 1;

pub(super) fn key() -> Key<'static> {
    Key::new(KEY).expect("a short key of letters")
}

/// Asks for the number.
pub(super) fn ask(out: &mut Vec<u8>) {
    command::read(out, key(), Read { value: true, lease: None, refresh: None }, OPAQUE);
}

/// Leaves a new number, unless somebody has left one meanwhile, and asks for what is there then.
pub(super) fn make(out: &mut Vec<u8>, rng: &Rng) {
    // Never 0, which elsewhere may stand for none; and it fits a signed column.
    let number = rng.next_u64() >> 1 | 1 << 32;
    command::identity(out, key(), format!("{number:016x}").as_bytes(), OPAQUE);
    ask(out);
}

/// The number that an answer shows.
pub(super) fn shown(answer: &Answer) -> Option<Nonce> {
    let Answer::Found(item) = answer else { return None };
    let text = std::str::from_utf8(&item.value).ok().filter(|text| text.len() == 16)?;
    u64::from_str_radix(text, 16).ok().map(Nonce)
}

/// Whether there is none yet.
pub(super) fn is_missing(answer: &Answer) -> bool {
    matches!(answer, Answer::Code { code: MetaCode::Miss, .. })
}

/// The number that a server is to show: what was asked for, else what its other connections show.
#[derive(Debug, Default)]
pub(super) struct Expected(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wanted: Option<Nonce>,
    /// What each connection that is in use has shown.
    shown: Vec<(u64, Nonce)>,
}

/// The server is another one than it should be.
#[derive(Debug)]
pub(super) struct Stranger;

impl Expected {
    /// Lets the connection `line` be used, if it shows the right number.
    pub(super) fn admit(&self, line: u64, nonce: Nonce) -> Result<(), Stranger> {
        let mut state = self.0.lock();
        let right = match state.wanted {
            Some(wanted) => wanted == nonce,
            None => state.shown.iter().all(|(_, other)| *other == nonce),
        };
        if !right {
            return Err(Stranger);
        }
        state.shown.push((line, nonce));
        Ok(())
    }

    /// The connection `line` is used no more.
    pub(super) fn leave(&self, line: u64) {
        self.0.lock().shown.retain(|(other, _)| *other != line);
    }

    /// Whether that is another number than before.
    pub(super) fn set(&self, wanted: Option<Nonce>) -> bool {
        let mut state = self.0.lock();
        std::mem::replace(&mut state.wanted, wanted) != wanted
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Nonce, Rng, make};

    #[test]
    fn connections_of_one_server_must_agree() {
        let expected = Expected::default();
        assert!(expected.admit(1, Nonce(7)).is_ok());
        assert!(expected.admit(2, Nonce(8)).is_err());
        assert!(expected.admit(3, Nonce(7)).is_ok());
        expected.leave(1);
        expected.leave(3);
        assert!(expected.admit(4, Nonce(8)).is_ok());
    }

    #[test]
    fn what_was_asked_for_outweighs_what_is_shown() {
        let expected = Expected::default();
        assert!(expected.admit(1, Nonce(7)).is_ok());
        assert!(expected.set(Some(Nonce(8))));
        assert!(!expected.set(Some(Nonce(8))));
        assert!(expected.admit(2, Nonce(7)).is_err());
        assert!(expected.admit(3, Nonce(8)).is_ok());
    }

    #[test]
    fn a_new_number_is_added_and_never_replaces_one() {
        let mut out = Vec::new();
        make(&mut out, &Rng::from_seed(1));
        let text = String::from_utf8(out).unwrap();
        let (store, rest) = text.split_once("\r\n").unwrap();
        assert_eq!(store, "ms tl/inc 16 ME F0 T0 O1");
        assert!(rest.ends_with("\r\nmg tl/inc v f c t O1\r\n"), "{text}");
    }
}
