// SPDX-License-Identifier: MIT OR Apache-2.0
//! A door to test, and a peer that knocks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use throughline::{
    About, Access, Generations, Listing, MonotonicClock, PlainStore, Policy, ResourceName, Space, SpaceParts,
    Throughline, TrackedTasks, Writer,
};
use throughline_caches::{MemoryCache, MemoryConfig, PlainMemory, PlainMemoryConfig};
use throughline_core::{Fingerprint, Rng, Scope};
use throughline_server::memcached::{MemcachedDoor, serve_memcached};
use throughline_server::{Listener, Shutdown};
use throughline_testkit::{FlakyCache, MapSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Nothing here takes long; a test that waits longer has found a bug.
const PATIENCE: Duration = Duration::from_secs(30);
const SENTINEL: &str = "MN\r\n";

/// What is to be served.
pub(crate) struct Setting {
    pub(crate) plain: bool,
    pub(crate) config: MemcachedDoor,
    pub(crate) connections_max: u64,
    pub(crate) limit: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            plain: true,
            config: MemcachedDoor::default(),
            connections_max: 100,
            limit: Duration::from_secs(5),
        }
    }
}

/// A door with three resources: `person` may be written, `sight` only read, `shared` has a cache that other
/// processes share.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) person: MapSource,
    pub(crate) sight: MapSource,
    pub(crate) shared: MapSource,
    pub(crate) cache: Arc<FlakyCache>,
    pub(crate) throughline: Throughline,
    pub(crate) shutdown: Shutdown,
    serving: JoinSet<bool>,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(Setting::default()).await
    }

    pub(crate) async fn open_with(setting: Setting) -> Self {
        let tasks = TrackedTasks::new(Handle::current());
        let memory = Arc::new(MemoryCache::new(&MemoryConfig::default(), Arc::new(MonotonicClock)));
        let cache = FlakyCache::new(memory.clone(), Scope::Shared);
        let person = MapSource::with_rows([("1", r#"{"id":1}"#), ("2", r#"{"id":2}"#)]);
        let sight = MapSource::with_rows([("1", "seen")]);
        let shared = MapSource::with_rows([("1", "ours")]);
        let parts = |name: &str, source: &MapSource, access: Access| SpaceParts {
            name: ResourceName::new(name).expect("a name"),
            loader: Arc::new(source.clone()),
            writer: Some(Arc::new(source.clone()) as Arc<dyn Writer>),
            cache: Some(memory.clone()),
            local: Some(memory.clone()),
            nodes: None,
            fingerprint: Fingerprint::of(name.as_bytes()),
            generations: Generations::Own(1),
            policy: Policy { access, ..Policy::default() },
            clock: Arc::new(MonotonicClock),
            rng: Arc::new(Rng::from_seed(1)),
            tasks: Arc::new(tasks.clone()),
            bypass_rate: None,
        };
        let spaces = [
            Space::new(parts("person", &person, Access::Write)),
            Space::new(parts("sight", &sight, Access::Read)),
            Space::new(SpaceParts {
                cache: Some(cache.clone()),
                local: None,
                nodes: None,
                generations: Generations::Shared(1),
                ..parts("shared", &shared, Access::Write)
            }),
        ];
        let listings = spaces.map(|space| Listing { space, about: About::default(), behind: None }).into();
        let plain = PlainMemory::new(&PlainMemoryConfig::default(), Arc::new(MonotonicClock));
        let plain = setting.plain.then(|| Arc::new(plain) as Arc<dyn PlainStore>);
        let throughline = Throughline::new(listings, plain, Vec::new, tasks, Vec::new());
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), setting.connections_max)
            .await
            .expect("a free port");
        let address = listener.address();
        let shutdown = Shutdown::new(setting.limit);
        let mut serving = JoinSet::new();
        serving.spawn(serve_memcached(listener, throughline.clone(), setting.config, shutdown.clone()));
        Self { address, person, sight, shared, cache, throughline, shutdown, serving }
    }

    pub(crate) async fn knock(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// A counter of a resource.
    pub(crate) fn counter(&self, resource: &str, counter: &str) -> u64 {
        let mut found = None;
        let space = &self.throughline.listing(resource).expect("a resource").space;
        space.stats().for_each(|name, _, number| {
            if name == counter {
                found = Some(number);
            }
        });
        found.expect("a counter")
    }

    /// Waits until the door is closed.
    pub(crate) async fn closed(mut self) {
        let ended = patiently(self.serving.join_next()).await;
        ended.expect("it was served").expect("the door closes without a panic");
    }
}

/// A client.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("somebody listens") }
    }

    /// Sends requests and returns all that is answered to them.
    pub(crate) async fn ask(&mut self, requests: impl AsRef<[u8]>) -> String {
        let requests = [requests.as_ref(), b"mn\r\n"].concat();
        let (mut reader, mut writer) = self.stream.split();
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(SENTINEL.as_bytes()) {
                let len = reader.read_buf(&mut answer).await.expect("the connection lives");
                assert!(len > 0, "closed after {:?}", answer.escape_ascii().to_string());
            }
        };
        let (sent, ()) = patiently(async { tokio::join!(writer.write_all(&requests), read) }).await;
        sent.expect("the connection lives");
        let text = String::from_utf8(answer).expect("answers are text");
        text.strip_suffix(SENTINEL).expect("it ends so").to_owned()
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patiently(self.stream.write_all(bytes.as_ref())).await.expect("the connection lives");
    }

    /// The door's version, or `None` when it lets nobody in.
    pub(crate) async fn rest_or_version(mut self) -> Option<String> {
        // A peer who was turned away may be reset while he writes.
        let _ = self.stream.write_all(b"version\r\nquit\r\n").await;
        Some(self.rest().await).filter(|answer| answer.starts_with("VERSION"))
    }

    /// What is answered until the door closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        let mut answer = Vec::new();
        // Closing with unread bytes resets the connection, which is closing too.
        let _ = patiently(self.stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).expect("answers are text")
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing takes that long")
}
