// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loader's side: what was accepted and is not applied is read from here, everything else from the source.
//!
//! The order is what makes a fill safe. A reader holds its lease before it comes here. If a writer has the key now, the
//! result is not filled. If none has, whoever comes later marks the key after the lease was given, which voids it. And a
//! write leaves the overlay only when the source shows it, so what is in neither was never accepted.

use std::sync::Arc;

use throughline_core::{BoxFuture, Canonical, Intent, Key, Loaded, Loader, Result};

use super::Behind;

/// The loader of a resource that is written behind.
#[derive(Clone, Debug)]
struct BehindLoader(Arc<Behind>);

impl Behind {
    /// The loader's side.
    pub fn loader(self: &Arc<Self>) -> Arc<dyn Loader> {
        Arc::new(BehindLoader(self.clone()))
    }

    /// What was accepted of a key, and whether the key is free to be filled.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::InvalidKey`].
    fn look(&self, key: &Key, fill: bool) -> Result<Look> {
        // What was accepted is under the row's own key; another spelling of it is answered, and never filled.
        let canonical = self.parts.loader.canonical(key)?;
        let (key, fill) = match &canonical {
            Canonical::Same => (key, fill),
            Canonical::Other(canonical) => (canonical, false),
        };
        let state = self.cell(key).state.lock();
        if let Some(owner) = &state.lost {
            // What was accepted here may be older than what the new owner has.
            return Err(self.lost(owner));
        }
        let fillable = fill && !state.is_written(key);
        Ok(match state.shown(key) {
            Some((_, record)) => Look::Accepted(Loaded { record: record.clone(), fillable }),
            None => Look::Source { fillable },
        })
    }
}

enum Look {
    Accepted(Loaded),
    Source { fillable: bool },
}

impl Loader for BehindLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.0.parts.loader.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            intent.sent.trip();
            match self.0.look(key, intent.fill)? {
                Look::Accepted(loaded) => Ok(loaded),
                Look::Source { fillable } => {
                    let loaded = self.0.parts.loader.load(key, intent).await?;
                    Ok(Loaded { fillable: loaded.fillable && fillable, ..loaded })
                }
            }
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            intent.sent.trip();
            let looks: Vec<Look> =
                keys.iter().map(|key| self.0.look(key, intent.fill)).collect::<Result<_>>()?;
            let asked = |look: &Look| matches!(look, Look::Source { .. });
            let wanted: Vec<Key> =
                keys.iter().zip(&looks).filter(|(_, look)| asked(look)).map(|(key, _)| key.clone()).collect();
            let loaded = match wanted.is_empty() {
                true => Vec::new(),
                false => self.0.parts.loader.load_many(&wanted, intent).await?,
            };
            let mut loaded = loaded.into_iter();
            let answer = |look: Look| match look {
                Look::Accepted(loaded) => loaded,
                Look::Source { fillable } => {
                    let loaded = loaded.next().expect("an answer for each key");
                    Loaded { fillable: loaded.fillable && fillable, ..loaded }
                }
            };
            Ok(looks.into_iter().map(answer).collect())
        })
    }
}
