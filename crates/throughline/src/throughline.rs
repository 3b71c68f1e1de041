// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that one program serves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use throughline_core::{Error, ErrorKind, PlainStore, ResourceName, Result};

use throughline_engine::{Fence, TransactionSource};

use crate::listing::Listing;
use crate::record_key::RecordKey;
use crate::resource::Resource;
use crate::tasks::TrackedTasks;

/// A number that a backend tells about itself, for `/metrics` and `stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// `source`, `cache` or `journal`.
    pub role: &'static str,
    /// The backend's name in the configuration.
    pub backend: String,
    /// Which server of the backend, if it has several places to count.
    pub node: Option<String>,
    /// What is counted, in snake case.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// The number.
    pub number: u64,
}

/// What a person should know before relying on a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is.
    pub text: String,
    /// Whether something that was asked for cannot be had now.
    pub is_fault: bool,
}

/// What a resource's journal keeps when its daemon stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undrained {
    /// The resource.
    pub resource: ResourceName,
    /// Accepted writes that are not applied.
    pub pending: usize,
    /// Dead letters.
    pub letters: usize,
}

impl fmt::Display for Undrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, pending, letters } = self;
        write!(
            f,
            "resource `{resource}`: {pending} accepted writes and {letters} dead letters stay in the journal, for the \
             next start with this data_dir"
        )
    }
}

type Gauges = Box<dyn Fn() -> Vec<Gauge> + Send + Sync>;

/// The resources that one program serves, with their caches and sources. A clone is another handle.
#[derive(Clone)]
pub struct Throughline {
    inner: Arc<Inner>,
}

struct Inner {
    listings: Vec<Listing>,
    by_name: HashMap<String, usize>,
    plain: Option<Arc<dyn PlainStore>>,
    gauges: Gauges,
    tasks: TrackedTasks,
    notices: Vec<Notice>,
    transactions: OnceLock<Vec<Arc<TransactionSource>>>,
    fences: OnceLock<Vec<Arc<Fence>>>,
}

/// The last handle takes the background work along, which would otherwise keep sources and their locks open.
impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl fmt::Debug for Throughline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throughline").field("listings", &self.inner.listings).finish_non_exhaustive()
    }
}

impl Throughline {
    /// Puts together what assembly, or a program with backends of its own, has made.
    pub fn new(
        listings: Vec<Listing>,
        plain: Option<Arc<dyn PlainStore>>,
        gauges: impl Fn() -> Vec<Gauge> + Send + Sync + 'static,
        tasks: TrackedTasks,
        notices: Vec<Notice>,
    ) -> Self {
        let by_name = listings.iter().enumerate();
        let by_name =
            by_name.map(|(place, listing)| (listing.space.name().as_str().to_owned(), place)).collect();
        let (gauges, transactions, fences) = (Box::new(gauges), OnceLock::new(), OnceLock::new());
        let inner = Inner { listings, by_name, plain, gauges, tasks, notices, transactions, fences };
        Self { inner: Arc::new(inner) }
    }

    /// Names the sources that have transactions, once.
    ///
    /// # Panics
    /// When it is called twice.
    #[must_use]
    pub fn with_transactions(self, sources: Vec<Arc<TransactionSource>>) -> Self {
        self.inner.transactions.set(sources).expect("assembly names the sources once");
        self
    }

    pub(crate) fn transaction_sources(&self) -> &[Arc<TransactionSource>] {
        self.inner.transactions.get().map_or(&[], Vec::as_slice)
    }

    /// Names what the fleet agrees on its cache servers by, once.
    ///
    /// # Panics
    /// When it is called twice.
    #[must_use]
    pub fn with_fences(self, fences: Vec<Arc<Fence>>) -> Self {
        self.inner.fences.set(fences).expect("assembly names the fences once");
        self
    }

    /// Makes every entry on the cache server `name` unreachable, for every daemon; returns when nobody can read one
    /// any more. The server is used again when it has been well for a while (5 s, longer when it was fenced before).
    /// To be called when what it holds cannot be trusted: its memory was restored from an image, or it was another
    /// program's.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no such server whose use is agreed on by control tables; the text
    /// names those that there are. Those of the control tables; [`ErrorKind::Timeout`] when it is under way and took
    /// too long.
    pub async fn invalidate_server(&self, name: &str) -> Result<()> {
        let fences = self.inner.fences.get().map_or(&[][..], Vec::as_slice);
        let mut is_known = false;
        for fence in fences {
            if let Some(node) = fence.node_named(name) {
                is_known = true;
                fence.empty(node, "an operator asked for it").await?;
            }
        }
        if is_known {
            return Ok(());
        }
        let standings: Vec<_> = fences.iter().flat_map(|fence| fence.standings()).collect();
        let known: Vec<_> = standings.iter().map(|standing| standing.name.as_str()).collect();
        let detail = match known.is_empty() {
            true => "no cache server is under control tables (`throughline init URL` makes them); \
                     drop entries by `throughline invalidate --all RESOURCE`"
                .to_owned(),
            false => format!("there is no cache server `{name}`; there are: {}", known.join(", ")),
        };
        Err(Error::new(ErrorKind::Configuration, "invalidate a cache server's entries", detail))
    }

    /// Every resource, in the order of the configuration or the catalogue.
    pub fn listings(&self) -> &[Listing] {
        &self.inner.listings
    }

    /// The resource of this name.
    pub fn listing(&self, name: &str) -> Option<&Listing> {
        self.inner.by_name.get(name).map(|place| &self.inner.listings[*place])
    }

    /// The resource of this name, as typed records.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is none; the text lists those that there are.
    pub fn resource<K, V>(&self, name: &str) -> Result<Resource<K, V>>
    where
        K: RecordKey + ?Sized,
        V: Serialize + DeserializeOwned,
    {
        let Some(listing) = self.listing(name) else {
            let known: Vec<_> =
                self.inner.listings.iter().map(|listing| listing.space.name().as_str()).collect();
            let detail = format!("there is no resource `{name}`; there are: {}", known.join(", "));
            return Err(Error::new(ErrorKind::Configuration, "open a resource", detail));
        };
        Ok(Resource::new(listing, &self.inner.tasks))
    }

    /// What a person should know before relying on this program: tables that are not served, and why.
    pub fn notices(&self) -> &[Notice] {
        &self.inner.notices
    }

    /// The plain space, if there is one.
    pub fn plain(&self) -> Option<&Arc<dyn PlainStore>> {
        self.inner.plain.as_ref()
    }

    /// What the backends count about themselves.
    pub fn gauges(&self) -> Vec<Gauge> {
        (self.inner.gauges)()
    }

    /// The backends whose breaker is not closed, in words; none when all is well.
    pub fn ailments(&self) -> Vec<String> {
        let breakers = self.gauges().into_iter().filter(|gauge| gauge.name == "breaker" && gauge.number > 0);
        breakers.map(|Gauge { role, backend, .. }| format!("{role} `{backend}` does not answer")).collect()
    }

    /// Whether there is a backend that can answer something: a cache its entries, a source its records.
    ///
    /// A breaker that is half-open counts as able: it needs a request to find out.
    pub fn can_answer(&self) -> bool {
        // Journals, fences and feeds answer nobody.
        let is_backend = |gauge: &Gauge| matches!(gauge.role, "cache" | "source");
        let gauges: Vec<Gauge> = self.gauges().into_iter().filter(is_backend).collect();
        let open = gauges.iter().filter(|gauge| gauge.name == "breaker" && gauge.number == 2);
        let open: HashSet<_> = open.map(|gauge| (gauge.role, &gauge.backend)).collect();
        let is_able = |gauge: &Gauge| !open.contains(&(gauge.role, &gauge.backend));
        self.inner.plain.is_some() || gauges.is_empty() || gauges.iter().any(is_able)
    }

    /// Background work, for doors that need some.
    pub fn tasks(&self) -> &TrackedTasks {
        &self.inner.tasks
    }

    /// Applies what was accepted, within `limit`, and gives up the resources of which nothing is left, so that another
    /// daemon may have them. Call it after the doors are closed. What is left.
    pub async fn drain(&self, limit: Duration) -> Vec<Undrained> {
        let behinds: Vec<_> = self.listings().iter().filter_map(|listing| listing.behind.clone()).collect();
        // All drain by themselves meanwhile, so waiting for one after the other costs no time.
        behinds.iter().for_each(|behind| behind.start_drain());
        let mut left = Vec::new();
        let deadline = tokio::time::Instant::now() + limit;
        for behind in behinds {
            let _ = tokio::time::timeout_at(deadline, behind.drain()).await;
            let released = tokio::time::timeout_at(deadline, behind.release()).await;
            if let Ok(Err(error)) = &released {
                tracing::warn!(resource = %behind.resource(), %error, "the resource could not be given up");
            }
            let (pending, letters) = (behind.pending_count(), behind.letter_count());
            if pending + letters > 0 {
                left.push(Undrained { resource: behind.resource().clone(), pending, letters });
            }
        }
        left
    }

    /// Stops the background work; call it after the doors are closed. Whether all of it ended within `limit`.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        self.inner.tasks.shut_down(limit).await
    }
}
