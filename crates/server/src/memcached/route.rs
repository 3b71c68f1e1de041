// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a key as it was sent to what it names: a record of a resource, or an item of the plain space.

use std::sync::Arc;

use throughline::{Key, PlainStore, ResourceName, Space, Throughline};

use super::answer::Failure;

/// What a key names, by reference.
#[derive(Debug)]
pub(super) enum Route<'s, 'k> {
    /// A record, with the text of its key, which need not be canonical.
    Record(&'s Arc<Space>, &'k str),
    /// An item of the plain space, with its whole key.
    Item(&'s Arc<dyn PlainStore>, &'k [u8]),
}

/// What a key names, for work that takes time.
#[derive(Debug)]
pub(super) enum Target<'k> {
    /// A record.
    Record(Arc<Space>, Key),
    /// An item of the plain space.
    Item(Arc<dyn PlainStore>, &'k [u8]),
}

/// Finds out what keys name. Remembers the resource that it found last, for which one comparison of its name
/// is enough: most connections ask for one resource again and again.
#[derive(Debug)]
pub(super) struct Router {
    throughline: Throughline,
    last: Option<Arc<Space>>,
}

impl Router {
    pub(super) fn new(throughline: Throughline) -> Self {
        Self { throughline, last: None }
    }

    /// What `key` names.
    ///
    /// # Errors
    /// When it names no resource and there is no plain space, or when no record can have it.
    pub(super) fn route<'s, 'k>(&'s mut self, key: &'k [u8]) -> Result<Route<'s, 'k>, Failure> {
        let colon = key.iter().position(|byte| *byte == b':');
        if let Some((name, rest)) = colon.map(|at| (&key[..at], &key[at + 1..]))
            && self.remember(name)
        {
            let space = self.last.as_ref().expect("it was just remembered");
            return match str::from_utf8(rest) {
                Ok(text) => Ok(Route::Record(space, text)),
                Err(_) => Err(Failure::KeyNotText),
            };
        }
        match self.throughline.plain() {
            Some(plain) => Ok(Route::Item(plain, key)),
            None => Err(Failure::NoResource(colon.and_then(|at| printable(&key[..at])))),
        }
    }

    /// The same, owned.
    ///
    /// # Errors
    /// As [`Router::route`], and when the text is no key at all.
    pub(super) fn target<'k>(&mut self, key: &'k [u8]) -> Result<Target<'k>, Failure> {
        Ok(match self.route(key)? {
            Route::Record(space, text) => Target::Record(space.clone(), Key::parse(text)?),
            Route::Item(plain, key) => Target::Item(plain.clone(), key),
        })
    }

    /// Makes the resource of this name the last one; whether there is such a resource.
    fn remember(&mut self, name: &[u8]) -> bool {
        if let Some(last) = &self.last
            && last.name().as_str().as_bytes() == name
        {
            return true;
        }
        let listing = str::from_utf8(name).ok().and_then(|name| self.throughline.listing(name));
        if let Some(listing) = listing {
            self.last = Some(listing.space.clone());
        }
        listing.is_some()
    }
}

/// The name for an error's text, if it could be one.
fn printable(name: &[u8]) -> Option<ResourceName> {
    ResourceName::new(str::from_utf8(name).ok()?)
}
