// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the bank answers.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;

use crate::bank::BankOptions;
use crate::idempotency::Known;
use crate::ledger::{Conditions, HangUp, Ledger};

const BODY_BYTES_MAX: usize = 16 << 20;

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BankCounts {
    /// GETs of a document.
    pub reads: u64,
    /// Requests to save or remove.
    pub requests: u64,
    /// Documents that were saved or removed.
    pub saves: u64,
    /// Requests that were answered as before, because their idempotency key was known.
    pub repetitions: u64,
    /// Requests that were declined, because the bank was told so.
    pub declined: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// The most requests that were under way at once.
    pub under_way_max: u64,
}

pub(crate) struct Service {
    options: BankOptions,
    pub(crate) save_ms: AtomicU64,
    pub(crate) read_ms: AtomicU64,
    pub(crate) ledger: Mutex<Ledger>,
    counts: Mutex<BankCounts>,
    under_way: AtomicU64,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A save, as the bank understands it.
struct Save {
    path: String,
    body: Option<Bytes>,
    content_type: String,
    conditions: Conditions,
    idempotency_key: Option<String>,
    hang_up: Option<HangUp>,
}

type Answer = Response<Full<Bytes>>;

impl Service {
    pub(crate) fn new(options: BankOptions) -> Self {
        Self {
            save_ms: AtomicU64::new(options.save_ms),
            read_ms: AtomicU64::new(options.read_ms),
            options,
            ledger: Mutex::default(),
            counts: Mutex::default(),
            under_way: AtomicU64::new(0),
        }
    }

    pub(crate) fn counts(&self) -> BankCounts {
        *self.counts.lock()
    }

    pub(crate) fn note_connection(&self) {
        self.counts.lock().connections += 1;
    }

    /// Answers a request; an error hangs up.
    pub(crate) async fn serve(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Answer> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.count(|counts| counts.under_way_max = counts.under_way_max.max(now));
        // What a client began goes on when the client has left, as in any bank.
        let service = Arc::clone(&self);
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let answer = match body {
            Ok(body) => {
                let request = Request::from_parts(parts, body.to_bytes());
                tokio::spawn(async move { service.answer(request).await }).await.map_err(io::Error::other)
            }
            Err(_) => Ok(Ok(problem(StatusCode::PAYLOAD_TOO_LARGE, "the document is too large"))),
        };
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        answer?
    }

    async fn answer(&self, request: Request<Bytes>) -> io::Result<Answer> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        if let Some(ms) = path.strip_prefix("/_bank/decline?ms=") {
            let until = tokio::time::Instant::now() + Duration::from_millis(ms.parse().unwrap_or(10_000));
            self.ledger.lock().declines_until = Some(until);
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        if let Some(token) = &self.options.token {
            let shown = request.headers().get(header::AUTHORIZATION);
            if shown.is_none_or(|shown| shown.as_bytes() != format!("Bearer {token}").as_bytes()) {
                return Ok(problem(StatusCode::UNAUTHORIZED, "show a token"));
            }
        }
        let is_listing = path.matches('/').count() == 1 && request.method() == Method::GET;
        if is_listing {
            let listing = self.ledger.lock().list(&path);
            return Ok(json(StatusCode::OK, listing.into()));
        }
        if let Some(seconds) = self.declines() {
            self.told(&format!("declines {} {path} for {seconds} s more", request.method()));
            let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, "the bank is closed for a while");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            return Ok(answer);
        }
        match *request.method() {
            Method::GET => Ok(self.read(&path).await),
            Method::PUT | Method::POST | Method::PATCH | Method::DELETE => self.change(request, path).await,
            _ => Ok(problem(StatusCode::METHOD_NOT_ALLOWED, "the bank reads and saves")),
        }
    }

    fn declines(&self) -> Option<u64> {
        let seconds = self.ledger.lock().declines_for()?;
        self.count(|counts| counts.declined += 1);
        Some(seconds)
    }

    async fn read(&self, path: &str) -> Answer {
        self.count(|counts| counts.reads += 1);
        self.told(&format!("is asked for {path}"));
        pause(&self.read_ms).await;
        let ledger = self.ledger.lock();
        let Some(document) = ledger.get(path) else {
            return problem(StatusCode::NOT_FOUND, "there is no such document");
        };
        let mut answer = Response::new(Full::new(document.body.clone()));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, text(&document.content_type));
        if self.options.has_tags {
            headers.insert(header::ETAG, text(&document.tag));
        }
        answer
    }

    async fn change(&self, request: Request<Bytes>, path: String) -> io::Result<Answer> {
        self.count(|counts| counts.requests += 1);
        let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let idempotency_key = header("idempotency-key").filter(|_| self.options.remembers);
        let conditions = Conditions { if_match: header("if-match"), if_none_match: header("if-none-match") };
        let content_type = header("content-type").unwrap_or_default();
        let what = format!("{} {path} {:?}", request.method(), request.body());
        let is_removal = request.method() == Method::DELETE;
        let body = (!is_removal).then(|| request.into_body());
        {
            let mut ledger = self.ledger.lock();
            if let Some(key) = &idempotency_key {
                match ledger.idempotency.begin(key, &what) {
                    Known::New => {}
                    Known::UnderWay => {
                        return Ok(problem(StatusCode::CONFLICT, "a request with this key is under way"));
                    }
                    Known::Foreign => {
                        return Ok(problem(StatusCode::UNPROCESSABLE_ENTITY, "another request had this key"));
                    }
                    Known::Answered((status, tag)) => {
                        drop(ledger);
                        self.count(|counts| counts.repetitions += 1);
                        self.told(&format!("has saved {path} before"));
                        return Ok(self.saved(status, tag.as_deref()));
                    }
                }
            }
        }
        let hang_up = self.ledger.lock().hang_ups.pop_front();
        let save = Save { path, body, content_type, conditions, idempotency_key, hang_up };
        self.told(&format!("is asked to {} {}", if is_removal { "remove" } else { "save" }, save.path));
        pause(&self.save_ms).await;
        self.carry_out(&save)
    }

    fn carry_out(&self, save: &Save) -> io::Result<Answer> {
        let mut ledger = self.ledger.lock();
        let forget = |ledger: &mut Ledger| {
            if let Some(key) = &save.idempotency_key {
                ledger.idempotency.end(key, None);
            }
        };
        if save.hang_up == Some(HangUp::BeforeSaving) {
            forget(&mut ledger);
            return Err(io::Error::other("told to hang up"));
        }
        if let Some(status) = ledger.refusal() {
            forget(&mut ledger);
            return Ok(problem(status, "the bank was told to refuse"));
        }
        if !ledger.holds(&save.path, &save.conditions) {
            forget(&mut ledger);
            return Ok(problem(StatusCode::PRECONDITION_FAILED, "the document is not as you say"));
        }
        let (status, tag) = match &save.body {
            Some(body) if save.content_type == "application/json" && !is_object(body) => {
                forget(&mut ledger);
                return Ok(problem(StatusCode::UNPROCESSABLE_ENTITY, "the document is no object"));
            }
            Some(body) => {
                let (is_new, tag) = ledger.save(&save.path, body.clone(), &save.content_type);
                (if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }, Some(tag))
            }
            None if ledger.remove(&save.path) => (StatusCode::NO_CONTENT, None),
            None => (StatusCode::NOT_FOUND, None),
        };
        if let Some(key) = &save.idempotency_key {
            ledger.idempotency.end(key, Some((status, tag.clone())));
        }
        drop(ledger);
        self.count(|counts| counts.saves += 1);
        self.told(&format!("has {} {}", if save.body.is_some() { "saved" } else { "removed" }, save.path));
        match save.hang_up {
            Some(HangUp::AfterSaving) => Err(io::Error::other("told to hang up")),
            _ => Ok(self.saved(status, tag.as_deref())),
        }
    }

    fn saved(&self, status: StatusCode, tag: Option<&str>) -> Answer {
        let mut answer = empty(status);
        if let Some(tag) = tag.filter(|_| self.options.has_tags) {
            answer.headers_mut().insert(header::ETAG, text(tag));
        }
        answer
    }

    fn count(&self, change: impl FnOnce(&mut BankCounts)) {
        change(&mut self.counts.lock());
    }

    fn told(&self, event: &str) {
        if let Some(told) = &self.options.told {
            told(event);
        }
    }
}

async fn pause(ms: &AtomicU64) {
    let ms = ms.load(Ordering::Relaxed);
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn is_object(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = Full::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn problem(status: StatusCode, detail: &str) -> Answer {
    let body = serde_json::json!({ "status": status.as_u16(), "detail": detail }).to_string();
    let mut answer = json(status, body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    answer
}
