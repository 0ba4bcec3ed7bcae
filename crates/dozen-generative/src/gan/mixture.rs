//! The modes of a column of numbers: a mixture of normals fitted by expectation and maximisation (Dempster et al. 1977).

/// Means and deviations of the parts that hold any weight, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mixture {
    pub(super) means: Vec<f64>,
    pub(super) deviations: Vec<f64>,
    pub(super) weights: Vec<f64>,
}

/// Parts to begin with.
const PARTS: usize = 10;

/// A part with less weight than this is given up, as in CTGAN.
const LEAST_WEIGHT: f64 = 0.005;

const STEPS: usize = 100;

/// Values that are looked at, at most: modes need no more.
const VALUES: usize = 10_000;

impl Mixture {
    /// Begun at quantiles. Two parts that come to lie on one another share its values and do no harm.
    pub(super) fn fit(values: &[f64]) -> Self {
        let step = values.len().div_ceil(VALUES).max(1);
        let mut sorted: Vec<f64> = values.iter().copied().step_by(step).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let deviation = (sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-9);
        let quantile = |part: usize| sorted[(2 * part + 1) * sorted.len() / (2 * PARTS)];
        let mut mixture = Self {
            means: (0..PARTS).map(quantile).collect(),
            deviations: vec![deviation / PARTS as f64; PARTS],
            weights: vec![1.0 / PARTS as f64; PARTS],
        };
        for _ in 0..STEPS {
            mixture.step(&sorted, 1e-3 * deviation);
        }
        mixture.without_the_empty()
    }

    fn step(&mut self, values: &[f64], least: f64) {
        let parts = self.means.len();
        let (mut mass, mut sums, mut squares) = (vec![0.0; parts], vec![0.0; parts], vec![0.0; parts]);
        for &value in values {
            for (part, share) in self.shares(value).into_iter().enumerate() {
                mass[part] += share;
                sums[part] += share * value;
                squares[part] += share * (value - self.means[part]).powi(2);
            }
        }
        for part in 0..parts {
            self.weights[part] = mass[part] / values.len() as f64;
            if mass[part] > 1e-9 {
                let moved = sums[part] / mass[part] - self.means[part];
                self.deviations[part] =
                    (squares[part] / mass[part] - moved * moved).max(0.0).sqrt().max(least);
                self.means[part] += moved;
            }
        }
    }

    fn without_the_empty(self) -> Self {
        let kept: Vec<usize> =
            (0..self.means.len()).filter(|part| self.weights[*part] >= LEAST_WEIGHT).collect();
        let of = |values: &[f64]| kept.iter().map(|part| values[*part]).collect();
        Self { means: of(&self.means), deviations: of(&self.deviations), weights: of(&self.weights) }
    }

    /// The probability of each part given a value.
    pub(super) fn shares(&self, value: f64) -> Vec<f64> {
        let log = |part: usize| {
            let (mean, deviation) = (self.means[part], self.deviations[part]);
            self.weights[part].max(1e-300).ln() - deviation.ln() - 0.5 * ((value - mean) / deviation).powi(2)
        };
        let logs: Vec<f64> = (0..self.means.len()).map(log).collect();
        let most = logs.iter().copied().fold(f64::MIN, f64::max);
        let shares: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let total: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / total).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn modes_are_found() {
        let mut rng = StdRng::seed_from_u64(0);
        let mut normal = |mean: f64, deviation: f64| -> f64 {
            let z: f64 = StandardNormal.sample(&mut rng);
            mean + deviation * z
        };
        let values: Vec<f64> =
            (0..4000).map(|i| if i % 4 == 0 { normal(-5.0, 0.3) } else { normal(2.0, 1.0) }).collect();
        let mixture = Mixture::fit(&values);
        let near = |centre: f64| -> f64 {
            let parts = 0..mixture.means.len();
            parts.filter(|p| (mixture.means[*p] - centre).abs() < 2.5).map(|p| mixture.weights[p]).sum()
        };
        assert!((near(-5.0) - 0.25).abs() < 0.02 && (near(2.0) - 0.75).abs() < 0.02, "{mixture:?}");
        let mut rng = StdRng::seed_from_u64(1);
        let shares = mixture.shares(rng.random::<f64>() * 10.0);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
