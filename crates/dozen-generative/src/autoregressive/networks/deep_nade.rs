//! The order-agnostic NADE, one or several hidden layers deep (Uria, Murray, Larochelle 2014).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, Dropout, Prefix, activate, dropout};
use dozen_nn::PrefixLinear;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::autoregressive::ModelConfig;
use crate::autoregressive::layout::{Layout, offsets};

/// A network on `[x * m, m]`, where `m` marks the variables that are known, whose outputs stand for the conditionals
/// of all unknown variables at once (eq. 6). Any order is a run of such conditionals; probabilities are averaged over
/// `orders` fixed ones (eq. 8).
#[derive(Module, Debug)]
pub(crate) struct DeepNade {
    layers: Vec<PrefixLinear>,
    #[module(skip)]
    orders: Vec<Vec<usize>>,
    /// The first input of each variable, and the total.
    #[module(skip)]
    input_starts: Vec<usize>,
    #[module(skip)]
    output_starts: Vec<usize>,
}

impl DeepNade {
    pub(crate) fn new(layout: &Layout, config: &ModelConfig, seed: u64, device: &Device) -> Self {
        let n = layout.len();
        let (input_starts, output_starts) = (offsets(&layout.input_sizes()), offsets(&layout.output_sizes()));
        let sizes: Vec<usize> = std::iter::once(input_starts[n] + n)
            .chain(config.hidden.iter().copied())
            .chain(std::iter::once(output_starts[n]))
            .collect();
        let layers =
            sizes.windows(2).map(|w| PrefixLinear::new(Prefix::dense(w[0], w[1]), 1.0, device)).collect();
        let mut rng = StdRng::seed_from_u64(seed);
        let orders = (0..config.orders)
            .map(|_| {
                let mut order: Vec<usize> = (0..n).collect();
                order.shuffle(&mut rng);
                order
            })
            .collect();
        Self { layers, orders, input_starts, output_starts }
    }

    pub(crate) fn orders(&self) -> usize {
        self.orders.len()
    }

    pub(crate) fn order(&self, index: usize) -> Vec<usize> {
        self.orders[index].clone()
    }

    pub(crate) fn layers(&self) -> &[PrefixLinear] {
        &self.layers
    }

    /// The outputs of all variables given the marked ones: `known` is `[rows, columns]` of ones and zeros.
    pub(crate) fn outputs_given(&self, inputs: Tensor<2>, known: Tensor<2>, drop: Dropout) -> Tensor<2> {
        let hidden = self.first_layer(inputs * self.by_input(known.clone()), known);
        self.rest(hidden, drop)
    }

    /// The conditionals along an order: one pass through the network for each variable, the first layer updated by
    /// what became known instead of recomputed.
    pub(crate) fn outputs(&self, inputs: Tensor<2>, order: &[usize]) -> Tensor<2> {
        let [rows, _] = inputs.dims();
        let weight = self.layers[0].weight.val();
        let marks = self.input_starts[order.len()];
        let mut a: Tensor<2> = self.layers[0].bias.val().unsqueeze::<2>().repeat_dim(0, rows);
        let mut pieces = vec![None; order.len()];
        for &position in order {
            let (start, end) = (self.output_starts[position], self.output_starts[position + 1]);
            pieces[position] = Some(self.rest(a.clone(), Dropout::NONE).narrow(1, start, end - start));
            let (first, last) = (self.input_starts[position], self.input_starts[position + 1]);
            let x = inputs.clone().narrow(1, first, last - first);
            a = a
                + x.matmul(weight.clone().narrow(0, first, last - first))
                + weight.clone().narrow(0, marks + position, 1);
        }
        Tensor::cat(pieces.into_iter().flatten().collect(), 1)
    }

    /// Marks of variables repeated for each of their inputs.
    fn by_input(&self, known: Tensor<2>) -> Tensor<2> {
        let n = self.input_starts.len() - 1;
        if self.input_starts[n] == n {
            return known;
        }
        let pieces = (0..n).map(|position| {
            let size = self.input_starts[position + 1] - self.input_starts[position];
            known.clone().narrow(1, position, 1).repeat_dim(1, size)
        });
        Tensor::cat(pieces.collect(), 1)
    }

    fn first_layer(&self, inputs: Tensor<2>, known: Tensor<2>) -> Tensor<2> {
        self.layers[0].forward(Tensor::cat(vec![inputs, known], 1))
    }

    /// From the first layer's sums to the outputs.
    fn rest(&self, mut h: Tensor<2>, drop: Dropout) -> Tensor<2> {
        for (depth, layer) in self.layers[1..].iter().enumerate() {
            h = layer.forward(dropout(activate(h, Activation::Relu), drop.at(1 + depth as u64, 1.0)));
        }
        h
    }
}
