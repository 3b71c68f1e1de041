// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections: accepting them, the conversation on each, and their end.

mod phase;
mod stream;

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;

use super::door::HttpDoor;
use super::problem::{Problem, ProblemKind};
use crate::listener::{Accepted, Listener};
use crate::shutdown::{Shutdown, ShutdownSignal};
use phase::{Phase, Watched};
use stream::{ClientStream, whole_answer};

/// The most bytes of a request's head, and of a body that are read at a time: 1,024 bytes of key, three
/// times as long when encoded, and 60 KiB of headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves every connection until `shutdown` begins, then lets them finish what is in flight. Whether each did.
pub(super) async fn serve(listener: Listener, router: Router, door: &HttpDoor, shutdown: &Shutdown) -> bool {
    let full = Problem::new(ProblemKind::Overloaded, "there are too many connections");
    let full = whole_answer(&full, ProblemKind::Overloaded.status());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.begun() => break,
            accepted = listener.accept(&full) => {
                let conversation = Conversation::new(router.clone(), door, shutdown.signal());
                connections.spawn(conversation.run(accepted));
            }
            // What has ended is forgotten at once.
            Some(_) = connections.join_next() => {}
        }
    }
    let _closing = door.readiness.hold("the daemon is shutting down");
    drop(listener);
    shutdown.finish(connections).await
}

/// What one connection needs.
struct Conversation {
    router: Router,
    head_ms_max: u64,
    answer_ms_max: u64,
    signal: ShutdownSignal,
}

impl Conversation {
    fn new(router: Router, door: &HttpDoor, signal: ShutdownSignal) -> Self {
        Self { router, head_ms_max: door.head_ms_max, answer_ms_max: door.answer_ms_max, signal }
    }

    /// Answers requests, one after the other, until either side ends the connection.
    async fn run(self, accepted: Accepted) {
        // Its place is free again when everything else has ended.
        let Accepted { stream, peer, place: _place } = accepted;
        let phase = Phase::default();
        let stream = ClientStream::new(stream, phase.clone(), Duration::from_millis(self.answer_ms_max));
        let routes = TowerToHyperService::new(self.router);
        let service = service_fn(move |request| {
            phase.begin();
            let (answer, phase) = (routes.call(request), phase.clone());
            async move { answer.await.map(|response| response.map(|body| Watched::new(body, phase))) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.head_ms_max))
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.signal.begun() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}
