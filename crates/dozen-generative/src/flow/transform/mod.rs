//! The steps of a flow: each has a way forth, towards the base, a way back, and on both the logarithm of the determinant.

mod autoregressive;
mod batch_norm;
mod bijection;
mod coupling;
mod image;
mod linear;
mod linear_spline;
mod logit;
mod ode;
mod planar;
mod radial;
mod velocity;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};

pub use autoregressive::{Autoregressive, MaskedNetwork};
pub use batch_norm::BatchNorm;
pub use bijection::Bijection;
pub use coupling::Coupling;
pub use image::{EachPixel, ImageCoupling, PixelStep, Squeeze};
pub use linear::{Actnorm, Linear, Permutation};
pub use linear_spline::LinearSpline;
pub use logit::Logit;
pub use planar::Planar;
pub use radial::Radial;
pub use velocity::Velocity;

use super::{Trace, TransformConfig};

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
    /// A velocity field learnt by matching.
    Rectified(Velocity),
    /// A velocity field learnt by the likelihood.
    Continuous(Continuous),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// From an interval onto the line, or back.
    Logit(Logit),
    /// Squares of pixels to channels.
    Squeeze(Squeeze),
    /// The same step at each pixel of an image.
    EachPixel(EachPixel),
    /// Some values of an image by functions of the others.
    ImageCoupling(ImageCoupling),
}

/// A velocity field learnt by the likelihood.
#[derive(Module, Debug)]
pub struct Continuous {
    field: Velocity,
    #[module(skip)]
    trace: Trace,
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
                Self::Rectified(Velocity::new(columns, context, hidden, 1.0, *solver, device))
            }
            TransformConfig::Continuous { hidden, solver, trace } => {
                // Small at first: the flow begins near the identity.
                let field = Velocity::new(columns, context, hidden, 0.01, *solver, device);
                Self::Continuous(Continuous { field, trace: *trace })
            }
            TransformConfig::BatchNorm => Self::BatchNorm(BatchNorm::new(columns, device)),
            TransformConfig::Logit { margin } => Self::Logit(Logit::new(*margin)),
            TransformConfig::Sigmoid => Self::Logit(Logit::sigmoid()),
            TransformConfig::Squeeze { shape } => Self::Squeeze(Squeeze::new(*shape)),
            TransformConfig::ImageActnorm { shape } => {
                let step = PixelStep::Actnorm(Actnorm::new(shape.channels, device));
                Self::EachPixel(EachPixel::new(step, *shape))
            }
            TransformConfig::ImageLinear { shape } => {
                let step = PixelStep::Linear(Linear::new(shape.channels, seed, device));
                Self::EachPixel(EachPixel::new(step, *shape))
            }
            TransformConfig::ImageCoupling { shape, mask, hidden } => {
                Self::ImageCoupling(ImageCoupling::new(*shape, *mask, *hidden, context, device))
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
            Self::Rectified(step) => step.forward(x, context, None),
            Self::Continuous(step) => step.field.forward(x, context, None),
            Self::BatchNorm(step) => step.forward(x),
            Self::Logit(step) => step.forward(x),
            Self::Squeeze(step) => step.forward(x),
            Self::EachPixel(step) => step.forward(x),
            Self::ImageCoupling(step) => step.forward(x, context),
        }
    }

    /// Towards the base, as in training: by a batch's own statistics, and with a trace that may be estimated.
    pub fn forward_in_training(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        match self {
            Self::BatchNorm(step) => step.forward_in_training(x),
            Self::Continuous(Continuous { field, trace: Trace::Hutchinson }) => {
                // One direction of signs for the whole way (Grathwohl et al. 2019, section 3.1).
                let signs = Tensor::random(x.dims(), Distribution::Bernoulli(0.5), &x.device()) * 2.0 - 1.0;
                field.forward(x, context, Some(&signs))
            }
            _ => self.forward(x, context),
        }
    }

    /// Whether its parameters begin at what the data is.
    pub(crate) fn begins_at_data(&self) -> bool {
        matches!(self, Self::Actnorm(_) | Self::BatchNorm(_) | Self::EachPixel(_))
    }

    /// With what is begun at the data begun at this batch.
    #[must_use]
    pub fn fitted(self, x: &Tensor<2>) -> Self {
        match self {
            Self::Actnorm(step) => Self::Actnorm(step.fitted(x)),
            Self::BatchNorm(step) => Self::BatchNorm(step.fitted(x)),
            Self::EachPixel(step) => Self::EachPixel(step.fitted(x)),
            other => other,
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
            Self::Continuous(step) => step.field.inverse(z, context),
            Self::BatchNorm(step) => step.inverse(z),
            Self::Logit(step) => step.inverse(z),
            Self::Squeeze(step) => step.inverse(z),
            Self::EachPixel(step) => step.inverse(z),
            Self::ImageCoupling(step) => step.inverse(z, context),
        }
    }
}

/// Zero for each row.
pub(crate) fn no_change(x: &Tensor<2>) -> Tensor<2> {
    Tensor::<2>::zeros([x.dims()[0], 1], &x.device()).cast(x.dtype())
}

/// One number for every row.
fn for_each_row(value: Tensor<1>, rows: usize) -> Tensor<2> {
    value.reshape([1, 1]).expand([rows, 1])
}
