//! What a recurrent network is made of.

use dozen_data::Fingerprint;
use dozen_kernels::Cell;
use dozen_nn::{Error, TrainingRecord, dense_weights};
use serde::{Deserialize, Serialize};

/// The recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// `h = tanh(W x + U h' + b)`.
    Tanh,
    /// `h = max(0, W x + U h' + b)`.
    Relu,
    /// Long short-term memory.
    Lstm,
    /// The gated recurrent unit, in PyTorch's form.
    Gru,
}

impl CellKind {
    /// The kernel's name of it.
    pub fn cell(self) -> Cell {
        match self {
            Self::Tanh => Cell::Tanh,
            Self::Relu => Cell::Relu,
            Self::Lstm => Cell::Lstm,
            Self::Gru => Cell::Gru,
        }
    }
}

/// What is left out at random in training, each a probability in [0, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutConfig {
    /// Of values between layers and before the head, each on its own (Zaremba et al. 2014).
    pub layers: f64,
    /// Of the inputs of every layer and of the head, one mask for all steps of a sequence (Gal and Ghahramani 2016).
    pub variational: f64,
    /// Of the hidden state inside the recurrence, one mask for all steps of a sequence (the same).
    pub recurrent: f64,
    /// Of the recurrence's weights (DropConnect; Merity et al. 2018).
    pub weights: f64,
    /// Of a state's change from step to step (zoneout; Krueger et al. 2017); in use the mean of both states.
    pub zoneout: f64,
}

/// The hyper-parameters of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The recurrence.
    pub cell: CellKind,
    /// Units of each layer.
    pub hidden: usize,
    /// How many layers there are.
    pub layers: usize,
    /// Whether every layer also goes over the sequence from its end.
    pub bidirectional: bool,
    /// The width that an LSTM's hidden state is brought to after each step (Sak et al. 2014).
    pub projection: Option<usize>,
    /// Whether the gates are normalised (Ba et al. 2016).
    pub layer_norm: bool,
    /// The width of a token's vector; 0 where inputs are numbers.
    pub embedding: usize,
    /// Whether the head's weight is the embedding's (Press and Wolf 2017; Inan et al. 2017).
    pub tied: bool,
    /// Whether the state before the first step is learnt; else it is zero.
    pub learned_state: bool,
    /// What is added at first to the bias of an LSTM's forget gate (Jozefowicz et al. 2015).
    pub forget_bias: f64,
    /// What is left out in training.
    pub dropout: DropoutConfig,
}

/// What enters and leaves a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tokens of the vocabulary, or numbers of a step.
    pub inputs: usize,
    /// Classes, or numbers of a step.
    pub outputs: usize,
}

impl NetworkConfig {
    /// Values of a step that a layer hands on.
    pub fn features(&self) -> usize {
        self.state_width().saturating_mul(self.directions())
    }

    /// The width of the hidden state between steps.
    pub fn state_width(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }

    /// 2 if the layers go both ways, else 1.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// At most as many numbers as such a network of inputs and outputs of these sizes has.
    pub(crate) fn least_parameters(&self, sizes: Sizes) -> f64 {
        let gates = dense_weights(&[self.cell.cell().gates(), self.hidden]);
        let below = if self.embedding > 0 { self.embedding } else { sizes.inputs };
        let recurrent = self.state_width() as f64 * gates;
        let layers = self.layers as f64 * self.directions() as f64 * recurrent;
        let head = if self.tied { 0.0 } else { dense_weights(&[self.state_width(), sizes.outputs]) };
        dense_weights(&[sizes.inputs, self.embedding]) + below as f64 * gates + layers + head
    }

    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        if self.hidden == 0 || self.layers == 0 {
            return refuse("`hidden` and `layers` must be at least 1".into());
        }
        let DropoutConfig { layers, variational, recurrent, weights, zoneout } = self.dropout;
        let shares = [
            ("`dropout`", layers),
            ("`variational_dropout`", variational),
            ("`recurrent_dropout`", recurrent),
            ("`weight_drop`", weights),
            ("`zoneout`", zoneout),
        ];
        for (setting, share) in shares {
            if !(0.0..1.0).contains(&share) {
                return refuse(format!("{setting} must lie in [0, 1), not {share}"));
            }
        }
        if let Some(width) = self.projection {
            if self.cell != CellKind::Lstm || width == 0 || width >= self.hidden {
                return refuse(format!(
                    "`projection` is for an LSTM, and must lie between 1 and `hidden` ({}), not {width}",
                    self.hidden
                ));
            }
            if self.layer_norm || recurrent > 0.0 || zoneout > 0.0 {
                return refuse(
                    "`projection` goes with neither `layer_norm`, `recurrent_dropout` nor `zoneout`".into(),
                );
            }
        }
        if self.tied && self.embedding != self.features() {
            return refuse(format!(
                "`tied` needs an embedding as wide as the last layer's output: `embedding` {}, not {}",
                self.features(),
                self.embedding
            ));
        }
        Ok(())
    }
}

/// What a network is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Task {
    /// The next token of a text.
    LanguageModel,
    /// One label for a sequence of tokens.
    Classify {
        /// The labels, by their numbers.
        labels: Vec<String>,
    },
    /// One label for each token.
    Tag {
        /// The labels, by their numbers.
        labels: Vec<String>,
        /// Whether neighbouring labels score each other (a conditional random field).
        crf: bool,
    },
    /// The next row of a table of numbers.
    Forecast {
        /// The columns, by their places.
        columns: Vec<SeriesColumn>,
    },
}

/// A column of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesColumn {
    /// Its name.
    pub name: String,
    /// Over the training rows.
    pub mean: f64,
    /// Over the training rows; 1 for a column that never changes.
    pub deviation: f64,
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The network.
    pub model: NetworkConfig,
    /// What it is for.
    pub task: Task,
    /// Steps of a sequence in training; the gradient goes no further back.
    pub sequence_length: usize,
    /// How it was trained.
    #[serde(flatten)]
    pub record: TrainingRecord,
    /// The files that it was trained on.
    pub data: Vec<Fingerprint>,
}
