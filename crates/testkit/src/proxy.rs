// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way between two programs that a test can break.

mod link;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use link::Link;

/// Connections at once; more are turned away.
const LINKS_MAX: usize = 1_024;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It arrives.
    #[default]
    Open,
    /// It arrives so much later, each way.
    Slow(Duration),
    /// Connections stay open and are still made; nothing arrives, either way. What was sent arrives when the way
    /// is open again.
    Silent,
    /// Requests arrive, answers do not: the connection is half open.
    HalfOpen,
    /// Connections are reset, and no new one is made.
    Cut,
}

/// Passes connections on to one server, on a port of its own and on a thread of its own, so that it goes on in
/// real time whatever the runtime of the test does. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

/// What the proxy is told.
#[derive(Debug)]
struct Control {
    present: watch::Sender<Present>,
    /// The text after which the next connection is cut, and whether the text itself still passes.
    trap: Mutex<Option<Trap>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Present {
    way: Way,
    /// Connections that began under another number are reset.
    resets: u64,
    is_over: bool,
}

#[derive(Clone, Debug)]
struct Trap {
    text: Vec<u8>,
    passes: bool,
}

impl Proxy {
    /// A way to the server at `target`, open.
    ///
    /// # Panics
    /// When there is no free port, or no thread.
    pub fn start(target: SocketAddr) -> Self {
        let control =
            Arc::new(Control { present: watch::Sender::new(Present::default()), trap: Mutex::new(None) });
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let passing = Arc::clone(&control);
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a runtime is entered");
                accept(listener, target, passing).await;
            });
        });
        Self { address, control, thread: Some(thread.expect("a thread")) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the way so, for present and later connections.
    pub fn set(&self, way: Way) {
        self.control.present.send_modify(|present| present.way = way);
    }

    /// Opens the way, and takes back [`Proxy::cut_before`] and [`Proxy::cut_after`].
    pub fn heal(&self) {
        *self.control.trap.lock() = None;
        self.set(Way::Open);
    }

    /// Resets every present connection; later ones are made as before.
    pub fn reset(&self) {
        self.control.present.send_modify(|present| present.resets += 1);
    }

    /// Resets the next connection on which the client sends `text`, which does not arrive. Once.
    pub fn cut_before(&self, text: &[u8]) {
        *self.control.trap.lock() = Some(Trap { text: text.to_vec(), passes: false });
    }

    /// Resets the next connection on which the client sends `text`, after the server has answered it (or has not for
    /// a second); the answer does not arrive. Once.
    pub fn cut_after(&self, text: &[u8]) {
        *self.control.trap.lock() = Some(Trap { text: text.to_vec(), passes: true });
    }

    /// Whether the text of [`Proxy::cut_before`] or [`Proxy::cut_after`] is still waited for.
    pub fn is_armed(&self) -> bool {
        self.control.trap.lock().is_some()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.present.send_modify(|present| present.is_over = true);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; a second one here would hide it.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, control: Arc<Control>) {
    let mut present = control.present.subscribe();
    let mut links: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let is_cut = control.present.borrow().way == Way::Cut;
                if is_cut || links.len() >= LINKS_MAX {
                    let _ = client.set_zero_linger();
                } else {
                    links.spawn(Link::new(Arc::clone(&control)).pass(client, target));
                }
            }
            Some(_) = links.join_next() => {}
            _ = present.wait_for(|present| present.is_over) => return,
        }
    }
}
