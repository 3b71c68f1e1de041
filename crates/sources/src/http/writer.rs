// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes by requests: prepare decides, commit sends.
//!
//! A commit is one request for one record, because there is nothing by which several would take place together. Writes of
//! one record that are prepared together therefore become one: the last of those whose conditions hold. A condition is
//! decided by a GET in prepare, and the service is asked to decide it again with the request itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline_core::{
    BoxFuture, Change, Condition, Effect, Error, ErrorKind, Key, Prepared, Refusal, Result, Retry, Target,
    Write, Writer,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::HttpResource;
use super::body::object;
use super::deliver::{Delivered, Delivery, Guard, WRITE};
use super::loader::Found;

/// What [`Writer::prepare`] takes at a time.
const WRITE_COUNT_MAX: usize = 256;

/// A write whose request was not sent yet.
#[derive(Debug)]
struct Pending {
    resource: HttpResource,
    effects: Vec<Effect>,
    /// `None` when every write was refused.
    delivery: Option<Delivery>,
}

impl HttpResource {
    /// A handle for a task.
    fn handle(&self) -> Self {
        Self {
            client: Arc::clone(&self.client),
            mapping: self.mapping.clone(),
            tasks: Arc::clone(&self.tasks),
        }
    }

    async fn prepare_writes(&self, writes: &[Write]) -> Result<Pending> {
        if writes.len() > WRITE_COUNT_MAX {
            let detail = format!("{} writes at once, at most {WRITE_COUNT_MAX} are taken", writes.len());
            return Err(Error::new(ErrorKind::TooLarge, WRITE, detail));
        }
        let Some(first) = writes.first() else {
            return Ok(Pending { resource: self.handle(), effects: Vec::new(), delivery: None });
        };
        let key = self.key_of(first)?;
        if writes.len() > 1 && writes.iter().any(|write| !can_be_joined(write, &key)) {
            let detail = "a service over HTTP takes one record at a time: write them one by one";
            return Err(Error::new(ErrorKind::Other, WRITE, detail));
        }
        self.path_of(&key)?;
        let values = writes.iter().map(|write| self.value_of(&write.change)).collect::<Result<Vec<_>>>()?;
        let is_conditional =
            |write: &Write| write.target == Target::New || write.condition != Condition::Always;
        let known = match writes.iter().any(is_conditional) {
            true => Some(self.find(&key, None).await?),
            false => None,
        };
        let mut last = None;
        let mut effects = Vec::with_capacity(writes.len());
        let mut is_present = known.as_ref().map(Option::is_some);
        for (write, value) in writes.iter().zip(values) {
            let effect = effect(write, &key, known.as_ref().and_then(Option::as_ref), is_present);
            if !matches!(effect, Effect::Refused(_)) {
                // What is present afterwards is known only if it was known before.
                is_present = is_present.map(|_| value.is_some());
                last = Some(value);
            }
            effects.push(effect);
        }
        let guard = guard(known.as_ref(), writes)?;
        let delivery = last.map(|value| Delivery { key, value, guard, id: Uuid::now_v7() });
        Ok(Pending { resource: self.handle(), effects, delivery })
    }

    /// The key that `write` is for. A new record whose value does not hold its key gets a uuid.
    fn key_of(&self, write: &Write) -> Result<Key> {
        let Change::Put { value, .. } = &write.change else {
            return match &write.target {
                Target::Key(key) => Ok(key.clone()),
                Target::New => Err(Error::new(ErrorKind::InvalidKey, WRITE, "what is deleted needs a key")),
            };
        };
        if let Target::Key(key) = &write.target {
            return Ok(key.clone());
        }
        let names = self.mapping.path.names();
        let fields = object(value).unwrap_or_default();
        let part = |name: &String| match fields.get(name) {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        match (names.iter().map(part).collect::<Option<Vec<_>>>(), names) {
            (Some(parts), _) => Key::from_parts(parts.iter().map(String::as_bytes)),
            (None, [name]) if !fields.contains_key(name) => Key::parse(&Uuid::now_v7().to_string()),
            (None, _) => {
                let detail = format!("the value holds no text or number for each of: {}", names.join(", "));
                Err(Error::new(ErrorKind::InvalidKey, WRITE, detail))
            }
        }
    }
}

/// Whether a write may become one with others of `key`: what its condition says must be known without asking in between.
fn can_be_joined(write: &Write, key: &Key) -> bool {
    let is_decidable = !matches!(write.condition, Condition::Unchanged(_));
    write.target == Target::Key(key.clone()) && is_decidable
}

/// What a write does if the record is as `found` says; `is_present` counts the writes before it.
fn effect(write: &Write, key: &Key, found: Option<&Found>, is_present: Option<bool>) -> Effect {
    let condition = match write.target {
        Target::New => &Condition::Absent,
        Target::Key(_) => &write.condition,
    };
    let deletes = matches!(write.change, Change::Delete);
    let refusal = match (condition, is_present) {
        (Condition::Absent, Some(true)) => Some(Refusal::Exists),
        (Condition::Present | Condition::Unchanged(_), Some(false)) => Some(Refusal::Absent),
        (_, Some(false)) if deletes => Some(Refusal::Absent),
        (Condition::Unchanged(versions), _) => found
            .map(|found| found.record.version)
            .filter(|version| !versions.contains(version))
            .map(Refusal::Conflict),
        _ => None,
    };
    let key = key.clone();
    match refusal {
        Some(refusal) => Effect::Refused(refusal),
        None if deletes => Effect::Deleted { key },
        // How a reader will see the record, only a read after the commit can tell.
        None => Effect::Stored { key, record: None, created: is_present == Some(false) },
    }
}

/// What the service is asked to see to: that the record still is as the conditions were decided on.
fn guard(known: Option<&Option<Found>>, writes: &[Write]) -> Result<Guard> {
    Ok(match known {
        None => Guard::Open,
        Some(None) => Guard::Absent,
        Some(Some(found)) => match &found.entity_tag {
            Some(tag) => Guard::Unchanged(tag.clone()),
            None if writes.iter().any(|write| matches!(write.condition, Condition::Unchanged(_))) => {
                let detail = "the service gives the record no strong entity tag, so it cannot be seen whether \
                              somebody changes it meanwhile";
                return Err(Error::new(ErrorKind::Other, WRITE, detail));
            }
            None => Guard::Present,
        },
    })
}

impl Writer for HttpResource {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move { Ok(Box::new(self.prepare_writes(writes).await?) as Box<dyn Prepared>) })
    }
}

impl Prepared for Pending {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let Self { resource, delivery, .. } = *self;
            let Some(delivery) = delivery else { return Ok(()) };
            let (reply, replied) = oneshot::channel();
            let began = Arc::new(AtomicBool::new(false));
            let (tasks, sees) = (Arc::clone(&resource.tasks), Arc::clone(&began));
            // A task, so that a caller who leaves does not close the connection under the request.
            let work = async move {
                sees.store(true, Ordering::SeqCst);
                // Who left needs no answer.
                let _ = reply.send(resource.commit(&delivery).await);
            };
            tasks.spawn("write to a service", Box::pin(work));
            replied.await.unwrap_or_else(|_| Err(stopped(began.load(Ordering::SeqCst))))
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        // Nothing was sent.
        Box::pin(std::future::ready(Ok(())))
    }
}

impl HttpResource {
    async fn commit(&self, delivery: &Delivery) -> Result<()> {
        match self.deliver(delivery).await? {
            Delivered::Done(..) => Ok(()),
            Delivered::Refused => {
                let detail =
                    "somebody changed the record after the condition was decided; nothing was written";
                Err(Error::new(ErrorKind::Constraint, WRITE, detail).with_retry(Retry::Safe))
            }
        }
    }
}

/// The error of a commit whose task was stopped.
fn stopped(began: bool) -> Error {
    match began {
        true => Error::new(
            ErrorKind::OutcomeUnknown,
            WRITE,
            "the program shut down while the request was under way",
        ),
        false => Error::new(ErrorKind::Closed, WRITE, "the program shuts down; nothing was written"),
    }
}
