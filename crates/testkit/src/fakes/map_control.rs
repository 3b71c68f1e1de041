// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control tables in memory, with a door for each daemon that can be shut.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use throughline_core::{
    BoxFuture, ControlStore, ControlView, Error, ErrorKind, FenceState, Lineage, Mode, NodeRow, ResourceRow,
    Result, Transition,
};

/// The rows that several daemons share.
#[derive(Clone, Debug)]
pub struct MapControl {
    view: Arc<Mutex<ControlView>>,
}

impl MapControl {
    /// Empty tables with a lease of `lease_ms`.
    pub fn new(lease_ms: u64) -> Self {
        let view = ControlView {
            lineage: Lineage::new("first"),
            lease_ms,
            rho_ppm: 10_000,
            nodes: Vec::new(),
            resources: Vec::new(),
        };
        Self { view: Arc::new(Mutex::new(view)) }
    }

    /// The way of one more daemon to the rows.
    pub fn door(&self) -> Arc<MapControlDoor> {
        let door = MapControlDoor {
            control: self.clone(),
            is_shut: AtomicBool::new(false),
            ends_fences_at_once: AtomicBool::new(false),
            views: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
        };
        Arc::new(door)
    }

    /// The rows as they are.
    pub fn now(&self) -> ControlView {
        self.rows().clone()
    }

    /// Another server takes over, with the same rows.
    pub fn fail_over(&self, lineage: &str) {
        self.rows().lineage = Lineage::new(lineage);
    }

    /// Puts back rows as they were once, as restoring a backup does.
    pub fn restore(&self, before: ControlView) {
        *self.rows() = before;
    }

    fn rows(&self) -> MutexGuard<'_, ControlView> {
        self.view.lock().expect("no test panics while it holds the rows")
    }

    fn apply(&self, transition: &Transition) -> bool {
        use FenceState::{Active, Fenced, Fencing};
        let mut view = self.rows();
        match transition.clone() {
            Transition::Enroll { node, generation, nonce, lineage } => {
                if view.node(&node).is_some() {
                    return false;
                }
                view.nodes.push(NodeRow {
                    name: node,
                    generation,
                    previous: generation,
                    state: Active,
                    nonce,
                    lineage,
                    map_version: 1,
                    revision: 1,
                });
                true
            }
            Transition::StartFence { node, generation, next, lineage, why: _ } => {
                let row = view.nodes.iter_mut().find(|row| row.name == node);
                change(
                    row,
                    |row| row.generation == generation && row.state != Fencing,
                    |row| {
                        (row.previous, row.generation, row.state) = (generation, next, Fencing);
                        row.lineage = lineage;
                        row.revision += 1;
                    },
                )
            }
            Transition::EndFence { node, generation } => {
                let row = view.nodes.iter_mut().find(|row| row.name == node);
                change(
                    row,
                    |row| row.generation == generation && row.state == Fencing,
                    |row| {
                        row.state = Fenced;
                        row.revision += 1;
                    },
                )
            }
            Transition::Readmit { node, generation, nonce } => {
                let row = view.nodes.iter_mut().find(|row| row.name == node);
                change(
                    row,
                    |row| row.generation == generation && row.state == Fenced,
                    |row| {
                        (row.state, row.nonce) = (Active, nonce);
                        row.revision += 1;
                    },
                )
            }
            Transition::AdoptNonce { node, generation, before, nonce } => {
                let row = view.nodes.iter_mut().find(|row| row.name == node);
                let is_it = |row: &NodeRow| {
                    row.generation == generation && row.state == Active && row.nonce == before
                };
                change(row, is_it, |row| {
                    row.nonce = nonce;
                    row.revision += 1;
                })
            }
            Transition::EnrollResource { resource, generation } => {
                if view.resource(&resource).is_some() {
                    return false;
                }
                view.resources.push(ResourceRow {
                    name: resource,
                    mode: Mode::Cache,
                    generation,
                    previous: generation,
                    state: Active,
                    revision: 1,
                });
                true
            }
            Transition::StartBump { resource, generation, next } => {
                let row = view.resources.iter_mut().find(|row| row.name == resource);
                change(
                    row,
                    |row| row.generation == generation && row.state == Active,
                    |row| {
                        (row.previous, row.generation, row.state) = (generation, next, Fencing);
                        row.revision += 1;
                    },
                )
            }
            Transition::EndBump { resource, generation } => {
                let row = view.resources.iter_mut().find(|row| row.name == resource);
                change(
                    row,
                    |row| row.generation == generation && row.state == Fencing,
                    |row| {
                        row.state = Active;
                        row.revision += 1;
                    },
                )
            }
            Transition::SetMode { resource, mode } => {
                let row = view.resources.iter_mut().find(|row| row.name == resource);
                change(
                    row,
                    |_| true,
                    |row| {
                        row.mode = mode;
                        row.revision += 1;
                    },
                )
            }
        }
    }
}

fn change<R>(row: Option<&mut R>, is_it: impl FnOnce(&R) -> bool, change: impl FnOnce(&mut R)) -> bool {
    let Some(row) = row.filter(|row| is_it(row)) else { return false };
    change(row);
    true
}

/// One daemon's way to the rows.
#[derive(Debug)]
pub struct MapControlDoor {
    control: MapControl,
    is_shut: AtomicBool,
    ends_fences_at_once: AtomicBool,
    views: AtomicU64,
    delay_ms: AtomicU64,
}

impl MapControlDoor {
    /// Cuts this daemon off from the rows, or connects it again.
    pub fn set_shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::SeqCst);
    }

    /// Plants a fault: a fence that this daemon starts ends without the wait for the others' leases.
    pub fn end_fences_at_once(&self) {
        self.ends_fences_at_once.store(true, Ordering::SeqCst);
    }

    /// Lets every answer take so long, after the rows were looked at.
    pub fn set_delay_ms(&self, delay_ms: u64) {
        self.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// How often this daemon read the rows.
    pub fn views(&self) -> u64 {
        self.views.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, "read the control tables", "they were cut off");
        if self.is_shut.load(Ordering::SeqCst) { Err(gone()) } else { Ok(()) }
    }
}

impl ControlStore for MapControlDoor {
    fn view(&self) -> BoxFuture<'_, Result<ControlView>> {
        Box::pin(async {
            self.views.fetch_add(1, Ordering::SeqCst);
            self.check()?;
            // Between the request and the answer others have their turn, as over a network.
            tokio::task::yield_now().await;
            let view = self.control.now();
            tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
            Ok(view)
        })
    }

    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            self.check()?;
            tokio::task::yield_now().await;
            let applied = self.control.apply(transition);
            if let (Transition::StartFence { node, next, .. }, true) = (transition, applied)
                && self.ends_fences_at_once.load(Ordering::SeqCst)
            {
                self.control.apply(&Transition::EndFence { node: node.clone(), generation: *next });
            }
            tokio::task::yield_now().await;
            Ok(applied)
        })
    }
}
