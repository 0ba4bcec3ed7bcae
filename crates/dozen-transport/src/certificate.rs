//! The proof that a plan is optimal.

use crate::Cost;

/// Weak duality: for prices with `f_i + g_j <= c_ij`, every plan costs at least `sum p_i f_i + sum q_j g_j`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// The cost of the plan.
    pub primal: f64,
    /// `sum p_i f_i + sum q_j g_j`.
    pub dual: f64,
    /// `primal - dual`: zero but for rounding where the plan is optimal.
    pub gap: f64,
    /// The greatest `f_i + g_j - c_ij` over all pairs, or zero: how far the prices are from allowed.
    pub infeasibility: f64,
}

impl Certificate {
    /// Looks at every pair of points; `p` and `q` sum to one.
    pub(crate) fn new<C: Cost>(primal: f64, p: &[f64], q: &[f64], f: &[f64], g: &[f64], cost: &C) -> Self {
        let mut buffer = vec![0.0; q.len()];
        let mut infeasibility = 0.0_f64;
        for (i, &f) in f.iter().enumerate() {
            for (&c, &g) in cost.row(i, &mut buffer).iter().zip(g) {
                infeasibility = infeasibility.max(f + g - c);
            }
        }
        let value = |mass: &[f64], price: &[f64]| mass.iter().zip(price).map(|(m, p)| m * p).sum::<f64>();
        let dual = value(p, f) + value(q, g);
        Self { primal, dual, gap: primal - dual, infeasibility }
    }
}
