// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources that transactions can be begun on.

use std::sync::Arc;

use throughline_core::Member;
use throughline_engine::TransactionSource;

use super::source::OpenSource;
use crate::config::ResourceSettings;
use crate::listing::Listing;
use crate::throughline::Gauge;

/// Every source with its resources; `members` are the resources' numbers there.
pub(super) fn sources(
    sources: &[OpenSource],
    chosen: &[ResourceSettings],
    listings: &[Listing],
    members: &[Option<Member>],
) -> Vec<Arc<TransactionSource>> {
    let of = |(place, source): (usize, &OpenSource)| {
        let resources = chosen.iter().zip(listings).zip(members);
        let own = resources.filter(|((settings, _), _)| settings.source == place);
        let own =
            own.filter_map(|((_, listing), member)| Some((listing.space.clone(), (*member)?))).collect();
        Some(Arc::new(TransactionSource::new(source.name(), source.transactions()?, own)))
    };
    sources.iter().enumerate().filter_map(of).collect()
}

/// What is counted of one source's transactions.
pub(super) fn gauges(source: &TransactionSource) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    source.stats().for_each(|name, meaning, number| {
        let backend = source.name().to_owned();
        gauges.push(Gauge { role: "source", backend, name, meaning, number, node: None });
    });
    gauges
}
