// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::{Control, Present, Way};

/// What is passed on in one piece.
const PIECE_LEN: usize = 64 * 1024;
/// How long a connection that is to be reset after its text waits for the server to carry that out.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Link {
    control: Arc<Control>,
    present: watch::Receiver<Present>,
    resets: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// Why a direction ended.
enum End {
    /// The sender has nothing more to say.
    Finished,
    /// The connection is to be reset, after the server has answered or at once.
    Reset { answered: bool },
}

impl Link {
    pub(super) fn new(control: Arc<Control>) -> Self {
        let mut present = control.present.subscribe();
        let resets = present.borrow_and_update().resets;
        Self { control, present, resets }
    }

    /// Passes both directions on until one of them ends or is broken.
    pub(super) async fn pass(self, mut client: TcpStream, target: SocketAddr) {
        let mut watching = self.present.clone();
        let is_broken = |present: &Present| present.way == Way::Cut || present.resets != self.resets;
        let passing = async {
            let mut server = TcpStream::connect(target).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (client_read, client_write) = client.split();
            let (server_read, server_write) = server.split();
            let end = tokio::select! {
                end = self.pump(Direction::Request, client_read, server_write) => end,
                end = self.pump(Direction::Answer, server_read, client_write) => end,
            };
            if let Ok(End::Reset { answered }) = end {
                if answered {
                    // A client that learns of the reset finds the text carried out: the answer is there, unread.
                    let _ = tokio::time::timeout(CARRIED_OUT_WITHIN, server.readable()).await;
                }
                client.set_zero_linger()?;
            }
            io::Result::Ok(())
        };
        let broken = tokio::select! {
            passed = passing => passed.is_err(),
            _ = watching.wait_for(is_broken) => true,
        };
        if broken {
            let _ = client.set_zero_linger();
        }
    }

    async fn pump(
        &self,
        direction: Direction,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<End> {
        let mut piece = vec![0; PIECE_LEN];
        loop {
            let len = from.read(&mut piece).await?;
            if len == 0 {
                return Ok(End::Finished);
            }
            self.wait(direction).await;
            let passes = if direction == Direction::Request { self.sprung(&piece[..len]) } else { None };
            if passes != Some(false) {
                to.write_all(&piece[..len]).await?;
            }
            if let Some(answered) = passes {
                return Ok(End::Reset { answered });
            }
        }
    }

    /// Waits until the way lets this direction pass.
    async fn wait(&self, direction: Direction) {
        let mut present = self.present.clone();
        let passes = |present: &Present| match present.way {
            Way::Open | Way::Slow(_) => true,
            Way::HalfOpen => direction == Direction::Request,
            Way::Silent | Way::Cut => false,
        };
        let way = present.wait_for(passes).await.map(|present| present.way);
        if let Ok(Way::Slow(delay)) = way {
            tokio::time::sleep(delay).await;
        }
    }

    /// Whether `piece` springs the trap; then whether it is still passed on.
    fn sprung(&self, piece: &[u8]) -> Option<bool> {
        let mut trap = self.control.trap.lock();
        let is_there = |text: &[u8]| piece.windows(text.len()).any(|window| window == text);
        trap.take_if(|trap| is_there(&trap.text)).map(|trap| trap.passes)
    }
}
