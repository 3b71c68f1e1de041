// SPDX-License-Identifier: MIT OR Apache-2.0
//! `demo`: the strategies at work against a slow source, with a trace of who was called when.

mod payment;
mod shown;
mod slow;
mod trace;
mod traced_cache;
mod traced_journal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use miette::{IntoDiagnostic as _, miette};
use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Mode, ReadStrategy, Space, Target, Write, WriteStrategy};

use crate::args::{DemoArgs, Story};
use crate::serve::runtime;
use shown::key;
use slow::SlowSource;
use trace::Trace;
use traced_cache::TracedCache;

const PERSON: &str = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;

pub(crate) fn run(args: &DemoArgs) -> miette::Result<ExitCode> {
    match &args.story {
        None => strategies(args),
        Some(Story::Payment(args)) => payment::run(args),
    }
}

fn strategies(args: &DemoArgs) -> miette::Result<ExitCode> {
    in_folder(|folder| async move {
        for (read, write) in [
            (ReadStrategy::CacheAside, WriteStrategy::WriteThrough),
            (ReadStrategy::ReadThrough, WriteStrategy::WriteAround),
        ] {
            let stage = Stage::open(&folder, args, read, write).await?;
            stage.reading(read).await?;
            stage.writing(write).await?;
            stage.close().await;
        }
        let stage =
            Stage::open(&folder, args, ReadStrategy::ReadThrough, WriteStrategy::WriteThrough).await?;
        stage.switching().await?;
        stage.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells a story that needs a folder of its own, which is gone afterwards.
fn in_folder<F>(story: impl FnOnce(PathBuf) -> F) -> miette::Result<ExitCode>
where
    F: Future<Output = miette::Result<ExitCode>>,
{
    let folder = std::env::temp_dir().join(format!("throughline-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).into_diagnostic()?;
    let told = runtime(None)?.block_on(story(folder.clone()));
    std::fs::remove_dir_all(&folder).into_diagnostic()?;
    told
}

/// One resource over a slow source, whose participants report what they are asked.
struct Stage {
    throughline: throughline::Throughline,
    person: Arc<Space>,
    trace: Trace,
}

impl Stage {
    async fn open(
        folder: &Path,
        args: &DemoArgs,
        read: ReadStrategy,
        write: WriteStrategy,
    ) -> miette::Result<Self> {
        let trace = Trace::default();
        let (source, cache) = (trace.clone(), trace.clone());
        let (read_for, write_for) =
            (Duration::from_millis(args.read_ms), Duration::from_millis(args.write_ms));
        let mut settings = Settings::sample(folder.to_owned());
        settings.serve_tables(&["person"], read, write);
        let assembly = Assembly::new(settings)
            .wrap_loaders(move |loader| SlowSource::loader(loader, read_for, source.clone()))
            .wrap_writers({
                let trace = trace.clone();
                move |writer| SlowSource::writer(writer, write_for, trace.clone())
            })
            .wrap_caches(move |inner| Arc::new(TracedCache::new(inner, cache.clone())));
        let throughline = assembly.open().await.map_err(|mistake| miette!("{mistake}"))?;
        let person = throughline.listing("person").expect("the sample has a person").space.clone();
        Ok(Self { throughline, person, trace })
    }

    async fn close(self) {
        self.throughline.shut_down(Duration::from_secs(1)).await;
    }

    async fn reading(&self, strategy: ReadStrategy) -> miette::Result<()> {
        self.trace.title(&format!("Reading, {strategy}"));
        self.read("first read: the cache has nothing, so the slow source is asked").await?;
        self.read("second read: a hit").await?;
        if strategy == ReadStrategy::ReadThrough {
            self.person.invalidate(&key()).await.into_diagnostic()?;
            self.trace.say("five clients ask for the same record at once, and the source is asked once");
            let reads = (0..5).map(|_| {
                let person = self.person.clone();
                async move { person.get(&key()).await }
            });
            for read in futures(reads).await {
                read.into_diagnostic()?;
            }
        }
        Ok(())
    }

    async fn writing(&self, strategy: WriteStrategy) -> miette::Result<()> {
        self.trace.title(&format!("Writing, {strategy}"));
        self.write(match strategy {
            WriteStrategy::WriteThrough => "write: the source first, then the cache gets the same value",
            WriteStrategy::WriteAround => "write: the source; the cache only forgets",
            WriteStrategy::WriteBehind => "write: the journal and the cache; the source hears of it later",
        })
        .await?;
        self.read(match strategy {
            WriteStrategy::WriteThrough => "read: a hit with the new value, the source is not asked",
            WriteStrategy::WriteAround => "read: a miss, so the source is asked once more",
            WriteStrategy::WriteBehind => {
                "read: a hit with the new value, which the source does not have yet"
            }
        })
        .await
    }

    async fn switching(&self) -> miette::Result<()> {
        self.trace.title("The switch");
        self.read("mode cache: a miss").await?;
        self.person.set_mode(Mode::Source).await.into_diagnostic()?;
        self.read("mode source: the cache is not asked").await?;
        self.write("a write while reads go to the source: the cache hears of it all the same").await?;
        self.person.set_mode(Mode::Cache).await.into_diagnostic()?;
        self.read("back in mode cache: nothing from before the gap is served").await
    }

    async fn read(&self, what: &str) -> miette::Result<()> {
        self.trace.say(what);
        let read = self.person.get(&key()).await.into_diagnostic()?;
        self.trace.event("client", &shown::read(&read));
        Ok(())
    }

    async fn write(&self, what: &str) -> miette::Result<()> {
        self.trace.say(what);
        let change = Change::Put { value: PERSON.into(), flags: 0 };
        let write = Write { target: Target::Key(key()), change, condition: Condition::Always };
        self.person.write(write).await.into_diagnostic()?;
        self.trace.event("client", "has the acknowledgement");
        Ok(())
    }
}

/// Runs futures side by side in this task.
async fn futures<T, F: Future<Output = T> + Send + 'static>(all: impl Iterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
{
    let mut set = tokio::task::JoinSet::new();
    all.for_each(|future| drop(set.spawn(future)));
    set.join_all().await
}
