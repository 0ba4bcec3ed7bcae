//! One dimension, where the cheapest plan keeps the order of the points (Villani 2003, theorem 2.18), and the circle, where
//! it does so from some point on (Delon, Salomon and Sobolevskii 2010).

use crate::cost::check_rows;
use crate::masses::{Masses, checked_sum};
use crate::{Error, Flow};

/// Weighted points of the line, sorted once for any number of distances.
#[derive(Clone, Debug)]
pub struct Line {
    /// From left to right.
    positions: Vec<f64>,
    /// The mass up to and with each point; the last is one. Empty where all weigh the same.
    sums: Vec<f64>,
}

impl Line {
    /// Points `x` with weights `a`, which are divided by their sum.
    ///
    /// # Errors
    /// When there are no points, or weights or coordinates are not finite, or weights do not fit.
    pub fn new(x: &[f64], a: &[f64]) -> Result<Self, Error> {
        check_points(x, a, "first")?;
        let sum = checked_sum(a, "first")?;
        if a.iter().all(|weight| *weight == a[0]) {
            return Ok(Self { positions: sorted(x), sums: Vec::new() });
        }
        let order = order(x);
        let positions = order.iter().map(|&(_, i)| x[i as usize]).collect();
        Ok(Self { positions, sums: running_sums(order.iter().map(|&(_, i)| a[i as usize] / sum)) })
    }

    /// The mass up to and with a point.
    fn upto(&self, i: usize) -> f64 {
        if self.sums.is_empty() { (i + 1) as f64 / self.positions.len() as f64 } else { self.sums[i] }
    }

    /// The mass of a point.
    fn mass(&self, i: usize) -> f64 {
        match self.sums.get(i) {
            None => (self.positions.len() as f64).recip(),
            Some(upto) => upto - if i == 0 { 0.0 } else { self.sums[i - 1] },
        }
    }

    /// `W_p^p = int_0^1 |F^-1(t) - G^-1(t)|^p dt` with the quantile functions of both.
    ///
    /// # Errors
    /// When the power is below one.
    pub fn cost(&self, other: &Self, power: f64) -> Result<f64, Error> {
        Error::check_power(power)?;
        if self.sums.is_empty() && other.sums.is_empty() && self.positions.len() == other.positions.len() {
            let pairs = self.positions.iter().zip(&other.positions);
            let sum: f64 = pairs.map(|(x, y)| raise((x - y).abs(), power)).sum();
            return Ok(sum / self.positions.len() as f64);
        }
        Ok(self.shifted_cost(other, 0.0, 0.0, power))
    }

    /// [`Line::cost`], and what prices earn that no plan undercuts: those of [`line_plan`], each used as soon as it is known.
    /// The gap between both is rounding.
    ///
    /// # Errors
    /// When the power is below one.
    pub fn certified_cost(&self, other: &Self, power: f64) -> Result<(f64, f64), Error> {
        Error::check_power(power)?;
        let (x, y) = (&self.positions, &other.positions);
        let (mut i, mut j, mut t) = (0, 0, 0.0);
        let mut distance = raise((x[0] - y[0]).abs(), power);
        let (mut f, mut g) = (0.0, distance);
        let (mut cost, mut dual) = (0.0, g * other.mass(0));
        loop {
            let (end_x, end_y) = (self.upto(i), other.upto(j));
            let next = end_x.min(end_y);
            cost += (next - t) * distance;
            t = next;
            if end_x <= end_y && i + 1 < x.len() {
                i += 1;
                distance = raise((x[i] - y[j]).abs(), power);
                f = distance - g;
                dual += f * self.mass(i);
            } else if j + 1 < y.len() {
                j += 1;
                distance = raise((x[i] - y[j]).abs(), power);
                g = distance - f;
                dual += g * other.mass(j);
            } else {
                return Ok((cost, dual));
            }
        }
    }

    /// [`Line::cost`] on a circle of circumference `period`, distances being those along the shorter arc.
    ///
    /// # Errors
    /// When the power is below one, or the period is not positive.
    pub fn circle_cost(&self, other: &Self, power: f64, period: f64) -> Result<f64, Error> {
        Error::check_power(power)?;
        Error::check_positive("the period", period)?;
        let (first, second) = (self.wound(period), other.wound(period));
        // Convex in the mass that crosses the point zero, and piecewise linear: a golden section finds its least value.
        let cost = |crossing: f64| first.shifted_cost(&second, crossing, period, power);
        let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
        let (mut low, mut high) = (-1.0, 1.0);
        let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
        let (mut at_left, mut at_right) = (cost(left), cost(right));
        while high - low > 1e-15 {
            if at_left <= at_right {
                (high, right, at_right) = (right, left, at_left);
                left = high - golden * (high - low);
                at_left = cost(left);
            } else {
                (low, left, at_left) = (left, right, at_right);
                right = low + golden * (high - low);
                at_right = cost(right);
            }
            if left >= right {
                break;
            }
        }
        Ok(at_left.min(at_right).min(cost(0.0)))
    }

    /// All positions in `[0, period)`, in order again.
    fn wound(&self, period: f64) -> Self {
        let wound = |(i, x): (usize, &f64)| (x.rem_euclid(period) % period, self.mass(i));
        let mut points: Vec<(f64, f64)> = self.positions.iter().enumerate().map(wound).collect();
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let sums = running_sums(points.iter().map(|(_, mass)| *mass));
        Self { positions: points.into_iter().map(|(x, _)| x).collect(), sums }
    }

    /// `int_0^1 |F^-1(t) - G^-1(t - shift)|^p dt`, where `G^-1(t + 1) = G^-1(t) + period`.
    fn shifted_cost(&self, other: &Self, shift: f64, period: f64, power: f64) -> f64 {
        let mut turns = -shift.ceil();
        let start = -shift - turns;
        let (n, m) = (self.positions.len(), other.positions.len());
        let mut j = (0..m).position(|j| other.upto(j) > start).unwrap_or(m);
        if j == m {
            (j, turns) = (0, turns + 1.0);
        }
        let (mut i, mut t, mut cost) = (0, 0.0_f64, 0.0);
        loop {
            let end_x = self.upto(i);
            let end_y = other.upto(j) + turns + shift;
            let next = end_x.min(end_y);
            if next > t {
                let y = other.positions[j] + turns * period;
                cost += (next - t) * raise((self.positions[i] - y).abs(), power);
                t = next;
            }
            if end_x <= end_y {
                i += 1;
                if i == n {
                    return cost;
                }
            } else {
                j += 1;
                if j == m {
                    (j, turns) = (0, turns + 1.0);
                }
            }
        }
    }
}

/// `W_p`, the Wasserstein distance of order `power >= 1` between points `x` with weights `a` and points `y` with weights `b`
/// on the line, each side's weights divided by their sum: sorting, then one pass.
///
/// # Errors
/// When a side is empty, or weights or coordinates are not finite, or weights do not fit.
pub fn wasserstein_1d(x: &[f64], a: &[f64], y: &[f64], b: &[f64], power: f64) -> Result<f64, Error> {
    let second = Line::new(y, b).map_err(Error::of_second)?;
    Ok(Line::new(x, a)?.cost(&second, power)?.powf(power.recip()))
}

/// The plan on the line.
#[derive(Clone, Debug)]
pub struct LinePlan {
    /// `W_p^p`: the sum of mass times distance to the power.
    pub cost: f64,
    /// `sum p_i f_i + sum q_j g_j`, which no plan undercuts.
    pub dual: f64,
    /// In the order of the line; at most `n + m - 1`.
    pub flows: Vec<Flow>,
    /// The price of each point of the first side.
    pub f: Vec<f64>,
    /// The price of each point of the second side.
    pub g: Vec<f64>,
}

/// The cheapest plan on the line for the cost `|x - y|^power`, and its prices. Those satisfy `f_i + g_j = c_ij` on each step
/// of the way through both sides in order, and then `f_i + g_j <= c_ij` everywhere, because the cost is a convex function of
/// the difference (Hoffman 1963).
///
/// # Errors
/// As [`wasserstein_1d`].
pub fn line_plan(x: &[f64], a: &[f64], y: &[f64], b: &[f64], power: f64) -> Result<LinePlan, Error> {
    Error::check_power(power)?;
    check_points(x, a, "first")?;
    check_points(y, b, "second")?;
    let masses = Masses::new(a, b)?;
    let (x_order, y_order) = (order(x), order(y));
    let unit = 1.0 / masses.total as f64;
    let mut flows = Vec::with_capacity(x.len() + y.len());
    let (mut f, mut g) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    let (mut i, mut j) = (0, 0);
    let (mut from, mut to) = (x_order[0].1 as usize, y_order[0].1 as usize);
    let (mut left_x, mut left_y) = (masses.first[from], masses.second[to]);
    let mut distance = raise((x[from] - y[to]).abs(), power);
    g[to] = distance;
    let (mut cost, mut dual) = (0.0, 0.0);
    loop {
        let moved = left_x.min(left_y);
        if moved > 0 {
            let mass = moved as f64 * unit;
            cost += mass * distance;
            dual += mass * (f[from] + g[to]);
            flows.push(Flow { from, to, mass });
        }
        left_x -= moved;
        left_y -= moved;
        if left_x == 0 && i + 1 < x.len() {
            i += 1;
            from = x_order[i].1 as usize;
            left_x = masses.first[from];
            distance = raise((x[from] - y[to]).abs(), power);
            f[from] = distance - g[to];
        } else if j + 1 < y.len() {
            j += 1;
            to = y_order[j].1 as usize;
            left_y = masses.second[to];
            distance = raise((x[from] - y[to]).abs(), power);
            g[to] = distance - f[from];
        } else {
            return Ok(LinePlan { cost, dual, flows, f, g });
        }
    }
}

/// Sums of masses, the last of which is one but for rounding, and then is.
fn running_sums(masses: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut running = 0.0;
    let sum = |mass: f64| {
        running += mass;
        running
    };
    let mut sums: Vec<f64> = masses.map(sum).collect();
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    sums
}

/// `length^power` without a call for the common powers.
fn raise(length: f64, power: f64) -> f64 {
    if power == 1.0 {
        length
    } else if power == 2.0 {
        length * length
    } else {
        length.powf(power)
    }
}

fn check_points(values: &[f64], weights: &[f64], side: &'static str) -> Result<(), Error> {
    if values.len() != weights.len() {
        return Err(Error::Weights { side, points: values.len(), weights: weights.len() });
    }
    check_rows(values, 1, "coordinate")
}

/// A whole number that sorts as the float does.
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}

fn value_of(key: u64) -> f64 {
    f64::from_bits(key ^ ((!key as i64 >> 63) as u64 | 1 << 63))
}

/// The values from left to right.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut keys: Vec<u64> = values.iter().map(|&value| key(value)).collect();
    keys.sort_unstable();
    keys.into_iter().map(value_of).collect()
}

/// The points from left to right: key and index.
fn order(values: &[f64]) -> Vec<(u64, u32)> {
    let mut order: Vec<(u64, u32)> =
        values.iter().zip(0..).map(|(&value, index)| (key(value), index)).collect();
    order.sort_unstable();
    order
}
