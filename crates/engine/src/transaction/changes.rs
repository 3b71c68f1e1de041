// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a transaction has changed so far, as far as caches must know.

use std::collections::HashMap;
use std::sync::Arc;

use throughline_core::{Effect, Key, Record, WriteStrategy};

use super::KEY_COUNT_MAX;
use crate::space::Space;

/// The changed rows of each resource, with what a reader will see of them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    resources: Vec<Changed>,
    count: usize,
}

#[derive(Debug)]
struct Changed {
    space: Arc<Space>,
    /// The record that may be published, if it is known. Nothing more is put in once there are too many.
    rows: HashMap<Key, Option<Record>>,
    writes: u64,
}

impl Changes {
    pub(super) fn note_write(&mut self, space: &Arc<Space>, effect: &Effect) {
        let (key, record) = match effect {
            Effect::Stored { key, record, .. } => (key, record.clone()),
            Effect::Deleted { key } => (key, None),
            // A source's transaction accepts nothing for later.
            Effect::Accepted { .. } | Effect::Refused(_) => return,
        };
        // What a sibling wrote to the same row before is not what it shows now.
        for sibling in space.siblings() {
            let changed = self.resources.iter_mut().find(|changed| Arc::ptr_eq(&changed.space, &sibling));
            if let Some(outdated) = changed.and_then(|changed| changed.rows.get_mut(key)) {
                *outdated = None;
            }
        }
        let publishes = space.policy().write == WriteStrategy::WriteThrough;
        self.insert(space, key.clone(), record.filter(|_| publishes)).writes += 1;
    }

    pub(super) fn note_touch(&mut self, space: &Arc<Space>, key: Key) {
        self.insert(space, key, None);
    }

    /// Nothing that was read back so far may be published.
    pub(super) fn forget_records(&mut self) {
        self.resources.iter_mut().flat_map(|changed| changed.rows.values_mut()).for_each(|row| *row = None);
    }

    fn insert(&mut self, space: &Arc<Space>, key: Key, record: Option<Record>) -> &mut Changed {
        let known = self.resources.iter().position(|changed| Arc::ptr_eq(&changed.space, space));
        let place = known.unwrap_or_else(|| {
            self.resources.push(Changed { space: space.clone(), rows: HashMap::new(), writes: 0 });
            self.resources.len() - 1
        });
        let is_too_many = self.is_too_many();
        let changed = &mut self.resources[place];
        if is_too_many || changed.rows.insert(key, record).is_none() {
            self.count += 1;
        }
        changed
    }

    /// Whether the rows are too many to be marked one by one.
    pub(super) fn is_too_many(&self) -> bool {
        self.count > KEY_COUNT_MAX
    }

    /// How many rows there are; beyond what is marked one by one, a row may count twice.
    pub(super) fn row_count(&self) -> u64 {
        self.count as u64
    }

    /// The changed rows.
    pub(super) fn targets(&self) -> Vec<(Arc<Space>, Key)> {
        let rows = |changed: &Changed| -> Vec<(Arc<Space>, Key)> {
            changed.rows.keys().map(|key| (changed.space.clone(), key.clone())).collect()
        };
        self.resources.iter().flat_map(rows).collect()
    }

    /// Every resource that shows a changed row.
    pub(super) fn spaces(&self) -> Vec<Arc<Space>> {
        let mut spaces: Vec<Arc<Space>> = Vec::new();
        for changed in &self.resources {
            for space in std::iter::once(changed.space.clone()).chain(changed.space.siblings()) {
                if !spaces.iter().any(|known| Arc::ptr_eq(known, &space)) {
                    spaces.push(space);
                }
            }
        }
        spaces
    }

    /// What may be published of a row.
    pub(super) fn record(&self, space: &Arc<Space>, key: &Key) -> Option<&Record> {
        let changed = self.resources.iter().find(|changed| Arc::ptr_eq(&changed.space, space))?;
        changed.rows.get(key)?.as_ref()
    }

    pub(super) fn count_writes(&self) {
        self.resources.iter().for_each(|changed| changed.space.stats.writes.add(changed.writes));
    }
}
