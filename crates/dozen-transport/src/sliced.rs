//! Sliced distances: the closed form of one dimension along many directions (Rabin et al. 2011; Bonneel et al. 2015), and
//! along the one that tells both sides apart best (Deshpande et al. 2019).

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::line::{Line, line_plan};
use crate::{Error, Points};

/// `SW_p`, by Monte Carlo.
#[derive(Clone, Copy, Debug)]
pub struct Sliced {
    /// The `p`-th root of the mean of `W_p^p` over the directions.
    pub distance: f64,
    /// The standard error that it has for the draw of the directions; zero if there is one only.
    pub standard_error: f64,
}

/// The direction along which the sides are furthest apart.
#[derive(Clone, Debug)]
pub struct MaxSliced {
    /// `W_p` along it.
    pub distance: f64,
    /// Of length one.
    pub direction: Vec<f64>,
}

/// Directions uniform on the sphere, one after another.
pub fn random_directions(dimension: usize, count: usize, seed: u64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut directions = Vec::with_capacity(dimension * count);
    for _ in 0..count {
        let mut direction: Vec<f64> = (0..dimension).map(|_| StandardNormal.sample(&mut rng)).collect();
        normalize(&mut direction);
        directions.extend(direction);
    }
    directions
}

/// The sliced distance of order `power` along given `directions`, each of as many coordinates as a point.
///
/// # Errors
/// When dimensions differ, there are no directions, a side is empty, weights do not fit, or the power is below one.
pub fn sliced(
    x: Points<'_>,
    a: &[f64],
    y: Points<'_>,
    b: &[f64],
    directions: &[f64],
    power: f64,
) -> Result<Sliced, Error> {
    let costs = costs_along(x, a, y, b, directions, power)?;
    let count = costs.len() as f64;
    let mean = costs.iter().sum::<f64>() / count;
    let variance = costs.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let distance = mean.powf(power.recip());
    // The root's slope carries the error of the mean over.
    let slope = if mean > 0.0 { distance / (power * mean) } else { 0.0 };
    Ok(Sliced { distance, standard_error: slope * (variance / count).sqrt() })
}

/// The largest distance over all directions: the best of those given, then uphill from there. The cost along a direction has
/// the gradient `sum mass p |d|^(p-1) sign(d) (x - y)` with `d` the projected difference, over the plan of that direction;
/// steps that do not gain are halved. The result is a lower bound, for there may be other hills.
///
/// # Errors
/// As [`sliced`].
pub fn max_sliced(
    x: Points<'_>,
    a: &[f64],
    y: Points<'_>,
    b: &[f64],
    directions: &[f64],
    power: f64,
) -> Result<MaxSliced, Error> {
    let costs = costs_along(x, a, y, b, directions, power)?;
    let best = (0..costs.len()).max_by(|&i, &j| costs[i].total_cmp(&costs[j])).unwrap_or(0);
    let dimension = x.dimension();
    let mut direction = directions[best * dimension..(best + 1) * dimension].to_vec();
    let mut cost = costs[best];
    let mut step = 1.0;
    let mut gradient = gradient_along(x, a, y, b, &direction, power)?;
    for _ in 0..200 {
        let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        if length == 0.0 || step < 1e-9 {
            break;
        }
        let mut trial: Vec<f64> =
            direction.iter().zip(&gradient).map(|(d, g)| d + step * g / length).collect();
        normalize(&mut trial);
        let found = costs_along(x, a, y, b, &trial, power)?[0];
        if found > cost {
            (cost, direction, step) = (found, trial, step * 1.5);
            gradient = gradient_along(x, a, y, b, &direction, power)?;
        } else {
            step *= 0.5;
        }
    }
    Ok(MaxSliced { distance: cost.powf(power.recip()), direction })
}

fn costs_along(
    x: Points<'_>,
    a: &[f64],
    y: Points<'_>,
    b: &[f64],
    directions: &[f64],
    power: f64,
) -> Result<Vec<f64>, Error> {
    let dimension = x.dimension();
    if dimension != y.dimension() || directions.is_empty() || !directions.len().is_multiple_of(dimension) {
        return Err(Error::Shape(format!(
            "the first side has {dimension} coordinates a point, the second {}, and {} are no whole directions",
            y.dimension(),
            directions.len()
        )));
    }
    let cost = |direction: &[f64]| {
        let second = Line::new(&y.project(direction), b).map_err(Error::of_second)?;
        Line::new(&x.project(direction), a)?.cost(&second, power)
    };
    directions.par_chunks(dimension).map(cost).collect()
}

fn gradient_along(
    x: Points<'_>,
    a: &[f64],
    y: Points<'_>,
    b: &[f64],
    direction: &[f64],
    power: f64,
) -> Result<Vec<f64>, Error> {
    let (px, py) = (x.project(direction), y.project(direction));
    let plan = line_plan(&px, a, &py, b, power)?;
    let mut gradient = vec![0.0; direction.len()];
    for flow in &plan.flows {
        let difference = px[flow.from] - py[flow.to];
        if difference == 0.0 {
            continue;
        }
        let weight = flow.mass * power * difference.abs().powf(power - 1.0) * difference.signum();
        for ((g, x), y) in gradient.iter_mut().zip(x.point(flow.from)).zip(y.point(flow.to)) {
            *g += weight * (x - y);
        }
    }
    Ok(gradient)
}

fn normalize(direction: &mut [f64]) {
    let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
    for value in direction {
        *value /= length;
    }
}
