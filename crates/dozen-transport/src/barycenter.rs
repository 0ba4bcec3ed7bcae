//! Barycentres: the distribution whose mean transport cost to several others is least (Agueh and Carlier 2011).

use crate::masses::checked_sum;
use crate::vector::{exp, vectorized};
use crate::{Distance, Error, PointCost, Points, exact};

/// One of the distributions to find the middle of.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    /// Where.
    pub points: Points<'a>,
    /// How much there; divided by the sum.
    pub weights: &'a [f64],
    /// Its part in the mean; divided by the sum of all parts.
    pub share: f64,
}

/// A barycentre with points free to move.
#[derive(Clone, Debug)]
pub struct FreeBarycenter {
    /// Coordinates row by row; all points weigh the same.
    pub points: Vec<f64>,
    /// The mean of `W_2^2` to the measures, with their shares.
    pub cost: f64,
    /// Rounds that it took.
    pub rounds: usize,
    /// Whether the last round moved the points by less than the tolerance, in the mean of squares.
    pub converged: bool,
}

/// Points of equal weight with the least mean squared distance `W_2^2` to the measures, from a start (Cuturi and Doucet 2014,
/// algorithm 2): each round finds the exact plan to each measure, and moves each point to the mean of what it sends its mass
/// to. The cost never rises; it ends in a local minimum.
///
/// # Errors
/// When dimensions differ, a measure is empty, or weights or shares are negative or sum to zero.
pub fn free_barycenter(
    measures: &[Measure<'_>],
    start: Points<'_>,
    rounds: usize,
    tolerance: f64,
) -> Result<FreeBarycenter, Error> {
    let shares = shares(measures.iter().map(|measure| measure.share))?;
    let dimension = start.dimension();
    let count = start.len();
    let weights = vec![1.0; count];
    let mut points = start.values().to_vec();
    let mut cost;
    let mut round = 0;
    loop {
        let mut next = vec![0.0; points.len()];
        cost = 0.0;
        for (measure, share) in measures.iter().zip(&shares) {
            let here = Points::new(&points, dimension)?;
            let costs = PointCost::new(here, measure.points, Distance::SquaredEuclidean, 1.0)?;
            let plan = exact(&weights, measure.weights, &costs)?;
            cost += share * plan.value;
            for flow in &plan.flows {
                let part = share * flow.mass * count as f64;
                let target = &mut next[flow.from * dimension..(flow.from + 1) * dimension];
                for (x, y) in target.iter_mut().zip(measure.points.point(flow.to)) {
                    *x += part * y;
                }
            }
        }
        let moved = next.iter().zip(&points).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / count as f64;
        let converged = moved <= tolerance;
        if converged || round == rounds {
            return Ok(FreeBarycenter { points, cost, rounds: round, converged });
        }
        points = next;
        round += 1;
    }
}

/// A barycentre on given points.
#[derive(Clone, Debug)]
pub struct FixedBarycenter {
    /// The weight of each point, one in all.
    pub weights: Vec<f64>,
    /// The sum of the absolute changes of the weights in the last round.
    pub error: f64,
    /// Whether that is within the tolerance.
    pub converged: bool,
    /// Rounds that it took.
    pub rounds: usize,
}

/// The weights on `support` with the least mean entropic cost to measures on the same points, by projections in the log
/// domain (Benamou et al. 2015, section 3.2): `costs` is the square matrix between the points, `weights` the measures', each
/// divided by its sum. Each round scales each plan to its measure, then all plans to the geometric mean of what they arrive
/// as.
///
/// # Errors
/// When sizes differ, or weights or shares are negative or sum to zero.
pub fn fixed_barycenter(
    costs: &[f64],
    weights: &[(&[f64], f64)],
    epsilon: f64,
    rounds: usize,
    tolerance: f64,
) -> Result<FixedBarycenter, Error> {
    let shares = shares(weights.iter().map(|(_, share)| *share))?;
    let n = weights.first().map_or(0, |(weights, _)| weights.len());
    if costs.len() != n * n || weights.iter().any(|(weights, _)| weights.len() != n) {
        return Err(Error::Shape(format!(
            "a barycentre on {n} points needs {n} weights of each and {n} x {n} costs"
        )));
    }
    Error::check_positive("epsilon", epsilon)?;
    let mut logarithms = Vec::with_capacity(weights.len());
    for (weights, _) in weights {
        let sum = checked_sum(weights, "first")?;
        logarithms.push(weights.iter().map(|weight| (weight / sum).ln()).collect::<Vec<f64>>());
    }
    let exponents: Vec<f64> = costs.iter().map(|cost| -cost / epsilon).collect();
    let transposed: Vec<f64> = (0..n * n).map(|index| exponents[index % n * n + index / n]).collect();
    let mut arriving = vec![vec![0.0; n]; weights.len()];
    let mut result = vec![0.0; n];
    let (mut error, mut done) = (f64::INFINITY, 0);
    for round in 1..=rounds {
        let mut mean = vec![0.0; n];
        let mut sums = Vec::with_capacity(weights.len());
        for ((v, logarithms), share) in arriving.iter().zip(&logarithms).zip(&shares) {
            let leaving = log_sums(&transposed, v);
            let u: Vec<f64> = logarithms.iter().zip(leaving).map(|(log, sum)| log - sum).collect();
            let sum = log_sums(&exponents, &u);
            for (mean, sum) in mean.iter_mut().zip(&sum) {
                *mean += share * sum;
            }
            sums.push(sum);
        }
        for (v, sum) in arriving.iter_mut().zip(sums) {
            *v = mean.iter().zip(sum).map(|(mean, sum)| mean - sum).collect();
        }
        let fresh: Vec<f64> = mean.iter().map(|log| log.exp()).collect();
        error = fresh.iter().zip(&result).map(|(a, b)| (a - b).abs()).sum();
        result = fresh;
        done = round;
        if error <= tolerance {
            break;
        }
    }
    let total: f64 = result.iter().sum();
    let weights = result.iter().map(|weight| weight / total).collect();
    Ok(FixedBarycenter { weights, error, converged: error <= tolerance, rounds: done })
}

fn shares(given: impl Iterator<Item = f64>) -> Result<Vec<f64>, Error> {
    let given: Vec<f64> = given.collect();
    if given.iter().any(|share| !(*share >= 0.0 && share.is_finite())) || given.iter().sum::<f64>() <= 0.0 {
        return Err(Error::Shape("the shares of a barycentre are not negative, and not all zero".into()));
    }
    let sum: f64 = given.iter().sum();
    Ok(given.iter().map(|share| share / sum).collect())
}

/// `ln sum_j exp(row_j + v_j)` for each row of a square matrix.
fn log_sums(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    let mut terms = vec![0.0; v.len()];
    let sum = |row: &[f64]| {
        vectorized(
            #[inline(always)]
            || {
                let terms = &mut terms[..row.len()];
                for j in 0..row.len() {
                    terms[j] = row[j] + v[j];
                }
                let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if most == f64::NEG_INFINITY {
                    return most;
                }
                for j in 0..terms.len() {
                    terms[j] = exp(terms[j] - most);
                }
                most + terms.iter().sum::<f64>().ln()
            },
        )
    };
    matrix.chunks_exact(v.len()).map(sum).collect()
}
