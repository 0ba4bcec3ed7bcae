//! Recurrent layers, one above the other, each in one or both directions.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{
    Cell, Layer, Parameters, Prefix, dropout, embedding, layer_norm, prefix_linear, recurrent,
};

use super::{Features, Packed};
use crate::NetworkConfig;

/// What is added to a variance before its root.
const EPSILON: f64 = 1e-5;

/// The state after a step, for each layer and direction.
#[derive(Clone, Debug)]
pub struct State(pub Vec<LayerState>);

/// The state of one layer in one direction.
#[derive(Clone, Debug)]
pub struct LayerState {
    /// `[batch, state width]`.
    pub h: Tensor<2>,
    /// An LSTM's own: `[batch, hidden]`.
    pub c: Option<Tensor<2>>,
}

impl State {
    /// The same values, through which no gradient goes back.
    #[must_use]
    pub fn detached(self) -> Self {
        let detached = |state: LayerState| LayerState { h: state.h.detach(), c: state.c.map(Tensor::detach) };
        Self(self.0.into_iter().map(detached).collect())
    }
}

/// Whether values are left out, and by which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// In use: nothing is.
    None,
    /// In training.
    Seed(u64),
}

/// What enters the first layer.
#[derive(Clone, Debug)]
pub enum Input {
    /// `[rows, inputs]`.
    Rows(Tensor<2>),
    /// Rows of a table, by their numbers.
    Table {
        /// `[tokens, inputs]`.
        table: Tensor<2>,
        /// Of each row.
        ids: Arc<[u32]>,
    },
}

/// One layer in one direction.
#[derive(Module, Debug)]
pub struct RecurrentLayer {
    /// W: `[inputs, gates hidden]`.
    pub weight_ih: Param<Tensor<2>>,
    /// U: `[state width, gates hidden]`.
    pub weight_hh: Param<Tensor<2>>,
    /// `[gates hidden]`, added to the input's share.
    pub bias_ih: Param<Tensor<1>>,
    /// `[gates hidden]`, added to the state's share.
    pub bias_hh: Param<Tensor<1>>,
    /// The scales of layer normalisation, `[gates hidden]`.
    pub scale_ih: Option<Param<Tensor<1>>>,
    /// The same for the state's share.
    pub scale_hh: Option<Param<Tensor<1>>>,
    /// `[hidden, state width]`.
    pub projection: Option<Param<Tensor<2>>>,
    /// The state before the first step, h and then c, where it is learnt: `[1, state width + hidden]`.
    pub first: Option<Param<Tensor<2>>>,
}

/// All layers: each forward, and after it backward where there are both.
#[derive(Module, Debug)]
pub struct RecurrentLayers {
    /// Layer after layer.
    pub layers: Vec<RecurrentLayer>,
    #[module(skip)]
    config: NetworkConfig,
}

impl RecurrentLayer {
    fn new(config: &NetworkConfig, inputs: usize, device: &Device) -> Self {
        let (cell, hidden, width) = (config.cell.cell(), config.hidden, config.state_width());
        let gates = cell.gates() * hidden;
        let bound = 1.0 / (hidden as f64).sqrt();
        let matrix = |rows: usize, columns: usize| {
            let uniform = Distribution::Uniform(-bound, bound);
            Param::from_tensor(Tensor::<2>::random([rows, columns], uniform, device))
        };
        let bias = || Tensor::<1>::random([gates], Distribution::Uniform(-bound, bound), device);
        let mut bias_ih = bias();
        if cell == Cell::Lstm {
            let forget = Tensor::full([hidden], config.forget_bias, device);
            let around = |count| Tensor::zeros([count * hidden], device);
            bias_ih = bias_ih + Tensor::cat(vec![around(1), forget, around(2)], 0);
        }
        let scale = || Param::from_tensor(Tensor::ones([gates], device));
        let first = || Tensor::zeros([1, width + (cell.states() - 1) * hidden], device);
        Self {
            weight_ih: matrix(inputs, gates),
            weight_hh: matrix(width, gates),
            bias_ih: Param::from_tensor(bias_ih),
            bias_hh: Param::from_tensor(bias()),
            scale_ih: config.layer_norm.then(scale),
            scale_hh: config.layer_norm.then(scale),
            projection: config.projection.map(|width| matrix(hidden, width)),
            first: config.learned_state.then(|| Param::from_tensor(first())),
        }
    }

    /// The input's share of the gates: `[rows, inputs] -> [rows, gates hidden]`.
    pub(crate) fn share(&self, x: Tensor<2>) -> Tensor<2> {
        let [inputs, gates] = self.weight_ih.dims();
        match &self.scale_ih {
            Some(scale) => {
                layer_norm(x.matmul(self.weight_ih.val()), scale.val(), self.bias_ih.val(), EPSILON)
            }
            None => prefix_linear(x, self.weight_ih.val(), self.bias_ih.val(), &Prefix::dense(inputs, gates)),
        }
    }

    /// The state before the first step.
    fn first(&self, cell: Cell, hidden: usize, batch: usize) -> LayerState {
        let [width, _] = self.weight_hh.dims();
        let device = self.weight_hh.val().device();
        let part = |start: usize, columns: usize| match &self.first {
            Some(first) => first.val().narrow(1, start, columns).expand([batch, columns]),
            None => Tensor::zeros([batch, columns], &device),
        };
        LayerState { h: part(0, width), c: (cell == Cell::Lstm).then(|| part(width, hidden)) }
    }
}

impl RecurrentLayers {
    pub(super) fn new(config: &NetworkConfig, inputs: usize, device: &Device) -> Self {
        let layer = |index: usize| {
            let inputs = if index < config.directions() { inputs } else { config.features() };
            RecurrentLayer::new(config, inputs, device)
        };
        let layers = (0..config.layers * config.directions()).map(layer).collect();
        Self { layers, config: config.clone() }
    }

    /// What the layers make of sequences.
    pub(super) fn forward(
        &self,
        mut input: Input,
        packed: &Packed,
        state: Option<&State>,
        noise: Noise,
    ) -> Features {
        let (directions, drops) = (self.config.directions(), self.config.dropout);
        let mut states = Vec::new();
        for (index, layers) in self.layers.chunks_exact(directions).enumerate() {
            let place = 16 * index as u64;
            if index > 0
                && let Input::Rows(rows) = input
            {
                input = Input::Rows(dropout(rows, noise.dropout(drops.layers, place)));
            }
            if noise != Noise::None && drops.variational > 0.0 {
                let rows = input.rows();
                input =
                    Input::Rows(noise.variational(rows, packed.sequences(), drops.variational, place + 1));
            }
            let mut outputs = Vec::new();
            for (direction, layer) in layers.iter().enumerate() {
                let before = state.map(|state| &state.0[index * directions + direction]);
                let share = input.share(layer);
                let place = place + 2 + 4 * direction as u64;
                let (rows, after) = self.run(layer, share, packed, before, direction == 1, (noise, place));
                outputs.push(rows);
                states.push(after);
            }
            input = Input::Rows(beside(outputs));
        }
        let top = states[states.len() - directions..].iter().map(|state| state.h.clone()).collect();
        Features { steps: input.rows(), last: beside(top), state: State(states) }
    }

    /// One layer in one direction: what it hands on, and the state after it.
    fn run(
        &self,
        layer: &RecurrentLayer,
        mut share: Tensor<2>,
        packed: &Packed,
        before: Option<&LayerState>,
        reverse: bool,
        (noise, place): (Noise, u64),
    ) -> (Tensor<2>, LayerState) {
        let (cell, hidden, drops) = (self.config.cell.cell(), self.config.hidden, self.config.dropout);
        let steps = packed.steps();
        let before = before.cloned().unwrap_or_else(|| layer.first(cell, hidden, steps.batch()));
        let mut setting = Layer::new(cell, steps.clone()).reversed(reverse);
        let batch = steps.batch();
        if let Noise::Seed(seed) = noise
            && drops.recurrent > 0.0
        {
            let kept = 1.0 / (1.0 - drops.recurrent as f32);
            let draw = |drop| if drop { 0.0 } else { kept };
            setting.state_factors =
                Some(chances(batch * hidden, drops.recurrent, seed ^ place).map(draw).collect());
        }
        if drops.zoneout > 0.0 {
            let count = cell.states() * steps.rows() * hidden;
            setting.zoneout = Some(match noise {
                Noise::None => vec![drops.zoneout as f32; count].into(),
                Noise::Seed(seed) => {
                    chances(count, drops.zoneout, seed ^ (place + 1)).map(f32::from).collect()
                }
            });
        }
        let mut weight = dropout(layer.weight_hh.val(), noise.dropout(drops.weights, place + 2));
        let mut h = before.h;
        if let Some(projection) = &layer.projection {
            // With h = r P the product h' U is r' (P U): a recurrence on r, the state before its projection. The first h has no r; its share
            // enters with the input of each sequence's first step.
            let first = h.matmul(weight.clone());
            let rest = Tensor::zeros([steps.rows() - batch, first.dims()[1]], &first.device());
            share = share + at_first_steps(first, rest, packed, reverse);
            weight = projection.val().matmul(weight);
            h = Tensor::zeros([batch, hidden], &weight.device());
        }
        let state = Tensor::cat(std::iter::once(h).chain(before.c).collect(), 0);
        let scale = layer.scale_hh.as_ref().map(Param::val);
        let parameters = Parameters { weight, bias: layer.bias_hh.val(), scale };
        let after = recurrent(&setting, share, parameters, state);
        let projected = |h: Tensor<2>| match &layer.projection {
            Some(projection) => h.matmul(projection.val()),
            None => h,
        };
        let c = (cell == Cell::Lstm).then(|| after.last.clone().narrow(0, batch, batch));
        let last = projected(after.last.narrow(0, 0, batch));
        (projected(after.hidden), LayerState { h: last, c })
    }
}

/// Rows for the first step that each sequence takes, zeros elsewhere: its first, or for a reversed layer its last.
fn at_first_steps(first: Tensor<2>, rest: Tensor<2>, packed: &Packed, reverse: bool) -> Tensor<2> {
    if !reverse {
        return Tensor::cat(vec![first, rest], 0);
    }
    let (steps, batch) = (packed.steps(), packed.steps().batch());
    let zero = batch as u32;
    let of_row = |step: usize, place: usize| {
        if step + 1 == steps.length(place) { place as u32 } else { zero }
    };
    let rows: Arc<[u32]> = (0..steps.longest())
        .flat_map(|step| (0..steps.step(step).len()).map(move |place| of_row(step, place)))
        .collect();
    let zeros = Tensor::zeros([1, first.dims()[1]], &first.device());
    embedding(Tensor::cat(vec![first, zeros], 0), &rows)
}

impl Input {
    fn rows(&self) -> Tensor<2> {
        match self {
            Self::Rows(rows) => rows.clone(),
            Self::Table { table, ids } => embedding(table.clone(), ids),
        }
    }

    /// The input's share of a layer's gates. Where there are fewer tokens than rows, the whole table takes the product once.
    fn share(&self, layer: &RecurrentLayer) -> Tensor<2> {
        match self {
            Self::Table { table, ids } if table.dims()[0] < ids.len() => {
                embedding(layer.share(table.clone()), ids)
            }
            _ => layer.share(self.rows()),
        }
    }
}

/// Matrices side by side.
fn beside(mut parts: Vec<Tensor<2>>) -> Tensor<2> {
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }
}

/// Whether each of `count` values happens, with a probability, by a seed (SplitMix64).
fn chances(count: usize, probability: f64, seed: u64) -> impl Iterator<Item = bool> {
    let limit = (probability * 2.0_f64.powi(64)) as u64;
    (1..=count as u64).map(move |index| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) < limit
    })
}
