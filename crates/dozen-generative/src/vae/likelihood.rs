//! p(x | z): what the decoder's outputs say of each column.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use dozen_data::{Kind, Schema};
use dozen_kernels::{Activation, activate, bernoulli_log_prob, log_softmax};
use rand::RngExt;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::Likelihood;
use crate::tensors::to_host;

/// Columns side by side that share a formula.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    kind: BlockKind,
    /// The first column, and how many.
    columns: [usize; 2],
    /// The first output.
    output: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum BlockKind {
    Bits,
    Levels(usize),
    Numbers(Likelihood),
}

impl BlockKind {
    /// Outputs of a column.
    fn outputs(self) -> usize {
        match self {
            Self::Levels(levels) => levels,
            Self::Numbers(Likelihood::GaussianNetwork) => 2,
            _ => 1,
        }
    }
}

/// The least log deviation of a Gaussian in standardised units: none shrinks onto one training value.
const LEAST_LOG_DEVIATION: f64 = -6.0;

/// Where learnt log deviations begin: below those of the data, so that it pays from the first step to use the latent.
const FIRST_LOG_DEVIATION: f64 = -1.0;

/// Of every column.
#[derive(Module, Debug)]
pub(super) struct Likelihoods {
    /// Learnt log deviations of numbers, `[columns]`, where the network does not give them.
    log_deviation: Option<Param<Tensor<1>>>,
    #[module(skip)]
    blocks: Vec<Block>,
}

impl Likelihoods {
    /// For these columns.
    pub(super) fn new(schema: &Schema, likelihood: Likelihood, device: &Device) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut output = 0;
        for (place, column) in schema.columns.iter().enumerate() {
            let kind = match &column.kind {
                Kind::Binary => BlockKind::Bits,
                Kind::Categorical { levels } => BlockKind::Levels(levels.len()),
                Kind::Real { .. } => BlockKind::Numbers(likelihood),
            };
            match blocks.last_mut() {
                Some(last) if last.kind == kind => last.columns[1] += 1,
                _ => blocks.push(Block { kind, columns: [place, 1], output }),
            }
            output += kind.outputs();
        }
        let learnt = likelihood == Likelihood::Gaussian { deviation: None };
        let begun = || Tensor::full([schema.columns.len()], FIRST_LOG_DEVIATION, device);
        let log_deviation = learnt.then(|| Param::from_tensor(begun()));
        Self { log_deviation, blocks }
    }

    /// Outputs of a decoder.
    pub(super) fn outputs(&self) -> usize {
        self.blocks.iter().map(|block| block.columns[1] * block.kind.outputs()).sum()
    }

    /// Whether every column has as many outputs as the first: what an image needs.
    pub(super) fn each(&self) -> Option<usize> {
        let each = self.blocks.first()?.kind.outputs();
        self.blocks.iter().all(|block| block.kind.outputs() == each).then_some(each)
    }

    /// `ln p(x | z)` in nats, summed over a row: `[rows, columns]` to `[rows, 1]`. Where `observed` is zero a value does not count.
    pub(super) fn log_prob(
        &self,
        x: &Tensor<2>,
        outputs: &Tensor<2>,
        observed: Option<&Tensor<2>>,
    ) -> Tensor<2> {
        let rows = x.dims()[0];
        let terms = self.blocks.iter().map(|block| {
            let [first, count] = block.columns;
            let x = x.clone().narrow(1, first, count);
            let outputs = outputs.clone().narrow(1, block.output, count * block.kind.outputs());
            let bits = matches!(block.kind, BlockKind::Bits | BlockKind::Numbers(Likelihood::Bernoulli));
            if bits && observed.is_none() {
                return bernoulli_log_prob(outputs, x).reshape([rows, 1]);
            }
            let each = self.log_prob_of(block, x, outputs);
            let each = match observed {
                Some(observed) => each * observed.clone().narrow(1, first, count),
                None => each,
            };
            each.sum_dim(1)
        });
        terms.reduce(|sum, term| sum + term).expect("a table has columns")
    }

    /// Of each value: `[rows, count]`.
    fn log_prob_of(&self, block: &Block, x: Tensor<2>, outputs: Tensor<2>) -> Tensor<2> {
        let [rows, count] = x.dims();
        let cross_entropy = |x: Tensor<2>, l: Tensor<2>| x * l.clone() - activate(l, Activation::Softplus);
        match block.kind {
            BlockKind::Bits | BlockKind::Numbers(Likelihood::Bernoulli) => cross_entropy(x, outputs),
            BlockKind::Numbers(Likelihood::ContinuousBernoulli) => {
                cross_entropy(x, outputs.clone()) + log_normalizer(outputs)
            }
            BlockKind::Numbers(Likelihood::Gaussian { deviation: Some(deviation) }) => {
                let log_deviation = Tensor::<2>::full([1, 1], deviation.ln(), &x.device()).cast(x.dtype());
                normal_log_prob((x - outputs) / deviation, log_deviation)
            }
            BlockKind::Numbers(Likelihood::Gaussian { deviation: None }) => {
                let log_deviation = self.log_deviations(block);
                normal_log_prob((x - outputs) * log_deviation.clone().neg().exp(), log_deviation)
            }
            BlockKind::Numbers(Likelihood::GaussianNetwork) => {
                let (mean, log_deviation) = halves(outputs);
                normal_log_prob((x - mean) * log_deviation.clone().neg().exp(), log_deviation)
            }
            BlockKind::Levels(levels) => {
                let logits = log_softmax(outputs.reshape([rows * count, levels]));
                let codes = x.reshape([rows * count, 1]).int();
                logits.gather(1, codes).reshape([rows, count])
            }
        }
    }

    /// `[1, count]`.
    fn log_deviations(&self, block: &Block) -> Tensor<2> {
        let learnt = self.log_deviation.as_ref().expect("kept where no network gives them").val();
        let [first, count] = block.columns;
        learnt.narrow(0, first, count).unsqueeze::<2>().clamp_min(LEAST_LOG_DEVIATION)
    }

    /// The mean of each number and bit: `[rows, columns]`; of a category the likeliest level.
    pub(super) fn mean(&self, outputs: &Tensor<2>) -> Tensor<2> {
        let rows = outputs.dims()[0];
        let blocks = self.blocks.iter().map(|block| {
            let count = block.columns[1];
            let outputs = outputs.clone().narrow(1, block.output, count * block.kind.outputs());
            match block.kind {
                BlockKind::Bits | BlockKind::Numbers(Likelihood::Bernoulli) => activation::sigmoid(outputs),
                BlockKind::Numbers(Likelihood::ContinuousBernoulli) => continuous_mean(outputs),
                BlockKind::Numbers(Likelihood::Gaussian { .. }) => outputs,
                BlockKind::Numbers(Likelihood::GaussianNetwork) => halves(outputs).0,
                BlockKind::Levels(levels) => {
                    let kind = outputs.dtype();
                    let best = outputs.reshape([rows, count, levels]).argmax(2);
                    best.float().cast(kind).reshape([rows, count])
                }
            }
        });
        Tensor::cat(blocks.collect(), 1)
    }

    /// A draw of each column, by a generator for each row: `[rows, columns]` on the host.
    pub(super) fn draw(&self, outputs: &Tensor<2>, generator: impl Fn(usize) -> StdRng) -> Vec<f32> {
        let [rows, width] = outputs.dims();
        let mean = to_host(self.mean(outputs));
        let deviations: Vec<Option<Vec<f32>>> = self
            .blocks
            .iter()
            .map(|block| match block.kind {
                BlockKind::Numbers(Likelihood::Gaussian { deviation: None }) => {
                    Some(to_host(self.log_deviations(block).exp()))
                }
                _ => None,
            })
            .collect();
        let outputs = to_host(outputs.clone());
        let columns = mean.len() / rows.max(1);
        let mut values = mean;
        for (row, cells) in values.chunks_exact_mut(columns).enumerate() {
            let mut rng = generator(row);
            for (block, deviations) in self.blocks.iter().zip(&deviations) {
                let [first, count] = block.columns;
                for at in 0..count {
                    let own = &outputs[row * width + block.output + at * block.kind.outputs()..];
                    let cell = &mut cells[first + at];
                    let normal = |rng: &mut StdRng| -> f32 { StandardNormal.sample(rng) };
                    *cell = match block.kind {
                        BlockKind::Bits => f32::from(u8::from(rng.random::<f32>() < *cell)),
                        // Grey levels are shown as their means.
                        BlockKind::Numbers(Likelihood::Bernoulli) => *cell,
                        BlockKind::Numbers(Likelihood::ContinuousBernoulli) => quantile(own[0], rng.random()),
                        BlockKind::Numbers(Likelihood::Gaussian { deviation: Some(deviation) }) => {
                            *cell + deviation as f32 * normal(&mut rng)
                        }
                        BlockKind::Numbers(Likelihood::Gaussian { deviation: None }) => {
                            let deviation = deviations.as_ref().map_or(1.0, |deviations| deviations[at]);
                            *cell + deviation * normal(&mut rng)
                        }
                        BlockKind::Numbers(Likelihood::GaussianNetwork) => {
                            *cell + own[1].max(LEAST_LOG_DEVIATION as f32).exp() * normal(&mut rng)
                        }
                        BlockKind::Levels(levels) => chosen(&own[..levels], rng.random()) as f32,
                    };
                }
            }
        }
        values
    }
}

/// Means and log deviations, which stand in pairs.
fn halves(outputs: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [rows, both] = outputs.dims();
    let pairs = outputs.reshape([rows, both / 2, 2]);
    let part = |at: usize| pairs.clone().narrow(2, at, 1).reshape([rows, both / 2]);
    (part(0), part(1).clamp_min(LEAST_LOG_DEVIATION))
}

fn normal_log_prob(z: Tensor<2>, log_deviation: Tensor<2>) -> Tensor<2> {
    z.square() * -0.5 - log_deviation - 0.5 * std::f64::consts::TAU.ln()
}

/// `ln C(l) = ln(l / tanh(l / 2))` of a logit: what makes the continuous Bernoulli a density; `ln 2 + l^2 / 12` near zero.
fn log_normalizer(logits: Tensor<2>) -> Tensor<2> {
    let small = logits.clone().abs().lower_elem(0.05);
    let held = logits.clone().mask_fill(small.clone(), 1.0).abs();
    let far = (held.clone() / (held / 2.0).tanh()).log();
    let near = logits.square() / 12.0 + std::f64::consts::LN_2;
    far.mask_where(small, near)
}

/// `p / (2p - 1) + 1 / (2 artanh(1 - 2p))`: in logits `1 / (1 - e^-l) - 1 / l`; `1/2 + l / 12` near zero.
fn continuous_mean(logits: Tensor<2>) -> Tensor<2> {
    let small = logits.clone().abs().lower_elem(0.05);
    let held = logits.clone().mask_fill(small.clone(), 1.0);
    let far = (held.clone().neg().exp().neg() + 1.0).recip() - held.recip();
    far.mask_where(small, logits / 12.0 + 0.5)
}

/// The value below which a continuous Bernoulli lies with this probability: `ln(1 + u (e^l - 1)) / l`.
fn quantile(logit: f32, u: f32) -> f32 {
    if logit.abs() < 1e-3 {
        return u;
    }
    // Of the mirror image, so that nothing overflows.
    let (l, u, mirrored) = if logit > 0.0 { (-logit, 1.0 - u, true) } else { (logit, u, false) };
    let x = (u * l.exp_m1()).ln_1p() / l;
    if mirrored { 1.0 - x } else { x }
}

fn chosen(logits: &[f32], u: f32) -> usize {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = logits.iter().map(|l| (l - most).exp()).collect();
    let mut left = u * weights.iter().sum::<f32>();
    for (level, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return level;
        }
    }
    logits.len() - 1
}
