// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes to a client: a limit to how long they may be stuck, and a problem document for bytes that are
//! no request.
//!
//! hyper answers what it cannot parse with an empty 400, 414 or 431 before any of our code runs. It writes
//! that while no request is being answered, and writes nothing else then; so what comes in that phase is
//! replaced by a document with the same status.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use hyper::rt::{Sleep, Timer as _};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::phase::Phase;
use crate::http::problem::{MEDIA_TYPE, Problem, ProblemKind};

/// How much is read and thrown away after such a document: a connection that is closed before everything was
/// read is reset, and the client would not see the document.
const DISCARD_BYTES_MAX: usize = 256 * 1024;

/// A client's connection.
pub(super) struct ClientStream {
    stream: TcpStream,
    phase: Phase,
    /// A document that replaces what hyper wrote, as far as it is still to be sent.
    instead: Bytes,
    /// How much more is to be thrown away before the connection is closed.
    discard_bytes: usize,
    stuck_max: Duration,
    /// Running while the client takes nothing.
    stuck: Option<Pin<Box<dyn Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, phase: Phase, stuck_max: Duration) -> Self {
        Self { stream, phase, instead: Bytes::new(), discard_bytes: 0, stuck_max, stuck: None }
    }

    /// Passes `done` on, unless it is pending for too long.
    fn within_limit<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stuck = None;
            return done;
        }
        let limit = self.stuck_max;
        let stuck = self.stuck.get_or_insert_with(|| TokioTimer::new().sleep(limit));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Takes an answer that is none of ours, and remembers what to send instead.
    fn replace(&mut self, answer: &[u8]) {
        let status = answer
            .strip_prefix(b"HTTP/1.1 ")
            .or_else(|| answer.strip_prefix(b"HTTP/1.0 "))
            .and_then(|rest| StatusCode::from_bytes(rest.get(..3)?).ok());
        // Without a status it is the rest of an answer that has been replaced.
        if let Some(status) = status {
            self.instead = whole_answer(&refusal(status), status).into();
            self.discard_bytes = DISCARD_BYTES_MAX;
        }
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.instead);
            let written = ready!(self.within_limit(context, written))?;
            self.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads on until the client has seen that it is not listened to any more, or for long enough.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.discard_bytes > 0 {
            let mut scratch = [0; 4096];
            let mut scratch = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut scratch);
            ready!(self.within_limit(context, read))?;
            let len = scratch.filled().len();
            self.discard_bytes = if len == 0 { 0 } else { self.discard_bytes.saturating_sub(len) };
        }
        Poll::Ready(Ok(()))
    }
}

fn refusal(status: StatusCode) -> Problem {
    match status {
        StatusCode::URI_TOO_LONG => Problem::new(ProblemKind::UriTooLong, "the path is too long to be read"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Problem::new(ProblemKind::HeadersTooLarge, "the request's head is too large to be read")
        }
        _ => Problem::new(ProblemKind::MalformedRequest, "the request's head cannot be read"),
    }
}

/// An answer with everything that belongs to it, after which the connection is closed.
pub(super) fn whole_answer(problem: &Problem, status: StatusCode) -> Vec<u8> {
    let document = problem.document().to_string();
    let length = document.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{document}"
    )
    .into_bytes()
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.phase.is_idle() {
            self.replace(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_limit(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.phase.is_idle() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |slice| slice));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within_limit(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.phase.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        self.poll_discard(context)
    }
}
