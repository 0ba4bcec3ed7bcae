//! A trained or imported network with its classes and its preprocessing.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dozen_data::Fingerprint;
use dozen_kernels::softmax;
use dozen_nn::{Error, ModelFolder, RunFolder, TrainingRecord, load_weights, save_weights};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::engine::floats;
use super::{EfficientNet, Engine, FAMILY, Settings, VariantConfig, cost};
use crate::picture::{Augmentation, Picture, Preprocessing};

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The network's shape.
    pub model: VariantConfig,
    /// The names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// What is done with a picture before the network sees it.
    pub preprocessing: Preprocessing,
    /// What training made of pictures; `None` of imported weights.
    pub augmentation: Option<Augmentation>,
    /// How the loss and the steps were made; `None` of imported weights, and of models that dozen 0.1 trained.
    #[serde(default)]
    pub settings: Option<Settings>,
    /// How it was trained; `None` of imported weights.
    #[serde(flatten, deserialize_with = "dozen_nn::optional_record")]
    pub record: Option<TrainingRecord>,
    /// The files that it was trained on, or imported from.
    pub data: Vec<Fingerprint>,
}

/// A network to use.
#[derive(Debug)]
pub struct Model {
    config: Config,
    network: EfficientNet,
    engine: Engine,
    device: Device,
}

/// Pictures at a time in use.
const BATCH: usize = 32;

impl Model {
    /// Opens a model folder.
    ///
    /// # Errors
    /// When it holds no whole model of this family.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Config = folder.config_of(FAMILY)?;
        if config.classes.len() != config.model.classes {
            let problem = format!("{} classes are named for {}", config.classes.len(), config.model.classes);
            folder.checked(Err(Error::Request(problem)))?;
        }
        folder.checked(config.model.validate())?;
        folder.checked(config.preprocessing.validate())?;
        folder.holds(cost(&config.model).parameters as f64)?;
        let network = load_weights(EfficientNet::new(&config.model, device), &folder.weights())?;
        Ok(Self::new(config, network, device))
    }

    /// Of a network as it is now.
    pub fn new(config: Config, network: EfficientNet, device: &Device) -> Self {
        let network = network.valid();
        Self { engine: Engine::new(&network), config, network, device: device.clone().inner() }
    }

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        save_weights(&self.network, &run.path().join("model.safetensors"))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The network.
    pub fn network(&self) -> &EfficientNet {
        &self.network
    }

    /// The network for inference.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The probability of each class for each picture, one row after the other.
    pub fn probabilities(&self, pictures: &[Picture]) -> Vec<Vec<f32>> {
        let rows = |batch: &[Picture]| rows_of(softmax(self.engine.logits(self.inputs(batch))));
        pictures.chunks(BATCH).flat_map(rows).collect()
    }

    /// The same of pictures that are the squares which the network sees ([`super::super::picture::Preprocessing::square`]).
    pub fn probabilities_of_squares(&self, squares: &[&Picture]) -> Vec<Vec<f32>> {
        let size = self.config.preprocessing.size;
        let rows = |batch: &[&Picture]| {
            let values = batch
                .iter()
                .flat_map(|square| self.config.preprocessing.values(square))
                .collect::<Vec<f32>>();
            let data = TensorData::new(values, [batch.len(), 3, size, size]);
            rows_of(softmax(self.engine.logits(Tensor::from_data(data, &self.device))))
        };
        squares.chunks(BATCH).flat_map(rows).collect()
    }

    /// What the classifier sees of each picture, one row after the other: the means of the last convolution's channels.
    pub fn features(&self, pictures: &[Picture]) -> Vec<Vec<f32>> {
        let rows = |batch: &[Picture]| rows_of(self.engine.features(self.inputs(batch)));
        pictures.chunks(BATCH).flat_map(rows).collect()
    }

    /// The probability of a class for each image of `[images, 3, size, size]`.
    pub(super) fn probability(&self, x: Tensor<4>, class: usize) -> Vec<f32> {
        let all = softmax(self.engine.logits(x));
        let rows = all.dims()[0];
        all.slice([0..rows, class..class + 1]).into_data().iter::<f32>().collect()
    }

    /// The largest difference of the network's logits for an `input`, `[images, 3, height, width]`, from those given.
    pub fn logits_difference(&self, input: TensorData, logits: &TensorData) -> f64 {
        let found = self.engine.logits(Tensor::from_data(input, &self.device)).into_data();
        let pairs = found.iter::<f64>().zip(logits.iter::<f64>());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    /// What the network sees of pictures: `[pictures, 3, size, size]`.
    pub fn inputs(&self, pictures: &[Picture]) -> Tensor<4> {
        let preprocessing = &self.config.preprocessing;
        let values: Vec<Vec<f32>> =
            pictures.par_iter().map(|picture| preprocessing.values(&preprocessing.square(picture))).collect();
        let size = preprocessing.size;
        Tensor::from_data(TensorData::new(values.concat(), [pictures.len(), 3, size, size]), &self.device)
    }
}

/// The rows of a matrix.
fn rows_of(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let columns = matrix.dims()[1].max(1);
    floats(matrix).chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

/// Places of a row from the largest value down.
pub fn ranked(row: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..row.len()).collect();
    places.sort_by(|a, b| f32::total_cmp(&row[*b], &row[*a]));
    places
}
