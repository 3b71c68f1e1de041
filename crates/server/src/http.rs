// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP door.
//!
//! One file per route: `record/` for one record, `create`, `batch`, `invalidate`, `resources`, `openapi`,
//! `metrics`, `health`, `home`, `problems`, `admin/`. What a request meets before its route is in `gate`; what
//! a client is told when something goes wrong is in `problem`, and only there.

mod admin;
mod batch;
mod body;
mod cache_control;
mod cache_status;
mod connection;
mod create;
mod door;
mod etag;
mod exposition;
mod gate;
mod health;
mod home;
mod invalidate;
mod metrics;
mod openapi;
mod origin;
mod prefer;
mod problem;
mod problems;
mod readiness;
mod receipt;
mod record;
mod record_path;
mod request_stats;
mod resources;
mod session;
mod stored;
mod token;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use throughline::Throughline;

use crate::listener::Listener;
use crate::shutdown::Shutdown;
use door::{DoorState, Shared};

pub use door::HttpDoor;
pub use readiness::{Hold, Readiness};
pub use record_path::key_segment;

/// Serves HTTP/1.1 on `listener` until `shutdown` begins and what is in flight is answered. Returns whether all
/// of it was, within the limit.
pub async fn serve_http(
    listener: Listener,
    throughline: Throughline,
    door: HttpDoor,
    shutdown: Shutdown,
) -> bool {
    let state = DoorState::new(throughline, &door, Some(listener.counts().clone()));
    connection::serve(listener, routes(state), &door, &shutdown).await
}

/// The routes, without a listener: to be served by another server or called in a test.
pub fn router(throughline: Throughline, door: &HttpDoor) -> Router {
    routes(DoorState::new(throughline, door, None))
}

/// Every path pattern, in the order of [`routes`]: the labels of the request counts.
pub(crate) const PATTERNS: &[&str] = &[
    "/",
    "/v1",
    "/v1/{resource}",
    "/v1/{resource}/{key}",
    "/v1/{resource}/{key}/_invalidate",
    "/receipts/{resource}/{number}",
    "/openapi.json",
    "/problems/{name}",
    "/metrics",
    "/healthz",
    "/readyz",
    "/admin/journal",
    "/admin/journal/{resource}",
    "/admin/journal/{resource}/_drain",
    "/admin/journal/{resource}/{number}",
    "/admin/journal/{resource}/{number}/_retry",
    "/admin/journal/{resource}/{number}/_discard",
    "/admin/resources",
    "/admin/resources/{resource}/_invalidate",
    "/admin/resources/{resource}/mode",
    "/admin/servers/{server}/_invalidate",
    "/admin/stats",
];

fn routes(state: Shared) -> Router {
    // `_get` is no route of its own, so that a record with the key `_get` can be read: see `batch`.
    let record = get(record::get).put(record::put).delete(record::delete).post(batch::get_many);
    Router::new()
        .route("/", get(home::page))
        .route("/v1", get(resources::list))
        .route("/v1/{resource}", post(create::create))
        .route("/v1/{resource}/{key}", record)
        .route("/v1/{resource}/{key}/_invalidate", post(invalidate::invalidate))
        .route("/receipts/{resource}/{number}", get(receipt::get))
        .route("/openapi.json", get(openapi::serve))
        .route("/problems/{name}", get(problems::page))
        .route("/metrics", get(metrics::serve))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/admin/journal", get(admin::journal::list))
        .route("/admin/journal/{resource}", get(admin::journal::resource))
        .route("/admin/journal/{resource}/_drain", post(admin::journal::drain))
        .route("/admin/journal/{resource}/{number}", get(admin::journal::letter))
        .route("/admin/journal/{resource}/{number}/_retry", post(admin::journal::retry))
        .route("/admin/journal/{resource}/{number}/_discard", post(admin::journal::discard))
        .route("/admin/resources", get(resources::list))
        .route("/admin/resources/{resource}/_invalidate", post(admin::invalidate_all))
        .route("/admin/resources/{resource}/mode", put(admin::set_mode).get(admin::mode))
        .route("/admin/servers/{server}/_invalidate", post(admin::invalidate_server))
        .route("/admin/stats", get(admin::stats))
        .fallback(gate::no_such_path)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), gate::check))
        .layer(from_fn_with_state(state.clone(), gate::observe))
        .with_state(state)
}
