//! The steps of a flow: each has a way forth, towards the base, a way back, and on both the logarithm of the determinant.

mod autoregressive;
mod bijection;
mod coupling;
mod linear;
mod planar;
mod radial;
mod rectified;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use autoregressive::{Autoregressive, MaskedNetwork};
pub use bijection::Bijection;
pub use coupling::Coupling;
pub use linear::{Actnorm, Linear, Permutation};
pub use planar::Planar;
pub use radial::Radial;
pub use rectified::Rectified;

use super::TransformConfig;

/// Rows, and `ln |det|` of the step's Jacobian for each: `[rows, columns]`, `[rows, 1]`.
pub type Stepped = (Tensor<2>, Tensor<2>);

/// One step.
#[derive(Module, Debug)]
pub enum Transform {
    /// Each column by a function of those before it.
    Autoregressive(Autoregressive),
    /// Half of the columns by functions of the other half.
    Coupling(Coupling),
    /// A scale and a shift of each column.
    Actnorm(Actnorm),
    /// An invertible matrix.
    Linear(Linear),
    /// The columns in another order.
    Permutation(Permutation),
    /// A bend along a direction.
    Planar(Planar),
    /// A bend around a point.
    Radial(Radial),
    /// A velocity field.
    Rectified(Rectified),
}

impl Transform {
    /// With starting weights; `context` columns condition it, and `seed` draws what does not learn.
    pub fn new(config: &TransformConfig, columns: usize, context: usize, seed: u64, device: &Device) -> Self {
        match config {
            TransformConfig::Autoregressive { bijection, hidden, reversed, inverse } => {
                let network = MaskedNetwork::new(columns, context, hidden, (*bijection).into(), device);
                Self::Autoregressive(Autoregressive::new(network, *reversed, *inverse))
            }
            TransformConfig::Coupling { bijection, hidden, first } => {
                Self::Coupling(Coupling::new(columns, context, hidden, (*bijection).into(), *first, device))
            }
            TransformConfig::Actnorm => Self::Actnorm(Actnorm::new(columns, device)),
            TransformConfig::Linear => Self::Linear(Linear::new(columns, seed, device)),
            TransformConfig::Permutation => Self::Permutation(Permutation::new(columns, seed)),
            TransformConfig::Planar => Self::Planar(Planar::new(columns, device)),
            TransformConfig::Radial => Self::Radial(Radial::new(columns, device)),
            TransformConfig::Rectified { hidden, solver } => {
                Self::Rectified(Rectified::new(columns, context, hidden, *solver, device))
            }
        }
    }

    /// Towards the base. `context` is `[rows, context columns]`.
    pub fn forward(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        match self {
            Self::Autoregressive(step) => step.forward(x, context),
            Self::Coupling(step) => step.forward(x, context),
            Self::Actnorm(step) => step.forward(x),
            Self::Linear(step) => step.forward(x),
            Self::Permutation(step) => step.forward(x),
            Self::Planar(step) => step.forward(x),
            Self::Radial(step) => step.forward(x),
            Self::Rectified(step) => step.forward(x, context),
        }
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        match self {
            Self::Autoregressive(step) => step.inverse(z, context),
            Self::Coupling(step) => step.inverse(z, context),
            Self::Actnorm(step) => step.inverse(z),
            Self::Linear(step) => step.inverse(z),
            Self::Permutation(step) => step.inverse(z),
            Self::Planar(step) => step.inverse(&z),
            Self::Radial(step) => step.inverse(z),
            Self::Rectified(step) => step.inverse(z, context),
        }
    }
}

/// Zero for each row.
pub(super) fn no_change(x: &Tensor<2>) -> Tensor<2> {
    Tensor::<2>::zeros([x.dims()[0], 1], &x.device()).cast(x.dtype())
}

/// One number for every row.
fn for_each_row(value: Tensor<1>, rows: usize) -> Tensor<2> {
    value.reshape([1, 1]).expand([rows, 1])
}
