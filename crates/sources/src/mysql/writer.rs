// SPDX-License-Identifier: MIT OR Apache-2.0
//! The write side: what one order's statements are.
//!
//! Autocommit is off, so the first statement begins the transaction and nothing is sent for that. A put of
//! a row that exists is UPDATE and SELECT, of a new one UPDATE (which meets nothing) and INSERT; with the
//! COMMIT that makes three round trips. There is no upsert: ON DUPLICATE KEY UPDATE and REPLACE would change
//! another row when another unique index matches.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::Effect;

use super::client::{Role, Server, Session};
use super::plan::Plan;
use super::transaction::{roll_back, settle};
use super::worker::Work;
use crate::queue::Job;
use crate::remote::{Order, RemotePrepared};

mod apply;

pub(super) use apply::{Apply, Stop};

const OPERATION: &str = "write a row";

/// How often an order whose transaction the server ended because of a deadlock is begun anew.
const DEADLOCK_COUNT_MAX: usize = 3;

/// Carries orders out.
#[derive(Debug)]
pub(super) struct OrderWork {
    pub(super) server: Arc<Server>,
}

impl Work for OrderWork {
    type Job = Order<Plan>;

    const ROLE: Role = Role::Writer;

    async fn run(
        &self,
        session: &mut Session,
        batch: Vec<Order<Plan>>,
    ) -> std::result::Result<(), Vec<Order<Plan>>> {
        let mut lost = Vec::new();
        for order in batch {
            if let Err(order) = self.carry_out(session, order).await {
                lost.push(order);
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

impl OrderWork {
    /// Gives the order back when the connection was lost before its COMMIT: then nothing was done.
    async fn carry_out(
        &self,
        session: &mut Session,
        order: Order<Plan>,
    ) -> std::result::Result<(), Order<Plan>> {
        match run_steps(session, &order).await {
            Ok(effects) => {
                let (prepared, decision) = RemotePrepared::new(order.plan.name(), effects);
                // A caller that left drops the prepared write, and that is a decision too.
                let _ = order.reply.send(Ok(prepared));
                let life = Duration::from_millis(self.server.config().prepared_life_ms);
                settle(session, order.plan.name(), decision, life).await;
            }
            Err(Stop::Failed(failure)) if failure.is_lost() => return Err(order),
            Err(stop) => {
                if session.is_open() {
                    roll_back(session).await;
                }
                let error = stop.into_error(&order.plan);
                order.refuse(error);
            }
        }
        Ok(())
    }
}

async fn run_steps(session: &mut Session, order: &Order<Plan>) -> std::result::Result<Vec<Effect>, Stop> {
    let mut deadlock_count = 0;
    loop {
        let mut apply = Apply::new(session, &order.plan);
        match apply.all(&order.steps, || order.is_abandoned()).await {
            Err(Stop::Failed(failure)) if failure.is_deadlock() && deadlock_count < DEADLOCK_COUNT_MAX => {
                // The server has ended the transaction, so its first statement can begin it anew.
                deadlock_count += 1;
            }
            outcome => return outcome,
        }
    }
}
