// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways in which a system can break its promise.

use std::fmt;

use crate::history::{Operation, ServedFrom};

/// One way to break the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A read older than a write that was acknowledged before the read began.
    Headline,
    /// A read older than what somebody had been shown before it began. Every `Headline` is one as well.
    Linear,
    /// A value that the database never committed under this key.
    Phantom,
    /// A value that is damaged or belongs to another key.
    CrossTalk,
    /// A write that took effect before something that had been seen before it began, or a value shown
    /// before its writing began: the ground truth itself is wrong.
    Misordered,
    /// An acknowledged write that the database never committed.
    Lost,
    /// A write that the system said it had not done, and the database has.
    RefusedButWritten,
    /// One write committed more than once.
    Duplicated,
    /// A worker did not see its own acknowledged write.
    OwnWriteUnseen,
    /// A worker was shown something older than it had been shown before.
    WentBackward,
}

impl Breach {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Headline,
        Self::Linear,
        Self::Phantom,
        Self::CrossTalk,
        Self::Misordered,
        Self::Lost,
        Self::RefusedButWritten,
        Self::Duplicated,
        Self::OwnWriteUnseen,
        Self::WentBackward,
    ];

    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Headline => "HEADLINE",
            Self::Linear => "LINEAR",
            Self::Phantom => "phantom",
            Self::CrossTalk => "cross-talk",
            Self::Misordered => "misordered",
            Self::Lost => "lost",
            Self::RefusedButWritten => "refused but written",
            Self::Duplicated => "duplicated",
            Self::OwnWriteUnseen => "own write unseen",
            Self::WentBackward => "went backward",
        }
    }
}

/// One breach with what is needed to look for its cause.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// What was broken.
    pub breach: Breach,
    /// By the answer to which operation.
    pub operation: Operation,
    /// The version that was shown, when there is one.
    pub shown: Option<u32>,
    /// The version that was the least allowed.
    pub floor: u32,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { worker, op, kind, key, begin_ns, end_ns, served, .. } = self.operation;
        let seconds = |ns: u64| ns as f64 / 1e9;
        write!(f, "{}: key {key} {kind:?} by worker {worker} (op {op})", self.breach.as_str())?;
        write!(f, " from {:.6} s to {:.6} s", seconds(begin_ns), end_ns.map_or(f64::INFINITY, seconds))?;
        match self.shown {
            Some(shown) => write!(f, ": version {shown}, at least {} allowed", self.floor)?,
            None => write!(f, ": no version, at least {} allowed", self.floor)?,
        }
        if served != ServedFrom::Unsaid {
            write!(f, ", served from {served:?}")?;
        }
        Ok(())
    }
}
