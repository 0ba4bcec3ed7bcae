//! A linear-chain conditional random field on top of the labels' scores (Lafferty et al. 2001; Lample et al. 2016).

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use dozen_kernels::{embedding, log_sum_exp};

use super::Packed;

/// What neighbouring labels score.
#[derive(Module, Debug)]
pub struct Crf {
    /// Of a label after a label: `[labels, labels]`, the earlier one's row.
    pub transitions: Param<Tensor<2>>,
    /// Of a first label: `[1, labels]`.
    pub first: Param<Tensor<2>>,
    /// Of a last label: `[1, labels]`.
    pub last: Param<Tensor<2>>,
}

impl Crf {
    /// All scores zero.
    pub fn new(labels: usize, device: &Device) -> Self {
        let zeros = |rows: usize| Param::from_tensor(Tensor::zeros([rows, labels], device));
        Self { transitions: zeros(labels), first: zeros(1), last: zeros(1) }
    }

    /// `-ln p(y | x)` summed over all sequences, in nats: with `s(x, y)` the sum of the labels' and their neighbours' scores,
    /// `-s(x, y) + ln sum_y' e^{s(x, y')}`. `scores` is `[rows, labels]`, `labels` each row's own.
    pub fn negative_log_likelihood(&self, scores: Tensor<2>, packed: &Packed, labels: &[u32]) -> Tensor<1> {
        let gold = self.score_of(scores.clone(), packed, labels);
        self.log_partition(scores, packed) - gold
    }

    /// The sum of all sequences' scores of these labels.
    fn score_of(&self, scores: Tensor<2>, packed: &Packed, labels: &[u32]) -> Tensor<1> {
        let (steps, count) = (packed.steps(), scores.dims()[1]);
        let picked = |table: Tensor<2>, places: Vec<u32>| {
            let size = table.dims().iter().product::<usize>();
            embedding(table.reshape([size, 1]), &Arc::from(places)).sum()
        };
        let own = (0..labels.len()).map(|row| row as u32 * count as u32 + labels[row]).collect();
        let pairs = (1..steps.longest()).flat_map(|step| {
            let (before, here) = (steps.step(step - 1).start, steps.step(step));
            (0..here.len())
                .map(move |place| labels[before + place] * count as u32 + labels[here.start + place])
        });
        let pairs: Vec<u32> = pairs.collect();
        let batch = steps.batch();
        let last =
            (0..batch).map(|place| labels[steps.step(steps.length(place) - 1).start + place]).collect();
        let sum = picked(scores, own)
            + picked(self.first.val(), labels[..batch].to_vec())
            + picked(self.last.val(), last);
        if pairs.is_empty() { sum } else { sum + picked(self.transitions.val(), pairs) }
    }

    /// The sum of `ln sum_y e^{s(x, y)}`, by the forward recursion: `a_t = x_t + ln(e^{a_{t-1}} e^T)`.
    fn log_partition(&self, scores: Tensor<2>, packed: &Packed) -> Tensor<1> {
        let steps = packed.steps();
        let step = |step: usize| scores.clone().narrow(0, steps.step(step).start, steps.step(step).len());
        let transitions = self.transitions.val();
        let highest = transitions.clone().detach().max().reshape([1, 1]);
        let factors = (transitions - highest.clone()).exp();
        let mut a = step(0) + self.first.val();
        let mut total = Tensor::zeros([1], &scores.device());
        for at in 0..steps.longest() {
            // Those that end here come last at this step.
            let rows = steps.step(at).len();
            let next = if at + 1 < steps.longest() { steps.step(at + 1).len() } else { 0 };
            if next < rows {
                let ending = a.clone().narrow(0, next, rows - next) + self.last.val();
                total = total + log_sum_exp(ending, 1).sum();
            }
            if next > 0 {
                let going = a.narrow(0, 0, next);
                let greatest = going.clone().detach().max_dim(1);
                let sums = (going - greatest.clone()).exp().matmul(factors.clone());
                a = sums.log() + greatest + highest.clone() + step(at + 1);
            }
        }
        total
    }

    /// The best labels of each row (Viterbi 1967), in the order of the rows.
    pub fn decode(&self, scores: &Tensor<2>, packed: &Packed) -> Vec<u32> {
        let host = |tensor: Tensor<2>| crate::host(&tensor);
        let (steps, count) = (packed.steps(), scores.dims()[1]);
        let (scores, transitions) = (host(scores.clone()), host(self.transitions.val()));
        let (first, last) = (host(self.first.val()), host(self.last.val()));
        let mut labels = vec![0; steps.rows()];
        for place in 0..steps.batch() {
            let row = |step: usize| steps.step(step).start + place;
            let length = steps.length(place);
            let own = |step: usize| &scores[row(step) * count..][..count];
            let mut best: Vec<f32> = own(0).iter().zip(&first).map(|(a, b)| a + b).collect();
            let mut from = Vec::with_capacity(length * count);
            for step in 1..length {
                let mut next = vec![f32::NEG_INFINITY; count];
                for (label, next) in next.iter_mut().enumerate() {
                    let through = |before: usize| best[before] + transitions[before * count + label];
                    let before = (0..count).max_by(|&a, &b| through(a).total_cmp(&through(b))).unwrap_or(0);
                    *next = through(before) + own(step)[label];
                    from.push(before);
                }
                best = next;
            }
            let ending = |label: usize| best[label] + last[label];
            let mut label = (0..count).max_by(|&a, &b| ending(a).total_cmp(&ending(b))).unwrap_or(0);
            for step in (0..length).rev() {
                labels[row(step)] = label as u32;
                if step > 0 {
                    label = from[(step - 1) * count + label];
                }
            }
        }
        labels
    }
}
