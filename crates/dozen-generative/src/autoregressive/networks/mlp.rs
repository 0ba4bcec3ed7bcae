//! A one-hidden-layer network for each variable (Bengio and Bengio 1999).

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};
use dozen_kernels::{Activation, Dropout, Prefix, dropout};
use dozen_nn::PrefixLinear;

use crate::autoregressive::layout::{Layout, offsets};

/// `h_s = relu(W_s x_<s + b_s)` and `out_o = V_o . h_s + c_o`, each variable `s` with its own `W_s`: `O(n^2 hidden)`
/// parameters. All first layers stand side by side in one staircase.
#[derive(Module, Debug)]
pub(crate) struct PerVariable {
    pub(crate) hidden: PrefixLinear,
    /// `[outputs, units]`.
    pub(crate) v: Param<Tensor<2>>,
    pub(crate) c: Param<Tensor<1>>,
    /// The variable of each output.
    #[module(skip)]
    owner: Vec<i64>,
}

impl PerVariable {
    pub(crate) fn new(layout: &Layout, units: usize, device: &Device) -> Self {
        let input_ends = offsets(&layout.input_sizes());
        let n = layout.len();
        let lengths = (0..n).flat_map(|position| vec![input_ends[position]; units]).collect();
        let owner: Vec<i64> = layout.output_positions().into_iter().map(|position| position as i64).collect();
        let bound = (6.0 / units as f64).sqrt();
        let v = Tensor::random([owner.len(), units], Distribution::Uniform(-bound, bound), device);
        Self {
            hidden: PrefixLinear::new(Prefix::new(lengths, input_ends[n]), 1.0, device),
            v: Param::from_tensor(v.detach()),
            c: Param::from_tensor(Tensor::zeros([owner.len()], device)),
            owner,
        }
    }

    pub(crate) fn outputs(&self, inputs: Tensor<2>, drop: Dropout) -> Tensor<2> {
        let [rows, _] = inputs.dims();
        let [outputs, units] = self.v.dims();
        let h = self.hidden.forward_activate(dropout(inputs, drop.at(0, 0.5)), Activation::Relu);
        let h = dropout(h, drop.at(1, 1.0));
        let h = h.reshape([rows as i32, -1, units as i32]);
        // Where each variable has one output, output and variable are the same thing.
        let h: Tensor<3> = if self.owner.len() == h.dims()[1] {
            h
        } else {
            let owner = Tensor::<1, Int>::from_data(self.owner.as_slice(), &h.device().inner());
            h.select(1, owner)
        };
        let products = h * self.v.val().unsqueeze::<3>();
        products.sum_dim(2).reshape([rows, outputs]) + self.c.val().unsqueeze()
    }
}
