// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups that do not send again what the caller already has.

use throughline_core::{Checked, Lookup, Result, Slot, Wanted};
use throughline_wire::memcached::command::Cas;

use super::super::answer::{Answer, Command};
use super::super::connection::{Queued, Unsent, receive_all};
use super::super::map;
use super::{Client, Place, looked_up, sent, token};

/// A request under way.
enum Asked {
    /// For the header of what the caller has under this number.
    Header(Cas, Queued),
    /// For all of it, or the lease.
    Whole(Queued),
}

impl Asked {
    fn queued(&mut self) -> &mut Queued {
        match self {
            Self::Header(_, queued) | Self::Whole(queued) => queued,
        }
    }
}

impl Client {
    /// Asks for the header of what the caller has, and for everything else whole. What turns out to be another is
    /// asked for whole in a second round.
    pub(in super::super) async fn get_tagged(&self, wanted: &[Wanted]) -> Vec<Result<Checked>> {
        let places: Vec<Place<'_>> = wanted.iter().map(|wanted| self.place(&wanted.slot)).collect();
        let mut asked: Vec<Result<Asked>> =
            wanted.iter().zip(&places).map(|(wanted, place)| ask(wanted, place)).collect();
        let mut under_way: Vec<&mut Queued> =
            asked.iter_mut().filter_map(|asked| asked.as_mut().ok().map(Asked::queued)).collect();
        receive_all(&mut under_way, self.config.get_timeout_ms).await;
        let parts = asked.into_iter().zip(wanted).zip(&places);
        let mut answers: Vec<Option<Result<Checked>>> = parts
            .map(|((asked, wanted), place)| {
                asked.and_then(|asked| first(asked, &wanted.slot, place)).transpose()
            })
            .collect();
        let changed: Vec<usize> = (0..wanted.len()).filter(|at| answers[*at].is_none()).collect();
        let mut again: Vec<Result<Queued>> =
            changed.iter().map(|at| places[*at].send(Command::Get)).collect();
        receive_all(&mut sent(&mut again), self.config.get_timeout_ms).await;
        for (at, queued) in changed.into_iter().zip(again) {
            answers[at] = Some(queued.and_then(|queued| whole(&wanted[at].slot, &places[at], queued)));
        }
        answers.into_iter().map(|answer| answer.expect("what has changed was asked for again")).collect()
    }
}

/// Sends what answers `wanted`. A tag of a former connection names nothing on this one.
fn ask(wanted: &Wanted, place: &Place<'_>) -> Result<Asked> {
    if let Some(tag) = wanted.tag {
        match place.connection.send(Some(tag.connection), place.physical.key(), Command::Check) {
            Ok(queued) => return Ok(Asked::Header(Cas(tag.number), queued)),
            Err(Unsent::Failed(error)) => return Err(error),
            Err(Unsent::OtherLine) => {}
        }
    }
    Ok(Asked::Whole(place.send(Command::Get)?))
}

/// What the first round came to; `None` when the entry is another one.
fn first(asked: Asked, slot: &Slot, place: &Place<'_>) -> Result<Option<Checked>> {
    match asked {
        Asked::Header(tag, queued) => {
            Ok(map::same(&queued.take()?, tag).map(|ttl_left_ms| Checked::Same { ttl_left_ms }))
        }
        Asked::Whole(queued) => whole(slot, place, queued).map(Some),
    }
}

fn whole(slot: &Slot, place: &Place<'_>, queued: Queued) -> Result<Checked> {
    let line = queued.line();
    let answer = queued.take()?;
    let lookup = looked_up(slot, place, line, &answer)?;
    let tag = match (&lookup, &answer) {
        (Lookup::Hit(_), Answer::Found(item)) => Some(token(line, item.token)),
        _ => None,
    };
    Ok(Checked::Looked { lookup, tag })
}
