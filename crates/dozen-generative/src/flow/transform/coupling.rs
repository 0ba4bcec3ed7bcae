//! Coupling (Dinh et al. 2015, 2017): half of the columns by functions whose parameters a network makes of the other half.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, Prefix};
use dozen_nn::PrefixLinear;

use super::bijection::held;
use super::{Bijection, Stepped};

/// One coupling.
#[derive(Module, Debug)]
pub struct Coupling {
    layers: Vec<PrefixLinear>,
    #[module(skip)]
    bijection: Bijection,
    /// Whether the first half changes, else the second.
    #[module(skip)]
    first: bool,
}

/// The network sees the kept half held within it of zero, in deviations: a row far out, which heavy tails have, would otherwise throw the parameters, and
/// with them the likelihood of the whole batch.
const FURTHEST: f64 = 10.0;

impl Coupling {
    /// Begins near the identity.
    pub fn new(
        columns: usize,
        context: usize,
        hidden: &[usize],
        bijection: Bijection,
        first: bool,
        device: &Device,
    ) -> Self {
        let changed = if first { columns / 2 } else { columns - columns / 2 };
        let sizes: Vec<usize> = std::iter::once(context + columns - changed)
            .chain(hidden.iter().copied())
            .chain([changed * bijection.parameters()])
            .collect();
        let last = sizes.len() - 2;
        let layer = |(depth, pair): (usize, &[usize])| {
            let gain = if depth == last { 0.01 } else { 1.0 };
            PrefixLinear::new(Prefix::dense(pair[0], pair[1]), gain, device)
        };
        Self { layers: sizes.windows(2).enumerate().map(layer).collect(), bijection, first }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.step(x, context, |x, parameters| self.bijection.forward(x, parameters))
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.step(z, context, |z, parameters| self.bijection.inverse(z, parameters))
    }

    fn step(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        function: impl FnOnce(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>),
    ) -> Stepped {
        let columns = x.dims()[1];
        let half = columns / 2;
        let (a, b) = (x.clone().narrow(1, 0, half), x.narrow(1, half, columns - half));
        let (kept, changed) = if self.first { (b, a) } else { (a, b) };
        let seen = held(kept.clone(), FURTHEST);
        let mut h = match context {
            Some(context) => Tensor::cat(vec![context.clone(), seen], 1),
            None => seen,
        };
        let last = self.layers.len() - 1;
        for layer in &self.layers[..last] {
            h = layer.forward_activate(h, Activation::Silu);
        }
        let (new, logs) = function(changed, self.layers[last].forward(h));
        let both = if self.first { vec![new, kept] } else { vec![kept, new] };
        (Tensor::cat(both, 1), logs.sum_dim(1))
    }
}
