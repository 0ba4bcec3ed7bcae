//! Operations that Burn lacks or does slowly on a CPU, each with a hand-written backward.
//!
//! Each operation is one file: a public function on [`Tensor`](burn::tensor::Tensor) with its formula, a body of
//! Burn's own operations that serves every device, and a kernel that takes over on the CPU backend `flex`. Callers
//! see only the function; which body runs depends on the tensor's device.
//!
//! | function | what |
//! |---|---|
//! | [`prefix_linear()`] | `x W + b` where output `j` reads only the first `prefix[j]` inputs |
//! | [`activate`] | activations in one pass |
//! | [`bernoulli_log_prob`] | log-probability of bits under logits, summed over a row |
//! | [`conv2d`], [`conv_transpose2d`] | convolutions: dense, grouped, depthwise, strided, dilated |
//! | [`conv2d_fused`] | the same with scale, bias and activation in one pass |
//! | [`deform_conv2d`] | deformable convolutions, with masks |
//! | [`batch_norm_activate`], [`fold_batch_norm`] | batch normalisation with the activation after it |
//! | [`pool_regions`] | RoIPool, RoIAlign and their position-sensitive forms |
//! | [`mbconv`] | inference of inverted bottlenecks on images in blocks of channels |
//! | [`each_image`] | inference image by image, side by side |
//! | [`layer_norm`] | layer normalisation of rows |
//! | [`sum`] | of all values, on all threads |
//! | [`global_mean`], [`scale_channels`] | of whole channels: squeeze-and-excite |
//! | [`dropout()`] | dropout whose mask is a function of a seed |
//! | [`embedding()`] | rows of a table by their numbers |
//! | [`nade()`] | the running-sum conditionals of NADE |
//! | [`recurrent()`], `Stepper`, `PackedLinear` | a layer of RNN, LSTM or GRU over sequences of any lengths; the same one step at a time |
//! | [`rational_quadratic`] | monotone rational-quadratic splines and the logarithms of their slopes |
//! | [`softmax()`], [`log_softmax`], [`cross_entropy`] | over rows, in one or two passes |
//! | [`adam_step`], [`sgd_step`], [`rms_prop_step`], [`moving_average`] | one step on one parameter, in one pass |
//!
//! On slices there is [`dot`].
//!
//! `f32` runs fast (SIMD chosen at run time); `f64` runs right, and is what gradients are tested in.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dozen_kernels::{Activation, activate, softmax};
//!
//! # #[cfg(feature = "flex")] {
//! let device = Device::flex().autodiff();
//! let x = Tensor::<2>::from_floats([[0.0, 2.0_f32.ln()]], &device).require_grad();
//! let shares = softmax(x.clone()).into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
//! assert!((shares[0] - 1.0 / 3.0).abs() < 1e-6);
//! let gradients = activate(x.clone(), Activation::Tanh).sum().backward();
//! let slope = x.grad(&gradients).unwrap().into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
//! assert!((slope[1] - (1.0 - 0.36)).abs() < 1e-6);
//! # }
//! ```

#![cfg_attr(not(feature = "flex"), allow(dead_code, reason = "most kernels serve the CPU backend only"))]

mod activation;
mod batch_norm;
mod bernoulli;
mod channels;
mod conv;
mod deform;
mod dropout;
mod embedding;
mod function;
#[cfg(feature = "flex")]
mod host;
mod images;
mod layer_norm;
mod log_sum_exp;
pub mod mbconv;
mod nade;
mod optimizer;
mod prefix_linear;
mod real;
mod recurrent;
mod reduce;
mod regions;
mod softmax;
mod spline;
mod vector;

pub use activation::{Activation, activate, activate_reference};
pub use batch_norm::{BatchNormalized, batch_norm_activate, batch_norm_activate_reference, fold_batch_norm};
pub use bernoulli::{bernoulli_log_prob, bernoulli_log_prob_reference};
pub use channels::{global_mean, scale_channels, scale_channels_reference};
pub use conv::{
    Convolution, Fusion, conv_transpose2d, conv_transpose2d_reference, conv2d, conv2d_fused, conv2d_reference,
};
pub use deform::{Deformation, deform_conv2d, deform_conv2d_reference};
pub use dropout::{Dropout, dropout};
pub use embedding::{embedding, embedding_reference};
pub use images::each_image;
pub use layer_norm::{layer_norm, layer_norm_reference};
pub use log_sum_exp::log_sum_exp;
pub use nade::{NadeSteps, nade, nade_reference};
pub use optimizer::{AdamStep, adam_step, moving_average, rms_prop_step, sgd_step};
pub use prefix_linear::{Prefix, prefix_linear, prefix_linear_activate, prefix_linear_reference};
pub use real::dot;
pub use recurrent::{
    Cell, Layer, PackedLinear, Parameters, Recurrence, Stepper, Steps, recurrent, recurrent_reference,
};
pub use reduce::sum;
pub use regions::{Border, Pooling, Region, pool_regions, pool_regions_reference};
pub use softmax::{cross_entropy, cross_entropy_reference, log_softmax, softmax};
pub use spline::{Spline, rational_quadratic, rational_quadratic_inverse, rational_quadratic_reference};

use burn::tensor::Device;

/// Whether a kernel of this crate runs on the device: it is the CPU backend `flex`, with or without autodiff.
pub fn has_kernels(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
