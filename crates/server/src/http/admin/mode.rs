// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/admin/resources/{resource}/mode`: the switch.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};
use throughline::{Listing, Mode};

use super::super::body;
use super::super::door::Shared;
use super::super::problem::{Problem, ProblemKind};
use super::super::record_path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    mode: String,
}

/// The resource that an admin path names.
pub(crate) struct AdminResource(pub(super) Listing);

impl FromRequestParts<Shared> for AdminResource {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Shared) -> Result<Self, Problem> {
        let segment = parts.uri.path().split('/').nth(3).unwrap_or_default();
        record_path::listing(door, segment).map(Self)
    }
}

/// Answers where reads go.
pub(crate) async fn mode(AdminResource(listing): AdminResource) -> Json<Value> {
    Json(json!({ "resource": listing.space.name().as_str(), "mode": listing.space.mode().as_str() }))
}

/// Sends reads elsewhere from now on; answers with the mode, and the one before.
pub(crate) async fn set_mode(
    State(door): State<Shared>,
    AdminResource(listing): AdminResource,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let space = &listing.space;
    let body = body::read_json(&door, &headers, body).await?;
    let wanted = serde_json::from_slice::<Wanted>(&body).ok();
    let wanted = wanted.and_then(|wanted| Mode::parse(&wanted.mode)).ok_or_else(|| {
        let modes: Vec<&str> = Mode::ALL.iter().map(|mode| mode.as_str()).collect();
        let detail = format!("the body must be an object with `mode`, one of: {}", modes.join(", "));
        Problem::new(ProblemKind::InvalidValue, detail).in_resource(space.name())
    })?;
    let switched = space.set_mode(wanted).await;
    let before = switched.map_err(|error| Problem::of(&error).in_resource(space.name()))?;
    Ok(Json(json!({
        "resource": space.name().as_str(),
        "mode": wanted.as_str(),
        "before": before.as_str(),
    })))
}
