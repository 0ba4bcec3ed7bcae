//! One price for both sides, as Kantorovich and Rubinstein (1958) and the critics of Wasserstein GANs have it.

use crate::{Cost, Error, Matrix, exact};

/// What one price at each point can earn.
#[derive(Clone, Debug)]
pub struct SinglePrice {
    /// `max sum_i (p_i - q_i) f_i` over prices with `f_i - f_j <= c_ij`.
    pub value: f64,
    /// The price of each point.
    pub f: Vec<f64>,
    /// Whether the cost obeys the triangle inequality on these points. If it does, `value` is the cost of the best plan; if
    /// not, it is a lower bound only, and may be far below.
    pub metric: bool,
}

/// The dual of transport restricted to `g = -f`, for masses `p` and `q` on the same points, whose costs are the rows of
/// `cost`.
///
/// Under `f_i - f_j <= c_ij` a price cannot fall faster than along the cheapest chain of points. So what it earns is the
/// transport cost under the costs of chains: those of the triangle inequality's closure, which a metric is already, and which
/// is found here by the algorithm of Floyd and Warshall in `O(n^3)`.
///
/// # Errors
/// When the cost is not square, not zero on the diagonal or negative somewhere, or weights do not fit.
pub fn single_price<C: Cost>(p: &[f64], q: &[f64], cost: &C) -> Result<SinglePrice, Error> {
    let (n, m) = cost.sizes();
    if n != m {
        return Err(Error::Shape(format!("one price needs the same points on both sides, not {n} and {m}")));
    }
    let mut costs = cost.to_matrix();
    if costs.iter().any(|c| *c < 0.0) || (0..n).any(|i| costs[i * n + i] != 0.0) {
        return Err(Error::Shape(
            "one price needs costs that are zero from a point to itself, and never negative".into(),
        ));
    }
    let largest = costs.iter().copied().fold(0.0, f64::max);
    let mut metric = true;
    for k in 0..n {
        let through = costs[k * n..(k + 1) * n].to_vec();
        for row in costs.chunks_exact_mut(n) {
            let to_k = row[k];
            for (direct, onward) in row.iter_mut().zip(&through) {
                if to_k + onward < *direct {
                    metric &= to_k + onward >= *direct - 1e-12 * largest;
                    *direct = to_k + onward;
                }
            }
        }
    }
    let plan = exact(p, q, &Matrix::new(&costs, n)?)?;
    // The closure obeys the triangle inequality, so that the least of c(z, y) - g(y) serves as both prices at z.
    let price = |row: &[f64]| row.iter().zip(&plan.g).map(|(c, g)| c - g).fold(f64::INFINITY, f64::min);
    Ok(SinglePrice { value: plan.value, f: costs.chunks_exact(n).map(price).collect(), metric })
}
