// SPDX-License-Identifier: MIT OR Apache-2.0
//! Three resources behind a door: `person` may be written, `note` is raw bytes, `sight` is only read.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use throughline::{
    About, Access, Field, Format, Gauge, Generations, JsonType, Listing, Policy, ResourceName, Space,
    SpaceParts, Throughline, TrackedTasks, Writer,
};
use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{Fingerprint, Rng, Scope};
use throughline_server::http::{HttpDoor, router};
use throughline_testkit::{FlakyCache, ManualClock, MapSource};
use tokio::runtime::Handle;

pub(crate) const ADA: &str = r#"{"id":1,"first_name":"Ada","last_name":null}"#;

pub(crate) struct House {
    pub(crate) person: MapSource,
    pub(crate) note: MapSource,
    pub(crate) cache: Arc<FlakyCache>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) throughline: Throughline,
    router: axum::Router,
    breakers: Arc<Mutex<Vec<Gauge>>>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::behind(&HttpDoor::default())
    }

    pub(crate) fn behind(door: &HttpDoor) -> Self {
        let clock = Arc::new(ManualClock::default());
        let memory = MemoryCache::new(&MemoryConfig::default(), clock.clone());
        let cache = FlakyCache::new(Arc::new(memory), Scope::Process);
        let tasks = TrackedTasks::new(Handle::current());
        let person = MapSource::with_rows([("1", ADA), ("2", r#"{"id":2}"#)]);
        let note = MapSource::with_rows([("a", "<script>plain bytes</script>")]);
        let sight = MapSource::with_rows([("1", r#"{"id":1}"#)]);
        let listing = |name: &str, source: &MapSource, access: Access, about: About| {
            let space = Space::new(SpaceParts {
                name: ResourceName::new(name).expect("a name"),
                loader: Arc::new(source.clone()),
                writer: Some(Arc::new(source.clone()) as Arc<dyn Writer>),
                cache: Some(cache.clone()),
                local: None,
                nodes: None,
                fingerprint: Fingerprint::of(name.as_bytes()),
                generations: Generations::Own(1),
                policy: Policy { access, ..Policy::default() },
                clock: clock.clone(),
                rng: Arc::new(Rng::from_seed(1)),
                tasks: Arc::new(tasks.clone()),
                bypass_rate: None,
            });
            Listing { space, about, behind: None }
        };
        let listings = vec![
            listing("person", &person, Access::Write, about_person()),
            listing("note", &note, Access::Write, about_note()),
            listing("sight", &sight, Access::Read, about_person()),
        ];
        let breakers: Arc<Mutex<Vec<Gauge>>> = Arc::default();
        let more = breakers.clone();
        let gauges = move || {
            let gauge = |role, backend: &str, name, number| Gauge {
                role,
                backend: backend.to_owned(),
                node: (role == "source").then(|| "a".to_owned()),
                name,
                meaning: "What a test counts.",
                number,
            };
            let mut gauges = vec![
                gauge("cache", "main", "entries", 3),
                gauge("source", "shop", "connections", 4),
                gauge("cache", "other", "entries", 5),
            ];
            gauges.extend(more.lock().expect("no test panics with it").iter().cloned());
            gauges
        };
        let throughline = Throughline::new(listings, None, gauges, tasks, Vec::new());
        Self { router: router(throughline.clone(), door), person, note, cache, clock, throughline, breakers }
    }

    /// Sets the breakers of backends: 0 closed, 1 half-open, 2 open.
    pub(crate) fn set_breakers(&self, breakers: &[(&'static str, &str, u64)]) {
        let gauges = breakers.iter().map(|(role, backend, number)| Gauge {
            role,
            backend: (*backend).to_owned(),
            node: None,
            name: "breaker",
            meaning: "The breaker.",
            number: *number,
        });
        *self.breakers.lock().expect("no test panics with it") = gauges.collect();
    }

    /// A request that is sent by [`Ask::send`].
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(&self.router, method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    pub(crate) async fn put(&self, path: &str, json: &str) -> Answer {
        self.ask("PUT", path).json(json).send().await
    }

    /// A counter of `person`.
    pub(crate) fn counter(&self, wanted: &str) -> u64 {
        let mut found = None;
        let space = &self.throughline.listing("person").expect("a resource").space;
        space.stats().for_each(|name, _, number| {
            if name == wanted {
                found = Some(number);
            }
        });
        found.expect("a counter")
    }
}

pub(crate) fn about_person() -> About {
    let field = |name: &str, json_type, nullable, required| Field {
        name: name.to_owned(),
        json_type,
        json_format: None,
        nullable,
        required,
        read_only: false,
    };
    About {
        source: "shop (a map)".to_owned(),
        table: "person".to_owned(),
        cache: "main (memory)".to_owned(),
        key: vec!["id".to_owned()],
        fields: vec![
            field("id", JsonType::Integer, false, false),
            field("first_name", JsonType::String, false, true),
            field("last_name", JsonType::String, true, false),
        ],
        format: Format::Json,
        level_reason: "a test asked for it".to_owned(),
        remedy: None,
        others_seen: String::new(),
    }
}

fn about_note() -> About {
    About {
        table: "note".to_owned(),
        key: vec!["name".to_owned(), "language".to_owned()],
        fields: Vec::new(),
        format: Format::Raw,
        ..about_person()
    }
}

pub(crate) struct Ask {
    router: axum::Router,
    builder: axum::http::request::Builder,
    body: Bytes,
}

impl Ask {
    pub(crate) fn new(router: &axum::Router, method: &str, path: &str) -> Self {
        let builder = Request::builder().method(method).uri(path);
        Self { router: router.clone(), builder, body: Bytes::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(crate) fn json(self, text: &str) -> Self {
        self.header("content-type", "application/json").body(text.to_owned())
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let request = self.builder.body(Body::from(self.body)).expect("a request");
        let response = TowerToHyperService::new(self.router).call(request).await;
        let (parts, body) = response.expect("the router answers everything").into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.expect("a whole body"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header, or the empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Checks that this is the problem `name` with `status`, and returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, name: &str) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document: Value = serde_json::from_slice(&self.body).expect("JSON");
        let expected = (status, u64::from(status), format!("/problems/{name}"));
        let told = document["status"].as_u64().expect("a status");
        let kind = document["type"].as_str().expect("a type").to_owned();
        assert_eq!((self.status.as_u16(), told, kind), expected, "{document}");
        assert!(document["title"].is_string() && document["retry"].is_string(), "{document}");
        document["detail"].as_str().expect("a detail").to_owned()
    }
}
