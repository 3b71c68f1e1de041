// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers on their way to a peer.

use std::io;
use std::time::Duration;

use tokio::net::tcp::WriteHalf;

use super::spare;

/// How much is collected before it is sent although more requests are waiting.
const COLLECTED_MAX: usize = 64 * 1024;
/// How large a response may get that is kept back until it is known to be whole.
pub(super) const KEPT_MAX: usize = 1024 * 1024;

/// The sending half of a connection.
///
/// Nothing is read while something waits to be sent, so a peer who does not read his answers stops being
/// asked for requests, and after [`super::MemcachedDoor::stall_max`] he is dropped.
#[derive(Debug)]
pub(super) struct Output<'s> {
    writer: WriteHalf<'s>,
    /// Has memory only while it holds something.
    buffer: Vec<u8>,
    /// Where the response that is being made begins; `None` once a part of it was sent.
    response: Option<usize>,
    stall_max: Duration,
    /// All that was ever sent.
    sent: u64,
}

impl<'s> Output<'s> {
    pub(super) fn new(writer: WriteHalf<'s>, stall_max: Duration) -> Self {
        Self { writer, buffer: Vec::new(), response: None, stall_max, sent: 0 }
    }

    /// Begins a response, to be appended to the returned buffer.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.response = Some(self.buffer.len());
        self.response()
    }

    /// Where to append the rest of the response.
    pub(super) fn response(&mut self) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = spare::take();
        }
        &mut self.buffer
    }

    /// Drops what there is of the response, as far as it was not sent, and says where to append another.
    pub(super) fn instead(&mut self) -> &mut Vec<u8> {
        if let Some(start) = self.response {
            self.buffer.truncate(start);
        }
        self.response()
    }

    /// Whether a response has become so large that it must go out in pieces.
    pub(super) fn is_over_kept_max(&self) -> bool {
        self.buffer.len() >= KEPT_MAX
    }

    /// How many bytes were sent since the last call.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Between two responses: sends if much was collected.
    pub(super) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < COLLECTED_MAX {
            return Ok(());
        }
        self.flush().await
    }

    /// Sends all there is.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.buffer.len() {
            match self.writer.try_write(&self.buffer[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent += sent as u64;
        self.response = None;
        spare::give(std::mem::take(&mut self.buffer));
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        match tokio::time::timeout(self.stall_max, self.writer.writable()).await {
            Ok(writable) => writable,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.buffer));
    }
}
