//! Autoregressive steps (Papamakarios et al. 2017; Kingma et al. 2016): each column by a function whose parameters a masked network makes of the
//! columns before it.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::{Activation, Prefix};
use dozen_nn::PrefixLinear;

use super::{Bijection, Stepped};

/// A network whose outputs for a column see only the context and the columns before it (MADE; Germain et al. 2015).
#[derive(Module, Debug)]
pub struct MaskedNetwork {
    layers: Vec<PrefixLinear>,
    #[module(skip)]
    bijection: Bijection,
    #[module(skip)]
    columns: usize,
}

impl MaskedNetwork {
    /// Begins with functions near the identity.
    pub fn new(
        columns: usize,
        context: usize,
        hidden: &[usize],
        bijection: Bijection,
        device: &Device,
    ) -> Self {
        // Of inputs in order, context first: how many columns each unit sees; hidden units see from none to all but the last.
        let spread = |units: usize| -> Vec<usize> { (0..units).map(|unit| unit * columns / units).collect() };
        let outputs: Vec<usize> =
            (0..columns).flat_map(|column| std::iter::repeat_n(column, bijection.parameters())).collect();
        let mut layers = Vec::new();
        let (mut inputs, mut below): (usize, Option<Vec<usize>>) = (context + columns, None);
        let sees: Vec<Vec<usize>> = hidden.iter().map(|units| spread(*units)).chain([outputs]).collect();
        let last = sees.len() - 1;
        for (depth, seen) in sees.into_iter().enumerate() {
            let length = |columns: &usize| match &below {
                None => context + columns,
                Some(below) => below.partition_point(|other| other <= columns),
            };
            let prefix = Prefix::new(seen.iter().map(length).collect(), inputs);
            layers.push(PrefixLinear::new(prefix, if depth == last { 0.01 } else { 1.0 }, device));
            inputs = seen.len();
            below = Some(seen);
        }
        Self { layers, bijection, columns }
    }

    /// `[rows, columns parameters]`.
    fn parameters(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Tensor<2> {
        let mut h = match context {
            Some(context) => Tensor::cat(vec![context.clone(), x], 1),
            None => x,
        };
        let last = self.layers.len() - 1;
        for layer in &self.layers[..last] {
            h = layer.forward_activate(h, Activation::Silu);
        }
        self.layers[last].forward(h)
    }

    /// All columns at once, each by those before it.
    fn at_once(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let parameters = self.parameters(x.clone(), context);
        let (y, logs) = self.bijection.forward(x, parameters);
        (y, logs.sum_dim(1))
    }

    /// The inverse, column after column: as many passes as columns.
    fn one_by_one(&self, y: &Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let each = self.bijection.parameters();
        let mut x = y.zeros_like();
        let mut logs = super::no_change(y);
        for column in 0..self.columns {
            let parameters = self.parameters(x.clone(), context).narrow(1, column * each, each);
            let (value, log) = self.bijection.inverse(y.clone().narrow(1, column, 1), parameters);
            let mut parts = Vec::new();
            if column > 0 {
                parts.push(x.clone().narrow(1, 0, column));
            }
            parts.push(value);
            if column + 1 < self.columns {
                parts.push(x.narrow(1, column + 1, self.columns - column - 1));
            }
            x = Tensor::cat(parts, 1);
            logs = logs + log;
        }
        (x, logs)
    }
}

/// One autoregressive step: MAF, or with `inverse` IAF.
#[derive(Module, Debug)]
pub struct Autoregressive {
    network: MaskedNetwork,
    #[module(skip)]
    reversed: bool,
    #[module(skip)]
    inverse: bool,
}

impl Autoregressive {
    /// With the columns from first to last, or `reversed`; fast in densities, or with `inverse` in drawing.
    pub fn new(network: MaskedNetwork, reversed: bool, inverse: bool) -> Self {
        Self { network, reversed, inverse }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.ordered(x, |x| {
            if self.inverse { self.network.one_by_one(&x, context) } else { self.network.at_once(x, context) }
        })
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.ordered(z, |z| {
            if self.inverse { self.network.at_once(z, context) } else { self.network.one_by_one(&z, context) }
        })
    }

    fn ordered(&self, x: Tensor<2>, step: impl FnOnce(Tensor<2>) -> Stepped) -> Stepped {
        if !self.reversed {
            return step(x);
        }
        let order: Vec<usize> = (0..x.dims()[1]).rev().collect();
        let turn = permutation_matrix(&order, &x);
        let (y, log) = step(x.matmul(turn.clone()));
        (y.matmul(turn.transpose()), log)
    }
}

/// The matrix that puts column `order[j]` at place `j`, for rows from the left.
pub(super) fn permutation_matrix(order: &[usize], like: &Tensor<2>) -> Tensor<2> {
    let n = order.len();
    let mut values = vec![0.0_f32; n * n];
    for (place, &column) in order.iter().enumerate() {
        values[column * n + place] = 1.0;
    }
    Tensor::<2>::from_data(TensorData::new(values, [n, n]), &like.device()).cast(like.dtype())
}
