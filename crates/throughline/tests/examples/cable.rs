// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cable that can be cut: the server behind it goes on and keeps what it has, and nobody reaches it.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A way to a server, over a port of its own.
#[derive(Debug)]
pub(crate) struct Cable {
    address: SocketAddr,
    ends: Arc<Mutex<Ends>>,
}

#[derive(Debug, Default)]
struct Ends {
    is_cut: bool,
    open: Vec<TcpStream>,
}

impl Cable {
    /// A cable to the server at `to`. Its threads end with the process.
    pub(crate) fn lay(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let ends = Arc::new(Mutex::new(Ends::default()));
        let cable = Self { address, ends: Arc::clone(&ends) };
        thread::spawn(move || {
            // Whoever comes while it is cut is hung up on.
            listener.incoming().flatten().for_each(|near| drop(join(&near, to, &ends)));
        });
        cable
    }

    /// Where to plug in.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it: connections end, and new ones are hung up on.
    pub(crate) fn cut(&self) {
        let mut ends = self.ends.lock().expect("nobody panics with the ends in hand");
        ends.is_cut = true;
        // An end that is shut down already needs no more.
        ends.open.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }

    /// Mends it for new connections.
    pub(crate) fn mend(&self) {
        self.ends.lock().expect("nobody panics with the ends in hand").is_cut = false;
    }
}

fn join(near: &TcpStream, to: SocketAddr, ends: &Mutex<Ends>) -> io::Result<()> {
    let mut ends = ends.lock().expect("nobody panics with the ends in hand");
    if ends.is_cut {
        return Ok(());
    }
    let far = TcpStream::connect(to)?;
    for (from, into) in [(near, &far), (&far, near)] {
        let (mut from, mut into) = (from.try_clone()?, into.try_clone()?);
        thread::spawn(move || {
            // However it ends, the other direction ends with it.
            let _ = io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Both);
        });
    }
    ends.open.extend([near.try_clone()?, far]);
    Ok(())
}
