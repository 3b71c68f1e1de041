// SPDX-License-Identifier: MIT OR Apache-2.0
//! `check`: what would be served and at which level; connects, changes nothing.

use std::process::ExitCode;

use throughline::config::SourceKind;
use throughline::{Assembly, Throughline};

use crate::args::SourceArgs;
use crate::out::say;
use crate::serve::{print_resources, runtime};
use crate::settings::load;

pub(crate) fn run(args: &SourceArgs) -> miette::Result<ExitCode> {
    let loaded = load(args)?;
    for source in &loaded.settings.sources {
        if let SourceKind::Sqlite { path, sample: true } = &source.kind
            && !path.exists()
        {
            say!("`throughline serve` would create the sample database {}", path.display());
            return Ok(ExitCode::SUCCESS);
        }
    }
    runtime(None)?.block_on(async {
        let opened = Assembly::new(loaded.settings.clone()).checking().open().await;
        let throughline: Throughline = opened.map_err(|mistake| loaded.report(mistake))?;
        print_resources(&throughline);
        throughline.shut_down(std::time::Duration::from_secs(1)).await;
        if throughline.notices().iter().any(|notice| notice.is_fault) {
            say!("not everything is as it should be; nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        say!("everything was reached; nothing was changed");
        Ok(ExitCode::SUCCESS)
    })
}
