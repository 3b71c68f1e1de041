// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache servers as one daemon sees them, with nonces that a test gives them.

use std::sync::{Arc, Mutex, MutexGuard};

use throughline_core::{
    BoxFuture, Error, ErrorKind, Key, NodeId, NodeName, Nodes, Nonce, ResourceName, Result,
};

/// Servers that need not exist. Keys are spread over them by their first byte.
#[derive(Debug)]
pub struct FakeNodes {
    names: Vec<NodeName>,
    servers: Mutex<Vec<FakeServer>>,
}

#[derive(Clone, Copy, Debug)]
struct FakeServer {
    /// What it shows; `None` when it cannot be reached.
    shows: Option<Nonce>,
    expected: Option<Nonce>,
}

impl FakeNodes {
    /// Servers of these names, each showing a nonce of its own.
    pub fn new(names: &[&str]) -> Arc<Self> {
        let names: Vec<_> = names.iter().map(|name| NodeName::new(name).expect("a server's name")).collect();
        let server = |place| FakeServer { shows: Some(Nonce(1_000 + place)), expected: None };
        let servers = Mutex::new((0..names.len() as u64).map(server).collect());
        Arc::new(Self { names, servers })
    }

    /// Makes a server show another nonce, or none because it cannot be reached.
    pub fn show(&self, node: usize, nonce: Option<u64>) {
        self.servers()[node].shows = nonce.map(Nonce);
    }

    /// What a server is expected to show.
    pub fn expected(&self, node: usize) -> Option<Nonce> {
        self.servers()[node].expected
    }

    fn servers(&self) -> MutexGuard<'_, Vec<FakeServer>> {
        self.servers.lock().expect("no test panics while it holds the servers")
    }
}

impl Nodes for FakeNodes {
    fn names(&self) -> &[NodeName] {
        &self.names
    }

    fn node_of(&self, _resource: &ResourceName, key: &Key) -> NodeId {
        let first = usize::from(key.as_str().bytes().next().unwrap_or(0));
        NodeId(u16::try_from(first % self.names.len()).expect("few servers"))
    }

    fn identify(&self, node: NodeId) -> BoxFuture<'_, Result<Nonce>> {
        let shows = self.servers()[usize::from(node.0)].shows;
        let gone = || Error::new(ErrorKind::Unavailable, "identify a cache server", "it was cut off");
        Box::pin(async move {
            tokio::task::yield_now().await;
            shows.ok_or_else(gone)
        })
    }

    fn expect(&self, node: NodeId, nonce: Option<Nonce>) {
        self.servers()[usize::from(node.0)].expected = nonce;
    }
}
