//! The network: an embedding where inputs are tokens, recurrent layers, and a head.

mod crf;
mod layers;
mod packed;

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};
use dozen_kernels::{Dropout, Prefix, embedding, prefix_linear};

pub use crf::Crf;
pub use layers::{Input, LayerState, Noise, RecurrentLayer, RecurrentLayers, State};
pub use packed::Packed;

use crate::NetworkConfig;
pub use crate::config::Sizes;

/// The steps' inputs, as [`Packed`] lays them.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for a whole batch")]
pub enum Inputs {
    /// Numbers of tokens.
    Tokens(Arc<[u32]>),
    /// `[rows, inputs]`.
    Numbers(Tensor<2>),
}

/// What the recurrent layers give.
#[derive(Clone, Debug)]
pub struct Features {
    /// Of each step: `[rows, features]`.
    pub steps: Tensor<2>,
    /// After the last step of each sequence, both directions side by side: `[batch, features]`.
    pub last: Tensor<2>,
    /// The state to go on with.
    pub state: State,
}

/// A recurrent network.
#[derive(Module, Debug)]
pub struct Network {
    /// `[tokens, embedding]`, where inputs are tokens.
    pub embedding: Option<Param<Tensor<2>>>,
    /// The layers.
    pub layers: RecurrentLayers,
    /// `[features, outputs]`; absent where the embedding serves.
    pub head: Option<Param<Tensor<2>>>,
    /// `[outputs]`.
    pub head_bias: Param<Tensor<1>>,
    /// The scores of neighbouring labels.
    pub crf: Option<Crf>,
    #[module(skip)]
    config: NetworkConfig,
}

impl Network {
    /// A network with random weights: embeddings normal with deviation 1, all else uniform in `+-1 / sqrt(units)` as PyTorch has it.
    pub fn new(config: &NetworkConfig, sizes: Sizes, crf: bool, device: &Device) -> Self {
        let features = config.features();
        let tokens = config.embedding > 0;
        let table =
            || Tensor::random([sizes.inputs, config.embedding], Distribution::Normal(0.0, 1.0), device);
        let bound = 1.0 / (features as f64).sqrt();
        let uniform = Distribution::Uniform(-bound, bound);
        let width = if tokens { config.embedding } else { sizes.inputs };
        Self {
            embedding: tokens.then(|| Param::from_tensor(table())),
            layers: RecurrentLayers::new(config, width, device),
            head: (!config.tied)
                .then(|| Param::from_tensor(Tensor::random([features, sizes.outputs], uniform, device))),
            head_bias: Param::from_tensor(Tensor::zeros([sizes.outputs], device)),
            crf: crf.then(|| Crf::new(sizes.outputs, device)),
            config: config.clone(),
        }
    }

    /// The network's shape.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The head's weight: `[features, outputs]`.
    pub fn head_weight(&self) -> Tensor<2> {
        match (&self.head, &self.embedding) {
            (Some(head), _) => head.val(),
            (None, Some(table)) => table.val().transpose(),
            (None, None) => unreachable!("only an embedding can serve as head"),
        }
    }

    /// What the layers make of sequences, from a state or from the first one.
    pub fn features(&self, inputs: Inputs, packed: &Packed, state: Option<&State>, noise: Noise) -> Features {
        let input = match (inputs, &self.embedding) {
            (Inputs::Tokens(ids), Some(table)) => Input::Table { table: table.val(), ids },
            (Inputs::Tokens(_), None) => unreachable!("tokens need an embedding"),
            (Inputs::Numbers(rows), _) => Input::Rows(rows),
        };
        self.layers.forward(input, packed, state, noise)
    }

    /// The head's outputs for rows of features: `[rows, features] -> [rows, outputs]`. `sequences` has each row's sequence, for the dropout that a
    /// sequence keeps.
    pub fn outputs(&self, features: Tensor<2>, sequences: &Arc<[u32]>, noise: Noise) -> Tensor<2> {
        let dropout = self.config.dropout;
        let features = noise.variational(features, sequences, dropout.variational, 1 << 20);
        let features = dozen_kernels::dropout(features, noise.dropout(dropout.layers, (1 << 20) + 1));
        let weight = self.head_weight();
        let [inputs, outputs] = weight.dims();
        prefix_linear(features, weight, self.head_bias.val(), &Prefix::dense(inputs, outputs))
    }
}

impl Noise {
    /// A dropout of a place in the network; none in use.
    fn dropout(self, probability: f64, place: u64) -> Dropout {
        match self {
            Self::None => Dropout::NONE,
            Self::Seed(seed) => Dropout { probability, seed }.at(place, 1.0),
        }
    }

    /// One mask for all steps of a sequence.
    fn variational(self, rows: Tensor<2>, sequences: &Arc<[u32]>, probability: f64, place: u64) -> Tensor<2> {
        let dropout = self.dropout(probability, place);
        if dropout.probability <= 0.0 {
            return rows;
        }
        let batch = sequences.iter().max().map_or(0, |last| *last as usize + 1);
        let ones = Tensor::ones([batch, rows.dims()[1]], &rows.device().inner());
        rows * Tensor::from_inner(embedding(dozen_kernels::dropout(ones, dropout), sequences))
    }
}

/// Classes as a tensor.
pub(crate) fn classes(targets: &[u32], device: &Device) -> Tensor<1, Int> {
    let targets: Vec<i64> = targets.iter().map(|&target| i64::from(target)).collect();
    Tensor::from_data(targets.as_slice(), device)
}
