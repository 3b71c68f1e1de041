// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/admin/journal…`: what is accepted and not applied, and what an operator decides about dead letters.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use throughline::{Behind, Change, DeadLetter, Format, Listing, PendingWrite, Position};

use super::super::body;
use super::super::door::Shared;
use super::super::problem::{Problem, ProblemKind};
use super::super::receipt;
use super::super::record_path;

/// How many writes of a resource one answer lists.
const LISTED_MAX: usize = 1_000;

/// A resource that is written behind, and what it is.
struct Journalled(Listing, Arc<Behind>);

fn journalled(door: &Shared, resource: &str) -> Result<Journalled, Problem> {
    let listing = record_path::listing(door, resource)?;
    let Some(behind) = listing.behind.clone() else {
        let detail = format!("resource `{resource}` is not written behind, so no journal holds writes of it");
        return Err(Problem::new(ProblemKind::NoSuchReceipt, detail));
    };
    Ok(Journalled(listing, behind))
}

/// Answers with one line per resource: how much is pending, and since when.
pub(crate) async fn list(State(door): State<Shared>) -> Json<Value> {
    let listings = door.throughline.listings();
    let behinds = listings.iter().filter_map(|listing| listing.behind.as_ref());
    let lines: Vec<Value> = behinds.map(|behind| summary(behind)).collect();
    Json(json!(lines))
}

fn summary(behind: &Behind) -> Value {
    json!({
        "resource": behind.resource().as_str(),
        "pending": behind.pending_count(),
        "oldest_age_ms": behind.oldest_age_ms(),
        "dead_letters": behind.letter_count(),
        "accepted": behind.stats().accepted.get(),
        "applied": behind.stats().applied.get(),
    })
}

/// Answers with the pending writes and the dead letters of a resource, oldest first, at most 1,000 of each.
pub(crate) async fn resource(
    State(door): State<Shared>,
    Path(resource): Path<String>,
) -> Result<Json<Value>, Problem> {
    let Journalled(listing, behind) = journalled(&door, &resource)?;
    let mut told = summary(&behind);
    let pending: Vec<Value> =
        behind.pending(LISTED_MAX).iter().map(|write| tell_pending(&listing, write)).collect();
    let letters: Vec<Value> =
        behind.letters(LISTED_MAX).iter().map(|letter| tell_letter(&listing, letter)).collect();
    told["writes"] = json!(pending);
    told["letters"] = json!(letters);
    Ok(Json(told))
}

/// Answers with one dead letter, with its value.
pub(crate) async fn letter(
    State(door): State<Shared>,
    Path((resource, number)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let Journalled(listing, behind) = journalled(&door, &resource)?;
    let letter = behind.letter(position(&number)?).ok_or_else(no_letter)?;
    Ok(Json(tell_letter(&listing, &letter)))
}

/// Has a dead letter tried again, with the value of the body if there is one; answers with the new write's receipt.
pub(crate) async fn retry(
    State(door): State<Shared>,
    Path((resource, number)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Journalled(listing, behind) = journalled(&door, &resource)?;
    let position = position(&number)?;
    let letter = behind.letter(position).ok_or_else(no_letter)?;
    let value = body::read(&door, &headers, body).await?;
    let change = match (&letter.write.change, value.is_empty()) {
        (_, true) => None,
        (Change::Put { flags, .. }, false) => Some(Change::Put { value, flags: *flags }),
        (Change::Delete, false) => Some(Change::Put { value, flags: 0 }),
    };
    let renewed = behind.retry_letter(position, change).await;
    let renewed = renewed.map_err(|error| Problem::of(&error).in_resource(listing.space.name()))?;
    let told = receipt::told(&listing, renewed, &behind.progress(renewed));
    Ok((StatusCode::ACCEPTED, Json(told)))
}

/// Forgets a dead letter for good.
pub(crate) async fn discard(
    State(door): State<Shared>,
    Path((resource, number)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let Journalled(listing, behind) = journalled(&door, &resource)?;
    let position = position(&number)?;
    behind.letter(position).ok_or_else(no_letter)?;
    let discarded = behind.discard_letter(position).await;
    discarded.map_err(|error| Problem::of(&error).in_resource(listing.space.name()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has everything applied that is pending now; does not wait for it. Answers with what is pending.
pub(crate) async fn drain(
    State(door): State<Shared>,
    Path(resource): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Journalled(_, behind) = journalled(&door, &resource)?;
    behind.start_drain();
    Ok((StatusCode::ACCEPTED, Json(summary(&behind))))
}

fn position(number: &str) -> Result<Position, Problem> {
    number.parse().map(Position).map_err(|_| no_letter())
}

fn no_letter() -> Problem {
    Problem::new(ProblemKind::NoSuchReceipt, "there is no dead letter with this number")
}

fn tell_pending(listing: &Listing, write: &PendingWrite) -> Value {
    let mut told = json!({
        "receipt": write.position.0.to_string(),
        "key": write.key.as_str(),
        "age_ms": write.age_ms,
    });
    tell_change(listing, &write.change, &mut told);
    if let Some(trouble) = &write.trouble {
        told["progress"] = receipt::told(listing, write.position, trouble);
    }
    told
}

fn tell_letter(listing: &Listing, letter: &DeadLetter) -> Value {
    let mut told = json!({
        "receipt": letter.position.0.to_string(),
        "key": letter.key.as_str(),
        "why": letter.why,
        "accepted_unix_ms": letter.accepted_ms,
        "died_unix_ms": letter.died_ms,
        "outlived": letter.is_outlived,
    });
    tell_change(listing, &letter.write.change, &mut told);
    told
}

fn tell_change(listing: &Listing, change: &Change, told: &mut Value) {
    match change {
        Change::Delete => told["change"] = json!("delete"),
        Change::Put { value, .. } => {
            told["change"] = json!("put");
            // JSON as it is; raw bytes as text, as far as they are some.
            let text = String::from_utf8_lossy(value);
            let parsed = || serde_json::from_str::<Value>(&text).ok();
            let is_json = listing.about.format == Format::Json;
            told["value"] = is_json.then(parsed).flatten().unwrap_or_else(|| json!(text));
        }
    }
}
