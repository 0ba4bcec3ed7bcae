//! Language models: text in streams, and how well held-out text is predicted.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use dozen_kernels::{cross_entropy, dot};
use dozen_nn::Error;

use crate::network::{Inputs, Packed, State, classes};
use crate::{Model, Sequence};

/// Steps of a stream at a time in evaluation.
const CHUNK: usize = 256;

/// A text as streams side by side, each a run of it; each unit is the target of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams<'t> {
    ids: &'t [u32],
    pub(crate) count: usize,
    /// Predictions of each stream.
    length: usize,
    /// The most steps at a time.
    steps: usize,
}

impl<'t> Streams<'t> {
    /// As many streams as asked for, or fewer, so that each has at least one whole piece of `steps` steps.
    pub(crate) fn new(ids: &'t [u32], count: usize, steps: usize) -> Self {
        let predictions = ids.len().saturating_sub(1);
        let count = count.min(predictions / steps.max(1)).max(1);
        Self { ids, count, length: predictions / count, steps: steps.max(1) }
    }

    /// How many pieces each stream has.
    pub(crate) fn pieces(&self) -> usize {
        self.length.div_ceil(self.steps)
    }

    /// The inputs and targets of all streams' pieces of one number, and how many steps they have.
    pub(crate) fn piece(&self, number: usize) -> (Arc<[u32]>, Vec<u32>, usize) {
        let start = number * self.steps;
        let end = (start + self.steps).min(self.length);
        let at = |offset: usize| {
            let ids = self.ids;
            (start..end).flat_map(move |step| {
                (0..self.count).map(move |stream| ids[stream * self.length + step + offset])
            })
        };
        (at(0).collect(), at(1).collect(), end - start)
    }
}

/// `-ln p` of each target, in nats.
pub(crate) fn cross_entropies(outputs: Tensor<2>, targets: &[u32], device: &Device) -> Tensor<1> {
    cross_entropy(outputs, classes(targets, device))
}

/// How well a text is predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanguageEvaluation {
    /// Units predicted: all but the first.
    pub tokens: usize,
    /// Their bytes.
    pub bytes: usize,
    /// `-ln p` of a unit on average.
    pub nats_per_token: f64,
}

impl LanguageEvaluation {
    /// `-log2 p` of a byte on average: what models of different units can be compared by.
    pub fn bits_per_byte(&self) -> f64 {
        self.nats_per_token * self.tokens as f64 / self.bytes as f64 / std::f64::consts::LN_2
    }

    /// `e` to the nats of a unit.
    pub fn perplexity(&self) -> f64 {
        self.nats_per_token.exp()
    }
}

/// A memory of what followed lately (Grave, Joulin and Usunier 2017): the last `size` hidden states each vote for the unit that came after
/// them with weight `e^{sharpness h_t h_i}`, and the votes get `share` of the probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cache {
    /// Steps remembered.
    pub size: usize,
    /// In [0, 1).
    pub share: f64,
    /// The paper's theta.
    pub sharpness: f64,
}

/// Evaluates on a text, from its beginning to its end in one stream. `bytes` is the text's length less its first unit's.
///
/// # Errors
/// When the text has fewer than two units.
pub fn evaluate_language(
    model: &Model,
    ids: &[u32],
    bytes: usize,
    cache: Option<Cache>,
) -> Result<LanguageEvaluation, Error> {
    if ids.len() < 2 {
        return Err(Error::Request(format!(
            "the text has {} {}; a prediction needs one to predict from and one to predict",
            ids.len(),
            model.units().map_or("units", |units| units.name())
        )));
    }
    let (mut state, mut sum): (Option<State>, f64) = (None, 0.0);
    let mut memory = cache.map(|cache| Memory { cache, states: Vec::new(), followers: Vec::new() });
    for start in (0..ids.len() - 1).step_by(CHUNK) {
        let end = (start + CHUNK).min(ids.len() - 1);
        let sequence = Sequence::Tokens(ids[start..end].to_vec());
        let features = model.features(&[&sequence], &Packed::even(1, end - start), state.as_ref());
        let targets = &ids[start + 1..=end];
        let outputs = model.outputs(features.steps.clone());
        let nats = crate::host(&cross_entropies(outputs, targets, &model.device));
        sum += match &mut memory {
            Some(memory) => memory.nats(&crate::host(&features.steps), targets, &nats),
            None => nats.iter().map(|nats| f64::from(*nats)).sum(),
        };
        state = Some(features.state);
    }
    let tokens = ids.len() - 1;
    Ok(LanguageEvaluation { tokens, bytes, nats_per_token: sum / tokens as f64 })
}

struct Memory {
    cache: Cache,
    states: Vec<f32>,
    followers: Vec<u32>,
}

impl Memory {
    /// The sum of `-ln p` of the targets after these hidden states, given the network's own.
    fn nats(&mut self, states: &[f32], targets: &[u32], own: &[f32]) -> f64 {
        let width = states.len() / targets.len();
        let mut sum = 0.0;
        for ((state, &target), own) in states.chunks_exact(width).zip(targets).zip(own) {
            let oldest = self.followers.len().saturating_sub(self.cache.size);
            let votes: Vec<f64> = self.states[oldest * width..]
                .chunks_exact(width)
                .map(|past| self.cache.sharpness * f64::from(dot(state, past)))
                .collect();
            let greatest = votes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (mut all, mut right) = (0.0, 0.0);
            for (vote, &follower) in votes.iter().zip(&self.followers[oldest..]) {
                let weight = (vote - greatest).exp();
                all += weight;
                right += if follower == target { weight } else { 0.0 };
            }
            let own = (-f64::from(*own)).exp();
            let share = self.cache.share;
            sum -= if all > 0.0 { ((1.0 - share) * own + share * right / all).ln() } else { own.ln() };
            self.states.extend_from_slice(state);
            self.followers.push(target);
        }
        sum
    }
}

/// The mean `-ln p` of a text in streams side by side, for validation in training.
pub(crate) fn stream_nats(
    streams: &Streams,
    outputs: impl Fn(Inputs, &Packed, Option<&State>) -> (Tensor<2>, State),
    device: &Device,
) -> f64 {
    let (mut state, mut sum, mut tokens) = (None, 0.0, 0);
    for number in 0..streams.pieces() {
        let (ids, targets, steps) = streams.piece(number);
        let (logits, after) =
            outputs(Inputs::Tokens(ids), &Packed::even(streams.count, steps), state.as_ref());
        let nats = cross_entropies(logits, &targets, device).sum().into_scalar::<f32>();
        sum += f64::from(nats);
        tokens += targets.len();
        state = Some(after);
    }
    sum / tokens as f64
}
