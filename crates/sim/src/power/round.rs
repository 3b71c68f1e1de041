// SPDX-License-Identifier: MIT OR Apache-2.0
//! One process, from its start until the power goes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Access, BoxFuture, Change, Condition, Effect, ErrorKind, Fingerprint, Journal, Key, Level, Owner,
    Position, ResourceName, Rng, Target, Tasks, Write, WriteStrategy,
};
use throughline_engine::{Behind, BehindParts, BehindPolicy, Generations, Policy, Space, SpaceParts};
use throughline_journals::{LocalJournal, LocalJournalConfig, Opened};
use throughline_testkit::{Disk, MapJournal, MapSource, TokioClock};
use tokio::task::JoinSet;

use super::Keeping;

/// The value that the database refuses for good.
pub(super) const BAD: &str = "bad";

/// Who writes at once, and to how many keys each.
const WRITERS: u64 = 6;
const KEYS: u64 = 5;
/// The longest a process lives, in milliseconds, if the power does not go before.
const LIFE_MS_MAX: u64 = 400;

/// What outlives a loss of power.
pub(super) struct House {
    pub(super) source: MapSource,
    pub(super) disk: Disk,
    pub(super) letters: Disk,
    pub(super) keeping: Keeping,
    pub(super) rng: Arc<Rng>,
}

/// What the clients know: of each key the last value that was accepted, and the numbers that were tried.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) keys: HashMap<Key, Known>,
    pub(super) accepted: u64,
    next: u64,
}

/// What is known of a key.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The last value whose acceptance was told, or that was seen since.
    pub(super) accepted: Seen,
    /// A later one that was tried and not answered.
    unanswered: Option<Seen>,
}

/// A value; the numbers of a key grow, those of bad ones as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    Number(u64),
    Bad(u64),
}

impl Seen {
    fn text(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Bad(_) => Some(BAD.to_owned()),
        }
    }
}

/// Background work that ends with its process.
#[derive(Debug, Default)]
struct Running(Mutex<JoinSet<()>>);

impl Tasks for Running {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) {
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

/// A process.
pub(super) struct Daemon {
    pub(super) behind: Arc<Behind>,
    space: Arc<Space>,
    tasks: Arc<Running>,
    /// Told when the journals' threads have ended.
    journals: Vec<Weak<dyn Journal>>,
}

fn opened(disk: &Disk) -> throughline_core::Result<Opened> {
    // Small segments, so that the power goes while one is begun or trimmed, too.
    let config = LocalJournalConfig { segment_bytes: 16_384, ..LocalJournalConfig::new("unused".into()) };
    LocalJournal::open_on(disk.files(), &config)
}

/// What a journal of writes is opened with.
type Found = (Arc<dyn Journal>, Vec<(Position, Bytes)>, Position);

impl House {
    fn journal(&self) -> Option<Found> {
        if self.keeping == Keeping::Memory {
            let journal = MapJournal::default();
            // It forgets what it held, not how far it had counted.
            journal.restore(&[], Position(1_000_001 + self.source.applied().len() as u64 * 100));
            let next = journal.next();
            return Some((Arc::new(journal), Vec::new(), next));
        }
        let Opened { journal, pending, next, .. } = opened(&self.disk).ok()?;
        Some((journal, pending, next))
    }

    /// Starts a process on what the disk holds; `None` when it refuses to.
    pub(super) async fn open(&self) -> Option<Daemon> {
        let (journal, pending, next) = self.journal()?;
        let letters = opened(&self.letters).ok()?;
        let clock = Arc::new(TokioClock::start());
        let tasks = Arc::new(Running::default());
        let name = ResourceName::new("kv").expect("a name");
        let letters_journal: Arc<dyn Journal> = letters.journal;
        let journals = vec![Arc::downgrade(&journal), Arc::downgrade(&letters_journal)];
        let parts = BehindParts {
            resource: name.clone(),
            loader: Arc::new(self.source.clone()),
            drain: Arc::new(self.source.clone()),
            owner: Owner { journal: "a".to_owned(), name: "the daemon".to_owned() },
            journal,
            letters: letters_journal,
            policy: BehindPolicy {
                delay_ms: Some(5),
                pause_ms: (1, 20),
                batch_max: 20,
                ..BehindPolicy::default()
            },
            clock: clock.clone(),
            wall: clock.clone(),
            rng: self.rng.clone(),
            tasks: tasks.clone(),
        };
        let behind = Behind::open(parts, &pending, &letters.pending, next).await.ok()?.behind;
        let cache = Arc::new(MemoryCache::new(&MemoryConfig::default(), clock.clone()));
        let space = Space::new(SpaceParts {
            name,
            loader: behind.loader(),
            writer: Some(behind.writer()),
            cache: Some(cache),
            local: None,
            nodes: None,
            fingerprint: Fingerprint::of(b"kv"),
            generations: Generations::Own(1),
            policy: Policy {
                level: Level::Strict,
                access: Access::Write,
                write: WriteStrategy::WriteBehind,
                ..Policy::default()
            },
            bypass_rate: None,
            clock,
            rng: self.rng.clone(),
            tasks: tasks.clone(),
        });
        behind.attach(&space);
        behind.start();
        Some(Daemon { behind, space, tasks, journals })
    }

    /// Lets a service do at last what it is still at, for ever.
    pub(super) async fn finish_lingering(&self) {
        loop {
            self.source.finish_lingering();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Gives the disks back as they are after the power was gone.
    pub(super) fn lose_power(&self) {
        self.disk.lose_power(&self.rng);
        self.letters.lose_power(&self.rng);
        self.disk.set_room(None);
        self.source.set_unavailable(false);
    }
}

impl Daemon {
    async fn read(&self, key: &Key) -> Option<String> {
        let read = self.space.get(key).await.ok()?;
        read.record().map(|record| String::from_utf8_lossy(&record.value).into_owned())
    }

    /// Compares what readers see with what was accepted; how often it is older. What was not answered is decided now.
    pub(super) async fn check(&self, ledger: &mut Ledger) -> u64 {
        let mut stale = 0;
        for (key, known) in &mut ledger.keys {
            let seen = self.read(key).await;
            let later = known.unanswered.take().filter(|later| later.text() == seen);
            match later {
                Some(later) => known.accepted = later,
                None => stale += u64::from(seen != known.accepted.text()),
            }
        }
        stale
    }

    /// Writes, and breaks things, until the disk does not answer any more.
    pub(super) async fn work_until_the_power_goes(&self, house: &House, ledger: &mut Ledger) {
        house.disk.power_off_after(house.rng.below(400));
        let shared = Mutex::new(std::mem::take(ledger));
        let life = Duration::from_millis(20 + house.rng.below(LIFE_MS_MAX));
        let writers: Vec<_> = (0..WRITERS).map(|writer| self.write(writer, house, &shared)).collect();
        let working = async {
            futures_util::future::join_all(writers).await;
        };
        tokio::select! {
            () = working => {}
            () = self.trouble(house) => {}
            () = tokio::time::sleep(life) => {}
        }
        *ledger = shared.into_inner();
    }

    async fn write(&self, writer: u64, house: &House, ledger: &Mutex<Ledger>) {
        loop {
            let key = Key::parse(&format!("k{writer}-{}", house.rng.below(KEYS))).expect("a key");
            let (value, write) = {
                let mut ledger = ledger.lock();
                ledger.next += 1;
                let number = ledger.next;
                let value = if number.is_multiple_of(40) { Seen::Bad(number) } else { Seen::Number(number) };
                let known = Known { accepted: Seen::Nothing, unanswered: None };
                ledger.keys.entry(key.clone()).or_insert(known).unanswered = Some(value);
                let text = value.text().unwrap_or_default();
                let change = Change::Put { value: text.into(), flags: 0 };
                (value, Write { target: Target::Key(key.clone()), change, condition: Condition::Always })
            };
            let outcome = self.space.write(write).await;
            let mut ledger = ledger.lock();
            match outcome {
                Ok(Effect::Accepted { .. }) => {
                    ledger.accepted += 1;
                    if let Some(known) = ledger.keys.get_mut(&key) {
                        *known = Known { accepted: value, unanswered: None };
                    }
                }
                Err(error) if error.kind() == ErrorKind::Overloaded => {
                    if let Some(known) = ledger.keys.get_mut(&key) {
                        known.unanswered = None;
                    }
                }
                // The power is gone, or the disk is broken for good: another start is needed.
                _ => return,
            }
        }
    }

    /// The database goes away, loses answers, and the disk is full for a while; a service is slow with a request, or done with it.
    async fn trouble(&self, house: &House) {
        loop {
            tokio::time::sleep(Duration::from_millis(1 + house.rng.below(20))).await;
            let is_service = house.keeping == Keeping::JournalBeforeService;
            match house.rng.below(if is_service { 8 } else { 5 }) {
                0 => house.source.set_unavailable(true),
                1 => house.source.fail_next_commit(ErrorKind::OutcomeUnknown, house.rng.below(2) == 0),
                2 => house.disk.set_room(Some(0)),
                5 => house.source.linger_next(),
                6 | 7 => {
                    house.source.finish_lingering();
                }
                _ => {
                    house.source.set_unavailable(false);
                    house.disk.set_room(None);
                }
            }
        }
    }

    /// Ends the process: its tasks are gone, and so are the journals' threads.
    pub(super) async fn end(self) {
        let Self { behind, space, tasks, journals } = self;
        drop((behind, space));
        let mut running = std::mem::take(&mut *tasks.0.lock());
        running.shutdown().await;
        let ended = async {
            while journals.iter().any(|journal| journal.upgrade().is_some()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("a journal ends with its process");
    }
}
