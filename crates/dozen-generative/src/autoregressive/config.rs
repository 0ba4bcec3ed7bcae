//! What an autoregressive model is made of.

use dozen_data::{Fingerprint, Schema};
use dozen_nn::{Error, TrainingRecord, dense_weights};
use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// The shape of the conditionals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Fully visible sigmoid belief network: no hidden units.
    Fvsbn,
    /// A network of its own for each column.
    Mlp,
    /// Neural autoregressive distribution estimator.
    Nade,
    /// Masked autoencoder for distribution estimation.
    Made,
    /// Ensemble of order-agnostic NADEs.
    Eonade,
}

/// The order in which columns condition each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// As in the table.
    Natural,
    /// Shuffled by the seed.
    Random,
    /// Breadth first through the Chow-Liu tree, from its most informative column.
    ChowLiu,
}

/// The hyper-parameters of the model itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The shape of the conditionals.
    pub architecture: Architecture,
    /// Units of each hidden layer; for `mlp` the units of each column's own layer.
    pub hidden: Vec<usize>,
    /// Connect inputs to outputs directly as well.
    pub direct: bool,
    /// Start the direct connections at the Chow-Liu tree, so that training starts from its likelihood.
    pub tree_start: bool,
    /// How the order is chosen.
    pub ordering: Ordering,
    /// Orders averaged at test time; more than one makes `made` order-agnostic. `eonade` always is.
    pub orders: usize,
    /// Gaussians to a mixture, for real columns.
    pub mixtures: usize,
    /// Probability of dropping an input or a hidden unit in training.
    pub dropout: f64,
    /// Independently started models whose probabilities are averaged.
    pub members: usize,
}

impl Default for ModelConfig {
    /// A MADE of 500 units that starts at the Chow-Liu tree and drops half of its units in training.
    fn default() -> Self {
        Self {
            architecture: Architecture::Made,
            hidden: vec![500],
            direct: true,
            tree_start: true,
            ordering: Ordering::ChowLiu,
            orders: 1,
            mixtures: 10,
            dropout: 0.5,
            members: 1,
        }
    }
}

/// Each order has masks of its own in memory.
const MOST_ORDERS: usize = 1024;
const MOST_MIXTURES: usize = 1024;

impl ModelConfig {
    /// At most as many numbers as such a model of this layout has.
    pub(super) fn least_parameters(&self, layout: &Layout) -> f64 {
        let ends: [usize; 2] = [layout.input_sizes().iter().sum(), layout.output_sizes().iter().sum()];
        let one = match self.architecture {
            Architecture::Fvsbn => dense_weights(&ends),
            // Each column has units of its own, which see the inputs and make the column's outputs.
            Architecture::Mlp => {
                self.hidden[0] as f64 * (dense_weights(&[ends[0], layout.len()]) + ends[1] as f64)
            }
            Architecture::Nade | Architecture::Made | Architecture::Eonade => {
                dense_weights(&[&ends[..1], &self.hidden[..], &ends[1..]].concat())
            }
        };
        self.members as f64 * one
    }

    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        if self.hidden.contains(&0) {
            return refuse("a hidden layer needs at least one unit".into());
        }
        let layers = self.hidden.len();
        match self.architecture {
            Architecture::Nade | Architecture::Mlp if layers != 1 => {
                return refuse(format!("this model has exactly one hidden layer; `hidden` names {layers}"));
            }
            Architecture::Made | Architecture::Eonade if layers == 0 => {
                return refuse(
                    "this model needs at least one hidden layer; name its units with `hidden`".into(),
                );
            }
            _ => {}
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("`dropout` must lie in [0, 1), not {}", self.dropout));
        }
        if self.orders > MOST_ORDERS || self.mixtures > MOST_MIXTURES {
            return refuse(format!(
                "`orders` is at most {MOST_ORDERS}, and `mixtures` at most {MOST_MIXTURES}"
            ));
        }
        if self.mixtures == 0 || self.orders == 0 || self.members == 0 {
            return refuse("`mixtures`, `orders` and `members` must be at least 1".into());
        }
        let orders_used = matches!(self.architecture, Architecture::Made | Architecture::Eonade);
        if self.orders > 1 && !orders_used {
            return refuse("only made and eonade average over several orders; leave `orders` out".into());
        }
        Ok(())
    }
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The model.
    pub model: ModelConfig,
    /// The columns that it was trained on.
    pub columns: Schema,
    /// The order of the columns: `order[s]` is the column of step `s`.
    pub order: Vec<usize>,
    /// How it was trained.
    #[serde(flatten)]
    pub record: TrainingRecord,
    /// The files that it was trained on.
    pub data: Vec<Fingerprint>,
}

impl Saved {
    /// Checks what the types cannot, before anything of the sizes that it names is made.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.model.validate()?;
        let mut order = self.order.clone();
        order.sort_unstable();
        if order.is_empty() || !order.iter().copied().eq(0..self.columns.columns.len()) {
            return Err(Error::Request("the order of the columns does not name each of them once".into()));
        }
        Ok(())
    }
}
