// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journals of accepted writes, and the resources that are written behind.

mod identity;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Drain, Journal, Loader, Owner, ResourceName, WriteStrategy};
use throughline_engine::{Behind, BehindParts, journalled_resources};
use throughline_journals::{LocalJournal, LocalJournalConfig, Opened};

use super::Surroundings;
use super::source::mistake;
use crate::clock::WallClock;
use crate::config::{ConfigError, ResourceSettings, Schedule, Settings};
use crate::throughline::{Gauge, Notice};

/// The folder in `data_dir`.
const FOLDER: &str = "journal";
/// The folder in that, of accepted writes.
const WRITES: &str = "writes";

/// What is kept for all resources that are written behind.
pub(super) struct Journals {
    owner: Owner,
    writes: Opened,
    letters: Opened,
    /// The resources of which they hold something.
    held: Vec<String>,
}

impl Journals {
    /// Opens the journals if a resource is written behind.
    pub(super) async fn open(
        settings: &Settings,
        chosen: &[ResourceSettings],
        checking: bool,
    ) -> Result<Option<Self>, ConfigError> {
        let is_behind = |resource: &&ResourceSettings| resource.write == WriteStrategy::WriteBehind;
        let folder = settings.data_dir.join(FOLDER);
        let Some(first) = chosen.iter().find(is_behind) else {
            // An earlier run may have left something in it.
            let is_used = settings.is_data_kept && !checking && folder.join(WRITES).is_dir();
            return if is_used { Self::open_later(folder).await.map(Some) } else { Ok(None) };
        };
        if !settings.is_data_kept {
            let mistake = ConfigError::new(format!(
                "resource `{}` is written behind, and its accepted writes need a folder of this daemon's own",
                first.name
            ));
            let mistake = mistake.help("set `data_dir` to a folder on a disk that keeps what it has synced");
            return Err(match first.place.clone() {
                Some(place) => mistake.at(place),
                None => mistake,
            });
        }
        if checking {
            // A daemon may be running with them.
            return Ok(None);
        }
        Self::open_later(folder).await.map(Some)
    }

    async fn open_later(folder: PathBuf) -> Result<Self, ConfigError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_in(&folder)).await;
        opened.expect("opening a journal does not panic")
    }

    fn open_in(folder: &Path) -> Result<Self, ConfigError> {
        let open = |name: &str| {
            LocalJournal::open(&LocalJournalConfig::new(folder.join(name))).map_err(|error| {
                ConfigError::new(error.to_string()).help(
                    "one process at a time uses the journal: `throughline drain` and `throughline journal` ask the \
                     daemon that has it",
                )
            })
        };
        let writes = open(WRITES)?;
        let letters = open("letters")?;
        let owner = identity::owner(folder)?;
        let held = journalled_resources(&writes.pending, &letters.pending);
        Ok(Self { owner, writes, letters, held })
    }

    /// Where accepted writes are kept.
    pub(super) fn of_writes(&self) -> Arc<dyn Journal> {
        self.writes.journal.clone()
    }

    /// A resource's write-behind side, with what was pending.
    pub(super) async fn resource(
        &self,
        settings: &ResourceSettings,
        (loader, drain): (Arc<dyn Loader>, Arc<dyn Drain>),
        journal: Arc<dyn Journal>,
        surroundings: &Surroundings,
        notices: &mut Vec<Notice>,
    ) -> Result<Arc<Behind>, ConfigError> {
        let parts = BehindParts {
            resource: settings.name.clone(),
            loader,
            drain,
            owner: self.owner.clone(),
            journal,
            letters: self.letters.journal.clone(),
            policy: settings.behind.policy.clone(),
            clock: surroundings.clock.clone(),
            wall: Arc::new(WallClock),
            rng: surroundings.rng.clone(),
            tasks: Arc::new(surroundings.tasks.clone()),
        };
        let next = self.writes.next;
        let opened = Behind::open(parts, &self.writes.pending, &self.letters.pending, next).await;
        let recovered = opened.map_err(|error| mistake(&error))?;
        let mut say = |text, is_fault| notices.push(Notice { text, is_fault });
        if recovered.pending_count > 0 {
            let count = recovered.pending_count;
            say(
                format!(
                    "resource `{}`: {count} writes that an earlier run accepted are applied now",
                    settings.name
                ),
                false,
            );
        }
        let letter_count = recovered.behind.letter_count();
        if letter_count > 0 {
            say(
                format!(
                    "resource `{}`: {letter_count} dead letters wait for a decision: throughline journal list {}",
                    settings.name, settings.name
                ),
                true,
            );
        }
        Ok(recovered.behind)
    }

    /// Sees to what is kept of resources that are not written behind any more.
    ///
    /// # Errors
    /// When such a resource is served in another way: its readers would not see what was accepted, and what is written now
    /// would be undone when it is applied at last.
    pub(super) fn refuse_strangers(
        &self,
        chosen: &[ResourceSettings],
        notices: &mut Vec<Notice>,
    ) -> Result<(), ConfigError> {
        for name in &self.held {
            let served = chosen.iter().find(|settings| settings.name.as_str() == name.as_str());
            match served {
                Some(settings) if settings.write == WriteStrategy::WriteBehind => {}
                Some(settings) => {
                    let mistake = ConfigError::new(format!(
                        "the journal holds accepted writes or dead letters of resource `{name}`, which is not written \
                         behind any more"
                    ));
                    let mistake = mistake.help(
                        "set write = \"write-behind\" until `throughline drain` has applied them and the dead letters are decided about",
                    );
                    return Err(match settings.place.clone() {
                        Some(place) => mistake.at(place),
                        None => mistake,
                    });
                }
                None => {
                    let text = format!(
                        "the journal holds accepted writes or dead letters of `{name}`, which is not served: they are kept \
                         and not applied"
                    );
                    notices.push(Notice { text, is_fault: true });
                }
            }
        }
        Ok(())
    }

    /// Whether they hold something of a resource.
    pub(super) fn holds(&self, resource: &ResourceName) -> bool {
        self.held.iter().any(|name| name == resource.as_str())
    }

    /// The journals, to be asked what they count.
    pub(super) fn handles(&self) -> [(&'static str, Arc<LocalJournal>); 2] {
        [("writes", self.writes.journal.clone()), ("letters", self.letters.journal.clone())]
    }
}

/// The name of this daemon's own journal, if it has one, also where nothing may be opened.
pub(super) fn own_journal(settings: &Settings, journals: Option<&Journals>) -> Option<String> {
    match journals {
        Some(journals) => Some(journals.owner.journal.clone()),
        None if settings.is_data_kept => identity::known(&settings.data_dir.join(FOLDER)),
        None => None,
    }
}

/// Starts to apply, by delay, number and schedule.
pub(super) fn start(behind: &Arc<Behind>, schedule: Option<Schedule>, surroundings: &Surroundings) {
    behind.start();
    let Some(schedule) = schedule else { return };
    let behind = Arc::downgrade(behind);
    let work = async move {
        loop {
            let now_ms = throughline_core::Clock::now(&WallClock).as_ms();
            let Some(next_ms) = schedule.next_ms(now_ms) else { return };
            // Not in one go: the clock may be set meanwhile.
            let left_ms = next_ms - now_ms;
            tokio::time::sleep(Duration::from_millis(left_ms.min(60_000))).await;
            if left_ms <= 60_000 {
                let Some(behind) = behind.upgrade() else { return };
                behind.start_drain();
            }
        }
    };
    let tasks = surroundings.tasks.clone();
    throughline_core::Tasks::spawn(&tasks, "apply accepted writes by schedule", Box::pin(work));
}

/// What a resource's write-behind side counts.
pub(super) fn gauges(behind: &Behind) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    let resource: &ResourceName = behind.resource();
    let mut gauge = |name, meaning, number| {
        gauges.push(Gauge {
            role: "behind",
            backend: resource.to_string(),
            node: None,
            name,
            meaning,
            number,
        });
    };
    gauge("pending", "Accepted writes that are not applied.", behind.pending_count() as u64);
    gauge("oldest_age_ms", "Milliseconds since the oldest of them was accepted.", behind.oldest_age_ms());
    gauge(
        "dead_letters",
        "Accepted writes that wait for an operator's decision.",
        behind.letter_count() as u64,
    );
    behind.stats().for_each(&mut gauge);
    gauges
}
