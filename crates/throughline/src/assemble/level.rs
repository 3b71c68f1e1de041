// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which level a resource can keep, and why.

use std::time::Duration;

use throughline_core::{Level, Scope};

use crate::config::ConfigError;

/// What there is to know of a resource before its level is decided.
pub(super) struct Facts {
    /// Where its entries are; `None` when it has no cache.
    pub(super) scope: Option<Scope>,
    /// Whether other processes may write to the source by Throughline: a database server, or a file that
    /// another process owns.
    pub(super) others_may_write: Option<String>,
    /// Why its rows may change without anybody writing to its table.
    pub(super) hidden_change: Option<String>,
    /// Why the source cannot tell whether a row is being written.
    pub(super) no_locks: Option<Obstacle>,
    /// Why the source can never be strict, not even without a cache.
    pub(super) never_strict: Option<String>,
    /// Why nobody can be sure that the cache's entries are right.
    pub(super) unchecked: Option<Obstacle>,
    /// Why daemons cannot agree, through the database, on which cache servers may be read.
    pub(super) no_control: Option<Obstacle>,
}

/// Why something that strict needs cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) why: String,
    /// What to do about it.
    pub(super) remedy: String,
}

/// A level with its reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) level: Level,
    pub(super) reason: String,
    /// What to do for a higher level.
    pub(super) remedy: Option<String>,
}

impl Decision {
    /// Says beside a strict level that answers may be so old while the control tables do not answer.
    pub(super) fn with_patience(mut self, control_lost_ms: u64) -> Self {
        if self.level == Level::Strict && control_lost_ms > 0 {
            let span = humantime::format_duration(Duration::from_millis(control_lost_ms));
            self.reason.push_str(&format!("; up to {span} old while the control tables do not answer"));
        }
        self
    }
}

/// The highest level that can be kept.
pub(super) fn decide(facts: &Facts) -> Decision {
    let strict = |reason: &str| Decision { level: Level::Strict, reason: reason.to_owned(), remedy: None };
    let bounded = |reason: String, remedy: Option<&str>| Decision {
        level: Level::Bounded,
        reason,
        remedy: remedy.map(str::to_owned),
    };
    if let Some(why) = &facts.never_strict {
        return bounded(why.clone(), None);
    }
    let Some(scope) = facts.scope else {
        return strict("it has no cache, so every read asks the source");
    };
    if let Some(obstacle) = facts.unchecked.as_ref().or(facts.no_locks.as_ref()) {
        return bounded(obstacle.why.clone(), Some(&obstacle.remedy));
    }
    if let Some(why) = &facts.hidden_change {
        return bounded(why.clone(), Some("write such rows through their own resource, or keep a short ttl"));
    }
    match (scope, &facts.others_may_write) {
        (_, None) => strict("this process alone owns the database file"),
        (Scope::Shared, Some(_)) => match &facts.no_control {
            None => strict("locks in the database, marks in the shared cache"),
            Some(obstacle) => bounded(obstacle.why.clone(), Some(&obstacle.remedy)),
        },
        (Scope::Process, Some(why)) => bounded(
            format!("{why}, and would not reach the entries in this process"),
            Some("use a memcached cache"),
        ),
    }
}

/// The level to serve at: what was asked for, or the highest that can be kept.
pub(super) fn settle(resource: &str, asked: Option<Level>, facts: &Facts) -> Result<Decision, ConfigError> {
    let best = decide(facts);
    match (asked, best.level) {
        (Some(Level::Strict), Level::Bounded) => {
            let mistake =
                ConfigError::new(format!("resource `{resource}` cannot be strict: {}", best.reason));
            Err(mistake.help(best.remedy.unwrap_or_else(|| "set level = \"bounded\"".to_owned())))
        }
        (Some(Level::Bounded), Level::Strict) => Ok(Decision {
            level: Level::Bounded,
            reason: "the configuration asks for it".to_owned(),
            remedy: Some("strict could be kept: leave `level` out".to_owned()),
        }),
        _ => Ok(best),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Obstacle, decide, settle};
    use throughline_core::{Level, Scope};

    fn facts(scope: Option<Scope>, others: bool) -> Facts {
        let others_may_write = others.then(|| "another daemon may write to it".to_owned());
        Facts {
            scope,
            others_may_write,
            hidden_change: None,
            no_locks: None,
            never_strict: None,
            unchecked: None,
            no_control: None,
        }
    }

    #[test]
    fn strict_needs_a_cache_that_every_writer_reaches() {
        for (scope, others, level) in [
            (None, true, Level::Strict),
            (Some(Scope::Process), false, Level::Strict),
            (Some(Scope::Shared), true, Level::Strict),
            (Some(Scope::Process), true, Level::Bounded),
        ] {
            assert_eq!(decide(&facts(scope, others)).level, level, "{scope:?} {others}");
        }
    }

    #[test]
    fn without_control_tables_a_database_that_others_write_to_is_bounded() {
        let no_control = || Some(Obstacle { why: "no tables".to_owned(), remedy: "run init".to_owned() });
        let decision = decide(&Facts { no_control: no_control(), ..facts(Some(Scope::Shared), true) });
        assert_eq!((decision.level, decision.remedy.as_deref()), (Level::Bounded, Some("run init")));
        for (scope, others) in [(Scope::Shared, false), (Scope::Process, false)] {
            let alone = Facts { no_control: no_control(), ..facts(Some(scope), others) };
            assert_eq!(decide(&alone).level, Level::Strict, "who is alone need not agree with anybody");
        }
    }

    #[test]
    fn a_source_without_locks_is_bounded_even_without_a_cache() {
        for scope in [None, Some(Scope::Process), Some(Scope::Shared)] {
            let never = Facts { never_strict: Some("no locks".to_owned()), ..facts(scope, false) };
            let decision = decide(&never);
            assert_eq!(
                (decision.level, decision.reason.as_str(), decision.remedy),
                (Level::Bounded, "no locks", None)
            );
        }
    }

    #[test]
    fn rows_that_change_behind_our_back_lower_the_level() {
        let hidden_change = Some("a trigger names it".to_owned());
        let decision = decide(&Facts { hidden_change, ..facts(Some(Scope::Shared), true) });
        assert_eq!((decision.level, decision.reason.as_str()), (Level::Bounded, "a trigger names it"));
    }

    #[test]
    fn strict_that_was_asked_for_and_cannot_be_kept_is_refused_with_the_remedy() {
        let mistake =
            settle("person", Some(Level::Strict), &facts(Some(Scope::Process), true)).expect_err("a mistake");
        assert!(mistake.to_string().contains("`person` cannot be strict"), "{mistake}");
        assert_eq!(mistake.help.as_deref(), Some("use a memcached cache"));
    }
}
