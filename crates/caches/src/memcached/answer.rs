// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests as we send them, and responses as they are handed to whoever waits.

use bytes::Bytes;
use throughline_wire::memcached::command::{self, Cas, Read, Ttl};
use throughline_wire::memcached::response::{MetaAnswer, Response, TtlLeft};
use throughline_wire::memcached::{Key, MetaCode, Status};

/// How long a lease is good, from consistency.md, "Defaults".
const LEASE_S: u32 = 5;
/// How long a mark stays when its writer neither publishes nor removes it; same source.
const MARK_S: u32 = 10;

/// One request for one key. There is none that stores a value without a token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command<'a> {
    /// Look up, and take the lease if there is nothing.
    Get,
    /// Look up only.
    Peek,
    /// Look up everything but the value.
    Check,
    /// Store under a token.
    Fill { token: Cas, flags: u32, ttl: Ttl, value: &'a [u8] },
    /// Overwrite whatever is there by a mark.
    Mark { flags: u32, write_id: &'a [u8] },
    /// Remove whatever is there.
    Delete,
    /// Remove what the token was given for.
    DeleteIf(Cas),
}

impl Command<'_> {
    pub(super) fn compose(self, out: &mut Vec<u8>, key: Key<'_>, opaque: u64) {
        let read = |lease| Read { value: true, lease, refresh: None };
        match self {
            Self::Get => command::read(out, key, read(Some(Ttl::clamped(LEASE_S))), opaque),
            Self::Peek => command::read(out, key, read(None), opaque),
            Self::Check => command::read(out, key, Read { value: false, ..read(None) }, opaque),
            Self::Fill { token, flags, ttl, value } => {
                command::fill(out, key, token, flags, ttl, value, opaque)
            }
            Self::Mark { flags, write_id } => {
                command::mark(out, key, flags, Ttl::clamped(MARK_S), write_id, opaque);
            }
            Self::Delete => command::delete(out, key, opaque),
            Self::DeleteIf(token) => command::delete_if(out, key, token, opaque),
        }
    }

    /// Whether its answer may hold a lease or a mark that must be given back when nobody takes it.
    pub(super) fn gives_token(self) -> bool {
        matches!(self, Self::Get | Self::Mark { .. })
    }

    /// Whether it uses up what an earlier answer gave; such commands are at most as many as those were.
    pub(super) fn takes_token(self) -> bool {
        matches!(self, Self::Fill { .. } | Self::DeleteIf(_))
    }
}

/// A response that does not borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An item was found.
    Found(Item),
    /// An item was found, and its value was not asked for.
    Header { flags: u32, token: Cas, ttl_left_s: Option<u32>, stale: bool },
    /// A code without a value, and the cas number if there is one.
    Code { code: MetaCode, cas: Option<Cas> },
    /// The server could not.
    Failed(Failure),
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: Bytes,
    pub(super) flags: u32,
    pub(super) token: Cas,
    /// `None` if it does not expire.
    pub(super) ttl_left_s: Option<u32>,
    /// We have won the lease.
    pub(super) won: bool,
    /// Another has the lease.
    pub(super) already_won: bool,
    /// It was invalidated and kept; nobody who speaks our protocol does that.
    pub(super) stale: bool,
}

/// Why the server could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No memory for the item; whatever was at the key is gone (transcript T34).
    OutOfMemory,
    /// The item is too large; whatever was at the key is gone (transcript T11).
    TooLarge,
    /// No memory for the answer, or something else; it is not known what became of the key.
    Other,
}

/// Why a response cannot be the answer to our request. The connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

impl Answer {
    /// Takes a response as the answer to the request that was sent with `opaque`.
    pub(super) fn read(response: &Response<'_>, opaque: u64) -> Result<Self, Unfit> {
        match response {
            Response::MetaValue { value, flags } => {
                verify(flags, opaque)?;
                Self::found(value, flags)
            }
            Response::Meta { code, flags } => {
                verify(flags, opaque)?;
                Ok(Self::header(*code, flags).unwrap_or(Self::Code { code: *code, cas: flags.cas.map(Cas) }))
            }
            // An error carries no opaque; its place in the order is all that there is.
            Response::ServerError(b"out of memory storing object") => Ok(Self::Failed(Failure::OutOfMemory)),
            Response::ServerError(b"object too large for cache") => Ok(Self::Failed(Failure::TooLarge)),
            Response::ServerError(_) => Ok(Self::Failed(Failure::Other)),
            Response::ClientError(_) | Response::Status(Status::Error) => {
                Err(Unfit("it refused a command of ours"))
            }
            _ => Err(Unfit("it answered another command")),
        }
    }

    /// The answer to a look-up without a value; the other commands ask for no flags.
    fn header(code: MetaCode, flags: &MetaAnswer<'_>) -> Option<Self> {
        let (MetaCode::Done, Some(client_flags), Some(cas), Some(ttl)) =
            (code, flags.client_flags, flags.cas, flags.ttl)
        else {
            return None;
        };
        let (token, ttl_left_s) = (Cas(cas), seconds(ttl));
        Some(Self::Header { flags: client_flags, token, ttl_left_s, stale: flags.stale })
    }

    fn found(value: &[u8], flags: &MetaAnswer<'_>) -> Result<Self, Unfit> {
        let (Some(client_flags), Some(cas), Some(ttl)) = (flags.client_flags, flags.cas, flags.ttl) else {
            return Err(Unfit("its answer lacks what was asked for"));
        };
        Ok(Self::Found(Item {
            value: Bytes::copy_from_slice(value),
            flags: client_flags,
            token: Cas(cas),
            ttl_left_s: seconds(ttl),
            won: flags.won,
            already_won: flags.already_won,
            stale: flags.stale,
        }))
    }

    /// The token of the lease or mark that this answer gives.
    pub(super) fn given_token(&self) -> Option<Cas> {
        match self {
            Self::Found(item) if item.won => Some(item.token),
            Self::Code { code: MetaCode::Done, cas } => *cas,
            _ => None,
        }
    }
}

fn seconds(left: TtlLeft) -> Option<u32> {
    match left {
        TtlLeft::Forever => None,
        TtlLeft::Seconds(seconds) => Some(seconds),
    }
}

fn verify(flags: &MetaAnswer<'_>, opaque: u64) -> Result<(), Unfit> {
    if flags.opaque_number() == Some(opaque) { Ok(()) } else { Err(Unfit("its answers are out of step")) }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Cas, Command, Failure, Key, Ttl, Unfit};
    use throughline_wire::memcached::Limits;
    use throughline_wire::memcached::response::{Parsed, parse};

    fn read(line: &str, opaque: u64) -> Result<Answer, Unfit> {
        let Parsed::Response { response, .. } = parse(line.as_bytes(), &Limits::default()) else {
            panic!("{line:?} is no response")
        };
        Answer::read(&response, opaque)
    }

    #[test]
    fn an_answer_to_another_request_is_unfit() {
        assert!(read("HD c5 O8\r\n", 8).is_ok());
        for line in [
            "HD c5 O7\r\n",
            "HD c5\r\n",
            "HD c5 Ox\r\n",
            "VA 0 f0 c1 t5 W O9\r\n\r\n",
            "EN\r\n",
            "STORED\r\n",
        ] {
            assert!(read(line, 8).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_refused_command_is_unfit() {
        for line in ["ERROR\r\n", "CLIENT_ERROR bad command line format\r\n", "MN\r\n", "OK\r\n"] {
            assert!(read(line, 8).is_err(), "{line:?}");
        }
    }

    #[test]
    fn failures_that_emptied_the_slot_are_told_from_others() {
        let failure = |line| match read(line, 8) {
            Ok(Answer::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        };
        assert_eq!(failure("SERVER_ERROR out of memory storing object\r\n"), Failure::OutOfMemory);
        assert_eq!(failure("SERVER_ERROR object too large for cache\r\n"), Failure::TooLarge);
        assert_eq!(failure("SERVER_ERROR out of memory writing get response\r\n"), Failure::Other);
    }

    #[test]
    fn only_a_won_lease_and_a_stored_mark_give_a_token() {
        assert_eq!(read("VA 0 f0 c1 t5 W O8\r\n\r\n", 8).unwrap().given_token(), Some(Cas(1)));
        assert_eq!(read("VA 0 f0 c1 t5 Z O8\r\n\r\n", 8).unwrap().given_token(), None);
        assert_eq!(read("HD c4 O8\r\n", 8).unwrap().given_token(), Some(Cas(4)));
        assert_eq!(read("EX c0 O8\r\n", 8).unwrap().given_token(), None);
    }

    #[test]
    fn commands_are_those_of_the_protocol() {
        let composed = |command: Command<'_>| {
            let mut out = Vec::new();
            command.compose(&mut out, Key::new(b"k").unwrap(), 9);
            String::from_utf8(out).unwrap()
        };
        let ttl = Ttl::clamped(300);
        assert_eq!(composed(Command::Get), "mg k N5 v f c t O9\r\n");
        assert_eq!(composed(Command::Peek), "mg k v f c t O9\r\n");
        assert_eq!(composed(Command::Check), "mg k s f c t O9\r\n");
        let fill = Command::Fill { token: Cas(3), flags: 1, ttl, value: b"v" };
        assert_eq!(composed(fill), "ms k 1 C3 F1 T300 O9\r\nv\r\n");
        assert_eq!(composed(Command::Mark { flags: 2, write_id: b"id" }), "ms k 2 c F2 T10 O9\r\nid\r\n");
        assert_eq!(composed(Command::Delete), "md k O9\r\n");
        assert_eq!(composed(Command::DeleteIf(Cas(3))), "md k C3 O9\r\n");
    }
}
