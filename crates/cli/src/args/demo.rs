// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `demo` takes.

use clap::{Args as ClapArgs, Subcommand};

const DEMO_EXAMPLES: &str = "\
Stories:
  throughline demo                    reading, writing and the switch, over a slow database
  throughline demo payment            write-through, write-behind and write-around, over a slow bank that fails";

const PAYMENT_EXAMPLES: &str = "\
A bank on old machines takes 2 s to save and 1.5 s to read. A payment is saved
  write-through   at the bank, before the client has its answer;
  write-behind    in a journal on disk: the client has its answer at once, and a worker
                  brings the payment to the bank later;
  write-around    at the bank, and the cache only forgets;
and read right after each. Then the bank declines everything for 10 s. The trace says who
is called and when: client, cache, journal, bank.

  throughline demo payment --save-ms 200 --read-ms 150 --sync-ms 500 --outage-ms 2000    is over sooner";

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) story: Option<Story>,
    /// How long the slow source takes to read, in milliseconds
    #[arg(long, default_value_t = 600)]
    pub(crate) read_ms: u64,
    /// How long the slow source takes to write, in milliseconds
    #[arg(long, default_value_t = 800)]
    pub(crate) write_ms: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Story {
    /// A payment, saved in three ways at a slow bank, which then fails for a while
    #[command(after_help = PAYMENT_EXAMPLES)]
    Payment(PaymentArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PaymentArgs {
    /// How long the bank takes to save, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) save_ms: u64,
    /// How long the bank takes to read, in milliseconds
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) read_ms: u64,
    /// With write-behind, how long a payment waits before the worker takes it to the bank, in milliseconds; 0 sends
    /// the worker off by hand
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(..=600_000))]
    pub(crate) sync_ms: u64,
    /// For how long the bank declines everything, in milliseconds
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(..=600_000))]
    pub(crate) outage_ms: u64,
}
