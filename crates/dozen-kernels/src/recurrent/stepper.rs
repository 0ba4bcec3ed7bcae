//! A layer one step at a time, for generating: the weight stays packed between steps.

use pulp::{Simd, WithSimd};

use super::Cell;
use super::cell::{Forth, forth};
use super::normal::normalize;
use super::panels::{Panels, by_columns};
use crate::real::architecture;

/// A layer on the CPU that takes one step of some sequences at a time; see [`recurrent`](super::recurrent) for what it computes.
#[derive(Debug)]
pub struct Stepper {
    cell: Cell,
    hidden: usize,
    panels: Panels<f32>,
    bias: Vec<f32>,
    scale: Option<Vec<f32>>,
    /// How much of h and of c stays.
    zoneout: [f32; 2],
    tiles: Vec<f32>,
    products: Vec<f32>,
    gates: Vec<f32>,
    extra: Vec<f32>,
}

impl Stepper {
    /// Of U, `[hidden, gates hidden]`, and b; with the scale of layer normalisation, and the shares of h and c that stay.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(cell: Cell, weight: &[f32], bias: &[f32], scale: Option<&[f32]>, zoneout: [f32; 2]) -> Self {
        let depth = bias.len();
        let hidden = depth / cell.gates();
        assert_eq!(weight.len(), hidden * depth, "the shapes of weight and bias");
        assert!(scale.is_none_or(|scale| scale.len() == depth), "the shape of the scale");
        let panels = Panels::new(weight, depth);
        let bias = if scale.is_some() { bias.to_vec() } else { panels.padded(bias) };
        Self {
            cell,
            hidden,
            panels,
            bias,
            scale: scale.map(<[f32]>::to_vec),
            zoneout,
            tiles: Vec::new(),
            products: Vec::new(),
            gates: vec![0.0; depth],
            extra: vec![0.0; hidden],
        }
    }

    /// One step: `x` is the input's share of the gates, `[batch, gates hidden]`; `h` and `c`, `[batch, hidden]`, are the states before
    /// and then after. `c` is empty unless for an LSTM.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn step(&mut self, x: &[f32], h: &mut [f32], c: &mut [f32]) {
        let batch = h.len() / self.hidden;
        assert_eq!(x.len(), batch * self.gates.len(), "the input's share of the gates");
        assert_eq!(c.len(), if self.cell == Cell::Lstm { h.len() } else { 0 }, "the cell's state");
        self.tiles.resize(batch * self.hidden, 0.0);
        self.products.resize(batch * self.panels.stride(), 0.0);
        architecture().dispatch(Step { stepper: self, x, h, c });
    }
}

/// A linear layer on the CPU for a few rows at a time, its weight packed once.
#[derive(Debug)]
pub struct PackedLinear {
    panels: Panels<f32>,
    bias: Vec<f32>,
    outputs: usize,
    tiles: Vec<f32>,
    products: Vec<f32>,
}

impl PackedLinear {
    /// Of `[inputs, outputs]` and `[outputs]`.
    ///
    /// # Panics
    /// When the weight's length is no multiple of the bias's.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        assert_eq!(weight.len() % bias.len().max(1), 0, "the shapes of weight and bias");
        let panels = Panels::new(weight, bias.len());
        let bias_padded = panels.padded(bias);
        Self { panels, bias: bias_padded, outputs: bias.len(), tiles: Vec::new(), products: Vec::new() }
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.panels.depth()
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `y = x W + b`: `[rows, inputs] -> [rows, outputs]`.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn apply(&mut self, x: &[f32], y: &mut [f32]) {
        let rows = y.len() / self.outputs.max(1);
        assert_eq!(x.len(), rows * self.panels.depth(), "the inputs of a linear layer");
        self.tiles.resize(x.len(), 0.0);
        self.products.resize(rows * self.panels.stride(), 0.0);
        architecture().dispatch(Apply { linear: self, x, rows });
        let stride = self.panels.stride();
        for (row, y) in y.chunks_exact_mut(self.outputs).enumerate() {
            y.copy_from_slice(&self.products[row * stride..][..self.outputs]);
        }
    }
}

struct Apply<'a> {
    linear: &'a mut PackedLinear,
    x: &'a [f32],
    rows: usize,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let PackedLinear { panels, bias, tiles, products, .. } = self.linear;
        by_columns(simd, self.x, self.rows, panels.depth(), &[], tiles);
        panels.multiply(simd, tiles, self.rows, bias, products);
    }
}

struct Step<'a> {
    stepper: &'a mut Stepper,
    x: &'a [f32],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Stepper { cell, hidden, panels, bias, scale, zoneout, tiles, products, gates, extra } =
            self.stepper;
        let (hidden, depth, stride) = (*hidden, gates.len(), panels.stride());
        let batch = self.h.len() / hidden;
        by_columns(simd, &*self.h, batch, hidden, &[], tiles);
        let zeros = if scale.is_some() { vec![0.0; stride] } else { Vec::new() };
        let start = if scale.is_some() { &zeros } else { &*bias };
        panels.multiply(simd, tiles, batch, start, products);
        let mut normal = vec![0.0; if scale.is_some() { depth } else { 0 }];
        let mut y = vec![0.0; hidden];
        let [h_stays, c_stays] = *zoneout;
        for at in 0..batch {
            let a = &mut products[at * stride..][..depth];
            if let Some(scale) = scale {
                normalize(a, &mut normal, scale, bias);
            }
            let h = &mut self.h[at * hidden..][..hidden];
            let c = if self.c.is_empty() { &mut *self.c } else { &mut self.c[at * hidden..][..hidden] };
            let old = if c_stays > 0.0 { c.to_vec() } else { Vec::new() };
            let x = &self.x[at * depth..][..depth];
            forth(*cell, Forth { x, a, h: &*h, c: &mut *c, gates, extra, y: &mut y });
            for j in 0..hidden {
                h[j] = h_stays.mul_add(h[j] - y[j], y[j]);
            }
            for (c, old) in c.iter_mut().zip(old) {
                *c = c_stays.mul_add(old - *c, *c);
            }
        }
    }
}
