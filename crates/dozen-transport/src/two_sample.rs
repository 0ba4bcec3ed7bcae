//! Are two samples from one distribution? Distances between them, each beside what it is when the labels are shuffled.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::vector::{dot, exp};
use crate::{Cost, Distance, Error, PointCost, Points, exact};

/// The points of two samples, those of the first first.
#[derive(Clone, Debug)]
pub struct Samples {
    pooled: Vec<f64>,
    dimension: usize,
    first: usize,
}

/// A statistic and its permutation test.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Of the samples as they are.
    pub statistic: f64,
    /// The part of all labellings, this one among them, whose statistic is at least as large: `(1 + count) / (1 + drawn)`,
    /// which is valid whatever the samples' size (Phipson and Smyth 2010).
    pub p_value: f64,
    /// Of the labellings drawn.
    pub permuted: Vec<f64>,
}

/// Random labellings of the pooled points: how many, and of which seed. The same for every statistic.
#[derive(Clone, Copy, Debug)]
pub struct Labellings {
    /// How many.
    pub count: usize,
    /// Fixes them.
    pub seed: u64,
}

impl Labellings {
    /// Calls `f` with each labelling, an order of the indices of which the first so many are of the first sample.
    fn each<T: Send>(
        self,
        points: usize,
        f: impl Fn(&[u32]) -> T + Send + Sync,
    ) -> impl ParallelIterator<Item = T> {
        (0..self.count).into_par_iter().map(move |index| {
            let mut rng = StdRng::seed_from_u64(
                self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index as u64),
            );
            let mut order: Vec<u32> = (0..points as u32).collect();
            order.shuffle(&mut rng);
            f(&order)
        })
    }
}

impl Samples {
    /// Two samples of one dimension.
    ///
    /// # Errors
    /// When one is empty or dimensions differ.
    pub fn new(a: Points<'_>, b: Points<'_>) -> Result<Self, Error> {
        for (side, points) in [("first", a), ("second", b)] {
            if points.is_empty() {
                return Err(Error::Empty { side });
            }
        }
        if a.dimension() != b.dimension() {
            let (a, b) = (a.dimension(), b.dimension());
            return Err(Error::Shape(format!("the first side has {a} coordinates a point, the second {b}")));
        }
        let pooled = [a.values(), b.values()].concat();
        Ok(Self { pooled, dimension: a.dimension(), first: a.len() })
    }

    fn len(&self) -> usize {
        self.pooled.len() / self.dimension
    }

    /// The exact Wasserstein distance `W_1` of Euclidean lengths.
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub fn exact(&self, labellings: Labellings) -> Result<Tested, Error> {
        let distance = |order: &[u32]| -> Result<f64, Error> {
            let gather = |indices: &[u32]| -> Vec<f64> {
                let point = |&i: &u32| &self.pooled[i as usize * self.dimension..][..self.dimension];
                indices.iter().flat_map(point).copied().collect()
            };
            let (a, b) = (gather(&order[..self.first]), gather(&order[self.first..]));
            let (a, b) = (Points::new(&a, self.dimension)?, Points::new(&b, self.dimension)?);
            let cost = PointCost::new(a, b, Distance::Euclidean, 1.0)?;
            Ok(exact(&vec![1.0; a.len()], &vec![1.0; b.len()], &cost)?.value)
        };
        let statistic = distance(&self.as_they_are())?;
        let permuted = labellings.each(self.len(), distance).collect::<Result<_, _>>()?;
        Ok(Tested::new(statistic, permuted))
    }

    /// The sliced distance `SW_1` along `directions`, each of as many coordinates as a point. Each direction's order of all
    /// points is sorted once for all labellings: `W_1 = int |F - G|` needs no more.
    pub fn sliced(&self, directions: &[f64], labellings: Labellings) -> Tested {
        let points = self.pooled.chunks_exact(self.dimension);
        let axis = |direction: &[f64]| {
            let along = |point: &[f64]| point.iter().zip(direction).map(|(x, d)| x * d).sum::<f64>();
            let mut order: Vec<(f64, u32)> = points.clone().map(along).zip(0..).collect();
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let gaps = order.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
            Axis { order: order.into_iter().map(|(_, i)| i).collect(), gaps }
        };
        let axes: Vec<Axis> = directions.par_chunks(self.dimension).map(axis).collect();
        let mean =
            |weights: &[f64]| axes.iter().map(|axis| axis.distance(weights)).sum::<f64>() / axes.len() as f64;
        self.test(labellings, mean)
    }

    /// The energy distance `2 E|X - Y| - E|X - X'| - E|Y - Y'|` (Szekely and Rizzo 2004).
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub fn energy(&self, labellings: Labellings) -> Result<Tested, Error> {
        let distances = self.distances()?;
        Ok(self.test(labellings, |weights| -quadratic_form(&distances, weights)))
    }

    /// The squared maximum mean discrepancy for the Gaussian kernel `exp(-|x - y|^2 / (2 s^2))` (Gretton et al. 2012, its
    /// biased estimate), `s` being the median distance of all pairs.
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub fn mmd(&self, labellings: Labellings) -> Result<Tested, Error> {
        let mut kernel = self.distances()?;
        let n = self.len();
        let mut above: Vec<f64> = (0..n).flat_map(|i| kernel[i * n + i + 1..(i + 1) * n].to_vec()).collect();
        let middle = above.len() / 2;
        let median =
            if above.is_empty() { 1.0 } else { *above.select_nth_unstable_by(middle, f64::total_cmp).1 };
        let scale = if median > 0.0 { -0.5 / (median * median) } else { -1.0 };
        kernel.par_iter_mut().for_each(|value| *value = exp(scale * *value * *value));
        Ok(self.test(labellings, |weights| quadratic_form(&kernel, weights)))
    }

    /// A statistic of the weights `1 / n` of the first sample's points and `-1 / m` of the second's.
    fn test(&self, labellings: Labellings, statistic: impl Fn(&[f64]) -> f64 + Send + Sync) -> Tested {
        let of = |order: &[u32]| {
            let (n, m) = (self.first as f64, (self.len() - self.first) as f64);
            let mut weights = vec![-m.recip(); self.len()];
            for &i in &order[..self.first] {
                weights[i as usize] = n.recip();
            }
            statistic(&weights)
        };
        let permuted = labellings.each(self.len(), of).collect();
        Tested::new(of(&self.as_they_are()), permuted)
    }

    fn as_they_are(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }

    /// Between all pairs of the pooled points.
    fn distances(&self) -> Result<Vec<f64>, Error> {
        let points = Points::new(&self.pooled, self.dimension)?;
        Ok(PointCost::new(points, points, Distance::Euclidean, 1.0)?.to_matrix())
    }
}

impl Tested {
    /// The mean over the labellings drawn.
    pub fn permuted_mean(&self) -> f64 {
        self.permuted.iter().sum::<f64>() / self.permuted.len().max(1) as f64
    }

    fn new(statistic: f64, permuted: Vec<f64>) -> Self {
        // Labellings that only exchange equal points differ by rounding.
        let least = statistic - 1e-12 * statistic.abs();
        let count = permuted.iter().filter(|value| **value >= least).count();
        Self { statistic, p_value: (1 + count) as f64 / (1 + permuted.len()) as f64, permuted }
    }
}

/// All points in order along a direction.
struct Axis {
    order: Vec<u32>,
    gaps: Vec<f64>,
}

impl Axis {
    fn distance(&self, weights: &[f64]) -> f64 {
        let (mut difference, mut sum) = (0.0_f64, 0.0);
        for (i, gap) in self.order.iter().zip(&self.gaps) {
            difference += weights[*i as usize];
            sum += difference.abs() * gap;
        }
        sum
    }
}

/// `w' M w`.
fn quadratic_form(matrix: &[f64], weights: &[f64]) -> f64 {
    matrix.chunks_exact(weights.len()).zip(weights).map(|(row, weight)| weight * dot(row, weights)).sum()
}

/// P-values of several tests made fit to be read together: the chance that any of the true null hypotheses is called false
/// at a level is at most that level (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut most = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        most = most.max(p_values[i] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[i] = most;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(shift: f64) -> Samples {
        let cloud = |offset: f64| -> Vec<f64> {
            (0..80)
                .map(|i| (f64::from(i) * 12.9898 + offset * 7.0).sin() * 43_758.547 % 1.0 + offset * shift)
                .collect()
        };
        let (a, b) = (cloud(0.0), cloud(1.0));
        Samples::new(Points::new(&a, 2).unwrap(), Points::new(&b, 2).unwrap()).unwrap()
    }

    #[test]
    fn shifted_samples_are_told_apart_and_equal_ones_are_not() {
        for (shift, apart) in [(0.0, false), (1.5, true)] {
            let samples = samples(shift);
            let labellings = Labellings { count: 199, seed: 1 };
            let directions = crate::random_directions(2, 20, 2);
            for tested in [
                samples.exact(labellings).unwrap(),
                samples.sliced(&directions, labellings),
                samples.energy(labellings).unwrap(),
                samples.mmd(labellings).unwrap(),
            ] {
                assert_eq!(tested.p_value < 0.01, apart, "{shift}: {tested:?}");
                assert!(tested.statistic >= 0.0 && tested.permuted.len() == 199);
            }
        }
    }

    #[test]
    fn statistics_agree_with_their_definitions() {
        let samples = samples(0.5);
        let (n, dimension) = (samples.first, samples.dimension);
        let none = Labellings { count: 0, seed: 0 };
        let points: Vec<&[f64]> = samples.pooled.chunks(dimension).collect();
        let length = |i: usize, j: usize| -> f64 {
            points[i].iter().zip(points[j]).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
        };
        let mean = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let count = (rows.len() * columns.len()) as f64;
            rows.flat_map(|i| columns.clone().map(move |j| (i, j))).map(|(i, j)| length(i, j)).sum::<f64>()
                / count
        };
        let all = points.len();
        let expected = 2.0 * mean(0..n, n..all) - mean(0..n, 0..n) - mean(n..all, n..all);
        assert!((samples.energy(none).unwrap().statistic - expected).abs() < 1e-12);
        let column =
            |k: usize, rows: std::ops::Range<usize>| -> Vec<f64> { rows.map(|i| points[i][k]).collect() };
        let (x, y) = (column(1, 0..n), column(1, n..all));
        let line = crate::wasserstein_1d(&x, &vec![1.0; n], &y, &vec![1.0; all - n], 1.0).unwrap();
        assert!((samples.sliced(&[0.0, 1.0], none).statistic - line).abs() < 1e-12);
        assert_eq!(samples.energy(none).unwrap().p_value, 1.0);
    }

    #[test]
    fn p_values_are_adjusted_in_order() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
