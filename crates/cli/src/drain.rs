// SPDX-License-Identifier: MIT OR Apache-2.0
//! `drain`: all accepted writes are applied, by the daemon that has the journal, or here when none has it.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use miette::miette;
use serde_json::Value;
use throughline::{Assembly, Behind};
use ureq::http::Method;

use crate::args::{DrainArgs, SourceArgs};
use crate::client::Client;
use crate::journal::summary;
use crate::out::say;
use crate::serve::runtime;
use crate::settings::load;

/// How often it is looked how much is left.
const LOOK: Duration = Duration::from_millis(200);
/// The width of the bar, in characters.
const BAR: usize = 40;

pub(crate) fn run(args: &DrainArgs) -> miette::Result<ExitCode> {
    match &args.config {
        Some(config) => here(args, config),
        None => there(args),
    }
}

/// Asks the daemon.
fn there(args: &DrainArgs) -> miette::Result<ExitCode> {
    let client = Client::new(&args.server);
    let resources = match &args.resource {
        Some(resource) => vec![resource.clone()],
        None => {
            let listed = client.send(Method::GET, "/admin/journal", None)?.success()?.json()?;
            let named = |line: &Value| line["resource"].as_str().map(str::to_owned);
            listed.as_array().into_iter().flatten().filter_map(named).collect()
        }
    };
    if resources.is_empty() {
        say!("nothing is written behind");
        return Ok(ExitCode::SUCCESS);
    }
    for resource in &resources {
        client.send(Method::POST, &format!("/admin/journal/{resource}/_drain"), None)?.success()?;
    }
    let look = || -> miette::Result<Vec<Value>> {
        let listed = client.send(Method::GET, "/admin/journal", None)?.success()?.json()?;
        let is_wanted = |line: &&Value| resources.iter().any(|name| line["resource"] == name.as_str());
        Ok(listed.as_array().into_iter().flatten().filter(is_wanted).cloned().collect())
    };
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut bar = Bar::default();
    loop {
        let lines = look()?;
        let pending = lines.iter().filter_map(|line| line["pending"].as_u64()).sum();
        bar.show(pending);
        if pending == 0 || Instant::now() >= deadline {
            bar.end();
            lines.iter().for_each(|line| say!("{}", summary(line)));
            return outcome(pending, args.timeout);
        }
        std::thread::park_timeout(LOOK);
    }
}

fn outcome(pending: u64, seconds: u64) -> miette::Result<ExitCode> {
    if pending == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(miette!(
        help = "`throughline journal list RESOURCE` says why; what is left stays in the journal and is tried again",
        "{pending} writes are not applied after {seconds} s"
    ))
}

/// Takes the journal's folder and drains it in this process.
fn here(args: &DrainArgs, config: &Path) -> miette::Result<ExitCode> {
    let source = SourceArgs { url: None, config: Some(config.to_owned()), write: false, data_dir: None };
    let loaded = load(&source)?;
    runtime(None)?.block_on(async {
        let opened = Assembly::new(loaded.settings.clone()).open().await;
        let throughline = opened.map_err(|mistake| loaded.report(mistake))?;
        let is_wanted =
            |behind: &&Behind| args.resource.as_deref().is_none_or(|name| behind.resource().as_str() == name);
        let behinds: Vec<_> =
            throughline.listings().iter().filter_map(|listing| listing.behind.clone()).collect();
        let wanted: Vec<&Behind> = behinds.iter().map(AsRef::as_ref).filter(is_wanted).collect();
        if wanted.is_empty() {
            say!("nothing is written behind");
            return Ok(ExitCode::SUCCESS);
        }
        let pending = apply(&wanted, Duration::from_secs(args.timeout)).await;
        let mut is_well = true;
        for behind in &wanted {
            is_well &= give_up(behind).await;
        }
        throughline.shut_down(Duration::from_secs(10)).await;
        outcome(pending, args.timeout)?;
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Has everything applied and tidied up, for at most `limit`. How many writes are left.
async fn apply(behinds: &[&Behind], limit: Duration) -> u64 {
    // All at once, although they are waited for one after the other.
    behinds.iter().for_each(|behind| behind.start_drain());
    let all = async {
        for behind in behinds {
            if let Err(error) = behind.drain().await {
                eprintln!("{}: {error}", behind.resource());
            }
        }
    };
    let mut all = std::pin::pin!(all);
    let deadline = Instant::now() + limit;
    let mut bar = Bar::default();
    loop {
        let is_done = tokio::time::timeout(LOOK, all.as_mut()).await.is_ok();
        let pending = behinds.iter().map(|behind| behind.pending_count() as u64).sum();
        bar.show(pending);
        if is_done || Instant::now() >= deadline {
            bar.end();
            return pending;
        }
    }
}

/// Gives a resource up, since another daemon may have it now; or says why not. Whether nothing failed: a dead letter may wait.
async fn give_up(behind: &Behind) -> bool {
    let released = behind.release().await;
    let (name, pending, letters) = (behind.resource(), behind.pending_count(), behind.letter_count());
    let applied = behind.stats().applied.get();
    say!("{name}  {pending} pending, {letters} dead letters; {applied} applied");
    let why = match &released {
        Ok(true) => return true,
        Ok(false) if pending > 0 => format!("{pending} writes are not applied"),
        Ok(false) if letters > 0 => {
            format!(
                "{letters} dead letters wait for a decision (start the daemon, then `throughline journal list {name}`)"
            )
        }
        Ok(false) => "entries that differ from their rows are not dropped from the cache yet".to_owned(),
        Err(error) => error.to_string(),
    };
    say!("{name}  is not given up, so no other daemon can serve its table: {why}");
    letters > 0 && released.is_ok()
}

/// How far it is, on a terminal.
#[derive(Default)]
struct Bar {
    most: u64,
    is_shown: bool,
}

impl Bar {
    fn show(&mut self, pending: u64) {
        self.most = self.most.max(pending);
        if self.most == 0 || !std::io::stderr().is_terminal() {
            return;
        }
        self.is_shown = true;
        let done = self.most - pending;
        let filled = usize::try_from(done * BAR as u64 / self.most).unwrap_or(BAR);
        eprint!("\r[{:<BAR$}] {done} of {} ", "#".repeat(filled), self.most);
        drop(std::io::stderr().flush());
    }

    fn end(&self) {
        if self.is_shown {
            eprintln!();
        }
    }
}
