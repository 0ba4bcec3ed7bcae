//! The flags of a network's shape.

use clap::{Args, ValueEnum};
use dozen::sequence::{CellKind, DropoutConfig, NetworkConfig};

/// The network's shape.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Shape {
    /// The recurrence
    #[arg(long, value_enum, default_value_t = CellFlag::Lstm, value_name = "CELL")]
    cell: CellFlag,
    /// Units of each layer
    #[arg(long, default_value_t = 128, value_name = "N")]
    hidden: usize,
    /// Layers, one above the other
    #[arg(long, default_value_t = 2, value_name = "N")]
    layers: usize,
    /// Let every layer also go over a sequence from its end; not for language models and forecasts
    #[arg(long)]
    pub(super) bidirectional: bool,
    /// Bring an LSTM's hidden state to this width after each step
    #[arg(long, value_name = "N")]
    projection: Option<usize>,
    /// Normalise the gates
    #[arg(long)]
    layer_norm: bool,
    /// The width of a token's vector [default: --hidden, or that of --vectors]
    #[arg(long, value_name = "N")]
    embedding: Option<usize>,
    /// Let the embedding serve as the weight of the head
    #[arg(long)]
    tied: bool,
    /// Learn the state before the first step
    #[arg(long)]
    learned_state: bool,
    /// What is added at first to the bias of an LSTM's forget gate; above 0 it remembers longer from the start
    #[arg(long, default_value_t = 0.0, value_name = "B")]
    forget_bias: f64,
    /// Probability of dropping a value between layers and before the head
    #[arg(long, default_value_t = 0.1, value_name = "P")]
    dropout: f64,
    /// The same for the inputs of every layer and of the head, one mask for all steps of a sequence
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    variational_dropout: f64,
    /// The same for the hidden state inside the recurrence
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    recurrent_dropout: f64,
    /// Probability of dropping a weight of the recurrence
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    weight_drop: f64,
    /// Probability that a unit keeps its old state
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    zoneout: f64,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
pub(super) enum CellFlag {
    /// The plain cell
    Tanh,
    /// The plain cell with a rectifier
    Relu,
    /// Long short-term memory
    Lstm,
    /// The gated recurrent unit
    Gru,
}

impl CellFlag {
    pub(super) fn kind(self) -> CellKind {
        match self {
            Self::Tanh => CellKind::Tanh,
            Self::Relu => CellKind::Relu,
            Self::Lstm => CellKind::Lstm,
            Self::Gru => CellKind::Gru,
        }
    }
}

impl Shape {
    /// For tokens, or for numbers; with vectors of this width for the tokens.
    pub(super) fn config(&self, tokens: bool, vectors: Option<usize>) -> NetworkConfig {
        let mut config = NetworkConfig {
            cell: self.cell.kind(),
            hidden: self.hidden,
            layers: self.layers,
            bidirectional: self.bidirectional,
            projection: self.projection,
            layer_norm: self.layer_norm,
            embedding: 0,
            tied: self.tied,
            learned_state: self.learned_state,
            forget_bias: self.forget_bias,
            dropout: DropoutConfig {
                layers: self.dropout,
                variational: self.variational_dropout,
                recurrent: self.recurrent_dropout,
                weights: self.weight_drop,
                zoneout: self.zoneout,
            },
        };
        if tokens {
            let own = if self.tied { config.features() } else { self.hidden };
            config.embedding = vectors.or(self.embedding).unwrap_or(own).max(1);
        }
        config
    }
}
