// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open transactions: a worker of their own sort takes the caller's commands one by one.
//!
//! They have connections apart from those of single writes, so that an application that thinks long within its transaction keeps
//! no other write waiting. Their connections do not tell triggers of an outbox that they are ours: what the
//! application's own SQL changes must come back as news, or a row that it forgot to touch would stay old.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Row, Value as Wire};
use throughline_core::{
    BoxFuture, Effect, Executed, Hold, Key, Member, Parameter, Prepared, Record, Result, Transaction,
    Transactions, Write,
};

use super::MysqlSource;
use super::client::{Role, Server, Session};
use super::map::statement_error;
use super::plan::{Plan, wires};
use super::transaction::{roll_back, settle};
use super::worker::Work;
use super::writer::Apply;
use crate::queue::Job;
use crate::remote::{Begin, RemotePrepared, begin};
use crate::sql::Lock;
use crate::transaction::{Command, Members, UNKNOWN_TABLE, answer, no_row_to_touch, not_run, too_many_rows};

const BEGIN: &str = "begin a transaction";
const READ: &str = "read a row in a transaction";
const EXECUTE: &str = "run a statement of the application";

impl Transactions for MysqlSource {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Transaction>>> {
        Box::pin(begin(&self.shared.transactions, self.shared.server.answer_limit()))
    }
}

/// Carries transactions out.
#[derive(Debug)]
pub(super) struct OpenWork {
    pub(super) server: Arc<Server>,
    pub(super) members: Members<Plan>,
}

impl Work for OpenWork {
    type Job = Begin;

    const ROLE: Role = Role::Transaction;

    async fn run(&self, session: &mut Session, batch: Vec<Begin>) -> std::result::Result<(), Vec<Begin>> {
        let mut lost = Vec::new();
        for begin in batch {
            match session.command("START TRANSACTION").await {
                Ok(_) => self.serve(session, begin).await,
                Err(failure) if failure.is_lost() => lost.push(begin),
                Err(failure) => begin.refuse(statement_error(BEGIN, "any", &failure, &|_| false)),
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

impl OpenWork {
    /// Serves one transaction to its end.
    async fn serve(&self, session: &mut Session, begin: Begin) {
        let config = self.server.config();
        let idle = Duration::from_millis(config.prepared_life_ms);
        let mut inbox = begin.accept(idle, Duration::from_millis(config.transaction_life_ms));
        while let Some(command) = inbox.next().await {
            if let Command::Prepare { reply } = command {
                let (prepared, decision) = RemotePrepared::new("of the transaction", Vec::new());
                let _ = reply.send(Ok(Box::new(prepared) as Box<dyn Prepared>));
                settle(session, "of the transaction", decision, idle).await;
                return;
            }
            if !self.obey(session, command).await {
                break;
            }
        }
        if session.is_open() {
            roll_back(session).await;
        }
    }

    /// Runs one command; whether the transaction may go on.
    async fn obey(&self, session: &mut Session, command: Command) -> bool {
        match command {
            Command::Read { member, key, hold, reply } => {
                answer(reply, self.read(session, member, &key, hold).await)
            }
            Command::Write { member, write, reply } => {
                answer(reply, self.write(session, member, &write).await)
            }
            Command::Execute { sql, parameters, reply } => {
                answer(reply, execute(session, &sql, parameters).await)
            }
            Command::Touch { member, key, reply } => answer(reply, self.touch(session, member, &key).await),
            Command::Prepare { .. } => unreachable!("whoever calls this has looked"),
        }
    }

    async fn row(
        &self,
        session: &mut Session,
        plan: &Plan,
        key: &Key,
        lock: Lock,
    ) -> Result<Option<super::plan::Cells>> {
        let asked = plan.asked(key)?;
        let rows = session.run(&plan.select(1, lock), wires(&asked)).await;
        let rows =
            rows.map_err(|failure| statement_error(READ, plan.name(), &failure, &|name| plan.has_name(name)));
        Ok(rows?.rows.into_iter().next().map(|row| plan.cells(row)))
    }

    async fn read(
        &self,
        session: &mut Session,
        member: Member,
        key: &Key,
        hold: Hold,
    ) -> Result<Option<Record>> {
        let plan = self.members.plan(member)?;
        let lock = match hold {
            Hold::Free => Lock::None,
            Hold::Locked => Lock::Write,
        };
        let cells = self.row(session, &plan, key, lock).await?;
        Ok(cells.map(|cells| plan.record(&cells)))
    }

    async fn write(&self, session: &mut Session, member: Member, write: &Write) -> Result<Effect> {
        let plan = self.members.plan(member)?;
        plan.refuse_obstacle()?;
        let step = plan.step(write)?;
        Apply::new(session, &plan).step(&step).await.map_err(|stop| stop.into_error(&plan))
    }

    async fn touch(&self, session: &mut Session, member: Member, key: &Key) -> Result<Key> {
        let plan = self.members.plan(member)?;
        plan.refuse_obstacle()?;
        if plan.mapping.key().is_exact() {
            // The locks of what the application's statements change are those that fills probe.
            return Ok(plan.asked(key)?.key);
        }
        let cells = self.row(session, &plan, key, Lock::None).await?;
        let stored = cells.and_then(|cells| plan.stored_key(&cells));
        stored.ok_or_else(|| no_row_to_touch(plan.name()))
    }
}

async fn execute(session: &mut Session, sql: &str, parameters: Vec<Parameter>) -> Result<Executed> {
    let values = parameters.into_iter().map(to_wire).collect();
    match session.run_rows(sql, values, Executed::ROW_COUNT_MAX).await {
        Ok(Some(answer)) => {
            let rows = answer.rows.into_iter().map(parameters_of).collect::<Vec<_>>();
            let changed = if rows.is_empty() { answer.met } else { 0 };
            Ok(Executed { changed, rows })
        }
        Ok(None) => Err(too_many_rows()),
        Err(failure) => Err(not_run(&statement_error(EXECUTE, UNKNOWN_TABLE, &failure, &|_| false))),
    }
}

fn to_wire(parameter: Parameter) -> Wire {
    match parameter {
        Parameter::Null => Wire::NULL,
        Parameter::Integer(number) => Wire::Int(number),
        Parameter::Real(number) => Wire::Double(number),
        Parameter::Text(text) => Wire::Bytes(text.into_bytes()),
        Parameter::Bytes(bytes) => Wire::Bytes(bytes),
    }
}

fn parameters_of(row: Row) -> Vec<Parameter> {
    /// The character set that means bytes.
    const BINARY: u16 = 63;
    let is_binary: Vec<bool> = row.columns().iter().map(|column| column.character_set() == BINARY).collect();
    let digits: Vec<u8> = row.columns().iter().map(|column| column.decimals()).collect();
    let cells = row.unwrap().into_iter().zip(is_binary).zip(digits);
    cells.map(|((wire, is_binary), digits)| parameter(wire, is_binary, digits)).collect()
}

fn parameter(wire: Wire, is_binary: bool, digits: u8) -> Parameter {
    use crate::sql::{Kind, Value};
    match wire {
        Wire::Bytes(bytes) if is_binary => Parameter::Bytes(bytes),
        Wire::Bytes(bytes) => String::from_utf8(bytes)
            .map_or_else(|error| Parameter::Bytes(error.into_bytes()), Parameter::Text),
        other => match super::cell::from_wire(other, &Kind::DateTime, digits) {
            Value::Null => Parameter::Null,
            Value::Int(number) => Parameter::Integer(number),
            Value::UInt(number) => {
                i64::try_from(number).map_or_else(|_| Parameter::Text(number.to_string()), Parameter::Integer)
            }
            Value::Float(number) => Parameter::Real(number),
            Value::Decimal(text) | Value::Text(text) => Parameter::Text(text),
            Value::Bytes(bytes) | Value::NotUtf8(bytes) => Parameter::Bytes(bytes),
        },
    }
}
