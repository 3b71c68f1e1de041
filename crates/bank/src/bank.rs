// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the bank and tells it what to go through.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::ledger::HangUp;
use crate::service::{BankCounts, Service};

/// Is told what the bank does, in a few words each.
pub type Told = Arc<dyn Fn(&str) + Send + Sync>;

/// What kind of a bank.
#[derive(Clone)]
pub struct BankOptions {
    /// Its port on this machine; 0 takes a free one.
    pub port: u16,
    /// How long a save takes, in milliseconds. Default: 2,000.
    pub save_ms: u64,
    /// How long a read takes, in milliseconds. Default: 1,500.
    pub read_ms: u64,
    /// Whether answers carry entity tags. Default: yes.
    pub has_tags: bool,
    /// Whether it remembers idempotency keys. Default: yes.
    pub remembers: bool,
    /// What it wants to see as a bearer token. Default: nothing.
    pub token: Option<String>,
    /// Is told what happens. Default: nobody.
    pub told: Option<Told>,
}

impl Default for BankOptions {
    fn default() -> Self {
        Self {
            port: 0,
            save_ms: 2_000,
            read_ms: 1_500,
            has_tags: true,
            remembers: true,
            token: None,
            told: None,
        }
    }
}

impl BankOptions {
    /// A bank that takes no time.
    pub fn quick() -> Self {
        Self { save_ms: 0, read_ms: 0, ..Self::default() }
    }
}

impl fmt::Debug for BankOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BankOptions")
            .field("port", &self.port)
            .field("save_ms", &self.save_ms)
            .field("read_ms", &self.read_ms)
            .finish_non_exhaustive()
    }
}

/// An open bank; dropping it closes it, in the middle of whatever it does.
#[derive(Debug)]
pub struct Bank {
    address: SocketAddr,
    service: Arc<Service>,
    accepting: JoinHandle<()>,
}

impl Bank {
    /// Opens a bank on this machine. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(options: BankOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let service = Arc::new(Service::new(options));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&service)));
        Ok(Self { address, service, accepting })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its database holds: paths with documents, in the order of the paths.
    pub fn rows(&self) -> Vec<(String, String)> {
        self.service.ledger.lock().rows()
    }

    /// Somebody else saves a document, at once.
    pub fn save(&self, path: &str, document: &str) {
        self.service.ledger.lock().save(path, document.to_owned().into(), "application/json");
    }

    /// From now on, how long a save and a read take, in milliseconds.
    pub fn take_ms(&self, save_ms: u64, read_ms: u64) {
        self.service.save_ms.store(save_ms, Ordering::Relaxed);
        self.service.read_ms.store(read_ms, Ordering::Relaxed);
    }

    /// From now on it declines everything for `ms` milliseconds, and says so with 503 and `Retry-After`.
    pub fn decline_for_ms(&self, ms: u64) {
        self.service.ledger.lock().declines_until = Some(Instant::now() + Duration::from_millis(ms));
    }

    /// The next saves end with the connection, in this order.
    pub fn hang_up(&self, at: &[HangUp]) {
        self.service.ledger.lock().hang_ups.extend(at);
    }

    /// The next saves are answered by these statuses and not done, in this order.
    pub fn refuse(&self, statuses: &[u16]) {
        self.service.ledger.lock().refusals.extend(statuses);
    }

    /// What was counted so far.
    pub fn counts(&self) -> BankCounts {
        self.service.counts()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    // With it, every connection ends.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                service.note_connection();
                let service = Arc::clone(&service);
                connections.spawn(async move {
                    let serve = service_fn(|request| Arc::clone(&service).serve(request));
                    // A client that leaves, and a connection on which we hang up, are no news.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
