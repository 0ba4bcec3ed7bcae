//! MADE over several orders with shared weights: one set of masks for each order (Germain et al. 2015, section 4.2).

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use dozen_kernels::{Activation, Dropout, activate, dropout};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::autoregressive::ModelConfig;
use crate::autoregressive::layout::{Layout, offsets};

/// Layers `W_l`, `b_l` and direct connections, masked anew for each order.
#[derive(Module, Debug)]
pub(crate) struct AgnosticMade {
    weights: Vec<Param<Tensor<2>>>,
    biases: Vec<Param<Tensor<1>>>,
    direct: Option<Param<Tensor<2>>>,
    #[module(skip)]
    sets: Vec<MaskSet>,
}

/// One order and the connectivity along it.
#[derive(Clone, Debug)]
struct MaskSet {
    order: Vec<usize>,
    /// Of each hidden layer.
    degrees: Vec<Vec<usize>>,
    masks: Vec<Tensor<2>>,
    direct: Tensor<2>,
}

impl AgnosticMade {
    pub(crate) fn new(layout: &Layout, config: &ModelConfig, seed: u64, device: &Device) -> Self {
        let sizes: Vec<usize> = std::iter::once(layout.input_sizes().iter().sum())
            .chain(config.hidden.iter().copied())
            .chain(std::iter::once(layout.output_sizes().iter().sum()))
            .collect();
        let uniform = |bound: f64, shape: [usize; 2]| {
            Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device).detach())
        };
        // Half of a unit's inputs are masked, which the bound makes up for.
        let weights = sizes.windows(2).map(|w| uniform((12.0 / w[0] as f64).sqrt(), [w[0], w[1]])).collect();
        let biases =
            sizes[1..].iter().map(|&size| Param::from_tensor(Tensor::zeros([size], device))).collect();
        let direct = config
            .direct
            .then(|| Param::from_tensor(Tensor::zeros([sizes[0], sizes[sizes.len() - 1]], device)));
        let mut rng = StdRng::seed_from_u64(seed);
        let plain = device.clone().inner();
        let sets =
            (0..config.orders).map(|_| MaskSet::new(layout, &config.hidden, &mut rng, &plain)).collect();
        Self { weights, biases, direct, sets }
    }

    pub(crate) fn orders(&self) -> usize {
        self.sets.len()
    }

    pub(crate) fn order(&self, index: usize) -> Vec<usize> {
        self.sets[index].order.clone()
    }

    /// The degrees of the hidden units along order `index`.
    pub(crate) fn degrees(&self, index: usize) -> &[Vec<usize>] {
        &self.sets[index].degrees
    }

    /// Weights and biases of each layer along order `index`, and the direct weights.
    pub(crate) fn masked_weights(&self, index: usize) -> (Vec<(Tensor<2>, Tensor<1>)>, Option<Tensor<2>>) {
        let set = &self.sets[index];
        let layers = self.weights.iter().zip(&self.biases).zip(&set.masks);
        let layers = layers.map(|((weight, bias), mask)| (masked(weight, mask), bias.val())).collect();
        (layers, self.direct.as_ref().map(|direct| masked(direct, &set.direct)))
    }

    pub(crate) fn outputs(&self, inputs: Tensor<2>, index: usize, drop: Dropout) -> Tensor<2> {
        let (layers, direct) = self.masked_weights(index);
        let direct = direct.map(|direct| inputs.clone().matmul(direct));
        let mut h = dropout(inputs, drop.at(0, 0.5));
        let last = layers.len() - 1;
        for (depth, (weight, bias)) in layers.into_iter().enumerate() {
            h = h.matmul(weight) + bias.unsqueeze();
            if depth < last {
                h = dropout(activate(h, Activation::Relu), drop.at(1 + depth as u64, 1.0));
            }
        }
        match direct {
            Some(direct) => h + direct,
            None => h,
        }
    }
}

fn masked(weight: &Param<Tensor<2>>, mask: &Tensor<2>) -> Tensor<2> {
    let weight = weight.val();
    let mask = if weight.device().is_autodiff() { Tensor::from_inner(mask.clone()) } else { mask.clone() };
    weight * mask
}

impl MaskSet {
    /// A random order; hidden degrees drawn uniformly between the least degree before them and `n - 1`.
    fn new(layout: &Layout, hidden: &[usize], rng: &mut StdRng, device: &Device) -> Self {
        let n = layout.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(rng);
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(step, &position)| place[position] = step);
        let spread = |sizes: &[usize], value: &dyn Fn(usize) -> usize| -> Vec<usize> {
            let total = offsets(sizes)[n];
            let mut degrees = Vec::with_capacity(total);
            (0..n).for_each(|position| degrees.extend(std::iter::repeat_n(value(position), sizes[position])));
            degrees
        };
        // Degrees: an input's is its variable's step from 1; an output sees strictly earlier steps.
        let inputs = spread(&layout.input_sizes(), &|position| place[position] + 1);
        let outputs = spread(&layout.output_sizes(), &|position| place[position]);
        let direct = mask(&inputs, &outputs, device);
        let (mut masks, mut hidden_degrees) = (Vec::new(), Vec::new());
        let mut before = inputs;
        for &units in hidden {
            let least = before.iter().copied().min().unwrap_or(1).min(n.saturating_sub(1).max(1));
            let most = n.saturating_sub(1).max(1);
            let degrees: Vec<usize> = (0..units).map(|_| rng.random_range(least..=most)).collect();
            masks.push(mask(&before, &degrees, device));
            before.clone_from(&degrees);
            hidden_degrees.push(degrees);
        }
        masks.push(mask(&before, &outputs, device));
        Self { order, degrees: hidden_degrees, masks, direct }
    }
}

/// One where the row's degree does not exceed the column's.
fn mask(rows: &[usize], columns: &[usize], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows
        .iter()
        .flat_map(|&row| columns.iter().map(move |&column| f32::from(u8::from(row <= column))))
        .collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), columns.len()]), device)
}
