// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection to a service.

use std::fmt;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use throughline_core::ErrorKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::{Answer, Failure};

/// The most that the head of an answer may take.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, moved forward only by who uses it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, Failure> {
        let handshake =
            http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (sender, driver) =
            handshake.map_err(|cause| failure(false, &cause, "the connection cannot be used"))?;
        Ok(Self { sender, driver })
    }

    /// Whether it can take a request: looks, without waiting, whether the service has closed it meanwhile.
    pub(super) fn is_ready(&mut self) -> bool {
        let look =
            Future::poll(std::pin::Pin::new(&mut self.driver), &mut Context::from_waker(Waker::noop()));
        matches!(look, Poll::Pending) && self.sender.is_ready()
    }

    /// Sends a request and reads its answer, of which the body may hold `bytes_max`.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
        bytes_max: usize,
    ) -> Result<Answer, Failure> {
        let Self { sender, driver } = self;
        let answer = async {
            let response = match timeout_at(deadline, sender.try_send_request(request)).await {
                Ok(Ok(response)) => response,
                Ok(Err(mut cause)) => {
                    // A request that is given back never left.
                    let was_sent = cause.take_message().is_none();
                    let cause = cause.into_error();
                    return Err(failure(was_sent, &cause, "the connection ended before an answer"));
                }
                Err(_) => return Err(Failure::sent(ErrorKind::Timeout, "no answer in time")),
            };
            let (head, body) = response.into_parts();
            let body = match timeout_at(deadline, read(body, bytes_max)).await {
                Ok(body) => body,
                Err(_) => Err(Failure::sent(ErrorKind::Timeout, "the answer did not end in time")),
            };
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What was read before the connection ended is still in the answer's hands.
            _ = driver => answer.await,
        }
    }
}

async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    let too_large =
        || Failure::sent(ErrorKind::TooLarge, format!("the answer is larger than {bytes_max} bytes"));
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|cause| failure(true, &cause, "the connection ended in the middle of an answer"))?;
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

fn failure(was_sent: bool, cause: &hyper::Error, what: &str) -> Failure {
    if cause.is_parse() || cause.is_parse_status() || cause.is_parse_too_large() {
        return Failure { was_sent, ..Failure::sent(ErrorKind::Corrupt, "what came back is no HTTP") };
    }
    Failure { was_sent, ..Failure::sent(ErrorKind::Unavailable, what) }
}
