//! One dimension, where the cheapest plan keeps the order of the points (Villani 2003, theorem 2.18).

use crate::masses::Masses;
use crate::{Error, Flow};

/// The plan on the line.
#[derive(Clone, Debug)]
pub struct LinePlan {
    /// `W_p^p`: the sum of mass times distance to the power.
    pub cost: f64,
    /// `W_p`, its root.
    pub distance: f64,
    /// In the order of the line; at most `n + m - 1`.
    pub flows: Vec<Flow>,
}

/// The Wasserstein distance of order `power >= 1` between points `x` with weights `a` and points `y` with weights `b` on the
/// line, each side's weights divided by their sum: sorting, then one pass.
///
/// # Errors
/// When a side is empty, or weights or coordinates are not finite, or weights do not fit.
pub fn wasserstein_1d(x: &[f64], a: &[f64], y: &[f64], b: &[f64], power: f64) -> Result<LinePlan, Error> {
    if !(power >= 1.0 && power.is_finite()) {
        return Err(Error::Shape(format!("a power of {power} is not at least 1")));
    }
    for (side, points, weights) in [("first", x.len(), a.len()), ("second", y.len(), b.len())] {
        if points != weights {
            return Err(Error::Weights { side, points, weights });
        }
    }
    let masses = Masses::new(a, b)?;
    let (x_order, y_order) = (order(x)?, order(y)?);
    let unit = 1.0 / masses.total as f64;
    let mut flows = Vec::with_capacity(x.len() + y.len());
    let (mut i, mut j) = (0, 0);
    let (mut left_x, mut left_y) = (masses.first[x_order[0]], masses.second[y_order[0]]);
    let mut cost = 0.0;
    loop {
        let moved = left_x.min(left_y);
        let (from, to) = (x_order[i], y_order[j]);
        if moved > 0 {
            let mass = moved as f64 * unit;
            let distance = (x[from] - y[to]).abs();
            cost += mass * if power == 1.0 { distance } else { distance.powf(power) };
            flows.push(Flow { from, to, mass });
        }
        left_x -= moved;
        left_y -= moved;
        if left_x == 0 {
            i += 1;
            if i == x.len() {
                break;
            }
            left_x = masses.first[x_order[i]];
        } else {
            j += 1;
            left_y = masses.second[y_order[j]];
        }
    }
    Ok(LinePlan { cost, distance: cost.powf(power.recip()), flows })
}

/// The points from left to right.
fn order(values: &[f64]) -> Result<Vec<usize>, Error> {
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite { what: "coordinate", position, value: values[position] });
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    Ok(order)
}
