//! Entropic transport by Sinkhorn's scaling:
//!
//! `min <P, C> + eps KL(P | a b')` over plans `P` with the weights `a` and `b` as their sums (Cuturi 2013), or, unbalanced,
//! with `+ rho KL(P 1 | a) + rho KL(P' 1 | b)` in place of the constraint (Chizat et al. 2018).
//!
//! The plan is `P_ij = a_i b_j exp((f_i + g_j - c_ij) / eps)`. Prices are kept as logarithms and as factors beside them
//! (Schmitzer 2019, stabilised scaling): the factors are what an iteration changes, by products with a kernel that the
//! prices are already in, so that its rows sum to about one whatever eps is. Factors that grow large are taken into the
//! prices, by log-sum-exp. An iteration goes over the kernel once: a row's own factor first, then, while the row is in
//! cache, its part of the columns' sums. `eps` comes down from the size of the costs in steps, each from the prices of the
//! last.

use rayon::prelude::*;

use crate::masses::{check_counts, checked_sum};
use crate::vector::{LANES, dot, exp, greatest_magnitude, lane_dot, least_difference, vectorized};
use crate::{Cost, Error};

/// How to solve an entropic problem.
#[derive(Clone, Copy, Debug)]
pub struct Sinkhorn {
    /// The weight of the entropy, in units of the cost.
    pub epsilon: f64,
    /// `rho`, the price of mass that is made or lost, for weights that the plan need not keep: taken as they are given,
    /// not divided by their sums. `None` for plans that keep them.
    pub reach: Option<f64>,
    /// Done when the factors of the rows, weighted, change by no more than this in an iteration: without `reach` that is
    /// how far the sums of the plan's rows are from their weights, in all.
    pub tolerance: f64,
    /// At most so many iterations.
    pub iterations: usize,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Entropic {
    /// `<P, C>`, the cost of the plan without its entropy.
    pub cost: f64,
    /// The least value of what is minimised, by the prices: `sum a f + sum b g` where masses are kept.
    pub value: f64,
    /// The price of each point of the first side.
    pub f: Vec<f64>,
    /// The price of each point of the second side.
    pub g: Vec<f64>,
    /// The mass of the plan.
    pub mass: f64,
    /// The last change, as `tolerance` counts it.
    pub error: f64,
    /// Whether that is within the tolerance.
    pub converged: bool,
    /// Iterations that it took.
    pub iterations: usize,
    /// What the exact cost, without entropy, lies between: the value of prices made feasible, and the cost of the plan made
    /// to keep the weights (Altschuler, Weed and Rigollet 2017, algorithm 2). `None` for unbalanced problems.
    pub exact_between: Option<(f64, f64)>,
}

/// Kernels up to this many values are kept in memory; larger ones are worked out again in each iteration.
const KEPT: usize = 1 << 27;
/// Factors beyond this, or below its inverse, are taken into the prices.
const LARGE: f64 = 1e50;
/// Column sums of a fresh kernel below this ask for prices of the columns first.
const EMPTY: f64 = 1e-200;
/// Each step divides eps by this.
const STEP: f64 = 4.0;
/// Costs up to this many eps need no steps.
const DIRECT: f64 = 100.0;
/// Before the last step, this change is little enough to go on,
const COARSE: f64 = 1e-2;
/// and so are this many iterations.
const COARSE_ITERATIONS: usize = 20;
/// Rows are worked on in this many parts, whatever the number of threads, so that sums do not depend on it.
const PARTS: usize = 16;

impl Sinkhorn {
    /// The defaults for an `epsilon`: masses kept, tolerance 1e-9, at most 10,000 iterations.
    pub fn new(epsilon: f64) -> Self {
        Self { epsilon, reach: None, tolerance: 1e-9, iterations: 10_000 }
    }

    /// Solves for weights `a` of the first side and `b` of the second, each divided by its sum unless there is a reach.
    ///
    /// # Errors
    /// When weights are not as many as points, negative, not finite or all zero, or `epsilon` or `reach` is not positive.
    pub fn solve<C: Cost>(&self, a: &[f64], b: &[f64], cost: &C) -> Result<Entropic, Error> {
        let (n, m) = cost.sizes();
        check_counts((n, m), a, b)?;
        Error::check_positive("epsilon", self.epsilon)?;
        Error::check_positive("reach", self.reach.unwrap_or(1.0))?;
        let share = |weights: &[f64], side| -> Result<Vec<f64>, Error> {
            let sum = checked_sum(weights, side)?;
            let whole = if self.reach.is_some() { 1.0 } else { sum };
            Ok(weights.iter().map(|weight| weight / whole).collect())
        };
        let scaling = Scaling {
            settings: *self,
            cost,
            a: share(a, "first")?,
            b: share(b, "second")?,
            epsilon: self.epsilon,
            f: vec![0.0; n],
            g: vec![0.0; m],
            u: vec![1.0; n],
            v: vec![1.0; m],
            kernel: Vec::new(),
        };
        Ok(scaling.run())
    }
}

/// The Sinkhorn divergence `V(a, b) - V(a, a) / 2 - V(b, b) / 2` of the three entropic values (Feydy et al. 2019), and
/// `+ eps (sum a - sum b)^2 / 2` with a reach (Sejourne et al. 2019): zero for equal sides, as none of them is, and about the
/// exact cost for small `eps`. `costs` are those between both sides, within the first and within the second. Gives the
/// divergence and the three solutions.
///
/// # Errors
/// As [`Sinkhorn::solve`].
pub fn sinkhorn_divergence<C: Cost>(
    settings: &Sinkhorn,
    a: &[f64],
    b: &[f64],
    costs: [&C; 3],
) -> Result<(f64, [Entropic; 3]), Error> {
    let [between, first, second] = costs;
    let solved =
        [settings.solve(a, b, between)?, settings.solve(a, a, first)?, settings.solve(b, b, second)?];
    let masses = if settings.reach.is_some() { a.iter().sum::<f64>() - b.iter().sum::<f64>() } else { 0.0 };
    let divergence = solved[0].value - 0.5 * (solved[1].value + solved[2].value);
    Ok((divergence + 0.5 * settings.epsilon * masses * masses, solved))
}

/// The iteration's state: `P_ij = a_i u_i k_ij v_j b_j` with `k_ij = exp((f_i + g_j - c_ij) / eps)`.
struct Scaling<'a, C> {
    settings: Sinkhorn,
    cost: &'a C,
    a: Vec<f64>,
    b: Vec<f64>,
    epsilon: f64,
    f: Vec<f64>,
    g: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    /// Row by row, or empty where it is worked out when asked for.
    kernel: Vec<f64>,
}

impl<C: Cost> Scaling<'_, C> {
    fn run(mut self) -> Entropic {
        let (mut iterations, mut error) = (0, f64::INFINITY);
        // Steps are worth their kernels only where eps is far below the costs.
        let mut largest = self.largest_cost();
        if largest < DIRECT * self.settings.epsilon {
            largest = self.settings.epsilon;
        }
        loop {
            largest /= STEP;
            self.epsilon = largest.max(self.settings.epsilon);
            let last = self.epsilon == self.settings.epsilon;
            let (tolerance, most) = if last {
                (self.settings.tolerance, self.settings.iterations.saturating_sub(iterations))
            } else {
                (COARSE.max(self.settings.tolerance), COARSE_ITERATIONS)
            };
            self.refresh();
            let mut pace = Pace::default();
            for left in (0..most).rev() {
                // Only a plain iteration leaves the columns' sums right, and so the last is one.
                let relaxation = if left == 0 { 1.0 } else { pace.relaxation };
                error = self.iterate(relaxation);
                iterations += 1;
                if error <= tolerance {
                    if relaxation == 1.0 {
                        break;
                    }
                    pace = Pace::plain();
                    continue;
                }
                pace.note(error);
                let large = |factor: &f64| !(LARGE.recip()..LARGE).contains(factor);
                if self.u.iter().chain(&self.v).any(large) {
                    self.absorb();
                    self.refresh();
                }
            }
            if last {
                return self.finish(error, iterations);
            }
            self.absorb();
        }
    }

    /// The exponent of the update: one where masses are kept.
    fn damping(&self) -> f64 {
        self.settings.reach.map_or(1.0, |reach| reach / (reach + self.epsilon))
    }

    fn largest_cost(&self) -> f64 {
        let mut buffer = vec![0.0; self.b.len()];
        let largest = |i| greatest_magnitude(self.cost.row(i, &mut buffer));
        (0..self.a.len()).map(largest).fold(0.0, f64::max)
    }

    /// Takes the factors into the prices.
    fn absorb(&mut self) {
        for (prices, factors) in [(&mut self.f, &mut self.u), (&mut self.g, &mut self.v)] {
            for (price, factor) in prices.iter_mut().zip(factors) {
                *price += self.epsilon * factor.ln();
                *factor = 1.0;
            }
        }
    }

    /// New prices of the rows from those of the columns by log-sum-exp, the kernel that goes with them, and the factors of
    /// the columns.
    fn refresh(&mut self) {
        let (n, m) = (self.a.len(), self.b.len());
        self.kernel.resize(if n * m <= KEPT { n * m } else { 0 }, 0.0);
        let mut kernel = std::mem::take(&mut self.kernel);
        let sums = loop {
            let mut f = vec![0.0; n];
            let part = n.div_ceil(PARTS);
            let keep = if kernel.is_empty() { 0 } else { part * m };
            let mut kept: Vec<&mut [f64]> =
                if keep == 0 { Vec::new() } else { kernel.chunks_mut(keep).collect() };
            kept.resize_with(n.div_ceil(part), Default::default);
            let sums = f.par_chunks_mut(part).zip(kept).enumerate().map(|(index, (f, kept))| {
                let mut columns = vec![0.0; m];
                let (mut buffer, mut own) = (vec![0.0; m], vec![0.0; m]);
                for (offset, f) in f.iter_mut().enumerate() {
                    let i = index * part + offset;
                    let costs = self.cost.row(i, &mut buffer);
                    let row = kept.get_mut(offset * m..(offset + 1) * m).unwrap_or(&mut own);
                    let logarithm = exponentials(costs, &self.g, &self.b, self.epsilon, row);
                    *f = -self.damping() * self.epsilon * logarithm.total;
                    scale_into(row, exp(*f / self.epsilon + logarithm.most), self.a[i], &mut columns);
                }
                columns
            });
            let sums = add_up(sums.collect());
            self.f = f;
            if sums.iter().zip(&self.b).all(|(sum, b)| *sum > EMPTY || *b == 0.0) {
                break sums;
            }
            self.price_columns();
        };
        self.kernel = kernel;
        self.u.fill(1.0);
        self.v.fill(1.0);
        self.update_columns(&sums, 1.0);
    }

    /// `g` from `f` by log-sum-exp, in two passes over the costs.
    fn price_columns(&mut self) {
        let m = self.b.len();
        let mut buffer = vec![0.0; m];
        let mut most = vec![f64::NEG_INFINITY; m];
        for (i, f) in self.f.iter().enumerate().filter(|(i, _)| self.a[*i] > 0.0) {
            for (most, c) in most.iter_mut().zip(self.cost.row(i, &mut buffer)) {
                *most = most.max((f - c) / self.epsilon);
            }
        }
        let mut sums = vec![0.0; m];
        for (i, f) in self.f.iter().enumerate().filter(|(i, _)| self.a[*i] > 0.0) {
            for ((sum, most), c) in sums.iter_mut().zip(&most).zip(self.cost.row(i, &mut buffer)) {
                *sum += self.a[i] * exp((f - c) / self.epsilon - most);
            }
        }
        let scale = -self.damping() * self.epsilon;
        self.g = sums.iter().zip(most).map(|(sum, most)| scale * (most + f64::ln(*sum))).collect();
    }

    /// One iteration: factors of all rows, then of all columns, each taken past its new value by `relaxation - 1` of the
    /// change. How far the rows' factors were from what they should be.
    fn iterate(&mut self, relaxation: f64) -> f64 {
        let (n, m) = (self.a.len(), self.b.len());
        let part = n.div_ceil(PARTS);
        let weighted: Vec<f64> = self.b.iter().zip(&self.v).map(|(b, v)| b * v).collect();
        let mut u = std::mem::take(&mut self.u);
        let parts = u.par_chunks_mut(part).enumerate().map(|(index, u)| {
            let (mut columns, mut buffers) = (vec![0.0; m], [vec![0.0; m], vec![0.0; m]]);
            let mut change = 0.0;
            for (offset, u) in u.iter_mut().enumerate() {
                let i = index * part + offset;
                let row = self.kernel_row(i, &mut buffers);
                let new = self.factor(dot(row, &weighted), self.f[i]);
                change += self.a[i] * (*u / new - 1.0).abs();
                *u = relaxed(*u, new, relaxation);
                add_scaled(row, self.a[i] * *u, &mut columns);
            }
            (columns, change)
        });
        let (columns, changes): (Vec<_>, Vec<f64>) = parts.collect::<Vec<_>>().into_iter().unzip();
        self.u = u;
        self.update_columns(&add_up(columns), relaxation);
        changes.iter().sum()
    }

    /// The factor that belongs to a sum: `1 / sum` where masses are kept.
    fn factor(&self, sum: f64, price: f64) -> f64 {
        let damping = self.damping();
        if damping == 1.0 {
            sum.recip()
        } else {
            // The whole price is -damping eps ln(sum e^(-price / eps)); the factor is what it has beyond `price`.
            exp((damping - 1.0) * price / self.epsilon - damping * sum.ln())
        }
    }

    fn update_columns(&mut self, sums: &[f64], relaxation: f64) {
        for j in 0..sums.len() {
            // A point without mass may have a sum of zero, and its factor counts for nothing.
            if self.b[j] > 0.0 {
                self.v[j] = relaxed(self.v[j], self.factor(sums[j], self.g[j]), relaxation);
            }
        }
    }

    /// A row of the kernel: kept, or worked out with room for costs and kernel.
    fn kernel_row<'a>(&'a self, i: usize, [costs, kernel]: &'a mut [Vec<f64>; 2]) -> &'a [f64] {
        let m = self.b.len();
        if !self.kernel.is_empty() {
            return &self.kernel[i * m..(i + 1) * m];
        }
        let (f, inverse) = (self.f[i], self.epsilon.recip());
        let costs = self.cost.row(i, costs);
        let (kernel, costs, g) = (&mut kernel[..m], &costs[..m], &self.g[..m]);
        vectorized(
            #[inline(always)]
            || {
                for j in 0..m {
                    kernel[j] = exp((f + g[j] - costs[j]) * inverse);
                }
            },
        );
        kernel
    }

    /// What is asked of the last factors: one pass over kernel and costs, and one over the costs.
    fn finish(mut self, error: f64, iterations: usize) -> Entropic {
        let m = self.b.len();
        let weighted: Vec<f64> = self.b.iter().zip(&self.v).map(|(b, v)| b * v).collect();
        let (mut cost, mut mass, mut kept_cost) = (0.0, 0.0, 0.0);
        // Rows with more than their weight are scaled down to it, and then no column has more than its own.
        let mut missing_rows = self.a.clone();
        let mut columns = vec![0.0; m];
        let (mut buffer, mut buffers) = (vec![0.0; m], [vec![0.0; m], vec![0.0; m]]);
        for i in 0..self.a.len() {
            let scale = self.a[i] * self.u[i];
            let row = self.kernel_row(i, &mut buffers);
            let row_mass = scale * dot(row, &weighted);
            let row_cost = scale * dot_of_three(row, &weighted, self.cost.row(i, &mut buffer));
            let kept = if row_mass > self.a[i] { self.a[i] / row_mass } else { 1.0 };
            add_scaled(row, kept * scale, &mut columns);
            missing_rows[i] -= kept * row_mass;
            mass += row_mass;
            cost += row_cost;
            kept_cost += kept * row_cost;
        }
        let missing_columns: Vec<f64> =
            (0..m).map(|j| (self.b[j] - columns[j] * weighted[j]).max(0.0)).collect();
        self.absorb();
        let feasible: Vec<f64> =
            self.g.iter().zip(&self.b).map(|(&g, &b)| if b > 0.0 { g } else { f64::NEG_INFINITY }).collect();
        let (mut lower, mut moved) = (weighted_sum(&self.b, &self.g), 0.0);
        for (i, missing) in missing_rows.iter().enumerate() {
            let costs = self.cost.row(i, &mut buffer);
            lower += self.a[i] * least_difference(costs, &feasible);
            moved += missing.max(0.0) * dot(costs, &missing_columns);
        }
        let missing: f64 = missing_columns.iter().sum();
        let upper = kept_cost + if missing > 0.0 { moved / missing } else { 0.0 };
        let of_prices = |weights: &[f64], prices: &[f64]| match self.settings.reach {
            None => weighted_sum(weights, prices),
            Some(reach) => weights.iter().zip(prices).map(|(w, p)| -w * reach * (-p / reach).exp_m1()).sum(),
        };
        let entropy = mass - self.a.iter().sum::<f64>() * self.b.iter().sum::<f64>();
        let value = of_prices(&self.a, &self.f) + of_prices(&self.b, &self.g) - self.epsilon * entropy;
        Entropic {
            cost,
            value,
            mass,
            error,
            converged: error <= self.settings.tolerance,
            iterations,
            exact_between: self.settings.reach.is_none().then_some((lower, upper)),
            f: self.f,
            g: self.g,
        }
    }
}

/// From an old factor past a new one: `old (new / old)^relaxation`.
fn relaxed(old: f64, new: f64, relaxation: f64) -> f64 {
    if relaxation == 1.0 { new } else { old * (new / old).powf(relaxation) }
}

/// How far iterations go: over-relaxation, as of Gauss and Seidel's method (Young 1954), of which Sinkhorn's is one near its
/// solution (Lehmann et al. 2021). Where plain iterations shrink the error by `r` each, going `2 / (1 + sqrt(1 - r))` of the
/// way shrinks it by that less one: of 690 iterations 50 are left where `r = 0.98`.
struct Pace {
    relaxation: f64,
    errors: Vec<f64>,
    /// What it was when the relaxation was last chosen.
    since: usize,
    /// Relaxation made the error grow once, and is not tried again.
    plainly: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { relaxation: 1.0, errors: Vec::new(), since: 0, plainly: false }
    }
}

/// Iterations over which a rate is measured,
const PLAIN_SPAN: usize = 3;
/// and with relaxation, where errors swing.
const RELAXED_SPAN: usize = 12;

impl Pace {
    fn plain() -> Self {
        Self { plainly: true, ..Self::default() }
    }

    /// Takes in an iteration's error, and chooses the relaxation of the next.
    fn note(&mut self, error: f64) {
        self.errors.push(error);
        let plain = self.relaxation == 1.0;
        let span = if plain { PLAIN_SPAN } else { RELAXED_SPAN };
        let now = self.errors.len() - 1;
        if self.plainly || now < self.since + 2 * span {
            return;
        }
        let rate = |from: usize| (self.errors[from + span] / self.errors[from]).powf(1.0 / span as f64);
        let (before, rate) = (rate(now - 2 * span), rate(now - span));
        let w = self.relaxation;
        if plain {
            // Settled, as rates that fall still mean more than one mode.
            if rate < 1.0 && (rate - before).abs() < 0.1 * (1.0 - rate) {
                self.choose(rate);
            }
        } else if self.errors[now] > 10.0 * self.errors[self.since] {
            *self = Self::plain();
        } else if rate < 1.0 && rate > w - 1.0 + 0.1 * (2.0 - w) {
            // Slower than the relaxation allows: the plain rate that this one follows from.
            self.choose((rate + w - 1.0).powi(2) / (rate * w * w));
        }
    }

    fn choose(&mut self, plain_rate: f64) {
        self.relaxation = 2.0 / (1.0 + (1.0 - plain_rate.min(0.999_99)).sqrt());
        self.since = self.errors.len() - 1;
    }
}

fn weighted_sum(weights: &[f64], values: &[f64]) -> f64 {
    weights.iter().zip(values).filter(|(weight, _)| **weight > 0.0).map(|(w, v)| w * v).sum()
}

/// The sums of the parts, in order.
fn add_up(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_default();
    for part in parts {
        add_scaled(&part, 1.0, &mut sums);
    }
    sums
}

/// The logarithm of a sum of exponentials, and the greatest exponent.
struct LogSumExp {
    total: f64,
    most: f64,
}

/// Writes `exp(t_j - max t)` with `t_j = (g_j - c_j) / eps`, and gives `ln sum b_j exp(t_j)`.
fn exponentials(costs: &[f64], g: &[f64], b: &[f64], epsilon: f64, row: &mut [f64]) -> LogSumExp {
    let (costs, g, b) = (&costs[..row.len()], &g[..row.len()], &b[..row.len()]);
    let inverse = epsilon.recip();
    vectorized(
        #[inline(always)]
        || {
            let mut most = [f64::NEG_INFINITY; LANES];
            for j in 0..row.len() {
                let t = (g[j] - costs[j]) * inverse;
                row[j] = t;
                let counted = if b[j] > 0.0 { t } else { f64::NEG_INFINITY };
                let most = &mut most[j % LANES];
                *most = if counted > *most { counted } else { *most };
            }
            let most = most.into_iter().fold(f64::NEG_INFINITY, f64::max);
            for j in 0..row.len() {
                row[j] = exp(row[j] - most);
            }
            LogSumExp { total: most + lane_dot(row, b).ln(), most }
        },
    )
}

/// `row *= factor`, and `sums += weight * row`.
fn scale_into(row: &mut [f64], factor: f64, weight: f64, sums: &mut [f64]) {
    let sums = &mut sums[..row.len()];
    vectorized(
        #[inline(always)]
        || {
            for j in 0..row.len() {
                row[j] *= factor;
                sums[j] = row[j].mul_add(weight, sums[j]);
            }
        },
    );
}

/// `sums += weight * row`.
fn add_scaled(row: &[f64], weight: f64, sums: &mut [f64]) {
    let sums = &mut sums[..row.len()];
    vectorized(
        #[inline(always)]
        || {
            for j in 0..row.len() {
                sums[j] = row[j].mul_add(weight, sums[j]);
            }
        },
    );
}

fn dot_of_three(a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    a.iter().zip(b).zip(c).map(|((a, b), c)| a * b * c).sum()
}
