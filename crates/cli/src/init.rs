// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init`: our own tables in the database.

use std::process::ExitCode;

use miette::miette;
use throughline::{install, install_script};

use crate::args::InitArgs;
use crate::out::say;
use crate::serve::runtime;
use crate::settings::load;

pub(crate) fn run(args: &InitArgs) -> miette::Result<ExitCode> {
    if args.source.url.is_none() && args.source.config.is_none() {
        return Err(miette!(
            help = "name a database: throughline init mysql://me@127.0.0.1:3306/shop, or --config FILE",
            "the sample database needs no tables of ours"
        ));
    }
    let loaded = load(&args.source)?;
    if args.print {
        for line in install_script(&loaded.settings).map_err(|mistake| loaded.report(mistake))? {
            say!("{line}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let installed = runtime()?.block_on(install(&loaded.settings));
    for installation in installed.map_err(|mistake| loaded.report(mistake))? {
        say!("{}: {}", installation.source, installation.done);
    }
    Ok(ExitCode::SUCCESS)
}
