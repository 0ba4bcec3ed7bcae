//! Optimal transport between weighted points: what is the least cost of moving one distribution onto another?
//!
//! Every exact answer carries its certificate: prices `f` and `g` with `f_i + g_j <= c_ij` everywhere, whose value
//! `sum p_i f_i + sum q_j g_j` no plan can undercut (Kantorovich 1942). Where it equals the plan's cost, the plan is
//! optimal, whoever found it.
//!
//! ```
//! use dozen_transport::{Distance, PointCost, Points, exact};
//!
//! let a = Points::new(&[0.0, 1.0, 2.0], 1)?;
//! let b = Points::new(&[0.5, 2.5], 1)?;
//! let plan = exact(&[1.0, 1.0, 1.0], &[2.0, 1.0], &PointCost::new(a, b, Distance::Euclidean, 1.0)?)?;
//! assert!((plan.value - 0.5).abs() < 1e-12);
//! assert!(plan.certificate.gap.abs() < 1e-12);
//! # Ok::<(), dozen_transport::Error>(())
//! ```

mod barycenter;
mod certificate;
mod cost;
mod error;
mod exact;
mod line;
mod masses;
mod simplex;
mod single_price;
mod sinkhorn;
mod sliced;
mod sparse;
mod two_sample;
mod vector;

pub use barycenter::{FixedBarycenter, FreeBarycenter, Measure, fixed_barycenter, free_barycenter};
pub use certificate::Certificate;
pub use cost::{CircleCost, Cost, Distance, Matrix, PointCost, Points};
pub use error::Error;
pub use exact::{Flow, Plan, Prices, exact, exact_from};
pub use line::{Line, LinePlan, line_plan, wasserstein_1d};
pub use single_price::{SinglePrice, single_price};
pub use sinkhorn::{Entropic, Sinkhorn, sinkhorn_divergence};
pub use sliced::{MaxSliced, Sliced, max_sliced, random_directions, sliced};
pub use sparse::{Route, exact_sparse};
pub use two_sample::{Labellings, Samples, Tested, holm};
