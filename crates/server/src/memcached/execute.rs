// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which file answers which command.

use std::io;

use throughline_wire::memcached::request::Request;
use throughline_wire::memcached::{Status, reply};

use super::output::Output;
use super::session::Session;
use super::{
    counter, delete, flush, get, meta_counter, meta_debug, meta_delete, meta_get, meta_set, stats, store,
    touch,
};

/// The version that we claim, because clients choose what to send by it, and then who we are. Clients that
/// read a number stop at the space.
pub(super) const VERSION: &str = concat!("1.6.18 throughline/", env!("CARGO_PKG_VERSION"));

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It goes on.
    GoOn,
    /// It is closed once everything is sent.
    Close,
}

/// Answers what can be answered without waiting, hits above all; what is left to [`execute`].
pub(super) fn at_once<'k>(
    session: &mut Session,
    request: Request<'k>,
    out: &mut Vec<u8>,
) -> Option<Request<'k>> {
    match request {
        Request::Get { keys, with_cas } => {
            get::at_once(session, keys, with_cas, out).map(|keys| Request::Get { keys, with_cas })
        }
        Request::MetaGet(meta) => (!meta_get::at_once(session, &meta, out)).then_some(Request::MetaGet(meta)),
        request => Some(request),
    }
}

/// Executes a request and appends the answer. Errors are those of sending.
pub(super) async fn execute(
    session: &mut Session,
    request: Request<'_>,
    out: &mut Output<'_>,
) -> io::Result<Flow> {
    match request {
        Request::Get { keys, with_cas } => get::answer(session, keys, with_cas, out).await?,
        Request::GetAndTouch { keys, with_cas, exptime } => {
            touch::get_and_touch(session, keys, with_cas, exptime, out).await?
        }
        Request::Store(request) => {
            let answer = store::store(session, &request).await;
            session.status(answer, request.noreply, out);
        }
        Request::Delete { key, noreply } => {
            let answer = delete::delete(session, key).await;
            session.status(answer, noreply, out);
        }
        Request::Arithmetic { mode, key, delta, noreply } => {
            counter::answer(session, key, mode, delta, noreply, out).await
        }
        Request::Touch { key, exptime, noreply } => {
            let answer = touch::touch(session, key, exptime).await;
            session.status(answer, noreply, out);
        }
        Request::FlushAll { delay_s, noreply } => {
            let answer = flush::flush_all(session, delay_s).await;
            session.status(answer, noreply, out);
        }
        Request::Version => reply::version(out.response(), VERSION),
        // There is one log for the whole daemon, whose level is not the client's to choose.
        Request::Verbosity { noreply, .. } => session.status(Ok(Status::Ok), noreply, out),
        Request::Stats { argument } => stats::answer(session, argument, out),
        Request::Quit => return Ok(Flow::Close),
        Request::MetaNoop => reply::meta_noop(out.response()),
        Request::MetaGet(meta) => meta_get::answer(session, &meta, out).await,
        Request::MetaSet { meta, mode, value } => meta_set::answer(session, &meta, mode, value, out).await,
        Request::MetaDelete(meta) => meta_delete::answer(session, &meta, out).await,
        Request::MetaArithmetic { meta, mode } => meta_counter::answer(session, &meta, mode, out).await,
        Request::MetaDebug { key } => meta_debug::answer(session, &key, out).await,
    }
    Ok(Flow::GoOn)
}
