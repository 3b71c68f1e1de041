// SPDX-License-Identifier: MIT OR Apache-2.0
//! `behind = { … }` of a resource.

use std::time::Duration;

use throughline_engine::{BehindPolicy, OnConflict};
use toml::Spanned;

use super::span_ms;
use crate::config::file::BehindConfig;
use crate::config::settings::BehindSettings;
use crate::config::{ConfigError, Schedule, Span};

/// The longest delay: a day.
const DELAY_MS_MAX: u64 = 86_400_000;

pub(super) fn behind(config: &BehindConfig) -> Result<BehindSettings, ConfigError> {
    let mut settings = BehindSettings::default();
    let policy = &mut settings.policy;
    if let Some(schedule) = &config.schedule {
        let parsed = Schedule::parse(schedule.get_ref());
        settings.schedule =
            Some(parsed.map_err(|why| ConfigError::new(why).at(schedule.span()).help(
                "five fields: minute, hour, day of the month, month, day of the week; `0 3 * * *` is every day at 03:00 UTC",
            ))?);
        policy.delay_ms = None;
    }
    if let Some(delay) = &config.delay {
        policy.delay_ms = delay_ms(delay)?;
    }
    if let Some(count) = &config.count {
        policy.count_max = number(count, 1, 1_000_000)?;
    }
    if let Some(batch) = &config.batch {
        policy.batch_max = number(batch, 1, BehindPolicy::default().batch_max)?;
    }
    if let Some(parallel) = &config.parallel {
        policy.parallel_max = number(parallel, 1, 8)?;
    }
    policy.coalesce = config.coalesce.unwrap_or(policy.coalesce);
    if let Some(on_conflict) = &config.on_conflict {
        policy.on_conflict = match on_conflict.get_ref().as_str() {
            "overwrite" => OnConflict::Overwrite,
            "dead-letter" => OnConflict::DeadLetter,
            other => {
                return Err(ConfigError::new(format!("`{other}` is no rule for a row that others changed"))
                    .at(on_conflict.span())
                    .help("there are: overwrite, dead-letter"));
            }
        };
    }
    Ok(settings)
}

fn delay_ms(written: &Spanned<String>) -> Result<Option<u64>, ConfigError> {
    if written.get_ref() == "never" {
        return Ok(None);
    }
    let zero = (written.get_ref() == "0").then_some(Span(Duration::ZERO));
    let span = zero.or_else(|| Span::parse(written.get_ref())).ok_or_else(|| {
        ConfigError::new("not a time: write, for example, \"500ms\" or \"5s\", or \"never\"")
            .at(written.span())
    })?;
    span_ms(&Spanned::new(written.span(), span), 0, DELAY_MS_MAX).map(Some)
}

fn number<T: Copy + TryInto<usize>>(
    written: &Spanned<T>,
    min: usize,
    max: usize,
) -> Result<usize, ConfigError> {
    let number = (*written.get_ref()).try_into().unwrap_or(usize::MAX);
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(ConfigError::new(format!("a number from {min} to {max} is taken here")).at(written.span()))
}
