// SPDX-License-Identifier: MIT OR Apache-2.0
//! `serve`: the daemon.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use throughline::config::Listen;
use throughline::{Assembly, Throughline};
use throughline_server::http::{HttpDoor, serve_http};
use throughline_server::memcached::{MemcachedDoor, serve_memcached};
use throughline_server::{Listener, Shutdown};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::args::ServeArgs;
use crate::out::say;
use crate::settings::load;

pub(crate) fn run(args: &ServeArgs) -> miette::Result<ExitCode> {
    start_log();
    let mut loaded = load(&args.source)?;
    let listen = &mut loaded.settings.listen;
    if let Some(http) = args.http {
        listen.http = http.0;
    }
    if let Some(memcached) = args.memcached {
        listen.memcached = memcached.0;
    }
    check_exposure(listen)?;
    let listen = listen.clone();
    runtime(args.threads)?.block_on(async {
        let doors = Doors::bind(&listen).await?;
        let opened = Assembly::new(loaded.settings.clone()).open().await;
        let throughline = opened.map_err(|mistake| loaded.report(mistake))?;
        print_resources(&throughline);
        doors.print();
        let clean = doors.serve(throughline, &listen, Duration::from_secs(args.shutdown_timeout)).await?;
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Log lines go to standard error, so that standard output holds what a script may read. `RUST_LOG` filters.
fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
}

/// The threads that serve; files and DNS names have others.
pub(crate) fn runtime(threads: Option<u16>) -> miette::Result<Runtime> {
    let mut builder = match threads {
        // With nobody to share work with, nothing is paid for sharing.
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        builder.worker_threads(usize::from(threads));
    }
    builder.enable_all().build().into_diagnostic()
}

/// The command line may open a door that the configuration kept on loopback.
fn check_exposure(listen: &Listen) -> miette::Result<()> {
    let open = |address: Option<SocketAddr>| address.is_some_and(|address| !address.ip().is_loopback());
    if open(listen.memcached) {
        return Err(miette!(
            help = "listen on 127.0.0.1 and reach it from elsewhere through a tunnel, or use the HTTP door",
            "the memcached protocol has no token, so its listener stays on loopback"
        ));
    }
    if open(listen.http) && listen.token.is_none() {
        return Err(miette!(
            help = "set `token` or `token_file` in [listen] of a configuration file, or listen on 127.0.0.1",
            "a listener beyond loopback needs a token"
        ));
    }
    Ok(())
}

/// What is served, one resource a line, and why at that level.
pub(crate) fn print_resources(throughline: &Throughline) {
    let width =
        throughline.listings().iter().map(|listing| listing.space.name().as_str().len()).max().unwrap_or(0);
    for listing in throughline.listings() {
        let (space, about) = (&listing.space, &listing.about);
        let policy = space.policy();
        say!(
            "{:<width$}  table {} of {}, cache {}, {}, {}, access {}",
            space.name().as_str(),
            about.table,
            about.source,
            about.cache,
            policy.read,
            policy.write,
            policy.access,
        );
        say!("{:<width$}  {}: {}", "", policy.level, about.level_reason);
        say!("{:<width$}  {}", "", about.others_seen);
        if let Some(remedy) = &about.remedy {
            say!("{:<width$}  try: {remedy}", "");
        }
    }
    for notice in throughline.notices() {
        say!("{}: {}", if notice.is_fault { "warning" } else { "note" }, notice.text);
    }
    if throughline.listings().is_empty() && throughline.plain().is_none() {
        say!(
            "note: nothing is served; the database has no table with a primary key, or no resource names one"
        );
    }
}

/// The doors, bound before anything is opened, so that a port that is taken is told at once.
struct Doors {
    memcached: Option<Listener>,
    http: Option<Listener>,
}

impl Doors {
    async fn bind(listen: &Listen) -> miette::Result<Self> {
        Ok(Self {
            memcached: bind("memcached", listen.memcached).await?,
            http: bind("http", listen.http).await?,
        })
    }

    fn print(&self) {
        if let Some(memcached) = &self.memcached {
            say!("memcached  {}", memcached.address());
        }
        if let Some(http) = &self.http {
            say!("http       http://{}", http.address());
        }
    }

    /// Serves until SIGTERM or SIGINT; whether everything in flight ended in time.
    async fn serve(self, throughline: Throughline, listen: &Listen, limit: Duration) -> miette::Result<bool> {
        let shutdown = Shutdown::new(limit);
        let mut doors = tokio::task::JoinSet::new();
        if let Some(listener) = self.memcached {
            let (throughline, shutdown) = (throughline.clone(), shutdown.clone());
            doors.spawn(async move {
                serve_memcached(listener, throughline, MemcachedDoor::default(), shutdown).await
            });
        }
        if let Some(listener) = self.http {
            let door = HttpDoor { token: listen.token.clone(), ..HttpDoor::default() };
            let (throughline, shutdown) = (throughline.clone(), shutdown.clone());
            doors.spawn(async move { serve_http(listener, throughline, door, shutdown).await });
        }
        let (mut term, mut int) = (
            signal(SignalKind::terminate()).into_diagnostic()?,
            signal(SignalKind::interrupt()).into_diagnostic()?,
        );
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: shutting down"),
            _ = int.recv() => tracing::info!("SIGINT: shutting down"),
        }
        shutdown.begin();
        let mut clean = true;
        while let Some(ended) = doors.join_next().await {
            clean &= ended.into_diagnostic().wrap_err("a door broke down")?;
        }
        for left in throughline.drain(limit).await {
            clean &= left.pending == 0;
            tracing::warn!("{left}");
        }
        clean &= throughline.shut_down(limit).await;
        tracing::info!(clean, "stopped");
        Ok(clean)
    }
}

async fn bind(door: &str, address: Option<SocketAddr>) -> miette::Result<Option<Listener>> {
    let Some(address) = address else { return Ok(None) };
    let bound = Listener::bind(address, Listener::CONNECTIONS_MAX).await;
    let bound = bound.map_err(|error| {
        miette!(
            help =
                format!("another program may listen there; choose another address with --{door} 127.0.0.1:0"),
            "cannot open the {door} door: {error}"
        )
    });
    bound.map(Some)
}
