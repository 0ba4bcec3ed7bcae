//! The networks run forwards on the host, one variable at a time: what drawing a row needs.

use burn::tensor::Tensor;
use dozen_kernels::dot;
use dozen_nn::PrefixLinear;

use super::{AgnosticMade, DeepNade, Made, Nade, Network, PerVariable};
use crate::autoregressive::layout::{Layout, offsets, to_host};

/// A network that is told one variable after another.
pub(crate) trait Sequential: Sync + Send {
    /// Nothing known.
    fn start(&self) -> State;
    /// The outputs of the variable at `position`, given all that was observed.
    fn outputs(&self, state: &State, position: usize) -> Vec<f32>;
    /// The variable at `position` has these inputs.
    fn observe(&self, state: &mut State, position: usize, inputs: &[f32]);
}

/// What is known, and what follows from it.
pub(crate) struct State {
    x: Vec<f32>,
    /// Activations of each hidden layer; the running sum where there is one.
    hidden: Vec<Vec<f32>>,
}

impl Network {
    /// This network along order `index`.
    pub(crate) fn sequential(&self, index: usize, layout: &Layout) -> Box<dyn Sequential> {
        let blocks =
            Blocks { inputs: offsets(&layout.input_sizes()), outputs: offsets(&layout.output_sizes()) };
        match self {
            Self::Made(network) => Box::new(Masked::from_made(network, blocks)),
            Self::Agnostic(network) => Box::new(Masked::from_agnostic(network, index, blocks)),
            Self::Nade(network) => Box::new(Running::new(network, blocks)),
            Self::PerVariable(network) => Box::new(Separate::new(network, blocks)),
            Self::DeepNade(network) => Box::new(Agnostic::new(network, blocks)),
        }
    }
}

/// Where each variable's inputs and outputs are.
struct Blocks {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Blocks {
    fn outputs_of(&self, position: usize) -> std::ops::Range<usize> {
        self.outputs[position]..self.outputs[position + 1]
    }

    fn totals(&self) -> (usize, usize) {
        (self.inputs[self.inputs.len() - 1], self.outputs[self.outputs.len() - 1])
    }
}

/// `y_k = bias_k + w_k . x` over the first `lengths[k]` inputs; weights `[units, inputs]`.
struct Units {
    w: Vec<f32>,
    bias: Vec<f32>,
    lengths: Vec<usize>,
    inputs: usize,
}

impl Units {
    /// From weights `[inputs, units]`.
    fn new(weight: Tensor<2>, bias: Vec<f32>) -> Self {
        let [inputs, count] = weight.dims();
        Self { w: to_host(weight.transpose()), bias, lengths: vec![inputs; count], inputs }
    }

    fn of(layer: &PrefixLinear) -> Self {
        let mut units = Self::new(layer.weight.val(), to_host(layer.bias.val()));
        units.lengths = layer.prefix().lengths().to_vec();
        units
    }

    fn unit(&self, unit: usize, x: &[f32]) -> f32 {
        let length = self.lengths[unit];
        self.bias[unit] + dot(&self.w[unit * self.inputs..][..length], &x[..length])
    }

    fn add_to(&self, y: &mut [f32], range: std::ops::Range<usize>, x: &[f32]) {
        y.iter_mut().zip(range).for_each(|(y, unit)| *y += self.unit(unit, x));
    }
}

/// MADE: a unit of degree `m` is complete once the first `m` variables of the order are known.
struct Masked {
    layers: Vec<Units>,
    output: Option<Units>,
    direct: Option<Units>,
    /// `ready[position][layer]`: the units that the variable at `position` completes.
    ready: Vec<Vec<Vec<usize>>>,
    blocks: Blocks,
}

impl Masked {
    fn from_made(network: &Made, blocks: Blocks) -> Self {
        let order: Vec<usize> = (0..blocks.inputs.len() - 1).collect();
        Self {
            layers: network.hidden.iter().map(Units::of).collect(),
            output: network.output.as_ref().map(Units::of),
            direct: network.direct.as_ref().map(Units::of),
            ready: ready(&order, &network.degrees),
            blocks,
        }
    }

    fn from_agnostic(network: &AgnosticMade, index: usize, blocks: Blocks) -> Self {
        let (mut layers, direct) = network.masked_weights(index);
        let output = layers.pop().map(|(weight, bias)| Units::new(weight, to_host(bias)));
        Self {
            layers: layers.into_iter().map(|(weight, bias)| Units::new(weight, to_host(bias))).collect(),
            output,
            direct: direct.map(|weight| {
                let outputs = weight.dims()[1];
                Units::new(weight, vec![0.0; outputs])
            }),
            ready: ready(&network.order(index), network.degrees(index)),
            blocks,
        }
    }
}

fn ready(order: &[usize], degrees: &[Vec<usize>]) -> Vec<Vec<Vec<usize>>> {
    let mut ready = vec![vec![Vec::new(); degrees.len()]; order.len()];
    for (layer, degrees) in degrees.iter().enumerate() {
        for (unit, &degree) in degrees.iter().enumerate() {
            ready[order[degree - 1]][layer].push(unit);
        }
    }
    ready
}

impl Sequential for Masked {
    fn start(&self) -> State {
        let hidden = self.layers.iter().map(|layer| vec![0.0; layer.bias.len()]).collect();
        State { x: vec![0.0; self.blocks.totals().0], hidden }
    }

    fn outputs(&self, state: &State, position: usize) -> Vec<f32> {
        let range = self.blocks.outputs_of(position);
        let mut y = vec![0.0; range.len()];
        if let Some(direct) = &self.direct {
            direct.add_to(&mut y, range.clone(), &state.x);
        }
        if let (Some(output), Some(hidden)) = (&self.output, state.hidden.last()) {
            output.add_to(&mut y, range, hidden);
        }
        y
    }

    fn observe(&self, state: &mut State, position: usize, inputs: &[f32]) {
        state.x[self.blocks.inputs[position]..][..inputs.len()].copy_from_slice(inputs);
        for (layer, units) in self.layers.iter().enumerate() {
            let (before, here) = state.hidden.split_at_mut(layer);
            let x = before.last().unwrap_or(&state.x);
            for &unit in &self.ready[position][layer] {
                here[0][unit] = units.unit(unit, x).max(0.0);
            }
        }
    }
}

/// NADE: the hidden sum takes in one variable after another.
struct Running {
    w: Vec<f32>,
    c: Vec<f32>,
    v: Vec<f32>,
    b: Vec<f32>,
    direct: Option<Units>,
    blocks: Blocks,
}

impl Running {
    fn new(network: &Nade, blocks: Blocks) -> Self {
        Self {
            w: to_host(network.w.val()),
            c: to_host(network.c.val()),
            v: to_host(network.v.val()),
            b: to_host(network.b.val()),
            direct: network.direct.as_ref().map(Units::of),
            blocks,
        }
    }
}

impl Sequential for Running {
    fn start(&self) -> State {
        State { x: vec![0.0; self.blocks.totals().0], hidden: vec![self.c.clone()] }
    }

    fn outputs(&self, state: &State, position: usize) -> Vec<f32> {
        let hidden = self.c.len();
        let h: Vec<f32> = state.hidden[0].iter().map(|a| 1.0 / (1.0 + (-a).exp())).collect();
        let range = self.blocks.outputs_of(position);
        let mut y: Vec<f32> =
            range.clone().map(|o| self.b[o] + dot(&self.v[o * hidden..(o + 1) * hidden], &h)).collect();
        if let Some(direct) = &self.direct {
            direct.add_to(&mut y, range, &state.x);
        }
        y
    }

    fn observe(&self, state: &mut State, position: usize, inputs: &[f32]) {
        let start = self.blocks.inputs[position];
        state.x[start..][..inputs.len()].copy_from_slice(inputs);
        add_rows(&mut state.hidden[0], &self.w, start, inputs);
    }
}

/// `a += sum_i x_i w_{start + i}` over rows of `w`.
fn add_rows(a: &mut [f32], w: &[f32], start: usize, x: &[f32]) {
    let width = a.len();
    for (row, &x) in x.iter().enumerate().filter(|(_, x)| **x != 0.0) {
        let w = &w[(start + row) * width..][..width];
        a.iter_mut().zip(w).for_each(|(a, w)| *a += x * w);
    }
}

/// One network for each variable, run when its turn comes.
struct Separate {
    hidden: Units,
    units: usize,
    v: Vec<f32>,
    c: Vec<f32>,
    blocks: Blocks,
}

impl Separate {
    fn new(network: &PerVariable, blocks: Blocks) -> Self {
        let [_, units] = network.v.dims();
        Self {
            hidden: Units::of(&network.hidden),
            units,
            v: to_host(network.v.val()),
            c: to_host(network.c.val()),
            blocks,
        }
    }
}

impl Sequential for Separate {
    fn start(&self) -> State {
        State { x: vec![0.0; self.blocks.totals().0], hidden: Vec::new() }
    }

    fn outputs(&self, state: &State, position: usize) -> Vec<f32> {
        let own = position * self.units..(position + 1) * self.units;
        let h: Vec<f32> = own.map(|unit| self.hidden.unit(unit, &state.x).max(0.0)).collect();
        let row = |o: usize| &self.v[o * self.units..(o + 1) * self.units];
        self.blocks.outputs_of(position).map(|o| self.c[o] + dot(row(o), &h)).collect()
    }

    fn observe(&self, state: &mut State, position: usize, inputs: &[f32]) {
        state.x[self.blocks.inputs[position]..][..inputs.len()].copy_from_slice(inputs);
    }
}

/// The order-agnostic NADE: the first layer's sum takes in values and marks, the rest is run each time.
struct Agnostic {
    /// `[inputs + variables, hidden]`.
    w: Vec<f32>,
    c: Vec<f32>,
    rest: Vec<Units>,
    blocks: Blocks,
}

impl Agnostic {
    fn new(network: &DeepNade, blocks: Blocks) -> Self {
        let (first, rest) = network.layers().split_first().expect("a network has layers");
        let rest = rest.iter().map(Units::of).collect();
        Self { w: to_host(first.weight.val()), c: to_host(first.bias.val()), rest, blocks }
    }
}

impl Sequential for Agnostic {
    fn start(&self) -> State {
        State { x: Vec::new(), hidden: vec![self.c.clone()] }
    }

    fn outputs(&self, state: &State, position: usize) -> Vec<f32> {
        let mut h: Vec<f32> = state.hidden[0].iter().map(|a| a.max(0.0)).collect();
        let (last, middle) = self.rest.split_last().expect("there is an output layer");
        for layer in middle {
            h = (0..layer.bias.len()).map(|unit| layer.unit(unit, &h).max(0.0)).collect();
        }
        self.blocks.outputs_of(position).map(|unit| last.unit(unit, &h)).collect()
    }

    fn observe(&self, state: &mut State, position: usize, inputs: &[f32]) {
        add_rows(&mut state.hidden[0], &self.w, self.blocks.inputs[position], inputs);
        add_rows(&mut state.hidden[0], &self.w, self.blocks.totals().0 + position, &[1.0]);
    }
}
