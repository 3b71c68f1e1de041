// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

mod demo;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use throughline::{NodeName, ResourceName};

pub(crate) use demo::{DemoArgs, PaymentArgs, Story};

/// Sits between an application and its database, answers reads from a cache, sends writes to the database
/// by the strategy you choose, and keeps the two in agreement.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Try it:
  throughline serve                                a sample database, nothing to install
  curl -i http://127.0.0.1:8311/v1/person/1        twice: a miss, then a hit
  printf 'get person:1\\r\\nquit\\r\\n' | nc 127.0.0.1 11311
  throughline demo                                 the strategies against a slow source, with a trace
  throughline demo payment                         write-behind against a slow bank that fails

Your own database:
  throughline check mysql://me@127.0.0.1:3306/shop what would be served, and how well; changes nothing
  throughline init mysql://me@127.0.0.1:3306/shop  our own tables, for the level strict over memcached
  throughline serve mysql://me@127.0.0.1:3306/shop every table with a primary key, read-only
  throughline serve --config throughline.toml      strategies, caches and levels per resource";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a database over HTTP and the memcached protocol
    Serve(ServeArgs),
    /// Say what would be served and at which level; connects, changes nothing
    Check(SourceArgs),
    /// Make or upgrade our own tables (tl_*) in a database, by which daemons agree
    Init(InitArgs),
    /// Read a record through a running daemon
    Get(RecordArgs),
    /// Replace or insert a record through a running daemon
    Put(PutArgs),
    /// Delete a record through a running daemon
    Delete(RecordArgs),
    /// Drop the cached entry of a record, or every entry of a resource
    Invalidate(InvalidateArgs),
    /// Show or change where a resource's reads go
    Mode(ModeArgs),
    /// Show the counters of a running daemon
    Stats(StatsArgs),
    /// See accepted writes that are not applied (write-behind), and decide about dead letters
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Apply all accepted writes now, and wait until they are in the source
    Drain(DrainArgs),
    /// See the strategies at work against a slow source
    Demo(DemoArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SourceArgs {
    /// Database to serve: sqlite:shop.db, postgres://user@host:5432/database, mysql://user@host:3306/database. Without it: a sample database.
    /// Give the password in THROUGHLINE_PASSWORD, not here
    pub(crate) url: Option<String>,
    /// Configuration file; its resources are served
    #[arg(short, long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) config: Option<PathBuf>,
    /// Allow writes to the tables found by URL
    #[arg(long, conflicts_with = "config")]
    pub(crate) write: bool,
    /// Folder of our own data [default: ./throughline-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Show the SQL and the rights that a daemon needs, and touch nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Put triggers on these tables, so that what other programs write to them is seen within a tenth of a second
    #[arg(long, value_name = "TABLE", num_args = 1.., conflicts_with = "remove")]
    pub(crate) outbox: Vec<String>,
    /// Remove every table and trigger of ours; stop the daemons first
    #[arg(long, conflicts_with = "print")]
    pub(crate) remove: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Address of the HTTP door, or `none`; port 0 picks one [default: 127.0.0.1:8311]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<Address>,
    /// Address of the memcached door, or `none`; port 0 picks one [default: 127.0.0.1:11311]
    #[arg(long, value_name = "ADDR")]
    pub(crate) memcached: Option<Address>,
    /// Threads that serve connections, where the machine is not ours alone [default: one per core]
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How long what is in flight may take when shutting down, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) shutdown_timeout: u64,
}

/// The address of a door, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub(crate) Option<SocketAddr>);

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| "write 127.0.0.1:8311, [::1]:8311 or none".to_owned())
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// The daemon's HTTP address
    #[arg(long, value_name = "URL", env = "THROUGHLINE_SERVER", default_value = "http://127.0.0.1:8311")]
    pub(crate) server: String,
    /// The daemon's bearer token, if it wants one
    #[arg(long, value_name = "TOKEN", env = "THROUGHLINE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RecordArgs {
    /// RESOURCE:KEY, for example person:42
    pub(crate) record: RecordName,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InvalidateArgs {
    /// RESOURCE:KEY, for example person:42
    #[arg(required_unless_present_any = ["all", "cache_server"], conflicts_with = "all")]
    pub(crate) record: Option<RecordName>,
    /// Every entry of this resource, in every daemon; returns when nobody can read an older one
    #[arg(long, value_name = "RESOURCE", value_parser = resource_name)]
    pub(crate) all: Option<String>,
    /// Every entry on this memcached server, in every daemon; for a server whose contents cannot be trusted. It is
    /// used again, empty, some seconds later
    #[arg(long, value_name = "NAME", value_parser = node_name, conflicts_with_all = ["all", "record"])]
    pub(crate) cache_server: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PutArgs {
    /// RESOURCE:KEY, for example person:42
    pub(crate) record: RecordName,
    /// The record as a JSON object; `-` reads it from standard input
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// How much is pending per resource; with a resource, each pending write and dead letter, oldest first
    List(JournalListArgs),
    /// One dead letter, with its value and the reason
    Show(LetterArgs),
    /// Have a dead letter tried again as it is
    Retry(LetterArgs),
    /// Have a dead letter tried again with another value
    Edit(LetterEditArgs),
    /// Forget a dead letter for good; readers see the source from then on
    Discard(LetterArgs),
    /// Every pending write and dead letter of a resource, as JSON lines
    Export(ExportArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct JournalListArgs {
    #[arg(value_parser = resource_name)]
    pub(crate) resource: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LetterArgs {
    #[arg(value_parser = resource_name)]
    pub(crate) resource: String,
    /// The write's number, as `journal list` and its receipt tell it
    pub(crate) number: u64,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LetterEditArgs {
    #[command(flatten)]
    pub(crate) letter: LetterArgs,
    /// The record as a JSON object; `-` reads it from standard input
    pub(crate) value: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    #[arg(value_parser = resource_name)]
    pub(crate) resource: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DrainArgs {
    /// This resource alone
    #[arg(value_parser = resource_name)]
    pub(crate) resource: Option<String>,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// Drain the journal in the `data_dir` of this configuration file, when no daemon is running with it
    #[arg(short, long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `person:42`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordName {
    pub(crate) resource: String,
    pub(crate) key: String,
}

impl std::str::FromStr for RecordName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((resource, key)) if ResourceName::new(resource).is_some() && !key.is_empty() => {
                Ok(Self { resource: resource.to_owned(), key: key.to_owned() })
            }
            _ => Err("write RESOURCE:KEY, for example person:42".to_owned()),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModeArgs {
    /// The resource; without it, every resource is shown
    #[arg(value_parser = resource_name)]
    pub(crate) resource: Option<String>,
    /// Where its reads are to go; without it, the present mode is shown
    #[arg(requires = "resource")]
    pub(crate) mode: Option<ModeName>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

fn resource_name(text: &str) -> Result<String, String> {
    let name = ResourceName::new(text).ok_or("not a resource's name")?;
    Ok(name.as_str().to_owned())
}

fn node_name(text: &str) -> Result<String, String> {
    let name = NodeName::new(text).ok_or("not a cache server's name")?;
    Ok(name.as_str().to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeName {
    /// The cache answers; a miss is loaded from the source
    Cache,
    /// Every read goes to the source; writes still invalidate
    Source,
    /// The source answers and is compared with the cache
    Shadow,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StatsArgs {
    /// Only this resource
    pub(crate) resource: Option<String>,
    /// Also counters that are 0
    #[arg(long)]
    pub(crate) all: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[cfg(test)]
mod tests {
    use super::{Args, RecordName};
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_record_is_named_by_resource_and_key() {
        let name: RecordName = "person:7:en".parse().expect("a record's name");
        assert_eq!((name.resource.as_str(), name.key.as_str()), ("person", "7:en"));
        assert!("person".parse::<RecordName>().is_err());
        assert!(":7".parse::<RecordName>().is_err());
    }
}
