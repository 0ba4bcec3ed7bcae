//! The networks: each gives the outputs of all conditionals for inputs arranged by position.

mod deep_nade;
mod host;
mod made;
mod masked;
mod mlp;
mod nade;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::Dropout;
use dozen_nn::PrefixLinear;

pub(crate) use deep_nade::DeepNade;
pub(crate) use host::Sequential;
pub(crate) use made::Made;
pub(crate) use masked::AgnosticMade;
pub(crate) use mlp::PerVariable;
pub(crate) use nade::Nade;

use super::layout::Layout;
use super::tree::TreeStart;
use super::{Architecture, ModelConfig};

/// One of the family's networks.
#[derive(Module, Debug)]
pub(crate) enum Network {
    /// FVSBN and MADE along one order.
    Made(Made),
    /// MADE over several orders.
    Agnostic(AgnosticMade),
    /// NADE and RNADE.
    Nade(Nade),
    /// A network for each column.
    PerVariable(PerVariable),
    /// The order-agnostic NADE.
    DeepNade(DeepNade),
}

impl Network {
    /// A fresh network; `tree` gives the direct connections something to start from.
    pub(crate) fn new(
        config: &ModelConfig,
        layout: &Layout,
        tree: Option<&TreeStart>,
        seed: u64,
        device: &Device,
    ) -> Self {
        device.seed(seed);
        match config.architecture {
            Architecture::Fvsbn => Self::Made(Made::new(layout, &[], true, tree, device)),
            Architecture::Made if config.orders == 1 => {
                Self::Made(Made::new(layout, &config.hidden, config.direct, tree, device))
            }
            Architecture::Made => Self::Agnostic(AgnosticMade::new(layout, config, seed, device)),
            Architecture::Nade => {
                Self::Nade(Nade::new(layout, config.hidden[0], config.direct, tree, device))
            }
            Architecture::Mlp => Self::PerVariable(PerVariable::new(layout, config.hidden[0], device)),
            Architecture::Eonade => Self::DeepNade(DeepNade::new(layout, config, seed, device)),
        }
    }

    /// How many orders a probability is averaged over.
    pub(crate) fn orders(&self) -> usize {
        match self {
            Self::Agnostic(network) => network.orders(),
            Self::DeepNade(network) => network.orders(),
            _ => 1,
        }
    }

    /// The positions in the sequence of order `index`.
    pub(crate) fn order(&self, index: usize, positions: usize) -> Vec<usize> {
        match self {
            Self::Agnostic(network) => network.order(index),
            Self::DeepNade(network) => network.order(index),
            _ => (0..positions).collect(),
        }
    }

    /// All conditionals' outputs along order `index`, `[rows, inputs] -> [rows, outputs]`. Hidden units are
    /// dropped as `dropout` says, inputs half as often.
    pub(crate) fn outputs(&self, inputs: Tensor<2>, index: usize, dropout: Dropout) -> Tensor<2> {
        match self {
            Self::Made(network) => network.outputs(inputs, dropout),
            Self::Agnostic(network) => network.outputs(inputs, index, dropout),
            Self::Nade(network) => network.outputs(inputs, dropout),
            Self::PerVariable(network) => network.outputs(inputs, dropout),
            Self::DeepNade(network) => network.outputs(inputs, &network.order(index)),
        }
    }
}

/// Weights that masks hold at zero.
pub(crate) fn masked_out(network: &Network) -> usize {
    let outside = |layer: &PrefixLinear| {
        let inputs = layer.prefix().inputs();
        layer.prefix().lengths().iter().map(|length| inputs - length).sum::<usize>()
    };
    match network {
        Network::Made(made) => made.hidden.iter().chain(&made.output).chain(&made.direct).map(outside).sum(),
        Network::Nade(nade) => nade.direct.iter().map(outside).sum(),
        Network::PerVariable(network) => outside(&network.hidden),
        // Every weight serves under some order.
        Network::Agnostic(_) | Network::DeepNade(_) => 0,
    }
}
