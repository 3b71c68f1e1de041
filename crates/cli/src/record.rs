// SPDX-License-Identifier: MIT OR Apache-2.0
//! `get`, `put`, `delete`, `invalidate`: one record, through a running daemon.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use miette::{IntoDiagnostic as _, WrapErr as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use throughline::Key;
use throughline_server::http::key_segment;
use ureq::http::Method;

use crate::args::{InvalidateArgs, PutArgs, RecordArgs, RecordName};
use crate::client::{Answer, Client};
use crate::out::say;

/// What `get` and `delete` exit with when there is no such record, so that a script can tell it from an error.
const NOT_FOUND: u8 = 2;

fn path(record: &RecordName) -> miette::Result<String> {
    let key = Key::parse(&record.key).into_diagnostic()?;
    Ok(format!("/v1/{}/{}", record.resource, key_segment(&key)))
}

pub(crate) fn get(args: &RecordArgs) -> miette::Result<ExitCode> {
    let answer = Client::new(&args.server).send(Method::GET, &path(&args.record)?, None)?;
    if answer.status == 404 {
        return absent(answer.success());
    }
    let answer = answer.success()?;
    let mut out = std::io::stdout();
    out.write_all(&answer.body).into_diagnostic()?;
    if out.is_terminal() || answer.body.starts_with(b"{") {
        out.write_all(b"\n").into_diagnostic()?;
    }
    if let Some(status) = answer.cache_status.filter(|_| std::io::stderr().is_terminal()) {
        eprintln!("{status}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn put(args: &PutArgs) -> miette::Result<ExitCode> {
    let value = value_of(&args.value)?;
    let answer =
        Client::new(&args.server).send(Method::PUT, &path(&args.record)?, Some(&value))?.success()?;
    match answer.status {
        201 => say!("created"),
        202 => accepted(&answer)?,
        _ => say!("replaced"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A value of the command line; `-` reads standard input.
pub(crate) fn value_of(written: &str) -> miette::Result<Vec<u8>> {
    let mut value = written.as_bytes().to_vec();
    if value == b"-" {
        value.clear();
        std::io::stdin().read_to_end(&mut value).into_diagnostic().wrap_err("cannot read standard input")?;
    }
    Ok(value)
}

/// Says under which number a write is kept that will be applied later.
fn accepted(answer: &Answer) -> miette::Result<()> {
    let told = answer.json()?;
    say!("accepted as {}", told["receipt"].as_str().unwrap_or("?"));
    Ok(())
}

pub(crate) fn delete(args: &RecordArgs) -> miette::Result<ExitCode> {
    let answer = Client::new(&args.server).send(Method::DELETE, &path(&args.record)?, None)?;
    if answer.status == 404 {
        return absent(answer.success());
    }
    let answer = answer.success()?;
    match answer.status {
        202 => accepted(&answer)?,
        _ => say!("deleted"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn invalidate(args: &InvalidateArgs) -> miette::Result<ExitCode> {
    let client = Client::new(&args.server);
    let path = match (&args.record, &args.all, &args.cache_server) {
        (Some(record), ..) => format!("{}/_invalidate", path(record)?),
        (None, Some(resource), _) => format!("/admin/resources/{resource}/_invalidate"),
        (None, None, Some(server)) => {
            format!("/admin/servers/{}/_invalidate", utf8_percent_encode(server, NON_ALPHANUMERIC))
        }
        (None, None, None) => unreachable!("the command line demands one of them"),
    };
    client.send(Method::POST, &path, None)?.success()?;
    say!("invalidated");
    Ok(ExitCode::SUCCESS)
}

fn absent(answer: miette::Result<crate::client::Answer>) -> miette::Result<ExitCode> {
    if let Err(problem) = answer {
        eprintln!("{problem}");
    }
    Ok(ExitCode::from(NOT_FOUND))
}
