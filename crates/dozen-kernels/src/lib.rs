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
//! | [`pointwise_conv2d`] | the 1 x 1 convolution as a matrix product |
//! | [`depthwise_conv2d`] | a filter for each channel, directly |
//! | [`dropout()`] | dropout whose mask is a function of a seed |
//! | [`nade()`] | the running-sum conditionals of NADE |
//! | [`softmax()`], [`log_softmax`], [`cross_entropy`] | over rows, in one or two passes |
//! | [`adam_step`] | one step of Adam or AdamW on one parameter, in one pass |
//!
//! On slices there is [`dot`].
//!
//! `f32` runs fast (SIMD chosen at run time); `f64` runs right, and is what gradients are tested in.

mod activation;
mod adam;
mod bernoulli;
mod depthwise;
mod dropout;
#[cfg(feature = "flex")]
mod host;
mod nade;
mod pointwise;
mod prefix_linear;
mod real;
mod softmax;

pub use activation::{Activation, activate, activate_reference};
pub use adam::{AdamStep, adam_step};
pub use bernoulli::{bernoulli_log_prob, bernoulli_log_prob_reference};
pub use depthwise::{Depthwise, depthwise_conv2d, depthwise_conv2d_reference};
pub use dropout::{Dropout, dropout};
pub use nade::{NadeSteps, nade, nade_reference};
pub use pointwise::{pointwise_conv2d, pointwise_conv2d_reference};
pub use prefix_linear::{Prefix, prefix_linear, prefix_linear_reference};
pub use real::dot;
pub use softmax::{cross_entropy, cross_entropy_reference, log_softmax, softmax};

use burn::tensor::Device;

/// Whether a kernel of this crate runs on the device: it is the CPU backend `flex`, with or without autodiff.
fn has_kernels(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
