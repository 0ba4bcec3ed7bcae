//! Training: the passes over a corpus, on one thread or in rounds on all.

use std::ops::Range;
use std::time::Instant;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::gradient::Workspace;
use super::plan::{Kept, Plan};
use super::random::Random;
use super::task::Task;
use super::update::{AtOnce, ChangePart, Cuts, Record, Recorded, Side};
use super::{Config, Corpus, Dictionary, Loss, Parameters};
use crate::Error;

/// A round is so many tasks, whatever the number of threads.
const TASKS: usize = 16;
/// Words of a task: so few that what a round reads and then changes stays in the cache, and at most 32.
fn words_of_a_task(dim: usize) -> usize {
    (4096 / dim).clamp(8, 32)
}

/// What of a training is done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Words of all passes; the corpus has [`Corpus::words`] of them each time.
    pub words: u64,
    /// The loss of all pairs of this pass that were looked at, together, in nats.
    pub loss: f64,
    /// How many pairs those are.
    pub pairs: u64,
}

/// How far training has come.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The pass, from 0 on.
    pub epoch: usize,
    /// What is done, for a training that goes on from here.
    pub done: Done,
    /// The mean loss of a pair since the pass began, in nats; one pair in 32 is looked at.
    pub loss: f64,
    /// The learning rate.
    pub rate: f32,
    /// Whether this step ends its pass.
    pub ends_epoch: bool,
}

/// What a training came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The mean loss of a pair in each pass.
    pub losses: Vec<f64>,
    /// Words of all passes.
    pub words: u64,
    /// The time of the passes alone.
    pub seconds: f64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Learns vectors. `watch` is called about every ten thousand words and may stop it by `false`; what has
/// `begun` before is left out, for a training that goes on.
///
/// On one thread each pair sees what the one before has changed, as in word2vec.c. On more threads, or with
/// [`Config::deterministic`], or with subwords, words are taken in rounds of up to 512: all gradients of a round are of the same
/// matrices, then all are added, always in the same order, so that the vectors do not depend on the number of threads.
///
/// # Errors
/// When the configuration makes no sense, the matrices are of another size, or the loss is no longer finite.
pub fn train(
    corpus: &Corpus,
    config: &Config,
    parameters: &mut Parameters,
    begun: Done,
    mut watch: impl FnMut(&Step, &Parameters) -> bool,
) -> Result<Summary, Error> {
    config.check()?;
    let dictionary = corpus.dictionary();
    parameters.check(config, dictionary)?;
    let plan = Plan::new(config, dictionary);
    let in_rounds = config.deterministic || rayon::current_num_threads() > 1 || config.subwords.is_some();
    let mut rounds = in_rounds.then(|| Rounds::new(&plan, dictionary, parameters.input.rows()));
    let all_words = corpus.words() * config.epochs as u64;
    let started = Instant::now();
    let mut done = begun;
    let mut summary = Summary { losses: Vec::new(), words: 0, seconds: 0.0, stopped: false };
    let mut kept = Kept::default();
    for epoch in 0..config.epochs {
        for number in 0..corpus.blocks() {
            let (block, before) = corpus.block(number);
            let words_before = epoch as u64 * corpus.words() + before;
            if words_before < begun.words {
                continue;
            }
            if number == 0 {
                (done.loss, done.pairs) = (0.0, 0);
            }
            let passed = words_before as f32 / (all_words + 1) as f32;
            let rate = (config.rate * (1.0 - passed)).max(config.min_rate);
            let place = [epoch as u64 + 1, number as u64];
            kept.sample(&plan, block, &mut Random::at(config.seed, place));
            let heard = match &mut rounds {
                Some(rounds) => rounds.learn(&plan, parameters, &kept, rate, place),
                None => learn_at_once(&plan, parameters, &kept, rate, place),
            };
            done.loss += heard.0;
            done.pairs += heard.1;
            let mean = done.loss / done.pairs.max(1) as f64;
            if !mean.is_finite() {
                return Err(Error::Request(format!(
                    "the loss is no longer finite in pass {}, after {words_before} words; take a lower learning rate",
                    epoch + 1
                )));
            }
            let ends_epoch = number + 1 == corpus.blocks();
            done.words = corpus.words_after(number) + epoch as u64 * corpus.words();
            summary.words = done.words - begun.words.min(done.words);
            summary.seconds = started.elapsed().as_secs_f64();
            if ends_epoch {
                summary.losses.push(mean);
            }
            if !watch(&Step { epoch, done, loss: mean, rate, ends_epoch }, parameters) {
                summary.stopped = true;
                return Ok(summary);
            }
        }
    }
    Ok(summary)
}

/// The loss of some pairs together, and how many they are.
type Heard = (f64, u64);

fn learn_at_once(plan: &Plan, parameters: &mut Parameters, kept: &Kept, rate: f32, place: [u64; 2]) -> Heard {
    let mut task = Task::new(plan, AtOnce(parameters), Workspace::new(plan.config.dim));
    let random = Random::at(plan.config.seed ^ 1, place);
    let centres = 0..kept.words.len();
    pulp::Arch::new().dispatch(Learn { task: &mut task, kept, centres, rate, random });
    task.workspace.take_heard()
}

struct Learn<'t, 'a, U> {
    task: &'t mut Task<'a, U>,
    kept: &'t Kept,
    centres: Range<usize>,
    rate: f32,
    random: Random,
}

impl<U: super::task::Update> WithSimd for Learn<'_, '_, U> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.task.learn(simd, self.kept, self.centres, self.rate, &mut self.random);
    }
}

/// What rounds need from one to the next.
struct Rounds {
    cuts: Cuts,
    tasks: Vec<(Record, Workspace)>,
    /// For each row of the output and of the input matrix, by parts: how many steps a round takes there.
    steps: [Vec<Vec<u32>>; 2],
}

impl Rounds {
    fn new(plan: &Plan, dictionary: &Dictionary, input_rows: usize) -> Self {
        let config = plan.config;
        let counts = dictionary.counts();
        let kept: Vec<f64> =
            counts.iter().zip(0..).map(|(count, word)| *count as f64 * plan.keep_probability(word)).collect();
        let outputs = match config.loss {
            Loss::Negative { count, exponent } => {
                let noise: Vec<f64> = counts.iter().map(|count| (*count as f64).powf(exponent)).collect();
                let scale = count as f64 * kept.iter().sum::<f64>() / noise.iter().sum::<f64>();
                kept.iter().zip(noise).map(|(own, noise)| own + scale * noise).collect()
            }
            Loss::Hierarchical => {
                let mut nodes = vec![0.0; dictionary.len().saturating_sub(1)];
                for (word, kept) in kept.iter().enumerate() {
                    let way = plan.tree.as_ref().map_or(&[][..], |tree| tree.way(word as u32).0);
                    for node in way {
                        nodes[*node as usize] += kept;
                    }
                }
                nodes
            }
            Loss::Softmax => vec![1.0; dictionary.len()],
        };
        let mut inputs = kept;
        if let Some(bags) = &plan.bags {
            let words = inputs.clone();
            inputs = vec![0.0; input_rows];
            for (word, kept) in words.iter().enumerate() {
                for row in bags.of(word as u32) {
                    inputs[*row as usize] += kept;
                }
            }
        }
        let tasks = (0..TASKS).map(|_| (Record::default(), Workspace::new(config.dim))).collect();
        let cuts = Cuts::new(&outputs, &inputs);
        let zeros = |ends: &[u32]| -> Vec<Vec<u32>> {
            let starts = std::iter::once(&0).chain(ends);
            starts.zip(ends).map(|(start, end)| vec![0; (end - start) as usize]).collect()
        };
        let steps = [zeros(&cuts.outputs), zeros(&cuts.inputs)];
        Self { cuts, tasks, steps }
    }

    fn learn(
        &mut self,
        plan: &Plan,
        parameters: &mut Parameters,
        kept: &Kept,
        rate: f32,
        place: [u64; 2],
    ) -> Heard {
        for round in 0..kept.words.len().div_ceil(TASKS * words_of_a_task(plan.config.dim)) {
            self.gradients(plan, parameters, kept, round * TASKS, rate, place);
            self.change(parameters, plan.config.window, rate);
        }
        let mut heard = (0.0, 0);
        for (_, workspace) in &mut self.tasks {
            let own = workspace.take_heard();
            heard = (heard.0 + own.0, heard.1 + own.1);
        }
        heard
    }

    /// The gradients of a round, all of the same matrices.
    fn gradients(
        &mut self,
        plan: &Plan,
        frozen: &Parameters,
        kept: &Kept,
        first: usize,
        rate: f32,
        place: [u64; 2],
    ) {
        let cuts = &self.cuts;
        let size = words_of_a_task(plan.config.dim);
        self.tasks.par_iter_mut().enumerate().for_each(|(task, slot)| {
            let number = first + task;
            let words = kept.words.len();
            let centres = (number * size).min(words)..((number + 1) * size).min(words);
            let (record, workspace) = std::mem::take(slot);
            let mut task = Task::new(plan, Recorded::new(frozen, cuts, record), workspace);
            let random = Random::at(plan.config.seed ^ 1, [place[0] << 32 | place[1], number as u64]);
            pulp::Arch::new().dispatch(Learn { task: &mut task, kept, centres, rate, random });
            *slot = (task.update.record, task.workspace);
        });
    }

    /// Adds them to the matrices.
    fn change(&mut self, parameters: &mut Parameters, window: usize, rate: f32) {
        // Steps of a hot row that are together this long change its scores by about their own size.
        let most = 1.6 / rate;
        let tasks = &self.tasks[..];
        let width = parameters.input.padded(0).len();
        let outputs = parameters.output.parts(&self.cuts.outputs);
        let inputs = parameters.input.parts(&self.cuts.inputs);
        let [output_steps, input_steps] = &mut self.steps;
        let work = outputs.into_par_iter().zip(inputs).zip(output_steps).zip(input_steps);
        work.enumerate().for_each(|(part, (((outputs, inputs), output_steps), input_steps))| {
            // An error in a slot is the sum of the steps of a window's pairs.
            let most_inputs = most / (2 * window) as f32;
            for (side, (first, rows), steps, most) in [
                (Side::Outputs, outputs, output_steps, most),
                (Side::Inputs, inputs, input_steps, most_inputs),
            ] {
                pulp::Arch::new().dispatch(ChangePart { side, part, first, rows, width, tasks, most, steps });
            }
        });
    }
}
