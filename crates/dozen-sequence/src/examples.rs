//! Sequences with targets: one label each, one label a step, or numbers.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::Terms;

use crate::language::cross_entropies;
use crate::model::inputs;
use crate::network::{Network, Noise, Packed};
use crate::{Model, Sequence, Task};

/// A sequence and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What enters the network.
    pub input: Sequence,
    /// What should leave it.
    pub target: Target,
}

/// What a network should say.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One label for the sequence.
    Label(u32),
    /// One label for each step.
    Labels(Vec<u32>),
    /// Numbers for the sequence.
    Numbers(Vec<f32>),
    /// Numbers for each step, step after step.
    NumbersByStep(Vec<f32>),
}

/// The loss of a batch of examples, and the shares of labels that are wrong where there are labels.
pub(crate) struct Judged {
    pub(crate) loss: Tensor<1>,
    pub(crate) errors: Option<f64>,
    /// How many labels or numbers the loss is a mean of.
    pub(crate) count: usize,
}

/// Judges a network on a batch, in which all targets are of one kind.
pub(crate) fn judge(network: &Network, examples: &[&Example], noise: Noise, device: &Device) -> Judged {
    let sequences: Vec<&Sequence> = examples.iter().map(|example| &example.input).collect();
    let packed = Packed::new(&sequences.iter().map(|sequence| sequence.len()).collect::<Vec<_>>());
    let features = network.features(inputs(&sequences, &packed, device), &packed, None, noise);
    let places: Arc<[u32]> = (0..examples.len() as u32).collect();
    let of_sequence = |features: Tensor<2>| network.outputs(features, &places, noise);
    let of_steps = |features: Tensor<2>| network.outputs(features, packed.sequences(), noise);
    match &examples[0].target {
        Target::Label(_) => {
            let labels: Vec<u32> = packed.order().iter().map(|&i| examples[i].target.label()).collect();
            labelled(of_sequence(features.last), &labels, device)
        }
        Target::Labels(_) => {
            let own: Vec<&[u32]> = examples.iter().map(|example| example.target.labels()).collect();
            let labels = packed.pack(&own);
            let scores = of_steps(features.steps);
            match &network.crf {
                None => labelled(scores, &labels, device),
                Some(crf) => {
                    let best = crf.decode(&scores, &packed);
                    let wrong = best.iter().zip(&labels).filter(|(a, b)| a != b).count();
                    Judged {
                        loss: crf.negative_log_likelihood(scores, &packed, &labels) / labels.len() as f64,
                        errors: Some(wrong as f64 / labels.len() as f64),
                        count: labels.len(),
                    }
                }
            }
        }
        Target::Numbers(_) => {
            let numbers = packed.order().iter().flat_map(|&i| examples[i].target.numbers()).copied();
            squared(of_sequence(features.last), numbers.collect(), device)
        }
        Target::NumbersByStep(_) => {
            let outputs = of_steps(features.steps);
            let width = outputs.dims()[1];
            let numbers = packed.rows().flat_map(|(sequence, step)| {
                examples[sequence].target.numbers()[step * width..(step + 1) * width].iter().copied()
            });
            squared(outputs, numbers.collect(), device)
        }
    }
}

fn labelled(scores: Tensor<2>, labels: &[u32], device: &Device) -> Judged {
    let best = greatest(&scores);
    let wrong = best.iter().zip(labels).filter(|(a, b)| a != b).count();
    Judged {
        loss: cross_entropies(scores, labels, device).mean(),
        errors: Some(wrong as f64 / labels.len() as f64),
        count: labels.len(),
    }
}

fn squared(outputs: Tensor<2>, numbers: Vec<f32>, device: &Device) -> Judged {
    let count = numbers.len();
    let numbers = Tensor::<2>::from_data(TensorData::new(numbers, outputs.dims()), device);
    Judged { loss: (outputs - numbers).square().mean(), errors: None, count }
}

/// The place of each row's greatest value.
fn greatest(scores: &Tensor<2>) -> Vec<u32> {
    let columns = scores.dims()[1];
    let of_row = |row: &[f32]| {
        (0..columns as u32).max_by(|&a, &b| row[a as usize].total_cmp(&row[b as usize])).unwrap_or(0)
    };
    crate::host(scores).chunks_exact(columns).map(of_row).collect()
}

impl Target {
    fn label(&self) -> u32 {
        match self {
            Self::Label(label) => *label,
            _ => panic!("a batch is of one kind"),
        }
    }

    fn labels(&self) -> &[u32] {
        match self {
            Self::Labels(labels) => labels,
            _ => panic!("a batch is of one kind"),
        }
    }

    fn numbers(&self) -> &[f32] {
        match self {
            Self::Numbers(numbers) | Self::NumbersByStep(numbers) => numbers,
            _ => panic!("a batch is of one kind"),
        }
    }
}

/// Sequences at a time in use.
const BATCH: usize = 64;

/// The mean loss, and the share of wrong labels where there are labels.
pub(crate) fn judge_all(network: &Network, examples: &[Example], device: &Device) -> Terms {
    let (mut loss, mut errors, mut count) = (0.0, None, 0);
    for batch in examples.chunks(BATCH) {
        let batch: Vec<&Example> = batch.iter().collect();
        let judged = judge(network, &batch, Noise::None, device);
        let weight = judged.count as f64;
        loss += f64::from(judged.loss.into_scalar::<f32>()) * weight;
        if let Some(share) = judged.errors {
            errors = Some(errors.unwrap_or(0.0) + share * weight);
        }
        count += judged.count;
    }
    let mean = |sum: f64| sum / count.max(1) as f64;
    terms(mean(loss), errors.map(mean))
}

/// A loss by its name.
pub(crate) fn terms(loss: f64, errors: Option<f64>) -> Terms {
    match errors {
        Some(errors) => vec![("nats_per_label", loss), ("error_rate", errors)],
        None => vec![("mean_squared_error", loss)],
    }
}

/// The mean loss on examples, and the share of labels that are wrong where there are labels.
pub fn evaluate_examples(model: &Model, examples: &[Example]) -> Terms {
    judge_all(&model.network, examples, &model.device)
}

/// The probability of each label for each sequence.
pub fn predict_classes(model: &Model, sequences: &[Sequence]) -> Vec<Vec<f32>> {
    let mut all = vec![Vec::new(); sequences.len()];
    for (batch, into) in sequences.chunks(BATCH).zip(all.chunks_mut(BATCH)) {
        let (batch, packed) = packed(batch);
        let features = model.features(&batch, &packed, None);
        let outputs = dozen_kernels::softmax(model.outputs(features.last));
        let labels = outputs.dims()[1];
        for (row, &sequence) in crate::host(&outputs).chunks_exact(labels).zip(packed.order()) {
            into[sequence] = row.to_vec();
        }
    }
    all
}

/// The best label of each step of each sequence.
pub fn predict_tags(model: &Model, sequences: &[Sequence]) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new(); sequences.len()];
    for (batch, into) in sequences.chunks(BATCH).zip(all.chunks_mut(BATCH)) {
        let (batch, packed) = packed(batch);
        let scores = model.outputs(model.features(&batch, &packed, None).steps);
        let labels = match &model.network.crf {
            Some(crf) => crf.decode(&scores, &packed),
            None => greatest(&scores),
        };
        for ((sequence, _), label) in packed.rows().zip(labels) {
            into[sequence].push(label);
        }
    }
    all
}

fn packed(batch: &[Sequence]) -> (Vec<&Sequence>, Packed) {
    let lengths: Vec<usize> = batch.iter().map(Sequence::len).collect();
    (batch.iter().collect(), Packed::new(&lengths))
}

/// How often each label was taken for each: the true one's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<u64>,
    labels: usize,
}

impl Confusion {
    /// Of pairs of a true label and what was said.
    pub fn of(labels: usize, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut counts = vec![0; labels * labels];
        for (truth, said) in pairs {
            counts[truth as usize * labels + said as usize] += 1;
        }
        Self { counts, labels }
    }

    /// How often `truth` was taken for `said`.
    pub fn count(&self, truth: usize, said: usize) -> u64 {
        self.counts[truth * self.labels + said]
    }

    /// The share that is right.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.labels).map(|label| self.count(label, label)).sum();
        right as f64 / self.counts.iter().sum::<u64>().max(1) as f64
    }

    /// Precision, recall and their harmonic mean for a label; zero where there is nothing to divide by.
    pub fn scores(&self, label: usize) -> [f64; 3] {
        let right = self.count(label, label) as f64;
        let said: u64 = (0..self.labels).map(|truth| self.count(truth, label)).sum();
        let there: u64 = (0..self.labels).map(|said| self.count(label, said)).sum();
        let share = |of: u64| if of == 0 { 0.0 } else { right / of as f64 };
        let (precision, recall) = (share(said), share(there));
        let sum = precision + recall;
        [precision, recall, if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum }]
    }
}

impl Model {
    /// The labels, where the task has labels.
    pub fn labels(&self) -> &[String] {
        match &self.config.task {
            Task::Classify { labels } | Task::Tag { labels, .. } => labels,
            Task::LanguageModel | Task::Forecast { .. } => &[],
        }
    }
}
