// SPDX-License-Identifier: MIT OR Apache-2.0
//! A clerk who takes commands, one per line.

use std::sync::Arc;

use crate::by_hand::ByHand;
use crate::catalogue::{Catalogue, Result};
use crate::product::Product;
use crate::race;
use crate::slow_reader::Gate;

const USAGE: &str = "commands: get ID | update ID NAME CENTS STOCK | database ID | race ID CENTS; \
                     and the same as by-hand get ID, by-hand update …, race by-hand ID CENTS";

/// Takes commands and says what came of them.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) catalogue: Catalogue,
    pub(crate) by_hand: ByHand,
    pub(crate) gate: Arc<Gate>,
}

impl Desk {
    /// Carries out one command.
    pub(crate) async fn run(&self, command: &str) -> String {
        let answer = self.answer(&command.split(' ').collect::<Vec<_>>()).await;
        answer.unwrap_or_else(|error| format!("error: {error}"))
    }

    async fn answer(&self, words: &[&str]) -> Result<String> {
        match words {
            ["get", id] => self.get(id.parse()?).await,
            ["update", id, rest @ ..] => {
                self.catalogue.update_product(id.parse()?, &product(rest)?).await?;
                Ok("updated".to_owned())
            }
            ["database", id] => Ok(shown(self.catalogue.in_database(id.parse()?).await?)),
            ["race", "by-hand", id, cents] => race::by_hand(&self.by_hand, id.parse()?, cents.parse()?).await,
            ["race", id, cents] => {
                race::through(&self.catalogue, &self.gate, id.parse()?, cents.parse()?).await
            }
            ["by-hand", "get", id] => Ok(shown(self.by_hand.get_product(id.parse()?).await?)),
            ["by-hand", "update", id, rest @ ..] => {
                self.by_hand.update_product(id.parse()?, &product(rest)?).await?;
                Ok("updated".to_owned())
            }
            _ => Err(USAGE.into()),
        }
    }

    async fn get(&self, id: i64) -> Result<String> {
        let before = self.catalogue.loads();
        let product = shown(self.catalogue.get_product(id).await?);
        let asked = match self.catalogue.loads() - before {
            0 => "a hit",
            _ => "the database was asked",
        };
        Ok(match self.catalogue.cached(id).await {
            Ok(Some((_, seconds))) => format!("{product} ({asked}; in the cache for {seconds} s more)"),
            Ok(None) | Err(_) => format!("{product} ({asked}; not in the cache)"),
        })
    }
}

fn product(words: &[&str]) -> Result<Product> {
    let [name, price_cents, stock] = words else {
        return Err(USAGE.into());
    };
    Ok(Product { name: (*name).to_owned(), price_cents: price_cents.parse()?, stock: stock.parse()? })
}

fn shown(product: Option<Product>) -> String {
    product.map_or_else(|| "no such product".to_owned(), |product| product.to_string())
}
