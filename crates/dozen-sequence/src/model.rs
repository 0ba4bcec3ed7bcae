//! A trained network with its vocabulary and what it is for.

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::{Error, ModelFolder, RunFolder, load_weights, save_weights};

use crate::config::Sizes;
use crate::network::{Features, Inputs, Network, Noise, Packed, State};
use crate::{Config, FAMILY, Task, Units};

/// A network to use.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) units: Option<Units>,
    pub(crate) network: Network,
    pub(crate) device: Device,
}

/// What enters the network at each step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequence {
    /// Units of the vocabulary.
    Tokens(Vec<u32>),
    /// Numbers, so many to a step.
    Numbers {
        /// Step after step.
        values: Vec<f32>,
        /// Numbers of a step.
        width: usize,
    },
}

impl Sequence {
    /// How many steps there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Tokens(ids) => ids.len(),
            Self::Numbers { values, width } => values.len() / width.max(&1),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A batch's inputs.
///
/// # Panics
/// When tokens and numbers are mixed.
pub(crate) fn inputs(sequences: &[&Sequence], packed: &Packed, device: &Device) -> Inputs {
    if let Some(Sequence::Numbers { width, .. }) = sequences.first() {
        let mut rows = Vec::with_capacity(packed.steps().rows() * width);
        for (sequence, step) in packed.rows() {
            let Sequence::Numbers { values, .. } = sequences[sequence] else {
                panic!("a batch is of one kind")
            };
            rows.extend_from_slice(&values[step * width..(step + 1) * width]);
        }
        return Inputs::Numbers(Tensor::from_data(
            TensorData::new(rows, [packed.steps().rows(), *width]),
            device,
        ));
    }
    let ids = packed.rows().map(|(sequence, step)| match sequences[sequence] {
        Sequence::Tokens(ids) => ids[step],
        Sequence::Numbers { .. } => panic!("a batch is of one kind"),
    });
    Inputs::Tokens(ids.collect())
}

impl Config {
    /// What enters and leaves the network.
    pub(crate) fn sizes(&self, units: Option<&Units>) -> Sizes {
        let vocabulary = units.map_or(0, Units::len);
        match &self.task {
            Task::LanguageModel => Sizes { inputs: vocabulary, outputs: vocabulary },
            Task::Classify { labels } | Task::Tag { labels, .. } => {
                Sizes { inputs: vocabulary, outputs: labels.len() }
            }
            Task::Forecast { columns } => Sizes { inputs: columns.len(), outputs: columns.len() },
        }
    }

    pub(crate) fn has_crf(&self) -> bool {
        matches!(self.task, Task::Tag { crf: true, .. })
    }
}

impl Model {
    /// From its parts.
    pub fn new(config: Config, units: Option<Units>, network: Network, device: &Device) -> Self {
        Self { config, units, network, device: device.clone() }
    }

    /// With random weights.
    pub fn fresh(config: Config, units: Option<Units>, device: &Device) -> Self {
        let network = Network::new(&config.model, config.sizes(units.as_ref()), config.has_crf(), device);
        Self::new(config, units, network, device)
    }

    /// Opens a model folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let opened = ModelFolder::open(folder)?;
        let config: Config = opened.config_of(FAMILY)?;
        let units = match config.task {
            Task::Forecast { .. } => None,
            _ => Some(Units::open(folder)?),
        };
        opened.checked(config.model.validate())?;
        opened.holds(config.model.least_parameters(config.sizes(units.as_ref())))?;
        let mut model = Self::fresh(config, units, device);
        model.network = load_weights(model.network, &opened.weights())?;
        Ok(model)
    }

    /// Writes all of the model into a run's folder.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        if let Some(units) = &self.units {
            units.save(run.path())?;
        }
        save_weights(&self.network, &run.path().join("model.safetensors"))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The vocabulary.
    pub fn units(&self) -> Option<&Units> {
        self.units.as_ref()
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many numbers training changes.
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// What the layers make of a batch.
    pub(crate) fn features(
        &self,
        sequences: &[&Sequence],
        packed: &Packed,
        state: Option<&State>,
    ) -> Features {
        self.network.features(inputs(sequences, packed, &self.device), packed, state, Noise::None)
    }

    /// The head's outputs of each step of one sequence, `[steps, outputs]` row by row, and the state after it.
    ///
    /// # Panics
    /// When the sequence is empty.
    pub fn run(&self, sequence: &Sequence, state: Option<&State>) -> (Vec<f32>, State) {
        let packed = Packed::even(1, sequence.len());
        let features = self.features(&[sequence], &packed, state);
        (crate::host(&self.outputs(features.steps)), features.state)
    }

    /// The head's outputs, with nothing left out.
    pub(crate) fn outputs(&self, features: Tensor<2>) -> Tensor<2> {
        self.network.outputs(features, &Arc::from([]), Noise::None)
    }
}
