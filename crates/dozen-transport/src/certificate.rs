//! The proof that a plan is optimal.

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
    /// `p` and `q` sum to one.
    pub(crate) fn new(primal: f64, [p, q]: [&[f64]; 2], [f, g]: [&[f64]; 2], infeasibility: f64) -> Self {
        let value = |mass: &[f64], price: &[f64]| mass.iter().zip(price).map(|(m, p)| m * p).sum::<f64>();
        let dual = value(p, f) + value(q, g);
        Self { primal, dual, gap: primal - dual, infeasibility }
    }
}
