// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a peer has sent and was not answered yet.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::ReadHalf;

use super::spare;

/// What came of waiting for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// More bytes are there.
    Bytes,
    /// The peer has closed.
    End,
    /// The program shuts down; whatever is half-sent is nobody's promise.
    ShutDown,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Input<'s> {
    reader: ReadHalf<'s>,
    /// Has memory only while it holds something.
    buffer: Vec<u8>,
    /// Where the unread bytes begin.
    start: usize,
    /// How many bytes, beyond those that are here, are to be dropped: the rest of a refused value.
    swallow: usize,
    /// All that was ever received.
    received: u64,
}

impl<'s> Input<'s> {
    pub(super) fn new(reader: ReadHalf<'s>) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, swallow: 0, received: 0 }
    }

    /// What is there.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether a refused value has not come in full.
    pub(super) fn is_swallowing(&self) -> bool {
        self.swallow > 0
    }

    /// Drops what was answered, and the `swallow` bytes behind it as they come.
    pub(super) fn consume(&mut self, len: usize, swallow: usize) {
        self.start += len;
        self.swallow += swallow;
        self.drop_swallowed();
    }

    /// How many bytes came since the last call.
    pub(super) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Waits for more bytes, holding no memory for a peer who has sent nothing.
    pub(super) async fn more(&mut self, mut begun: Pin<&mut impl Future<Output = ()>>) -> io::Result<More> {
        self.make_room();
        loop {
            let readable = poll_fn(|cx| {
                if begun.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(false));
                }
                ready!(self.reader.as_ref().poll_read_ready(cx))?;
                Poll::Ready(io::Result::Ok(true))
            });
            if !readable.await? {
                return Ok(More::ShutDown);
            }
            if self.buffer.capacity() == 0 {
                self.buffer = spare::take();
            }
            // Not `try_read`: reading by a future tells tokio that a short read has drained the socket,
            // which saves a system call that would only say so. `None`: the readiness was spurious.
            match self.reader.read_buf(&mut self.buffer).now_or_never() {
                Some(Ok(0)) => return Ok(More::End),
                Some(Ok(len)) => {
                    self.received += len as u64;
                    self.drop_swallowed();
                    return Ok(More::Bytes);
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
    }

    fn drop_swallowed(&mut self) {
        let len = self.swallow.min(self.unread().len());
        self.swallow -= len;
        self.start += len;
    }

    /// Moves a half-sent command to the front and grows a full buffer; the parser's limits bound how far.
    fn make_room(&mut self) {
        if self.unread().is_empty() {
            spare::give(std::mem::take(&mut self.buffer));
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
        }
        self.start = 0;
        if self.buffer.len() == self.buffer.capacity() && !self.buffer.is_empty() {
            self.buffer.reserve(self.buffer.len());
        }
    }
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.buffer));
    }
}
