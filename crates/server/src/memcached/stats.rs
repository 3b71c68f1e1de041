// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stats`: memcached's names where the number means the same, then each resource's counters as
//! `resource.<name>.<counter>`, then each backend's as `<source or cache>.<name>.<counter>`.

use std::fmt::Display;

use throughline_wire::memcached::{Status, reply};

use super::answer::Failure;
use super::output::Output;
use super::session::Session;

pub(super) fn answer(session: &Session, argument: Option<&[u8]>, out: &mut Output<'_>) {
    match argument {
        None => general(session, out.response()),
        Some(b"settings") => settings(session, out.response()),
        // There are none: entries are not kept in slabs.
        Some(b"items" | b"slabs") => {}
        Some(b"reset") => return session.fail(&Failure::StatsReset, out),
        Some(_) => return reply::status(out.response(), Status::Error),
    }
    reply::status(out.response(), Status::End);
}

fn general(session: &Session, out: &mut Vec<u8>) {
    let door = &session.door;
    stat(out, "pid", std::process::id());
    stat(out, "uptime", door.uptime_s());
    stat(out, "time", door.unix_s());
    stat(out, "version", super::execute::VERSION);
    stat(out, "pointer_size", usize::BITS);
    stat(out, "max_connections", door.connections.max());
    stat(out, "curr_connections", door.connections.open());
    stat(out, "total_connections", door.connections.accepted());
    stat(out, "rejected_connections", door.connections.refused());
    stat(out, "accept_errors", door.connections.errors());
    let mut gets = 0;
    door.counters.for_each(|name, number| {
        stat(out, name, number);
        if matches!(name, "get_hits" | "get_misses") {
            gets += number;
        }
    });
    stat(out, "cmd_get", gets);
    for listing in door.throughline.listings() {
        let space = &listing.space;
        let name = space.name();
        stat(out, &format!("resource.{name}.mode"), space.mode());
        space.stats().for_each(|counter, _, number| stat(out, &format!("resource.{name}.{counter}"), number));
    }
    for gauge in door.throughline.gauges() {
        let node = gauge.node.map(|node| format!("{node}.")).unwrap_or_default();
        let name = format!("{}.{}.{node}{}", gauge.role, gauge.backend, gauge.name);
        stat(out, &name, gauge.number);
    }
}

fn settings(session: &Session, out: &mut Vec<u8>) {
    let door = &session.door;
    stat(out, "maxconns", door.connections.max());
    stat(out, "tcpport", door.address.port());
    stat(out, "udpport", 0);
    stat(out, "inter", door.address.ip());
    stat(out, "verbosity", 0);
    stat(out, "cas_enabled", "yes");
    stat(out, "flush_enabled", "yes");
    stat(out, "binding_protocol", "ascii");
    stat(out, "item_size_max", door.config.value_bytes_max);
    stat(out, "idle_timeout", 0);
}

fn stat(out: &mut Vec<u8>, name: &str, value: impl Display) {
    reply::stat(out, name, &value.to_string());
}
