//! MADE along one order (Germain et al. 2015), and FVSBN, which is its direct connections alone.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, Dropout, Prefix, activate, dropout};
use dozen_nn::PrefixLinear;

use crate::autoregressive::layout::{Layout, offsets};
use crate::autoregressive::tree::TreeStart;

/// Hidden layers and an output layer, `h_l = relu(W_l h_{l-1} + b_l)`, `out = V h_L + A x + c`.
///
/// Unit `k` of a hidden layer has a degree `m(k)`: it reads what the first `m(k)` variables determine. Degrees rise
/// with `k`, evenly from 1 to `n - 1`, so that every mask is a staircase (eq. 12-13 after sorting).
#[derive(Module, Debug)]
pub(crate) struct Made {
    pub(crate) hidden: Vec<PrefixLinear>,
    /// From the last hidden layer; absent in FVSBN.
    pub(crate) output: Option<PrefixLinear>,
    /// From the inputs.
    pub(crate) direct: Option<PrefixLinear>,
    /// Degrees of each hidden layer.
    #[module(skip)]
    pub(crate) degrees: Vec<Vec<usize>>,
}

impl Made {
    pub(crate) fn new(
        layout: &Layout,
        hidden: &[usize],
        direct: bool,
        tree: Option<&TreeStart>,
        device: &Device,
    ) -> Self {
        let n = layout.len();
        let degrees: Vec<Vec<usize>> = hidden.iter().map(|&units| even_degrees(units, n)).collect();
        let input_ends = offsets(&layout.input_sizes());
        // What each output may see: everything of degree below its own variable's place, from 1.
        let seen = layout.output_positions();
        let mut layers: Vec<PrefixLinear> = Vec::new();
        for (depth, degrees_here) in degrees.iter().enumerate() {
            let prefix = match depth {
                0 => Prefix::new(degrees_here.iter().map(|&m| input_ends[m]).collect(), input_ends[n]),
                _ => hidden_prefix(&degrees[depth - 1], degrees_here),
            };
            layers.push(PrefixLinear::new(prefix, 1.0, device));
        }
        let output = degrees.last().map(|last| {
            let gain = if tree.is_some() { 0.0 } else { 1.0 };
            PrefixLinear::new(hidden_prefix(last, &seen), gain, device)
        });
        let direct = (direct || output.is_none()).then(|| direct_layer(layout, &seen, tree, device));
        Self { hidden: layers, output, direct, degrees }
    }

    pub(crate) fn outputs(&self, inputs: Tensor<2>, drop: Dropout) -> Tensor<2> {
        let direct = self.direct.as_ref().map(|layer| layer.forward(inputs.clone()));
        let mut h = dropout(inputs, drop.at(0, 0.5));
        for (depth, layer) in self.hidden.iter().enumerate() {
            h = dropout(activate(layer.forward(h), Activation::Relu), drop.at(1 + depth as u64, 1.0));
        }
        match (&self.output, direct) {
            (Some(output), Some(direct)) => output.forward(h) + direct,
            (Some(output), None) => output.forward(h),
            (None, direct) => direct.expect("a MADE without hidden layers has direct connections"),
        }
    }
}

/// The direct connections from every earlier variable's inputs, at the tree if there is one, else at zero.
pub(crate) fn direct_layer(
    layout: &Layout,
    seen: &[usize],
    tree: Option<&TreeStart>,
    device: &Device,
) -> PrefixLinear {
    let input_ends = offsets(&layout.input_sizes());
    let prefix = Prefix::new(seen.iter().map(|&s| input_ends[s]).collect(), input_ends[layout.len()]);
    match tree {
        Some(tree) => {
            let (weight, bias) = tree.connections(layout, device);
            PrefixLinear::from_tensors(weight, bias, prefix)
        }
        None => PrefixLinear::new(prefix, 0.0, device),
    }
}

/// Degrees from 1 to `n - 1`, as even as can be and rising.
fn even_degrees(units: usize, n: usize) -> Vec<usize> {
    let top = n.saturating_sub(1).max(1);
    (0..units).map(|k| 1 + k * top / units).map(|degree| degree.min(n)).collect()
}

/// A unit reads the units before it whose degree does not exceed its own.
fn hidden_prefix(before: &[usize], degrees: &[usize]) -> Prefix {
    let lengths = degrees.iter().map(|&degree| before.partition_point(|&m| m <= degree)).collect();
    Prefix::new(lengths, before.len())
}
