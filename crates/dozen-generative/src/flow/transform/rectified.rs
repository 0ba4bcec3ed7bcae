//! Rectified flow (Liu et al. 2023; Lipman et al. 2023): a velocity that carries the base to the data in straight lines, as far as such lines do
//! not cross; learnt without simulation, used by solving `dx/dt = v(x, t)`.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use dozen_kernels::{Activation, Prefix};
use dozen_nn::PrefixLinear;

use super::Stepped;
use crate::flow::Solver;

/// Sines and cosines of the time that the network sees beside the time itself.
const WAVES: usize = 4;

/// The velocity field as a step of a flow: towards the base it goes back in time, from the data at 1 to the base at 0.
#[derive(Module, Debug)]
pub struct Rectified {
    layers: Vec<PrefixLinear>,
    #[module(skip)]
    columns: usize,
    #[module(skip)]
    solver: Solver,
}

impl Rectified {
    /// With random weights.
    pub fn new(columns: usize, context: usize, hidden: &[usize], solver: Solver, device: &Device) -> Self {
        let sizes: Vec<usize> = std::iter::once(columns + 1 + 2 * WAVES + context)
            .chain(hidden.iter().copied())
            .chain([columns])
            .collect();
        let layer = |pair: &[usize]| PrefixLinear::new(Prefix::dense(pair[0], pair[1]), 1.0, device);
        Self { layers: sizes.windows(2).map(layer).collect(), columns, solver }
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

    /// The velocity and its divergence, `[rows, 1]`, exactly: the slope along each column is carried through the network.
    fn with_divergence(&self, x: Tensor<2>, t: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let rows = x.dims()[0];
        let last = self.layers.len() - 1;
        let mut h = Self::inputs(x, t, context);
        let mut slopes: Option<Vec<Tensor<2>>> = None;
        for layer in &self.layers[..last] {
            let weight = layer.weight.val();
            let a = layer.forward(h);
            let s = activation::sigmoid(a.clone());
            let rise = s.clone() * (a.clone() * (s.clone().neg() + 1.0) + 1.0);
            let through = |slope: Tensor<2>| slope * rise.clone();
            slopes = Some(match slopes {
                None => (0..self.columns)
                    .map(|column| {
                        through(weight.clone().narrow(0, column, 1).expand([rows, weight.dims()[1]]))
                    })
                    .collect(),
                Some(slopes) => {
                    slopes.into_iter().map(|slope| through(slope.matmul(weight.clone()))).collect()
                }
            });
            h = a * s;
        }
        let weight = self.layers[last].weight.val();
        let own = |column: usize| weight.clone().narrow(1, column, 1);
        let divergence = match slopes {
            Some(slopes) => slopes
                .into_iter()
                .enumerate()
                .map(|(column, slope)| slope.matmul(own(column)))
                .reduce(|sum, term| sum + term),
            None => (0..self.columns)
                .map(|column| own(column).narrow(0, column, 1).expand([rows, 1]))
                .reduce(|sum, term| sum + term),
        };
        (self.layers[last].forward(h), divergence.expect("a flow has columns"))
    }

    /// Towards the base: from t = 1 to 0, with `d ln |det| / dt` the divergence.
    pub fn forward(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.solve(x, context, 1.0, -1.0)
    }

    /// Towards the data: from t = 0 to 1.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.solve(z, context, 0.0, 1.0)
    }

    fn solve(&self, x: Tensor<2>, context: Option<&Tensor<2>>, start: f64, sign: f64) -> Stepped {
        let (rows, device, kind) = (x.dims()[0], x.device(), x.dtype());
        let slope = |x: &Tensor<2>, t: f64| {
            let t = Tensor::<2>::full([rows, 1], t, &device).cast(kind);
            let (v, divergence) = self.with_divergence(x.clone(), t, context);
            (v * sign, divergence * sign)
        };
        let step = 1.0 / self.solver.steps() as f64;
        let (mut x, mut log) = (x.clone(), super::no_change(&x));
        for number in 0..self.solver.steps() {
            let t = |share: f64| start + sign * (number as f64 + share) * step;
            let (k1, l1) = slope(&x, t(0.0));
            let (dx, dl) = match self.solver {
                Solver::Euler { .. } => (k1, l1),
                Solver::Midpoint { .. } => slope(&(x.clone() + k1 * (0.5 * step)), t(0.5)),
                Solver::Rk4 { .. } => {
                    let (k2, l2) = slope(&(x.clone() + k1.clone() * (0.5 * step)), t(0.5));
                    let (k3, l3) = slope(&(x.clone() + k2.clone() * (0.5 * step)), t(0.5));
                    let (k4, l4) = slope(&(x.clone() + k3.clone() * step), t(1.0));
                    ((k1 + (k2 + k3) * 2.0 + k4) / 6.0, (l1 + (l2 + l3) * 2.0 + l4) / 6.0)
                }
            };
            x = x + dx * step;
            log = log + dl * step;
        }
        (x, log)
    }
}
