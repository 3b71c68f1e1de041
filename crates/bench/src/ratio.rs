// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ratios, and whether a claim holds.

use std::fmt;

/// Figures of alternating rounds of the same unit: ours and the peer's.
#[derive(Debug, Default)]
pub struct Rounds {
    pairs: Vec<(f64, f64)>,
}

/// What is claimed of the ratio ours / peer's.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// At most this (for times).
    AtMost(f64),
    /// At least this (for rates).
    AtLeast(f64),
}

impl Rounds {
    /// Adds one round.
    pub fn add(&mut self, ours: f64, peers: f64) {
        self.pairs.push((ours, peers));
    }

    /// The median of the rounds' ratios.
    pub fn ratio(&self) -> f64 {
        median(self.pairs.iter().map(|(ours, peers)| ours / peers).collect())
    }

    /// Prints both medians, the ratio and whether `claim` holds.
    pub fn print(&self, what: &str, peer: &str, unit: &str, claim: Claim) {
        let ours = median(self.pairs.iter().map(|pair| pair.0).collect());
        let peers = median(self.pairs.iter().map(|pair| pair.1).collect());
        let ratio = self.ratio();
        let (holds, wanted) = match claim {
            Claim::AtMost(limit) => (ratio <= limit, format!("at most {limit}")),
            Claim::AtLeast(limit) => (ratio >= limit, format!("at least {limit}")),
        };
        let verdict = if holds { "holds" } else { "MISSED" };
        let spread = Spread(self.pairs.iter().map(|(ours, peers)| ours / peers).collect());
        println!(
            "{what}: {ours:.1} {unit}, {peer}: {peers:.1} {unit}, ratio {ratio:.2} {spread}, {wanted}: {verdict}"
        );
    }
}

struct Spread(Vec<f64>);

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(0.0, f64::max);
        write!(f, "({least:.2} to {most:.2} in {} rounds)", self.0.len())
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::Rounds;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds() {
        let mut rounds = Rounds::default();
        for (ours, peers) in [(2.0, 1.0), (3.0, 1.0), (90.0, 1.0)] {
            rounds.add(ours, peers);
        }
        assert!((rounds.ratio() - 3.0).abs() < f64::EPSILON);
    }
}
