//! `recurrent CELL LAYERS HIDDEN STEPS BATCH FILL`: layers of one cell, inputs as wide as the hidden state, sequences whose
//! lengths fall evenly so that FILL percent of the padded rectangle is full.

use burn::tensor::Tensor;
use dozen_kernels::{Cell, Layer, Parameters, Prefix, Steps, prefix_linear, recurrent, recurrent_reference};

use super::{median, random};

pub(super) fn time(words: &[&str], burn: bool, backward: bool) -> f64 {
    let (layers, tensors) = Layers::new(words);
    if !backward {
        return median(|| {
            std::hint::black_box(layers.forward(&tensors, burn));
        });
    }
    let tracked: Vec<Tensor<2>> =
        tensors.into_iter().map(|tensor| Tensor::from_inner(tensor).require_grad()).collect();
    median(|| {
        std::hint::black_box(dozen_kernels::sum(layers.forward(&tracked, burn)).backward());
    })
}

struct Layers {
    cell: Cell,
    hidden: usize,
    steps: Steps,
}

impl Layers {
    fn new(words: &[&str]) -> (Self, Vec<Tensor<2>>) {
        let number = |index: usize| words[index].parse::<usize>().expect("a number");
        let cell = match words[1] {
            "lstm" => Cell::Lstm,
            "gru" => Cell::Gru,
            _ => Cell::Tanh,
        };
        let (layers, hidden, longest, batch, fill) = (number(2), number(3), number(4), number(5), number(6));
        let steps = Steps::of_lengths(&lengths(longest, batch, fill));
        let gates = cell.gates() * hidden;
        let scale = 1.0 / (hidden as f64).sqrt();
        let mut tensors = vec![random([steps.rows(), hidden])];
        for _ in 0..layers {
            tensors.extend([
                random([hidden, gates]) * scale,
                random([1, gates]) * scale,
                random([hidden, gates]) * scale,
                random([1, gates]) * scale,
            ]);
        }
        (Self { cell, hidden, steps }, tensors)
    }

    fn forward(&self, tensors: &[Tensor<2>], burn: bool) -> Tensor<2> {
        let mut x = tensors[0].clone();
        let gates = self.cell.gates() * self.hidden;
        for layer in tensors[1..].chunks_exact(4) {
            let dense = Prefix::dense(self.hidden, gates);
            let share = prefix_linear(x, layer[0].clone(), layer[1].clone().squeeze_dim(0), &dense);
            let state =
                Tensor::zeros([self.cell.states() * self.steps.batch(), self.hidden], &share.device());
            let body = if burn { recurrent_reference } else { recurrent };
            let bias = layer[3].clone().squeeze_dim(0);
            let parameters = Parameters { weight: layer[2].clone(), bias, scale: None };
            x = body(&Layer::new(self.cell, self.steps.clone()), share, parameters, state).hidden;
        }
        x
    }
}

/// From the longest down to what makes the mean `fill` percent of it.
fn lengths(longest: usize, batch: usize, fill: usize) -> Vec<usize> {
    let least = (longest * (2 * fill).saturating_sub(100)) as f64 / 100.0;
    let step = (longest as f64 - least) / (batch.max(2) - 1) as f64;
    (0..batch).map(|sequence| ((longest as f64 - step * sequence as f64).round() as usize).max(1)).collect()
}
