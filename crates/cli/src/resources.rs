// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mode` and `stats`: the resources of a running daemon.

use std::process::ExitCode;

use clap::ValueEnum as _;
use miette::miette;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::args::{ModeArgs, StatsArgs};
use crate::client::Client;
use crate::out::say;

pub(crate) fn mode(args: &ModeArgs) -> miette::Result<ExitCode> {
    let client = Client::new(&args.server);
    if let (Some(resource), Some(mode)) = (&args.resource, args.mode) {
        let name = mode.to_possible_value().expect("every mode has a name").get_name().to_owned();
        let path = format!("/admin/resources/{}/mode", resource);
        let body = json!({ "mode": name }).to_string();
        client.send(Method::PUT, &path, Some(body.as_bytes()))?.success()?;
        say!("{resource}  {name}");
        return Ok(ExitCode::SUCCESS);
    }
    let listed = client.send(Method::GET, "/admin/resources", None)?.success()?.json()?;
    let resources = listed["resources"].as_array().cloned().unwrap_or_default();
    let wanted = |resource: &&Value| args.resource.as_deref().is_none_or(|name| resource["name"] == name);
    let shown: Vec<_> = resources.iter().filter(wanted).collect();
    if let (Some(name), true) = (&args.resource, shown.is_empty()) {
        return Err(miette!(help = "`throughline mode` lists them all", "there is no resource `{name}`"));
    }
    for resource in shown {
        say!("{}  {}", text(&resource["name"]), text(&resource["mode"]));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn stats(args: &StatsArgs) -> miette::Result<ExitCode> {
    let mut stats = Client::new(&args.server).send(Method::GET, "/admin/stats", None)?.success()?.json()?;
    if let Some(name) = &args.resource {
        let Some(counters) = stats["resources"].get(name).cloned() else {
            return Err(miette!(help = "`throughline mode` lists them all", "there is no resource `{name}`"));
        };
        stats = json!({ "resources": { name: counters } });
    }
    if args.json {
        say!("{stats}");
        return Ok(ExitCode::SUCCESS);
    }
    for (name, counters) in stats["resources"].as_object().into_iter().flatten() {
        say!("{name}");
        print_counters(counters, args.all);
    }
    print_backends(stats["backends"].as_array().map_or(&[], Vec::as_slice), args.all);
    Ok(ExitCode::SUCCESS)
}

/// What the sources and caches count; the gauges of one follow each other.
fn print_backends(gauges: &[Value], all: bool) {
    let mut shown = String::new();
    for gauge in gauges.iter().filter(|gauge| all || gauge["number"].as_u64() != Some(0)) {
        let mut backend = format!("{} {}", text(&gauge["role"]), text(&gauge["backend"]));
        if let Some(node) = gauge["node"].as_str() {
            backend = format!("{backend}, server {node}");
        }
        if backend != shown {
            say!("{backend}");
            shown = backend;
        }
        say!("  {:<24} {}", text(&gauge["name"]), gauge["number"]);
    }
}

fn print_counters(counters: &Value, all: bool) {
    for (name, number) in counters.as_object().into_iter().flatten() {
        if all || number.as_u64() != Some(0) {
            say!("  {name:<24} {number}");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
