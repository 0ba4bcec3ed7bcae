//! NADE and RNADE (Larochelle and Murray 2011; Uria, Murray, Larochelle 2013).

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Dropout, NadeSteps, dropout, nade};
use dozen_nn::PrefixLinear;

use super::made::direct_layer;
use crate::autoregressive::layout::Layout;
use crate::autoregressive::tree::TreeStart;

/// `h_s = sigmoid(c + W x_<s)`, `out_o = b_o + V_o . h_s` with `W` shared by all steps: `O(n hidden)` parameters and
/// time. With real columns the outputs are mixtures of Gaussians: RNADE, without its per-step activation scale, which
/// standardised columns make unnecessary.
#[derive(Module, Debug)]
pub(crate) struct Nade {
    pub(crate) w: Param<Tensor<2>>,
    pub(crate) c: Param<Tensor<1>>,
    pub(crate) v: Param<Tensor<2>>,
    pub(crate) b: Param<Tensor<1>>,
    pub(crate) direct: Option<PrefixLinear>,
    #[module(skip)]
    steps: NadeSteps,
}

impl Nade {
    pub(crate) fn new(
        layout: &Layout,
        hidden: usize,
        direct: bool,
        tree: Option<&TreeStart>,
        device: &Device,
    ) -> Self {
        let sizes = layout.input_sizes().into_iter().zip(layout.output_sizes());
        let steps = NadeSteps::new(sizes);
        let (inputs, outputs) = steps.totals();
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform = |shape: [usize; 2], bound: f64| {
            Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device).detach())
        };
        let zeros = |size: usize| Param::from_tensor(Tensor::<1>::zeros([size], device));
        let seen = layout.output_positions();
        Self {
            w: uniform([inputs, hidden], bound),
            c: zeros(hidden),
            v: match tree {
                Some(_) => Param::from_tensor(Tensor::zeros([outputs, hidden], device)),
                None => uniform([outputs, hidden], 1.0 / (hidden as f64).sqrt()),
            },
            b: zeros(outputs),
            direct: direct.then(|| direct_layer(layout, &seen, tree, device)),
            steps,
        }
    }

    pub(crate) fn outputs(&self, inputs: Tensor<2>, drop: Dropout) -> Tensor<2> {
        let direct = self.direct.as_ref().map(|layer| layer.forward(inputs.clone()));
        let x = dropout(inputs, drop.at(0, 0.5));
        let out = nade(x, self.w.val(), self.c.val(), self.v.val(), self.b.val(), &self.steps);
        match direct {
            Some(direct) => out + direct,
            None => out,
        }
    }
}
