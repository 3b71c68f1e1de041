// SPDX-License-Identifier: MIT OR Apache-2.0
//! `journal`: what a running daemon has accepted and not applied.

use std::process::ExitCode;

use serde_json::Value;
use ureq::http::Method;

use crate::args::{ExportArgs, JournalCommand, JournalListArgs, LetterArgs, LetterEditArgs};
use crate::client::Client;
use crate::out::say;
use crate::record::value_of;

pub(crate) fn run(command: &JournalCommand) -> miette::Result<ExitCode> {
    match command {
        JournalCommand::List(args) => list(args),
        JournalCommand::Show(args) => show(args),
        JournalCommand::Retry(args) => retry(args, None),
        JournalCommand::Edit(LetterEditArgs { letter, value }) => retry(letter, Some(&value_of(value)?)),
        JournalCommand::Discard(args) => discard(args),
        JournalCommand::Export(args) => export(args),
    }
}

fn list(args: &JournalListArgs) -> miette::Result<ExitCode> {
    let client = Client::new(&args.server);
    let Some(resource) = &args.resource else {
        let lines = client.send(Method::GET, "/admin/journal", None)?.success()?.json()?;
        let lines = lines.as_array().cloned().unwrap_or_default();
        if lines.is_empty() {
            say!("nothing is written behind");
        }
        lines.iter().for_each(|line| say!("{}", summary(line)));
        return Ok(ExitCode::SUCCESS);
    };
    let told = fetch(&client, resource)?;
    say!("{}", summary(&told));
    for write in items(&told, "writes") {
        let trouble = write["progress"]["why"].as_str().map_or_else(String::new, |why| format!("  {why}"));
        say!("{}  {}  pending for {}{trouble}", text(&write["receipt"]), line(write), age(&write["age_ms"]));
    }
    for letter in items(&told, "letters") {
        say!("{}  {}  dead: {}", text(&letter["receipt"]), line(letter), text(&letter["why"]));
    }
    Ok(ExitCode::SUCCESS)
}

/// One resource in a line.
pub(crate) fn summary(told: &Value) -> String {
    let oldest = match told["pending"].as_u64() {
        Some(0) | None => String::new(),
        Some(_) => format!(", the oldest for {}", age(&told["oldest_age_ms"])),
    };
    format!(
        "{}  {} pending{oldest}, {} dead letters; {} accepted and {} applied since the start",
        text(&told["resource"]),
        told["pending"],
        told["dead_letters"],
        told["accepted"],
        told["applied"],
    )
}

/// What is pending of a resource, and its dead letters.
fn fetch(client: &Client, resource: &str) -> miette::Result<Value> {
    client.send(Method::GET, &format!("/admin/journal/{resource}"), None)?.success()?.json()
}

fn items<'a>(told: &'a Value, name: &str) -> &'a [Value] {
    told[name].as_array().map_or(&[], Vec::as_slice)
}

/// A write in a few words.
fn line(write: &Value) -> String {
    format!("{} {}", text(&write["change"]), text(&write["key"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn age(ms: &Value) -> String {
    match ms.as_u64().unwrap_or(0) {
        ms @ 0..10_000 => format!("{ms} ms"),
        ms @ 10_000..600_000 => format!("{} s", ms / 1_000),
        ms => format!("{} min", ms / 60_000),
    }
}

fn path(args: &LetterArgs) -> String {
    format!("/admin/journal/{}/{}", args.resource, args.number)
}

fn show(args: &LetterArgs) -> miette::Result<ExitCode> {
    let letter = Client::new(&args.server).send(Method::GET, &path(args), None)?.success()?.json()?;
    say!("{letter:#}");
    Ok(ExitCode::SUCCESS)
}

fn retry(args: &LetterArgs, value: Option<&[u8]>) -> miette::Result<ExitCode> {
    let path = format!("{}/_retry", path(args));
    let told = Client::new(&args.server).send(Method::POST, &path, value)?.success()?.json()?;
    say!("accepted again as {}", text(&told["receipt"]));
    Ok(ExitCode::SUCCESS)
}

fn discard(args: &LetterArgs) -> miette::Result<ExitCode> {
    let path = format!("{}/_discard", path(args));
    Client::new(&args.server).send(Method::POST, &path, None)?.success()?;
    say!("discarded");
    Ok(ExitCode::SUCCESS)
}

fn export(args: &ExportArgs) -> miette::Result<ExitCode> {
    let told = fetch(&Client::new(&args.server), &args.resource)?;
    items(&told, "writes").iter().chain(items(&told, "letters")).for_each(|write| say!("{write}"));
    Ok(ExitCode::SUCCESS)
}
