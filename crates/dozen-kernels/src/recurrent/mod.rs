//! Recurrent layers over sequences of any lengths.

mod cell;
#[cfg(feature = "flex")]
mod kernel;
#[cfg(feature = "flex")]
mod panels;
#[cfg(feature = "flex")]
mod sweep;

use burn::tensor::{Tensor, activation};

pub use cell::Cell;

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

/// A recurrent layer: for each step `h = cell(x, h U + b, c)`, in PyTorch's form. With `[..]` the gates side by side:
///
/// - tanh, relu: `h = f(x + a)`, with `a = h' U + b`;
/// - LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000), gates `[i, f, g, o]`: `i, f, o = s(x + a)`, `g = tanh(x + a)`,
///   `c = f c' + i g`, `h = o tanh(c)`;
/// - GRU (Cho et al. 2014, with the reset after the product), gates `[r, z, n]`: `r, z = s(x + a)`, `n = tanh(x + r a)`,
///   `h = (1 - z) n + z h'`.
///
/// `x` is the input's share of the gates, `[rows, gates hidden]`, made by one product for all steps; `weight` is U, `[hidden, gates
/// hidden]`; `bias` is b; `state` is what comes before the first step, as [`Recurrence::last`]. With `reverse` each sequence is taken
/// from its last step to its first; rows stay where they are. No work is done on padding, for there is none.
///
/// # Panics
/// When shapes do not fit.
pub fn recurrent(
    cell: Cell,
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    state: Tensor<2>,
    steps: &Steps,
    reverse: bool,
) -> Recurrence {
    let hidden = weight.dims()[0];
    let gates = cell.gates() * hidden;
    assert_eq!(x.dims(), [steps.rows(), gates], "the input's share of the gates");
    assert_eq!((weight.dims(), bias.dims()), ([hidden, gates], [gates]), "the shapes of weight and bias");
    assert_eq!(state.dims(), [cell.states() * steps.batch(), hidden], "the state before the first step");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        let rows = steps.rows();
        let both = kernel::run(x, weight, bias, state, kernel::Layer { cell, steps: steps.clone(), reverse });
        let states = both.dims()[0] - rows;
        return Recurrence { hidden: both.clone().narrow(0, 0, rows), last: both.narrow(0, rows, states) };
    }
    recurrent_reference(cell, x, weight, bias, state, steps, reverse)
}

/// [`recurrent`] in Burn's own operations, step by step.
pub fn recurrent_reference(
    cell: Cell,
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    state: Tensor<2>,
    steps: &Steps,
    reverse: bool,
) -> Recurrence {
    let (hidden, batch) = (weight.dims()[0], steps.batch());
    let mut h = state.clone().narrow(0, 0, batch);
    let mut c = if cell == Cell::Lstm { state.narrow(0, batch, batch) } else { h.clone() };
    let mut outputs: Vec<Tensor<2>> = Vec::new();
    for step in steps.order(reverse) {
        let range = steps.step(step);
        let n = range.len();
        let before = h.clone().narrow(0, 0, n);
        let x = x.clone().narrow(0, range.start, n);
        let a = before.clone().matmul(weight.clone()) + bias.clone().unsqueeze();
        let gate = |of: &Tensor<2>, gate: usize| of.clone().narrow(1, gate * hidden, hidden);
        let sum = |g: usize| gate(&x, g) + gate(&a, g);
        let new = match cell {
            Cell::Tanh => (x.clone() + a).tanh(),
            Cell::Relu => activation::relu(x.clone() + a),
            Cell::Lstm => {
                let [i, f, o] = [0, 1, 3].map(|g| activation::sigmoid(sum(g)));
                let new = f * c.clone().narrow(0, 0, n) + i * sum(2).tanh();
                c = rows_replaced(&c, new.clone());
                o * new.tanh()
            }
            Cell::Gru => {
                let [r, z] = [0, 1].map(|g| activation::sigmoid(sum(g)));
                let candidate = (gate(&x, 2) + r * gate(&a, 2)).tanh();
                candidate.clone() + z * (before - candidate)
            }
        };
        h = rows_replaced(&h, new.clone());
        outputs.push(new);
    }
    if reverse {
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
