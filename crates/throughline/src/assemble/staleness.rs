// SPDX-License-Identifier: MIT OR Apache-2.0
//! How old an entry may get where nobody tells what other programs write.

use throughline_core::Ttl;

use crate::config::{ConfigError, ResourceSettings};

/// `settings` with the ttl by which its `max_staleness` is kept. With news the ttl is as configured, and only while
/// they are late older entries are not used; without news that is always.
///
/// # Errors
/// A `max_staleness` that is shorter than any ttl.
pub(super) fn bounded(
    settings: &ResourceSettings,
    hears_news: bool,
) -> Result<ResourceSettings, ConfigError> {
    let mut settings = settings.clone();
    if hears_news || !settings.is_staleness_asked || settings.cache.is_none() {
        return Ok(settings);
    }
    let limit_ms = settings.staleness_ms_max;
    if limit_ms < Ttl::MS_MIN {
        let mistake = ConfigError::new(format!(
            "resource `{}` hears no news of other programs' writes, and entries live at least 2 s",
            settings.name
        ));
        return Err(mistake.help(
            "set `max_staleness` to 2 s or more, or install an outbox: `throughline init URL --outbox TABLE`",
        ));
    }
    settings.ttl.entry_ms = settings.ttl.entry_ms.min(limit_ms);
    settings.ttl.negative_ms = settings.ttl.negative_ms.min(limit_ms);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::bounded;
    use crate::config::ResourceSettings;
    use throughline_core::{Access, ResourceName};

    fn asked(staleness_ms_max: u64) -> ResourceSettings {
        let name = ResourceName::new("person").unwrap();
        let settings = ResourceSettings::of_table(name, 0, "person".to_owned(), Some(0), Access::Read);
        ResourceSettings { staleness_ms_max, is_staleness_asked: true, ..settings }
    }

    #[test]
    fn without_news_no_entry_lives_longer_than_max_staleness() {
        let ttl = bounded(&asked(5_000), false).unwrap().ttl;
        assert_eq!((ttl.entry_ms, ttl.negative_ms), (5_000, 5_000));
        let long = bounded(&asked(3_600_000), false).unwrap().ttl;
        assert_eq!(long, asked(1).ttl, "and none longer than its ttl");
        assert!(bounded(&asked(1_000), false).is_err());
    }

    #[test]
    fn with_news_or_unasked_the_ttl_stays() {
        assert_eq!(bounded(&asked(1_000), true).unwrap().ttl, asked(1).ttl);
        let unasked = ResourceSettings { is_staleness_asked: false, ..asked(5_000) };
        assert_eq!(bounded(&unasked, false).unwrap().ttl, asked(1).ttl);
    }
}
