// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a connection: read, answer all that is there, send, wait.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use throughline_wire::memcached::request::{Parsed, parse};
use tokio::net::TcpStream;

use super::door::Door;
use super::execute::{Flow, at_once, execute};
use super::input::{Input, More};
use super::output::Output;
use super::session::Session;
use crate::listener::{Accepted, Place};
use crate::shutdown::ShutdownSignal;

/// One peer.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    signal: ShutdownSignal,
    session: Session,
    _place: Place,
}

impl Connection {
    pub(super) fn new(door: &Arc<Door>, accepted: Accepted, signal: ShutdownSignal) -> Self {
        Self { stream: accepted.stream, signal, session: Session::new(door), _place: accepted.place }
    }

    /// Serves the peer until he leaves, misbehaves, or the program shuts down.
    pub(super) async fn run(self) {
        let Self { mut stream, signal, mut session, _place } = self;
        let (reader, writer) = stream.split();
        let mut input = Input::new(reader);
        let mut output = Output::new(writer, session.door.config.stall_max);
        if let Err(error) = talk(&mut session, &mut input, &mut output, &signal).await {
            if error.kind() == io::ErrorKind::TimedOut {
                session.counters().stalled_connections.add(1);
            }
            tracing::debug!(%error, "a memcached connection ended early");
        }
    }
}

async fn talk(
    session: &mut Session,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
    signal: &ShutdownSignal,
) -> io::Result<()> {
    let mut begun = pin!(signal.begun());
    loop {
        let flow = answer_all(session, input, output).await?;
        output.flush().await?;
        let counters = session.counters();
        counters.bytes_read.add(input.take_received());
        counters.bytes_written.add(output.take_sent());
        let more = match flow {
            Flow::Close => return Ok(()),
            Flow::GoOn if input.unread().is_empty() && !input.is_swallowing() => {
                input.more(begun.as_mut()).await
            }
            Flow::GoOn => rest_of_command(session, input, begun.as_mut()).await,
        };
        if more? != More::Bytes {
            return Ok(());
        }
    }
}

/// Answers every request that is there in full.
///
/// A hit is answered on the spot. Whatever may have to wait is a boxed future, so that a connection that
/// waits for its peer is small.
async fn answer_all(
    session: &mut Session,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
) -> io::Result<Flow> {
    while !input.unread().is_empty() {
        match parse(input.unread(), &session.door.limits) {
            Parsed::Incomplete { .. } => break,
            Parsed::Request { request, consumed } => {
                if let Some(left) = at_once(session, request, output.begin())
                    && Box::pin(execute(session, left, output)).await? == Flow::Close
                {
                    return Ok(Flow::Close);
                }
                input.consume(consumed, 0);
            }
            Parsed::Bad { reply, consumed, close, swallow } => {
                session.counters().client_errors.add(1);
                output.begin().extend_from_slice(reply);
                input.consume(consumed, swallow);
                if close {
                    return Ok(Flow::Close);
                }
            }
        }
        output.flush_if_full().await?;
    }
    Ok(Flow::GoOn)
}

/// Waits until a half-sent command is whole, for a limited time.
async fn rest_of_command(
    session: &Session,
    input: &mut Input<'_>,
    mut begun: Pin<&mut impl Future<Output = ()>>,
) -> io::Result<More> {
    let whole = async {
        loop {
            let more = input.more(begun.as_mut()).await?;
            if more != More::Bytes || !is_partial(session, input) {
                return Ok(more);
            }
        }
    };
    match tokio::time::timeout(session.door.config.stall_max, whole).await {
        Ok(more) => more,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn is_partial(session: &Session, input: &Input<'_>) -> bool {
    let half = |unread| matches!(parse(unread, &session.door.limits), Parsed::Incomplete { .. });
    input.is_swallowing() || (!input.unread().is_empty() && half(input.unread()))
}
