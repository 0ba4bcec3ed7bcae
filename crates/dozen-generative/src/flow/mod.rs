//! Normalizing flows: `ln p(x) = ln p_base(z) + ln |det dz/dx|` with `z = f_K(.. f_1(x))`, each `f` easy to invert and with a determinant that is
//! easy to compute (Rezende and Mohamed 2015, eq. 4-6; Dinh et al. 2015).
//!
//! | transform | what | source |
//! |---|---|---|
//! | [`Autoregressive`](transform::Autoregressive) | each column by a function of those before it; affine ones are MAF, splines the autoregressive NSF | Papamakarios et al. 2017; Durkan et al. 2019 |
//! | [`Coupling`](transform::Coupling) | half of the columns by functions of the other half: NICE, RealNVP, NSF | Dinh et al. 2015, 2017 |
//! | [`Actnorm`](transform::Actnorm), [`Linear`](transform::Linear) | a scale and shift of each column; an invertible matrix by its LU parts | Kingma and Dhariwal 2018 |
//! | [`Planar`](transform::Planar), [`Radial`](transform::Radial) | one bend each | Rezende and Mohamed 2015 |
//! | [`Velocity`](transform::Velocity) | a velocity from the base to the data, followed through time; learnt by matching straight lines, or by the likelihood | Liu et al. 2023; Lipman et al. 2023; Grathwohl et al. 2019 |
//! | [`ImageCoupling`](transform::ImageCoupling), [`EachPixel`](transform::EachPixel), [`Squeeze`](transform::Squeeze) | couplings of images, by checkerboards or channels, at several scales | Dinh et al. 2017; Kingma and Dhariwal 2018 |
//! | [`Logit`](transform::Logit), [`BatchNorm`](transform::BatchNorm), [`Dequantizer`] | what makes pixels and whole numbers fit | Dinh et al. 2017; Ho et al. 2019 |
//!
//! [`Flow`] composes them over a [`Base`]; [`Model`] is a trained flow with its columns.

mod base;
mod calibration;
mod config;
mod density;
mod dequantize;
mod evaluate;
#[cfg(feature = "train")]
mod fit;
#[cfg(feature = "train")]
mod learner;
mod model;
#[cfg(feature = "train")]
mod report;
pub mod transform;

pub use base::Base;
pub(crate) use calibration::CALIBRATION;
pub use calibration::Calibration;
pub use config::{
    BaseConfig, BijectionConfig, FlowConfig, ImagePreset, Mask, Preset, Saved, Solver, Trace, TransformConfig,
};
pub use density::Flow;
pub use dequantize::Dequantizer;
pub use evaluate::{Evaluation, Scores, evaluate, score};
#[cfg(feature = "train")]
pub use fit::Config;
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use model::Model;
#[cfg(feature = "train")]
pub use report::training_report;

/// The name of this family in a model folder.
pub const FAMILY: &str = "flow";
