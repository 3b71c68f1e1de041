// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader that is slow between database and cache, and a writer that overtakes it: the same steps, by hand and
//! through Throughline.
//!
//! 1. The entry is gone (evicted, expired, never there).
//! 2. The reader misses and reads the old value from the database.
//! 3. The writer updates the database, then the cache.
//! 4. The reader, late, gives the cache what it has read.

use crate::by_hand::ByHand;
use crate::catalogue::{Catalogue, Result};
use crate::product::Product;
use crate::slow_reader::Gate;

/// The race in hand-written code.
pub(crate) async fn by_hand(products: &ByHand, id: i64, price_cents: i64) -> Result<String> {
    products.evict(id).await;
    let missed = products.look_up(id).await.is_none();
    let read = products.load(id).await?.ok_or("there is no such product")?;
    let mut told = vec![format!("the reader {} and reads {read}", if missed { "misses" } else { "hits" })];
    let new = Product { price_cents, ..read.clone() };
    products.update_product(id, &new).await?;
    told.push(format!("the writer writes {new}"));
    products.store(id, &read).await;
    told.push("the reader stores what it has read".to_owned());
    let next = products.get_product(id).await?;
    told.push(verdict(next.as_ref(), products.load(id).await?.as_ref()));
    Ok(told.join("\n"))
}

/// The race through Throughline: the reader is an ordinary `get_product`, held up by the gate in its source.
pub(crate) async fn through(products: &Catalogue, gate: &Gate, id: i64, price_cents: i64) -> Result<String> {
    products.evict(id).await?;
    gate.close();
    let reader = products.get_product(id);
    let writer = async {
        let new = overtake(products, gate, id, price_cents).await;
        gate.open();
        new
    };
    let (read, new) = tokio::join!(reader, writer);
    let mut told = match read? {
        Some(read) => vec![format!("the reader misses and reads {read}")],
        None => return Err("there is no such product".into()),
    };
    told.push(format!("the writer writes {}", new?));
    told.push("the reader offers what it has read, and is refused".to_owned());
    let next = products.get_product(id).await?;
    told.push(verdict(next.as_ref(), products.in_database(id).await?.as_ref()));
    Ok(told.join("\n"))
}

/// The writer's part: it comes when the reader has read, and is done before the reader goes on.
async fn overtake(products: &Catalogue, gate: &Gate, id: i64, price_cents: i64) -> Result<Product> {
    gate.reached().await?;
    let old = products.in_database(id).await?.ok_or("there is no such product")?;
    let new = Product { price_cents, ..old };
    products.update_product(id, &new).await?;
    Ok(new)
}

fn verdict(next: Option<&Product>, truth: Option<&Product>) -> String {
    let price = |product: Option<&Product>| product.map_or(0, |product| product.price_cents);
    let (next, truth) = (price(next), price(truth));
    let judged = if next == truth { "right" } else { "STALE" };
    format!("the next reader gets {next} cents, the database has {truth} cents: {judged}")
}
