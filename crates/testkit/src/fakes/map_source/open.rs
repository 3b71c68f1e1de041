// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open transactions of the map: every call waits once, so that a test can drop it there.

use throughline_core::{
    BoxFuture, Effect, Error, ErrorKind, Executed, Hold, Key, Member, Parameter, Prepared, Record, Result,
    Write,
};

use super::{MapSource, Transaction};

impl throughline_core::Transactions for MapSource {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn throughline_core::Transaction>>> {
        Box::pin(async {
            self.check("begin a transaction")?;
            let transaction = Transaction { source: self.clone(), rows: Vec::new(), effects: Vec::new() };
            Ok(Box::new(transaction) as Box<dyn throughline_core::Transaction>)
        })
    }
}

impl throughline_core::Transaction for Transaction {
    fn read<'a>(
        &'a mut self,
        _member: Member,
        key: &'a Key,
        hold: Hold,
    ) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move {
            self.begin_call("read a row").await?;
            if let Some((_, row)) = self.rows.iter().rev().find(|(known, _)| known == key) {
                return Ok(row.clone());
            }
            if hold == Hold::Free {
                return Ok(self.source.state().rows.get(key).cloned());
            }
            let row = self.lock(key).await?;
            self.rows.push((key.clone(), row.clone()));
            Ok(row)
        })
    }

    fn write<'a>(&'a mut self, _member: Member, write: &'a Write) -> BoxFuture<'a, Result<Effect>> {
        Box::pin(async move {
            self.begin_call("write a row").await?;
            self.run(write).await?;
            Ok(self.effects.pop().expect("a write has an effect"))
        })
    }

    /// Its only statement is `set`, which gives the row of the first parameter the value of the second.
    fn execute<'a>(
        &'a mut self,
        sql: &'a str,
        parameters: &'a [Parameter],
    ) -> BoxFuture<'a, Result<Executed>> {
        Box::pin(async move {
            self.begin_call("run a statement").await?;
            let ("set", [Parameter::Text(key), Parameter::Text(value)]) = (sql, parameters) else {
                return Err(Error::new(ErrorKind::Other, "run a statement", "the map knows `set` only"));
            };
            let key = Key::parse(key)?;
            drop(self.lock(&key).await?);
            self.rows.push((key, Some(Record::from_content(value.clone()))));
            Ok(Executed { changed: 1, rows: Vec::new() })
        })
    }

    fn touch<'a>(&'a mut self, _member: Member, key: &'a Key) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            self.begin_call("touch a row").await?;
            let key = self.canonical_key(key)?;
            let row = self.lock(&key).await?;
            self.rows.push((key.clone(), row));
            Ok(key)
        })
    }

    fn prepare(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            self.begin_call("prepare a transaction").await?;
            Ok(self as Box<dyn Prepared>)
        })
    }
}

impl Transaction {
    async fn begin_call(&self, operation: &'static str) -> Result<()> {
        tokio::task::yield_now().await;
        self.source.check(operation)
    }
}
