// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init`: our own tables in the database.

use std::process::ExitCode;

use miette::miette;
use throughline::{OutboxPlan, install, install_script};

use crate::args::InitArgs;
use crate::out::say;
use crate::serve::runtime;
use crate::settings::{Loaded, load};

pub(crate) fn run(args: &InitArgs) -> miette::Result<ExitCode> {
    if args.source.url.is_none() && args.source.config.is_none() {
        return Err(miette!(
            help = "name a database: throughline init mysql://me@127.0.0.1:3306/shop, or --config FILE",
            "the sample database needs no tables of ours"
        ));
    }
    let loaded = load(&args.source)?;
    if args.remove {
        for source in &loaded.settings.sources {
            let removed = runtime(None)?.block_on(OutboxPlan::Remove.carry_out(source));
            let removed = removed.map_err(|mistake| loaded.report(mistake))?;
            say!("{}: our own tables and triggers were removed ({} statements)", source.name, removed.len());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.print {
        for line in install_script(&loaded.settings).map_err(|mistake| loaded.report(mistake))? {
            say!("{line}");
        }
        return outbox(args, &loaded);
    }
    let installed = runtime(None)?.block_on(install(&loaded.settings));
    for installation in installed.map_err(|mistake| loaded.report(mistake))? {
        say!("{}: {}", installation.source, installation.done);
    }
    outbox(args, &loaded)
}

/// The outbox, if one was asked for.
fn outbox(args: &InitArgs, loaded: &Loaded) -> miette::Result<ExitCode> {
    if args.outbox.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let [source] = loaded.settings.sources.as_slice() else {
        return Err(miette!("the configuration has several sources; name the outbox's database by its url"));
    };
    let tables = args.outbox.clone();
    let plan = if args.print { OutboxPlan::Print(tables) } else { OutboxPlan::Install(tables) };
    let statements = runtime(None)?.block_on(plan.carry_out(source));
    let statements = statements.map_err(|mistake| loaded.report(mistake))?;
    if args.print {
        statements.iter().for_each(|statement| say!("{statement}"));
    } else {
        say!(
            "{}: an outbox tells what others write to {}; restart the daemons",
            source.name,
            args.outbox.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}
