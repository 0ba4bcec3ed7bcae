//! Velocity fields: `dx/dt = v(x, t)` carries the base at t = 0 to the data at 1.
//!
//! A rectified flow (Liu et al. 2023; Lipman et al. 2023) learns v without simulation, by matching straight lines; a continuous flow (Chen et al.
//! 2018; Grathwohl et al. 2019) by the likelihood of the data at the end of the solver's way.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use dozen_kernels::{Activation, Prefix};
use dozen_nn::PrefixLinear;

use super::{Stepped, ode};
use crate::flow::Solver;

/// Sines and cosines of the time that the network sees beside the time itself.
const WAVES: usize = 4;

/// A velocity field as a step of a flow: towards the base it goes back in time.
#[derive(Module, Debug)]
pub struct Velocity {
    layers: Vec<PrefixLinear>,
    #[module(skip)]
    columns: usize,
    #[module(skip)]
    pub(crate) solver: Solver,
}

impl Velocity {
    /// With random weights, those of the last layer times `gain`.
    pub fn new(
        columns: usize,
        context: usize,
        hidden: &[usize],
        gain: f64,
        solver: Solver,
        device: &Device,
    ) -> Self {
        let sizes: Vec<usize> = std::iter::once(columns + 1 + 2 * WAVES + context)
            .chain(hidden.iter().copied())
            .chain([columns])
            .collect();
        let layer = |(depth, pair): (usize, &[usize])| {
            let gain = if depth == hidden.len() { gain } else { 1.0 };
            PrefixLinear::new(Prefix::dense(pair[0], pair[1]), gain, device)
        };
        Self { layers: sizes.windows(2).enumerate().map(layer).collect(), columns, solver }
    }

    /// The network's inputs at times `[rows, 1]`.
    fn inputs(x: Tensor<2>, t: Tensor<2>, context: Option<&Tensor<2>>) -> Tensor<2> {
        let mut parts = vec![x, t.clone()];
        for wave in 1..=WAVES {
            let angle = t.clone() * (std::f64::consts::TAU * wave as f64);
            parts.extend([angle.clone().sin(), angle.cos()]);
        }
        parts.extend(context.cloned());
        Tensor::cat(parts, 1)
    }

    /// `v(x, t)`: `[rows, columns]`.
    pub fn velocity(&self, x: Tensor<2>, t: Tensor<2>, context: Option<&Tensor<2>>) -> Tensor<2> {
        let mut h = Self::inputs(x, t, context);
        let last = self.layers.len() - 1;
        for layer in &self.layers[..last] {
            h = layer.forward_activate(h, Activation::Silu);
        }
        self.layers[last].forward(h)
    }

    /// The mean of `|v(x_t, t) - (x_1 - x_0)|^2` over rows, with `x_t = (1 - t) x_0 + t x_1` (Liu et al. 2023, eq. 1).
    pub fn matching_loss(
        &self,
        base: Tensor<2>,
        data: Tensor<2>,
        t: Tensor<2>,
        context: Option<&Tensor<2>>,
    ) -> Tensor<1> {
        let straight = data - base.clone();
        let x = base + straight.clone() * t.clone();
        (self.velocity(x, t, context) - straight).square().sum_dim(1).mean()
    }

    /// The velocity and its divergence, `[rows, 1]`: the slopes along some directions are carried through the network. Along each column they
    /// add up to the exact trace; along one random direction e, `e . J e` has the trace as its mean (Hutchinson 1990).
    fn with_divergence(
        &self,
        x: Tensor<2>,
        t: Tensor<2>,
        context: Option<&Tensor<2>>,
        direction: Option<&Tensor<2>>,
    ) -> Stepped {
        let rows = x.dims()[0];
        let last = self.layers.len() - 1;
        let first = self.layers[0].weight.val();
        let mut h = Self::inputs(x, t, context);
        let mut slopes: Vec<Tensor<2>> = if let Some(direction) = direction {
            vec![direction.clone().matmul(first.narrow(0, 0, self.columns))]
        } else {
            let units = first.dims()[1];
            let along = |column| first.clone().narrow(0, column, 1).expand([rows, units]);
            (0..self.columns).map(along).collect()
        };
        for (depth, layer) in self.layers[..last].iter().enumerate() {
            let a = layer.forward(h);
            let s = activation::sigmoid(a.clone());
            let rise = s.clone() * (a.clone() * (s.clone().neg() + 1.0) + 1.0);
            let next = self.layers[depth + 1].weight.val();
            let through = |(column, slope): (usize, Tensor<2>)| {
                let slope = slope * rise.clone();
                // Along a column, only that column counts of what the last layer gives.
                if depth + 1 == last && direction.is_none() {
                    slope.matmul(next.clone().narrow(1, column, 1))
                } else {
                    slope.matmul(next.clone())
                }
            };
            slopes = slopes.into_iter().enumerate().map(through).collect();
            h = a * s;
        }
        let traces = slopes.into_iter().enumerate().map(|(column, slope)| match direction {
            Some(direction) => (slope * direction.clone()).sum_dim(1),
            None if slope.dims()[1] == 1 => slope,
            None => slope.narrow(1, column, 1),
        });
        let divergence = traces.reduce(|sum, term| sum + term).expect("a flow has columns");
        (self.layers[last].forward(h), divergence)
    }

    /// Towards the base: from t = 1 to 0, with `d ln |det| / dt` the divergence; exact, or along a random direction of each row.
    pub fn forward(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        direction: Option<&Tensor<2>>,
    ) -> Stepped {
        self.solve(x, context, 1.0, direction)
    }

    /// Towards the data: from t = 0 to 1.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.solve(z, context, 0.0, None)
    }

    fn solve(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        start: f64,
        direction: Option<&Tensor<2>>,
    ) -> Stepped {
        let (rows, device, kind) = (x.dims()[0], x.device(), x.dtype());
        ode::solve(self.solver, x, start, |x, t| {
            let t = Tensor::<2>::full([rows, 1], t, &device).cast(kind);
            self.with_divergence(x.clone(), t, context, direction)
        })
    }
}
