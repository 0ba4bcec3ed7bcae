//! Layers that several families build on.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Prefix, prefix_linear, prefix_linear_activate};

/// A linear layer in which output `j` reads only the first `prefix[j]` inputs; see [`prefix_linear`].
///
/// Weights start uniform in `+-sqrt(6 / fan_in)` over what each output reads (He et al. 2015, eq. 10), biases at zero.
#[derive(Module, Debug)]
pub struct PrefixLinear {
    /// `[inputs, outputs]`, zero outside the prefix.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    prefix: Prefix,
}

impl PrefixLinear {
    /// A layer with random weights times `gain`.
    pub fn new(prefix: Prefix, gain: f64, device: &Device) -> Self {
        let (inputs, outputs) = (prefix.inputs(), prefix.outputs());
        let bounds: Vec<f32> = prefix
            .lengths()
            .iter()
            .map(|&fan_in| (gain * (6.0 / fan_in.max(1) as f64).sqrt()) as f32)
            .collect();
        let bounds = Tensor::<1>::from_floats(bounds.as_slice(), device).unsqueeze::<2>();
        let weight = Tensor::random([inputs, outputs], Distribution::Uniform(-1.0, 1.0), device) * bounds;
        let weight = weight.clone() * prefix.mask(&weight);
        Self::from_tensors(weight, Tensor::zeros([outputs], device), prefix)
    }

    /// A layer of given weights, cut to the prefix, and biases.
    pub fn from_tensors(weight: Tensor<2>, bias: Tensor<1>, prefix: Prefix) -> Self {
        let weight = weight.clone() * prefix.mask(&weight);
        Self { weight: Param::from_tensor(weight.detach()), bias: Param::from_tensor(bias.detach()), prefix }
    }

    /// How many inputs each output reads.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// `[rows, inputs] -> [rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        prefix_linear(x, self.weight.val(), self.bias.val(), &self.prefix)
    }

    /// [`PrefixLinear::forward`] and the activation of what it gives.
    pub fn forward_activate(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        prefix_linear_activate(x, self.weight.val(), self.bias.val(), &self.prefix, activation)
    }
}
