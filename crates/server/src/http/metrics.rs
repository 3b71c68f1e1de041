// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /metrics`: every counter of every resource, the backends' own numbers, and this door's requests.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use throughline::{Gauge, Listing, Mode, Throughline};

use super::door::{DoorState, Shared};
use super::exposition::{Exposition, MEDIA_TYPE};

/// Answers with the numbers of now.
pub(crate) async fn serve(State(door): State<Shared>) -> Response {
    let mut text = Exposition::default();
    text.family("throughline_build_info", "gauge", "The version that runs.");
    text.sample("throughline_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    add_counters(&mut text, door.throughline.listings());
    add_modes(&mut text, door.throughline.listings());
    add_owners(&mut text, door.throughline.listings());
    add_gauges(&mut text, &door.throughline);
    add_requests(&mut text, &door);
    add_connections(&mut text, &door);
    let media_type = [(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    (media_type, text.finish()).into_response()
}

/// The counters of the resources. The format wants each counter's samples together, the resources keep
/// theirs together, so the table is turned.
fn add_counters(text: &mut Exposition, listings: &[Listing]) {
    let rows: Vec<Vec<(&'static str, &'static str, u64)>> = listings.iter().map(counters).collect();
    let Some(first) = rows.first() else {
        return;
    };
    for (place, (name, meaning, _)) in first.iter().enumerate() {
        let family = format!("throughline_{name}_total");
        text.family(&family, "counter", meaning);
        for (listing, row) in listings.iter().zip(&rows) {
            text.sample(&family, &[("resource", listing.space.name().as_str())], row[place].2);
        }
    }
}

fn counters(listing: &Listing) -> Vec<(&'static str, &'static str, u64)> {
    let mut row = Vec::new();
    listing.space.stats().for_each(|name, meaning, number| row.push((name, meaning, number)));
    row
}

fn add_modes(text: &mut Exposition, listings: &[Listing]) {
    let family = "throughline_mode";
    text.family(family, "gauge", "1 for the present mode of a resource, 0 for the others.");
    for listing in listings {
        for mode in Mode::ALL {
            let labels = [("resource", listing.space.name().as_str()), ("mode", mode.as_str())];
            text.sample(family, &labels, u8::from(listing.space.mode() == *mode));
        }
    }
}

fn add_owners(text: &mut Exposition, listings: &[Listing]) {
    let family = "throughline_written_behind_elsewhere";
    text.family(
        family,
        "gauge",
        "1 while another daemon writes the table behind, so that it is not served here.",
    );
    for listing in listings {
        let is_elsewhere = listing.space.yielded_to().is_some();
        text.sample(family, &[("resource", listing.space.name().as_str())], u8::from(is_elsewhere));
    }
}

/// What the backends count about themselves, each family in one place.
fn add_gauges(text: &mut Exposition, throughline: &Throughline) {
    let mut gauges = throughline.gauges();
    let order = |gauge: &Gauge| (gauge.role, gauge.name, gauge.backend.clone(), gauge.node.clone());
    gauges.sort_by_cached_key(order);
    for family in gauges.chunk_by(|a, b| (a.role, a.name) == (b.role, b.name)) {
        let Gauge { role, name, meaning, .. } = &family[0];
        let family_name = format!("throughline_{role}_{name}");
        text.family(&family_name, "gauge", meaning);
        for gauge in family {
            let mut labels = vec![(*role, gauge.backend.as_str())];
            labels.extend(gauge.node.as_deref().map(|node| ("node", node)));
            text.sample(&family_name, &labels, gauge.number);
        }
    }
}

fn add_requests(text: &mut Exposition, door: &DoorState) {
    let family = "throughline_http_requests_total";
    text.family(
        family,
        "counter",
        "HTTP requests that were answered; status 0 is any that is not told apart.",
    );
    door.stats.for_each_count(|route, method, status, count| {
        let labels = [("route", route), ("method", method), ("status", &status.to_string())];
        text.sample(family, &labels, count);
    });
    let family = "throughline_http_requests_in_flight";
    text.family(family, "gauge", "HTTP requests that are being answered.");
    text.sample(family, &[], door.stats.in_flight());
    let family = "throughline_http_request_duration_seconds";
    text.family(family, "histogram", "Time from an HTTP request's head to its answer's.");
    door.stats.for_each_duration(|route, durations| {
        let bucket = format!("{family}_bucket");
        for (bound, count) in &durations.up_to {
            text.sample(&bucket, &[("route", route), ("le", &bound.to_string())], count);
        }
        text.sample(&bucket, &[("route", route), ("le", "+Inf")], durations.count);
        text.sample(&format!("{family}_sum"), &[("route", route)], durations.total.as_secs_f64());
        text.sample(&format!("{family}_count"), &[("route", route)], durations.count);
    });
}

fn add_connections(text: &mut Exposition, door: &DoorState) {
    let Some(connections) = &door.connections else {
        return;
    };
    let mut add = |name: &str, kind: &str, help: &str, number: u64| {
        let family = format!("throughline_http_connections{name}");
        text.family(&family, kind, help);
        text.sample(&family, &[], number);
    };
    add("", "gauge", "HTTP connections that are open.", connections.open());
    add("_max", "gauge", "HTTP connections that may be open at a time.", connections.max());
    add("_accepted_total", "counter", "HTTP connections that were let in.", connections.accepted());
    add("_refused_total", "counter", "HTTP connections that were one too many.", connections.refused());
}
