// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk whose power can be taken away: what was not synced is then gone, kept, or torn by the sector.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;
use throughline_core::Rng;
use throughline_journals::{Files, SegmentFile};

const SECTOR: usize = 512;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Making a file.
    Create,
    /// Writing to one.
    Write,
    /// Syncing one.
    Sync,
    /// Syncing the folder.
    SyncFolder,
}

/// A handle of the disk; a clone is another.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    contents: Vec<Content>,
    /// The folder as programs see it, and as it would be after a loss of power.
    folder: BTreeMap<String, usize>,
    durable_folder: BTreeMap<String, usize>,
    /// Whether syncs do anything: the control is a disk without.
    ignores_syncs: bool,
    room: Option<u64>,
    failure: Option<(Op, ErrorKind)>,
    /// Operations until the power goes.
    power_left: Option<u64>,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

impl Disk {
    /// A disk that keeps what was synced.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk on which a sync does nothing.
    pub fn without_syncs() -> Self {
        let disk = Self::new();
        disk.0.lock().ignores_syncs = true;
        disk
    }

    /// The disk as a journal sees it.
    pub fn files(&self) -> Box<dyn Files> {
        Box::new(self.clone())
    }

    /// The next such operation fails; a write fails half-way.
    pub fn fail_next(&self, op: Op, kind: ErrorKind) {
        self.0.lock().failure = Some((op, kind));
    }

    /// Bytes that files may take.
    pub fn set_room(&self, room: Option<u64>) {
        self.0.lock().room = room;
    }

    /// Takes the power away after so many operations; every later one fails.
    pub fn power_off_after(&self, operations: u64) {
        self.0.lock().power_left = Some(operations);
    }

    /// How often a file was synced.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// The names of the files.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().folder.keys().cloned().collect()
    }

    /// Changes the bytes of a file, as if the disk had.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut platter = self.0.lock();
        let id = platter.folder[name];
        change(&mut platter.contents[id].now);
        platter.contents[id].durable = platter.contents[id].now.clone();
    }

    /// What is in a file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let platter = self.0.lock();
        platter.contents[platter.folder[name]].now.clone()
    }

    /// Removes a file, for good.
    pub fn remove_file(&self, name: &str) {
        let mut platter = self.0.lock();
        platter.folder.remove(name);
        platter.durable_folder.remove(name);
    }

    /// Takes the power away and gives it back: of what was not synced, chance keeps what it likes.
    pub fn lose_power(&self, rng: &Rng) {
        let mut platter = self.0.lock();
        platter.power_left = None;
        platter.failure = None;
        let (now, mut kept) = (platter.folder.clone(), platter.durable_folder.clone());
        for (name, id) in &now {
            if !kept.contains_key(name) && rng.below(2) == 0 {
                kept.insert(name.clone(), *id);
            }
        }
        kept.retain(|name, _| now.contains_key(name) || rng.below(2) == 0);
        for content in &mut platter.contents {
            let mut bytes = content.durable.clone();
            if rng.below(2) == 0 {
                bytes.resize(content.now.len(), 0);
            }
            for start in (0..bytes.len().min(content.now.len())).step_by(SECTOR) {
                let end = (start + SECTOR).min(bytes.len()).min(content.now.len());
                if rng.below(2) == 0 {
                    bytes[start..end].copy_from_slice(&content.now[start..end]);
                }
            }
            *content = Content { now: bytes.clone(), durable: bytes };
        }
        platter.durable_folder = kept.clone();
        platter.folder = kept;
    }
}

impl Platter {
    fn begin(&mut self, op: Option<Op>) -> io::Result<()> {
        if let Some(left) = &mut self.power_left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the power is off"))?;
        }
        if let Some((failing, kind)) = self.failure
            && op == Some(failing)
        {
            self.failure = None;
            return Err(kind.into());
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        self.folder.values().map(|id| self.contents[*id].now.len() as u64).sum()
    }
}

impl Files for Disk {
    fn names(&mut self) -> io::Result<Vec<String>> {
        Ok(Self::names(self))
    }

    fn create(&mut self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut platter = self.0.lock();
        platter.begin(Some(Op::Create))?;
        let id = platter.contents.len();
        platter.contents.push(Content::default());
        platter.folder.insert(name.to_owned(), id);
        if platter.room.is_some_and(|room| platter.used() + length > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        platter.contents[id].now.resize(length as usize, 0);
        Ok(Box::new(DiskFile { disk: self.clone(), id }))
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let id = *self.0.lock().folder.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(DiskFile { disk: self.clone(), id }))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.begin(None)?;
        platter.folder.remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.begin(Some(Op::SyncFolder))?;
        if !platter.ignores_syncs {
            platter.durable_folder = platter.folder.clone();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    id: usize,
}

impl SegmentFile for DiskFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut platter = self.disk.0.lock();
        platter.begin(None)?;
        Ok(platter.contents[self.id].now.clone())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.disk.0.lock();
        let outcome = platter.begin(Some(Op::Write));
        // The end of the power, or of the disk, may come in the middle of a write.
        let bytes = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let content = &mut platter.contents[self.id].now;
        let end = offset as usize + bytes.len();
        content.resize(content.len().max(end), 0);
        content[offset as usize..end].copy_from_slice(bytes);
        outcome
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let mut platter = self.disk.0.lock();
        platter.begin(None)?;
        platter.contents[self.id].now.resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.disk.0.lock();
        platter.begin(Some(Op::Sync))?;
        platter.syncs += 1;
        if !platter.ignores_syncs {
            platter.contents[self.id].durable = platter.contents[self.id].now.clone();
        }
        Ok(())
    }
}
