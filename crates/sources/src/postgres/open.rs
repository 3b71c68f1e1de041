// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open transactions: a worker of their own sort takes the caller's commands one by one.
//!
//! The locks of the touched keys are taken just before the caller prepares: all row locks are held by then, and the
//! numbers are sorted, so that transactions do not wait for each other in a circle there. What a fill probes is then
//! held for every key, whoever changed its row.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{
    BoxFuture, Effect, Error, ErrorKind, Executed, Hold, Key, Member, Parameter, Prepared, Record, Result,
    Transaction, Transactions, Write,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::PostgresSource;
use super::cell::Wire;
use super::client::{Role, Server, Session};
use super::coupling::{LOCK, array};
use super::map::statement_error;
use super::plan::{Cells, Plan, wires};
use super::statement::BEGIN as BEGIN_STATEMENT;
use super::transaction::{roll_back, settle};
use super::worker::Work;
use super::writer::Apply;
use crate::queue::Job;
use crate::remote::{Begin, RemotePrepared, begin};
use crate::transaction::{Command, Members, UNKNOWN_TABLE, answer, no_row_to_touch, not_run, too_many_rows};

const BEGIN: &str = "begin a transaction";
const READ: &str = "read a row in a transaction";
const EXECUTE: &str = "run a statement of the application";

impl Transactions for PostgresSource {
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
    /// A transaction has its connection for itself.
    const DEPTH: usize = 1;

    async fn run(&self, session: &Session, batch: Vec<Begin>) -> std::result::Result<(), Vec<Begin>> {
        let mut lost = Vec::new();
        for begin in batch {
            session.count_round_trip();
            match session.command(BEGIN_STATEMENT).await {
                Ok(()) => self.serve(session, begin).await,
                Err(failure) if failure.is_lost() => lost.push(begin),
                Err(failure) => {
                    if session.is_open() {
                        roll_back(session).await;
                    }
                    begin.refuse(statement_error(BEGIN, "any", &failure, &|_| false));
                }
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

/// What one transaction has done so far.
struct Open<'a> {
    session: &'a Session,
    members: &'a Members<Plan>,
    /// The numbers of the keys' locks that are still to be taken.
    numbers: BTreeSet<i32>,
}

impl OpenWork {
    /// Serves one transaction to its end.
    async fn serve(&self, session: &Session, begin: Begin) {
        let config = self.server.config();
        let idle = Duration::from_millis(config.prepared_life_ms);
        let mut inbox = begin.accept(idle, Duration::from_millis(config.transaction_life_ms));
        let mut open = Open { session, members: &self.members, numbers: BTreeSet::new() };
        while let Some(command) = inbox.next().await {
            if let Command::Prepare { reply } = command {
                if let Err(error) = open.lock().await {
                    let _ = reply.send(Err(error));
                    break;
                }
                let (prepared, decision) = RemotePrepared::new("of the transaction", Vec::new());
                let _ = reply.send(Ok(Box::new(prepared) as Box<dyn Prepared>));
                settle(session, "of the transaction", decision, idle).await;
                return;
            }
            if !open.obey(command).await {
                break;
            }
        }
        if session.is_open() {
            roll_back(session).await;
        }
    }
}

impl Open<'_> {
    /// Runs one command; whether the transaction may go on.
    async fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Read { member, key, hold, reply } => answer(reply, self.read(member, &key, hold).await),
            Command::Write { member, write, reply } => answer(reply, self.write(member, &write).await),
            Command::Execute { sql, parameters, reply } => {
                answer(reply, self.execute(&sql, &parameters).await)
            }
            Command::Touch { member, key, reply } => answer(reply, self.touch(member, &key).await),
            Command::Prepare { .. } => unreachable!("whoever calls this has looked"),
        }
    }

    async fn row(&self, plan: &Plan, key: &Key, hold: Hold) -> Result<Option<Cells>> {
        let sql = match hold {
            Hold::Free => plan.statements.select_one(),
            Hold::Locked => plan.statements.select_locked(),
        };
        let asked = plan.asked(key)?;
        self.session.count_round_trip();
        let cells = match self.session.run(&sql, &wires(&asked)).await {
            Ok(rows) => rows.first().map(|row| plan.cells(row)).transpose(),
            Err(failure) => Err(failure),
        };
        cells.map_err(|failure| statement_error(READ, plan.name(), &failure, &|name| plan.has_name(name)))
    }

    async fn read(&self, member: Member, key: &Key, hold: Hold) -> Result<Option<Record>> {
        let plan = self.members.plan(member)?;
        let cells = self.row(&plan, key, hold).await?;
        Ok(cells.map(|cells| plan.record(&cells)))
    }

    async fn write(&mut self, member: Member, write: &Write) -> Result<Effect> {
        let plan = self.members.plan(member)?;
        plan.refuse_obstacle()?;
        let step = plan.step(write)?;
        let effect = Apply::within(self.session, &plan).one(&step).await;
        let effect = effect.map_err(|stop| stop.into_error(&plan))?;
        if let Effect::Stored { key, .. } | Effect::Deleted { key } = &effect {
            self.numbers.insert(plan.numbers.of(key));
        }
        Ok(effect)
    }

    async fn touch(&mut self, member: Member, key: &Key) -> Result<Key> {
        let plan = self.members.plan(member)?;
        plan.refuse_obstacle()?;
        let key = if plan.mapping.key().is_exact() {
            plan.asked(key)?.key
        } else {
            let cells = self.row(&plan, key, Hold::Free).await?;
            let stored = cells.and_then(|cells| plan.stored_key(&cells));
            stored.ok_or_else(|| no_row_to_touch(plan.name()))?
        };
        self.numbers.insert(plan.numbers.of(&key));
        Ok(key)
    }

    /// Takes the keys' locks.
    async fn lock(&mut self) -> Result<()> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i32> = std::mem::take(&mut self.numbers).into_iter().collect();
        self.session.count_round_trip();
        let locked = self.session.run(LOCK, &[Wire::Text(array(&numbers))]).await;
        locked.map(drop).map_err(|failure| statement_error("lock the keys", "any", &failure, &|_| false))
    }

    async fn execute(&self, sql: &str, parameters: &[Parameter]) -> Result<Executed> {
        let wires: Vec<Wire> = parameters.iter().map(to_wire).collect();
        self.session.count_round_trip();
        match self.session.run_rows(sql, &wires, Executed::ROW_COUNT_MAX).await {
            Ok(Some((rows, changed))) => {
                let rows = rows.iter().map(parameters_of).collect::<std::result::Result<Vec<_>, _>>();
                let rows = rows.map_err(|type_name| {
                    let detail = format!("a column is of type `{type_name}`: cast it to text");
                    Error::new(ErrorKind::InvalidValue, EXECUTE, detail)
                })?;
                let changed = if rows.is_empty() { changed } else { 0 };
                Ok(Executed { changed, rows })
            }
            Ok(None) => Err(too_many_rows()),
            Err(failure) => Err(not_run(&statement_error(EXECUTE, UNKNOWN_TABLE, &failure, &|_| false))),
        }
    }
}

fn to_wire(parameter: &Parameter) -> Wire {
    match parameter {
        Parameter::Null => Wire::Null,
        Parameter::Integer(number) => Wire::Text(number.to_string()),
        Parameter::Real(number) => Wire::Text(number.to_string()),
        Parameter::Text(text) => Wire::Text(text.clone()),
        Parameter::Bytes(bytes) => Wire::Bytes(bytes.clone()),
    }
}

/// The cells of a row of the application; the name of a type that only the server can write as text.
fn parameters_of(row: &Row) -> std::result::Result<Vec<Parameter>, String> {
    (0..row.len()).map(|at| parameter(row, at)).collect()
}

fn parameter(row: &Row, at: usize) -> std::result::Result<Parameter, String> {
    let kind = row.columns()[at].type_().clone();
    let wrong = |_| kind.name().to_owned();
    let found = match kind {
        Type::BOOL => {
            row.try_get::<_, Option<bool>>(at).map(|cell| cell.map(|is| Parameter::Integer(is.into())))
        }
        Type::INT2 => {
            row.try_get::<_, Option<i16>>(at).map(|cell| cell.map(|n| Parameter::Integer(n.into())))
        }
        Type::INT4 => {
            row.try_get::<_, Option<i32>>(at).map(|cell| cell.map(|n| Parameter::Integer(n.into())))
        }
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|cell| cell.map(Parameter::Integer)),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(at).map(|cell| cell.map(|n| Parameter::Real(n.into()))),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(at).map(|cell| cell.map(Parameter::Real)),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(|cell| cell.map(Parameter::Bytes)),
        _ => row.try_get::<_, Option<String>>(at).map(|cell| cell.map(Parameter::Text)),
    };
    Ok(found.map_err(wrong)?.unwrap_or(Parameter::Null))
}
