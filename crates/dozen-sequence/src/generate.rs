//! Drawing text one unit at a time, all on the CPU with weights packed once.

use burn::module::Param;
use dozen_kernels::{Cell, PackedLinear, Stepper};
use dozen_nn::Error;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::network::RecurrentLayer;
use crate::{Model, Task, host};

/// How a unit is drawn from the model's probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most probable unit.
    pub temperature: f64,
    /// Only among so many most probable units.
    pub top_k: Option<usize>,
    /// Only among the most probable units that together have this probability (Holtzman et al. 2020).
    pub top_p: Option<f64>,
}

impl Sampling {
    /// Draws a unit.
    pub fn draw(&self, logits: &[f32], rng: &mut StdRng) -> u32 {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let greater = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        if self.temperature <= 0.0 {
            return order.into_iter().min_by(greater).unwrap_or(0);
        }
        if let Some(k) = self.top_k.filter(|k| *k < order.len()) {
            order.select_nth_unstable_by(k, greater);
            order.truncate(k);
        }
        let greatest = order.iter().map(|&id| logits[id as usize]).fold(f32::NEG_INFINITY, f32::max);
        let weight = |id: u32| (f64::from(logits[id as usize] - greatest) / self.temperature).exp();
        if let Some(p) = self.top_p {
            order.sort_unstable_by(greater);
            let mut left = p * order.iter().map(|&id| weight(id)).sum::<f64>();
            let kept = order.iter().take_while(|&&id| {
                let wanted = left > 0.0;
                left -= weight(id);
                wanted
            });
            let kept = kept.count().max(1);
            order.truncate(kept);
        }
        let total: f64 = order.iter().map(|&id| weight(id)).sum();
        let mut at = rng.random::<f64>() * total;
        for &id in &order {
            at -= weight(id);
            if at < 0.0 {
                return id;
            }
        }
        order.last().copied().unwrap_or(0)
    }
}

/// Values of the first layer's table of shares that are worth keeping.
const LARGEST_TABLE: usize = 1 << 26;

/// A language model with a state for each of some samples.
#[derive(Debug)]
pub struct Generator {
    tokens: TokenShares,
    layers: Vec<StepLayer>,
    head: PackedLinear,
    batch: usize,
    features: Vec<f32>,
    logits: Vec<f32>,
}

/// What the first layer's gates get of each token.
#[derive(Debug)]
enum TokenShares {
    /// All of them: `[tokens, gates hidden]`.
    Table(Vec<f32>),
    /// The tokens' vectors, to go through the layer's own product.
    Vectors { table: Vec<f32>, width: usize },
}

/// A layer and where it stands.
#[derive(Debug)]
struct StepLayer {
    input: PackedLinear,
    /// Scale and shift of the input's share where it is normalised.
    norm: Option<(Vec<f32>, Vec<f32>)>,
    stepper: Stepper,
    projection: Option<PackedLinear>,
    /// With a projection: the learnt first state's share, for the first step.
    first_share: Option<Vec<f32>>,
    share: Vec<f32>,
    h: Vec<f32>,
    c: Vec<f32>,
}

impl Generator {
    /// Of `batch` samples, each at the model's first state.
    ///
    /// # Errors
    /// When the model is no language model.
    pub fn new(model: &Model, batch: usize) -> Result<Self, Error> {
        if model.config.task != Task::LanguageModel {
            return Err(Error::Setting("only a model of `task` language-model generates text".into()));
        }
        let network = &model.network;
        let table = network.embedding.as_ref().expect("a language model has an embedding").val();
        let [tokens, width] = table.dims();
        let layers = &network.layers.layers;
        let first = &layers[0];
        let gates = first.bias_ih.dims()[0];
        let shares = if tokens * gates <= LARGEST_TABLE {
            TokenShares::Table(host(&first.share(table)))
        } else {
            TokenShares::Vectors { table: host(&table), width }
        };
        let cell = model.config.model.cell.cell();
        let zoneout = model.config.model.dropout.zoneout as f32;
        let layers = layers.iter().map(|layer| StepLayer::new(layer, cell, zoneout, batch)).collect();
        let head = PackedLinear::new(&host(&network.head_weight()), &host(&network.head_bias.val()));
        let logits = vec![0.0; batch * network.head_bias.dims()[0]];
        Ok(Self { tokens: shares, layers, head, batch, features: Vec::new(), logits })
    }

    /// Takes a unit for each sample, and gives the logits of the next: `[batch, units]`.
    ///
    /// # Panics
    /// When there is not one unit for each sample.
    pub fn step(&mut self, ids: &[u32]) -> &[f32] {
        assert_eq!(ids.len(), self.batch, "a unit for each sample");
        let first = &mut self.layers[0];
        match &self.tokens {
            TokenShares::Table(table) => {
                let gates = first.share.len() / self.batch;
                for (into, &id) in first.share.chunks_exact_mut(gates).zip(ids) {
                    into.copy_from_slice(&table[id as usize * gates..][..gates]);
                }
            }
            TokenShares::Vectors { table, width } => {
                let rows = ids.iter().flat_map(|&id| &table[id as usize * width..][..*width]);
                let rows: Vec<f32> = rows.copied().collect();
                first.take(&rows);
            }
        }
        for index in 0..self.layers.len() {
            if index > 0 {
                self.layers[index].take(&self.features);
            }
            self.layers[index].step(&mut self.features);
        }
        self.head.apply(&self.features, &mut self.logits);
        &self.logits
    }
}

impl StepLayer {
    fn new(layer: &RecurrentLayer, cell: Cell, zoneout: f32, batch: usize) -> Self {
        let values = |bias: &Param<burn::tensor::Tensor<1>>| host(&bias.val());
        let gates = layer.bias_ih.dims()[0];
        let hidden = gates / cell.gates();
        let [width, _] = layer.weight_hh.dims();
        let bias = values(&layer.bias_ih);
        let norm = layer.scale_ih.as_ref().map(|scale| (values(scale), bias.clone()));
        let input_bias = if norm.is_some() { vec![0.0; gates] } else { bias };
        let weight = match &layer.projection {
            Some(projection) => projection.val().matmul(layer.weight_hh.val()),
            None => layer.weight_hh.val(),
        };
        let scale = layer.scale_hh.as_ref().map(values);
        let stepper =
            Stepper::new(cell, &host(&weight), &values(&layer.bias_hh), scale.as_deref(), [zoneout; 2]);
        let first = layer.first.as_ref().map(|first| host(&first.val()));
        let start = |from: usize, count: usize| match &first {
            Some(first) => first[from..from + count].repeat(batch),
            None => vec![0.0; batch * count],
        };
        let projected = layer.projection.is_some();
        let first_share = layer
            .first
            .as_ref()
            .filter(|_| projected)
            .map(|first| host(&first.val().narrow(1, 0, width).matmul(layer.weight_hh.val())));
        Self {
            input: PackedLinear::new(&host(&layer.weight_ih.val()), &input_bias),
            norm,
            stepper,
            projection: layer
                .projection
                .as_ref()
                .map(|projection| PackedLinear::new(&host(&projection.val()), &vec![0.0; width])),
            first_share,
            share: vec![0.0; batch * gates],
            h: if projected { vec![0.0; batch * hidden] } else { start(0, hidden) },
            c: if cell == Cell::Lstm { start(width, hidden) } else { Vec::new() },
        }
    }

    /// The input's share of the gates.
    fn take(&mut self, x: &[f32]) {
        self.input.apply(x, &mut self.share);
        let Some((scale, shift)) = &self.norm else { return };
        for row in self.share.chunks_exact_mut(scale.len()) {
            let mean = row.iter().sum::<f32>() / row.len() as f32;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / row.len() as f32;
            let inverse = 1.0 / (variance + 1e-5).sqrt();
            for ((x, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                *x = (*x - mean) * inverse * scale + shift;
            }
        }
    }

    /// One step; its output goes into `features`.
    fn step(&mut self, features: &mut Vec<f32>) {
        if let Some(first) = self.first_share.take() {
            self.share.iter_mut().zip(first.iter().cycle()).for_each(|(share, first)| *share += first);
        }
        self.stepper.step(&self.share, &mut self.h, &mut self.c);
        if let Some(projection) = &mut self.projection {
            let rows = self.h.len() / projection.inputs();
            features.resize(rows * projection.outputs(), 0.0);
            projection.apply(&self.h, features);
        } else {
            features.clear();
            features.extend_from_slice(&self.h);
        }
    }
}
