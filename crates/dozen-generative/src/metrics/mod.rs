//! How good samples are: distances and shares between two sets of rows of as many columns, of data and drawn.
//!
//! | function | what | source |
//! |---|---|---|
//! | [`wasserstein`] | the exact transport distance | Kantorovich 1942 |
//! | [`frechet_distance`] | between normals of the rows' means and covariances | Heusel et al. 2017, eq. 6 |
//! | [`kernel_distance`] | squared mean discrepancy under a cubic kernel | Bińkowski et al. 2018 |
//! | [`neighbours`] | precision and recall, density and coverage | Kynkäänniemi et al. 2019; Naeem et al. 2020 |
//! | [`modes`] | which known modes are found | Srivastava et al. 2017 |
//! | [`parzen_log_prob`] | the log-probability under Gaussians at samples, which says little | Goodfellow et al. 2014; Theis et al. 2016 |
//! | [`copying`] | whether samples are nearer to training rows than held-out rows are | Meehan et al. 2020 |

mod copying;
mod distances;
mod frechet;
mod kernel_distance;
mod modes;
mod neighbours;
mod parzen;
mod symmetric;

pub use copying::{Copying, copying};
pub use distances::wasserstein;
pub use frechet::frechet_distance;
pub use kernel_distance::kernel_distance;
pub use modes::{ModeCount, modes};
pub use neighbours::{Neighbours, neighbours};
pub use parzen::{Parzen, parzen_log_prob};
