//! Recurrent layers over sequences of any lengths.

mod cell;
#[cfg(feature = "flex")]
mod kept;
#[cfg(feature = "flex")]
mod kernel;
mod normal;
mod panels;
mod stepper;
#[cfg(feature = "flex")]
mod sweep;

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};

pub use cell::Cell;
pub use stepper::{PackedLinear, Stepper};

/// How sequences of different lengths lie in a matrix without padding: all first steps, then all second steps and so on, the
/// longest sequence first at each step, as PyTorch's `PackedSequence` lays them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// How many sequences have each step; never more than at the step before.
    sizes: Vec<usize>,
    /// The row at which each step begins.
    starts: Vec<usize>,
}

impl Steps {
    /// Of sequences of these lengths.
    ///
    /// # Panics
    /// When a length is zero, or more than the one before it.
    pub fn of_lengths(lengths: &[usize]) -> Self {
        assert!(lengths.windows(2).all(|two| two[0] >= two[1]), "the longest sequence comes first");
        assert!(lengths.last() != Some(&0), "a sequence has a step");
        let longest = lengths.first().copied().unwrap_or(0);
        let sizes: Vec<usize> =
            (0..longest).map(|step| lengths.partition_point(|length| *length > step)).collect();
        let starts = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end - size)
        });
        Self { starts: starts.collect(), sizes }
    }

    /// Of `batch` sequences, all with as many steps.
    pub fn even(batch: usize, steps: usize) -> Self {
        Self::of_lengths(&vec![steps; batch])
    }

    /// How many sequences there are.
    pub fn batch(&self) -> usize {
        self.sizes.first().copied().unwrap_or(0)
    }

    /// How many steps the longest sequence has.
    pub fn longest(&self) -> usize {
        self.sizes.len()
    }

    /// How many steps all sequences have together.
    pub fn rows(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// The rows of a step.
    pub fn step(&self, step: usize) -> std::ops::Range<usize> {
        self.starts[step]..self.starts[step] + self.sizes[step]
    }

    /// The length of a sequence.
    pub fn length(&self, sequence: usize) -> usize {
        self.sizes.partition_point(|size| *size > sequence)
    }

    /// The steps in the order in which a layer takes them.
    fn order(&self, reverse: bool) -> impl Iterator<Item = usize> + use<> {
        let longest = self.longest();
        (0..longest).map(move |step| if reverse { longest - 1 - step } else { step })
    }
}

/// What a layer gives.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// The hidden state after each step: `[rows, hidden]`.
    pub hidden: Tensor<2>,
    /// The state after each sequence's last step (for a reversed layer, its first): `[batch, hidden]`, and for an LSTM below it
    /// as many rows of the cell's state.
    pub last: Tensor<2>,
}

/// How a layer goes over its sequences, beside its parameters.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What makes a state of the one before.
    pub cell: Cell,
    /// How the sequences lie in the rows.
    pub steps: Steps,
    /// Take each sequence from its last step to its first.
    pub reverse: bool,
    /// Factors on the hidden state where it enters the product, one set for all steps of a sequence: `[batch, hidden]`. With
    /// zeros and `1 / (1 - p)` this is the recurrent dropout of Gal and Ghahramani (2016, section 4).
    pub state_factors: Option<Arc<[f32]>>,
    /// How much of the old state stays, in [0, 1]: `[rows, hidden]` for h, and for an LSTM as much again for c. With zeros and ones
    /// this is zoneout in training, with the probability itself zoneout in use (Krueger et al. 2017, eq. 2).
    pub zoneout: Option<Arc<[f32]>>,
}

impl Layer {
    /// Forward, with nothing dropped.
    pub fn new(cell: Cell, steps: Steps) -> Self {
        Self { cell, steps, reverse: false, state_factors: None, zoneout: None }
    }

    /// The same from the last step to the first.
    #[must_use]
    pub fn reversed(self, reverse: bool) -> Self {
        Self { reverse, ..self }
    }

    fn check(&self, hidden: usize) {
        let lengths = |of: &Option<Arc<[f32]>>| of.as_ref().map(|values| values.len());
        let (batch, rows) = (self.steps.batch() * hidden, self.cell.states() * self.steps.rows() * hidden);
        assert!(lengths(&self.state_factors).is_none_or(|length| length == batch), "factors of the state");
        assert!(lengths(&self.zoneout).is_none_or(|length| length == rows), "shares of the old state");
    }
}

/// A layer's parameters for the hidden state.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// U: `[hidden, gates hidden]`.
    pub weight: Tensor<2>,
    /// b: `[gates hidden]`.
    pub bias: Tensor<1>,
    /// The scale of layer normalisation, `[gates hidden]`; the bias is then its shift.
    pub scale: Option<Tensor<1>>,
}

/// What is added to a variance before its root.
const EPSILON: f64 = 1e-5;

/// A recurrent layer: for each step a state from `x` and `a`, in PyTorch's form. With `a = h' U + b` and the gates side by side:
///
/// - tanh, relu: `h = f(x + a)`;
/// - LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000), gates `[i, f, g, o]`: `i, f, o = s(x + a)`, `g = tanh(x + a)`,
///   `c = f c' + i g`, `h = o tanh(c)`;
/// - GRU (Cho et al. 2014, with the reset after the product), gates `[r, z, n]`: `r, z = s(x + a)`, `n = tanh(x + r a)`,
///   `h = (1 - z) n + z h'`.
///
/// With a scale, `a = scale norm(h' U) + b`, the row of all gates brought to mean 0 and variance 1 (Ba, Kiros and Hinton 2016, eq.
/// 20; the cell's state is left as it is).
///
/// `x` is the input's share of the gates, `[rows, gates hidden]`, made by one product for all steps; `state` is what comes before
/// the first step, as [`Recurrence::last`]. Rows of a reversed layer stay where they are. No work is done on padding, for there is
/// none.
///
/// # Panics
/// When shapes do not fit.
pub fn recurrent(layer: &Layer, x: Tensor<2>, parameters: Parameters, state: Tensor<2>) -> Recurrence {
    let Parameters { weight, bias, scale } = &parameters;
    let hidden = weight.dims()[0];
    let (gates, batch) = (layer.cell.gates() * hidden, layer.steps.batch());
    assert_eq!(x.dims(), [layer.steps.rows(), gates], "the input's share of the gates");
    assert_eq!((weight.dims(), bias.dims()), ([hidden, gates], [gates]), "the shapes of weight and bias");
    assert!(scale.as_ref().is_none_or(|scale| scale.dims() == [gates]), "the shape of the scale");
    assert_eq!(state.dims(), [layer.cell.states() * batch, hidden], "the state before the first step");
    layer.check(hidden);
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        let rows = layer.steps.rows();
        let both = kernel::run(x, parameters, state, layer);
        let states = both.dims()[0] - rows;
        return Recurrence { hidden: both.clone().narrow(0, 0, rows), last: both.narrow(0, rows, states) };
    }
    recurrent_reference(layer, x, parameters, state)
}

/// [`recurrent`] in Burn's own operations, step by step.
pub fn recurrent_reference(
    layer: &Layer,
    x: Tensor<2>,
    parameters: Parameters,
    state: Tensor<2>,
) -> Recurrence {
    let (cell, steps) = (layer.cell, &layer.steps);
    let (hidden, batch) = (parameters.weight.dims()[0], steps.batch());
    let constant = |values: &Option<Arc<[f32]>>| {
        values.as_ref().map(|values| {
            let data = TensorData::new(values.to_vec(), [values.len() / hidden, hidden]);
            Tensor::<2>::from_data(data, &x.device()).cast(x.dtype())
        })
    };
    let (factors, zoneout) = (constant(&layer.state_factors), constant(&layer.zoneout));
    let mut h = state.clone().narrow(0, 0, batch);
    let mut c = if cell == Cell::Lstm { state.narrow(0, batch, batch) } else { h.clone() };
    let mut outputs: Vec<Tensor<2>> = Vec::new();
    for step in steps.order(layer.reverse) {
        let range = steps.step(step);
        let n = range.len();
        let before = h.clone().narrow(0, 0, n);
        let x = x.clone().narrow(0, range.start, n);
        let entering = match &factors {
            Some(factors) => before.clone() * factors.clone().narrow(0, 0, n),
            None => before.clone(),
        };
        let mut a = entering.matmul(parameters.weight.clone());
        if let Some(scale) = &parameters.scale {
            a = crate::layer_norm_reference(a, scale.clone(), parameters.bias.clone(), EPSILON);
        } else {
            a = a + parameters.bias.clone().unsqueeze();
        }
        let gate = |of: &Tensor<2>, gate: usize| of.clone().narrow(1, gate * hidden, hidden);
        let sum = |g: usize| gate(&x, g) + gate(&a, g);
        let mixed = |old: Tensor<2>, new: Tensor<2>, which: usize| match &zoneout {
            Some(share) => {
                let share = share.clone().narrow(0, which * steps.rows() + range.start, n);
                new.clone() + share * (old - new)
            }
            None => new,
        };
        let new = match cell {
            Cell::Tanh => (x.clone() + a).tanh(),
            Cell::Relu => activation::relu(x.clone() + a),
            Cell::Lstm => {
                let [i, f, o] = [0, 1, 3].map(|g| activation::sigmoid(sum(g)));
                let old = c.clone().narrow(0, 0, n);
                let new = f * old.clone() + i * sum(2).tanh();
                c = rows_replaced(&c, mixed(old, new.clone(), 1));
                o * new.tanh()
            }
            Cell::Gru => {
                let [r, z] = [0, 1].map(|g| activation::sigmoid(sum(g)));
                let candidate = (gate(&x, 2) + r * gate(&a, 2)).tanh();
                candidate.clone() + z * (before.clone() - candidate)
            }
        };
        let new = mixed(before, new, 0);
        h = rows_replaced(&h, new.clone());
        outputs.push(new);
    }
    if layer.reverse {
        outputs.reverse();
    }
    let last = if cell == Cell::Lstm { Tensor::cat(vec![h, c], 0) } else { h };
    Recurrence { hidden: Tensor::cat(outputs, 0), last }
}

/// A matrix whose first rows are new.
fn rows_replaced(old: &Tensor<2>, new: Tensor<2>) -> Tensor<2> {
    let (all, n) = (old.dims()[0], new.dims()[0]);
    if n == all { new } else { Tensor::cat(vec![new, old.clone().narrow(0, n, all - n)], 0) }
}
