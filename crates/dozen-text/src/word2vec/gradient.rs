//! The gradient of some pairs: hidden vectors against rows of the output matrix.

use pulp::Simd;

use super::kernel::{combine, dots, sigmoid};
use super::matrix::{Matrix, Rows};

/// How scores become errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Each target by itself.
    Sigmoid,
    /// One of all targets.
    Softmax,
}

/// Hidden vectors in slots, the errors that come back to them, and what the last pairs gave.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) hidden: Matrix,
    pub(crate) errors: Matrix,
    /// Of the last pairs: a scale for each target and input, `[target][input]`.
    pub(crate) scales: Vec<f32>,
    /// Over the pairs that were looked at: one in [`LOOK_EVERY`].
    loss: f64,
    looked_at: u64,
    pairs: u64,
}

/// The loss is computed once in so many groups of pairs.
const LOOK_EVERY: u64 = 32;

impl Workspace {
    pub(crate) fn new(columns: usize) -> Self {
        let empty = || Matrix::zeros(0, columns);
        Self { hidden: empty(), errors: empty(), ..Self::default() }
    }

    /// The loss of the pairs that were looked at since the last call, together, and how many they are. Which are looked at
    /// counts from there, so that a training that goes on looks at the same.
    pub(crate) fn take_heard(&mut self) -> (f64, u64) {
        self.pairs = 0;
        (std::mem::take(&mut self.loss), std::mem::take(&mut self.looked_at))
    }

    /// Makes room for so many slots, and forgets what was in them.
    pub(crate) fn make_slots(&mut self, count: usize) {
        if self.hidden.rows() < count {
            self.hidden.resize(count);
            self.errors.resize(count);
        }
    }

    /// For hidden vectors `h_i` in slots and targets `o_j` of labels `y_j`:
    ///
    /// `scale_ji = rate (y_j - s(h_i . o_j))`, and `error_i += sum_j scale_ji o_j`.
    ///
    /// What is to be added to `o_j` is then `sum_i scale_ji h_i`. A target that is `own[i]` is left out for the input i.
    #[inline(always)]
    pub(crate) fn gradient<S: Simd>(
        &mut self,
        simd: S,
        link: Link,
        (inputs, own): (&[u32], &[u32]),
        output: Rows,
        (targets, labels): (&[u32], &[f32]),
        rate: f32,
    ) {
        let n = inputs.len();
        let size = n * targets.len();
        if self.scales.len() < size.next_multiple_of(16) {
            self.scales.resize(size.next_multiple_of(16), 0.0);
        }
        let scales = &mut self.scales[..size.next_multiple_of(16)];
        dots(simd, (self.hidden.view(), inputs), (output, targets), scales);
        self.pairs += 1;
        if self.pairs % LOOK_EVERY == 1 && own.is_empty() {
            self.loss += loss(link, n, &scales[..size], labels);
            self.looked_at += n as u64;
        }
        match link {
            Link::Sigmoid => sigmoid(scales),
            Link::Softmax => softmax(&mut scales[..size], n),
        }
        for (j, label) in labels.iter().enumerate() {
            for i in 0..n {
                scales[j * n + i] = rate * (label - scales[j * n + i]);
            }
        }
        if !own.is_empty() {
            for (j, target) in targets.iter().enumerate() {
                for i in 0..n {
                    scales[j * n + i] = if own[i] == *target { 0.0 } else { scales[j * n + i] };
                }
            }
        }
        let mut column = [0.0; 64];
        for (i, slot) in inputs.iter().enumerate() {
            for (part, targets) in targets.chunks(column.len()).enumerate() {
                for j in 0..targets.len() {
                    column[j] = scales[(part * column.len() + j) * n + i];
                }
                combine(simd, self.errors.padded_mut(*slot), 1.0, &column, (output, targets));
            }
        }
    }
}

/// The loss of all inputs together, from the scores.
#[cold]
fn loss(link: Link, n: usize, scores: &[f32], labels: &[f32]) -> f64 {
    let score = |j: usize, i: usize| f64::from(scores[j * n + i]);
    match link {
        Link::Sigmoid => {
            let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
            let one = |(j, label): (usize, &f32)| {
                (0..n).map(|i| softplus(if *label > 0.5 { -score(j, i) } else { score(j, i) })).sum::<f64>()
            };
            labels.iter().enumerate().map(one).sum()
        }
        Link::Softmax => (0..n)
            .map(|i| {
                let most = (0..labels.len()).map(|j| score(j, i)).fold(f64::MIN, f64::max);
                let sum: f64 = (0..labels.len()).map(|j| (score(j, i) - most).exp()).sum();
                let label = labels.iter().position(|label| *label > 0.5).unwrap_or(0);
                most + sum.ln() - score(label, i)
            })
            .sum(),
    }
}

/// Over the targets, for each input by itself.
#[inline(always)]
fn softmax(scores: &mut [f32], n: usize) {
    for i in 0..n {
        let most = scores.iter().skip(i).step_by(n).fold(f32::MIN, |most, score| most.max(*score));
        let mut sum = 0.0;
        for at in (i..scores.len()).step_by(n) {
            scores[at] = super::kernel::exp(scores[at] - most);
            sum += scores[at];
        }
        for at in (i..scores.len()).step_by(n) {
            scores[at] /= sum;
        }
    }
}
