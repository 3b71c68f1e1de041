// SPDX-License-Identifier: MIT OR Apache-2.0
//! The replies that are one fixed word, of the classic and of the meta commands.

/// A classic reply without anything variable in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `STORED`.
    Stored,
    /// `NOT_STORED`: the condition of `add`, `replace`, `append` or `prepend` did not hold.
    NotStored,
    /// `EXISTS`: the CAS number is another by now.
    Exists,
    /// `NOT_FOUND`.
    NotFound,
    /// `DELETED`.
    Deleted,
    /// `TOUCHED`.
    Touched,
    /// `OK`.
    Ok,
    /// `END`: no more values or statistics.
    End,
    /// `RESET`: the statistics were set to zero.
    Reset,
    /// `ERROR`: unknown command.
    Error,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 10] = [
        Status::Stored,
        Status::NotStored,
        Status::Exists,
        Status::NotFound,
        Status::Deleted,
        Status::Touched,
        Status::Ok,
        Status::End,
        Status::Reset,
        Status::Error,
    ];

    /// Returns the line with its end.
    #[must_use]
    pub fn line(self) -> &'static [u8] {
        match self {
            Status::Stored => b"STORED\r\n",
            Status::NotStored => b"NOT_STORED\r\n",
            Status::Exists => b"EXISTS\r\n",
            Status::NotFound => b"NOT_FOUND\r\n",
            Status::Deleted => b"DELETED\r\n",
            Status::Touched => b"TOUCHED\r\n",
            Status::Ok => b"OK\r\n",
            Status::End => b"END\r\n",
            Status::Reset => b"RESET\r\n",
            Status::Error => b"ERROR\r\n",
        }
    }

    /// Reads a line without its end.
    pub(super) fn read(line: &[u8]) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.line().strip_suffix(b"\r\n") == Some(line))
    }
}

/// The return code of a meta command that returns no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaCode {
    /// `HD`: done, or found.
    Done,
    /// `EN`: `mg` found nothing.
    Miss,
    /// `NF`: there is nothing to act on.
    NotFound,
    /// `NS`: the condition of the mode did not hold.
    NotStored,
    /// `EX`: the CAS number is another by now.
    Exists,
}

impl MetaCode {
    /// Every code.
    pub const ALL: [MetaCode; 5] =
        [MetaCode::Done, MetaCode::Miss, MetaCode::NotFound, MetaCode::NotStored, MetaCode::Exists];

    /// Returns the code's two letters.
    #[must_use]
    pub fn letters(self) -> &'static [u8; 2] {
        match self {
            MetaCode::Done => b"HD",
            MetaCode::Miss => b"EN",
            MetaCode::NotFound => b"NF",
            MetaCode::NotStored => b"NS",
            MetaCode::Exists => b"EX",
        }
    }

    /// Reads the first word of a line.
    pub(super) fn read(word: &[u8]) -> Option<MetaCode> {
        MetaCode::ALL.into_iter().find(|code| code.letters() == word)
    }
}
