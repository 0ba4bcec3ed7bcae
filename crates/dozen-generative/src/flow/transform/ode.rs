//! Following a velocity from one end of time to the other.

use burn::tensor::Tensor;

use super::{Stepped, no_change};
use crate::flow::Solver;

/// Dormand and Prince (1980), table 2: the slopes that each stage starts from, and its place in the step. The last stage's are the step's own
/// weights, of order five.
const STAGES: [(f64, &[f64]); 6] = [
    (0.2, &[0.2]),
    (0.3, &[3.0 / 40.0, 9.0 / 40.0]),
    (0.8, &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0]),
    (8.0 / 9.0, &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0]),
    (1.0, &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0]),
    (1.0, &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0]),
];

/// Weights of order five less those of order four: what they make of the slopes is how far a step may be off.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339_200.0, 22.0 / 525.0, -1.0 / 40.0];

/// No step of the adaptive rule is shorter.
const SHORTEST: f64 = 1e-5;

/// From time `start` to the other end of [0, 1], where `slope` gives `dx/dt` and `d ln|det|/dt`, `[rows, columns]` and `[rows, 1]`.
pub(super) fn solve(
    solver: Solver,
    x: Tensor<2>,
    start: f64,
    slope: impl Fn(&Tensor<2>, f64) -> Stepped,
) -> Stepped {
    let sign = 1.0 - 2.0 * start;
    // Slopes along the way gone, whichever its direction.
    let slope = |x: &Tensor<2>, gone: f64| {
        let (v, divergence) = slope(x, start + sign * gone);
        (v * sign, divergence * sign)
    };
    match solver {
        Solver::Adaptive { tolerance } => adaptive(tolerance, x, slope),
        Solver::Euler { steps } | Solver::Midpoint { steps } | Solver::Rk4 { steps } => {
            let step = 1.0 / steps as f64;
            let (mut x, mut log) = (x.clone(), no_change(&x));
            for number in 0..steps {
                dozen_run::stop_point();
                let (dx, dl) = fixed(solver, &x, step, |x, share| slope(x, (number as f64 + share) * step));
                (x, log) = (x + dx * step, log + dl * step);
            }
            (x, log)
        }
    }
}

/// The mean slope over a step; `slope` takes the share of the step that is gone.
fn fixed(solver: Solver, x: &Tensor<2>, step: f64, slope: impl Fn(&Tensor<2>, f64) -> Stepped) -> Stepped {
    let after = |k: &Tensor<2>, share: f64| x.clone() + k.clone() * (share * step);
    let (k1, l1) = slope(x, 0.0);
    match solver {
        Solver::Euler { .. } => (k1, l1),
        Solver::Midpoint { .. } => slope(&after(&k1, 0.5), 0.5),
        Solver::Rk4 { .. } | Solver::Adaptive { .. } => {
            let (k2, l2) = slope(&after(&k1, 0.5), 0.5);
            let (k3, l3) = slope(&after(&k2, 0.5), 0.5);
            let (k4, l4) = slope(&after(&k3, 1.0), 1.0);
            ((k1 + (k2 + k3) * 2.0 + k4) / 6.0, (l1 + (l2 + l3) * 2.0 + l4) / 6.0)
        }
    }
}

/// Steps as long as the tolerance lets them be: rows that are solved together have the same.
fn adaptive(tolerance: f64, x: Tensor<2>, slope: impl Fn(&Tensor<2>, f64) -> Stepped) -> Stepped {
    let (mut x, mut log) = (x.clone(), no_change(&x));
    let (mut gone, mut step) = (0.0, 0.05);
    let mut first = slope(&x, 0.0);
    while gone < 1.0 - 1e-12 {
        dozen_run::stop_point();
        let length = f64::min(step, 1.0 - gone);
        let mut slopes = vec![first.clone()];
        let mut reached = (x.clone(), log.clone());
        for (share, weights) in STAGES {
            reached = combined(&x, &log, &slopes, weights, length);
            slopes.push(slope(&reached.0, gone + share * length));
        }
        let nothing = (x.zeros_like(), log.zeros_like());
        let (ex, el) = combined(&nothing.0, &nothing.1, &slopes, &ERROR, length);
        let off = Tensor::cat(vec![ex, el], 1).detach().abs();
        let size = Tensor::cat(vec![x.clone(), log.clone()], 1).detach().abs() + 1.0;
        let worst: f64 = (off / size).max().into_scalar();
        let worst = worst / tolerance;
        let accepted = worst <= 1.0 || length <= SHORTEST;
        if accepted {
            gone += length;
            (x, log) = reached;
            // The last stage stands where the next step begins.
            first = slopes.swap_remove(6);
        }
        let growth = if worst.is_finite() { 0.9 * worst.max(1e-10).powf(-0.2) } else { 0.2 };
        step = (length * growth.clamp(0.2, 5.0)).max(SHORTEST);
    }
    (x, log)
}

/// The state moved along weighted slopes.
fn combined(x: &Tensor<2>, log: &Tensor<2>, slopes: &[Stepped], weights: &[f64], length: f64) -> Stepped {
    let (mut x, mut log) = (x.clone(), log.clone());
    for ((v, divergence), weight) in slopes.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
        x = x + v.clone() * (weight * length);
        log = log + divergence.clone() * (weight * length);
    }
    (x, log)
}
