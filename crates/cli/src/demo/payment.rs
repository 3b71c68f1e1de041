// SPDX-License-Identifier: MIT OR Apache-2.0
//! `demo payment`: the three ways to write, at a bank that takes its time, and then at one that fails.

mod office;

use std::process::ExitCode;

use miette::IntoDiagnostic as _;
use throughline::WriteStrategy;

use self::office::Office;
use super::in_folder;
use crate::args::PaymentArgs;
use crate::out::say;

pub(super) fn run(args: &PaymentArgs) -> miette::Result<ExitCode> {
    in_folder(|folder| async move {
        let office = async |name: &str, write| Office::open(&folder.join(name), args, write).await;
        write_through(&office("through", WriteStrategy::WriteThrough).await?).await?;
        write_behind(&office("behind", WriteStrategy::WriteBehind).await?).await?;
        write_around(&office("around", WriteStrategy::WriteAround).await?).await?;
        fails_through(&office("fails-through", WriteStrategy::WriteThrough).await?, args).await?;
        fails_behind(&office("fails-behind", WriteStrategy::WriteBehind).await?, args).await?;
        say!(
            "\nHow to write it in Rust: cargo run --example payment. Over HTTP: docs/concepts/write-behind.md."
        );
        Ok(ExitCode::SUCCESS)
    })
}

async fn write_through(office: &Office) -> miette::Result<()> {
    office.title("Payment, write-through");
    office.say("the client saves: the bank first, and the answer when the bank has saved");
    office.save().await.into_diagnostic()?;
    office.database();
    // Over HTTP nothing is published: an answer without a body does not tell what a reader would see.
    office
        .say("the read right after: only a read tells what the bank makes of a payment, so it is asked once");
    office.read().await?;
    office.say("the second read: a hit");
    office.read().await?;
    office.close().await
}

async fn write_behind(office: &Office) -> miette::Result<()> {
    office.title("Payment, write-behind");
    office.say("the client saves: the journal and the cache, and the answer; the bank hears of it later");
    let receipt = office.accept().await.into_diagnostic()?;
    office.say("the read right after: a hit, and the bank is not asked");
    office.read().await?;
    office.database();
    office.say(&office.worker());
    office.follow(&receipt).await.into_diagnostic()?;
    office.database();
    office.say("a read after that: the bank has what we have, and is not asked");
    office.read().await?;
    office.close().await
}

async fn write_around(office: &Office) -> miette::Result<()> {
    office.title("Payment, write-around");
    office.say("the client saves: the bank; the cache only forgets");
    office.save().await.into_diagnostic()?;
    office.database();
    office.say("the read right after: a miss, so the bank is asked, and the cache is filled");
    office.read().await?;
    office.close().await
}

async fn fails_through(office: &Office, args: &PaymentArgs) -> miette::Result<()> {
    office.title(&format!("The bank declines everything for {} s, write-through", seconds(args.outage_ms)));
    office.decline(args.outage_ms);
    office
        .say("the client saves, and has the bank's trouble as its own: nothing was written, ask again later");
    office.save_in_vain().await?;
    office.database();
    office.close().await
}

async fn fails_behind(office: &Office, args: &PaymentArgs) -> miette::Result<()> {
    office.title(&format!("The bank declines everything for {} s, write-behind", seconds(args.outage_ms)));
    office.decline(args.outage_ms);
    office.say("the client saves, and is answered at once: it does not hear of the bank's trouble");
    let receipt = office.accept().await.into_diagnostic()?;
    office.say("the read right after: a hit");
    office.read().await?;
    office.database();
    office.say(&format!("{}; declined, it comes again when the bank has said", office.worker()));
    office.follow(&receipt).await.into_diagnostic()?;
    office.database();
    office.saves();
    office.close().await
}

/// Milliseconds as people say them.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
