//! A trained or imported detector with its categories and what is done with pictures.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use dozen_data::Fingerprint;
use dozen_nn::{Error, ModelFolder, RunFolder, TrainingRecord, load_weights, save_weights};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::input::{Input, Seen, batch};
use super::network::{Detector, Found, Look, suppressed};
use super::{DetectorConfig, FAMILY, Settings, Sides};
use crate::detection::boxes::Rect;
use crate::picture::Picture;

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The networks.
    pub model: DetectorConfig,
    /// What is done with a picture.
    pub input: Input,
    /// The names of the categories.
    pub categories: Vec<String>,
    /// How the loss and the steps were made; `None` of imported weights.
    pub settings: Option<Settings>,
    /// How it was trained; `None` of imported weights.
    #[serde(flatten, deserialize_with = "dozen_nn::optional_record")]
    pub record: Option<TrainingRecord>,
    /// The files that it was trained on, or imported from.
    pub data: Vec<Fingerprint>,
}

/// A detector to use.
#[derive(Debug)]
pub struct Model {
    config: Config,
    network: Detector,
    device: Device,
}

/// A size to look at pictures in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Pixels of the shorter side.
    pub short: usize,
    /// Of boxes that are looked for, in the pixels of that size.
    pub sides: Sides,
}

/// Pictures at a time.
const BATCH: usize = 4;

impl Model {
    /// Opens a model folder.
    ///
    /// # Errors
    /// When it holds no whole model of this family.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Config = folder.config_of(FAMILY)?;
        folder.checked(config.model.validate())?;
        folder.checked(config.input.validate())?;
        if config.categories.len() != config.model.categories {
            let (named, told) = (config.categories.len(), config.model.categories);
            folder.checked(Err(Error::Request(format!("{named} categories are named for {told}"))))?;
        }
        folder.holds(config.model.least_parameters())?;
        let network = load_weights(Detector::new(&config.model, device), &folder.weights())?;
        Ok(Self::new(config, network, device))
    }

    /// Of a network as it is now.
    pub fn new(config: Config, network: Detector, device: &Device) -> Self {
        Self { config, network: network.valid().folded(), device: device.clone().inner() }
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

    /// The networks.
    pub fn network(&self) -> &Detector {
        &self.network
    }

    /// The same, but for what another `change` of the configuration makes different: how boxes are chosen, or which branch is used.
    #[must_use]
    pub fn changed(mut self, change: impl FnOnce(&mut DetectorConfig)) -> Self {
        change(&mut self.config.model);
        self.network = self.network.with_config(&self.config.model);
        self
    }

    /// What is found in pictures, in their pixels, the surest first: at several sizes, or where none is named at the model's own.
    pub fn detect(&self, pictures: &[Picture], scales: &[Scale]) -> Vec<Vec<Found>> {
        let own = [Scale { short: self.config.input.short, sides: Sides::ALL }];
        let scales = if scales.is_empty() { &own } else { scales };
        let mut all = vec![Vec::new(); pictures.len()];
        for scale in scales {
            let own = self.config.input;
            let long = own.long * scale.short / own.short.max(1);
            let input = Input { short: scale.short, long, ..own };
            for (chunk, pictures) in pictures.chunks(BATCH).enumerate() {
                let found = self.candidates(pictures, input, scale.sides);
                all[chunk * BATCH..].iter_mut().zip(found).for_each(|(all, found)| all.extend(found));
            }
        }
        all.into_iter().map(|found| suppressed(found, &self.config.model.boxes)).collect()
    }

    /// In the pixels of the pictures.
    fn candidates(&self, pictures: &[Picture], input: Input, sides: Sides) -> Vec<Vec<Found>> {
        let seen: Vec<Seen> = pictures.par_iter().map(|picture| input.see(picture)).collect();
        let looks: Vec<Look> = seen.iter().map(|seen| Look { size: seen.sides(), sides }).collect();
        let found = self.network.candidates(batch(&seen, &self.device), &looks);
        let of_picture = |((found, seen), picture): ((Vec<Found>, &Seen), &Picture)| {
            let sides = [picture.height, picture.width];
            found.into_iter().map(|found| Found { rect: seen.original(found.rect, sides), ..found }).collect()
        };
        found.into_iter().zip(&seen).zip(pictures).map(of_picture).collect()
    }

    /// What each part of boxes of a picture, in its pixels, says of each category and the background: `[boxes][categories + 1][parts parts]`; `None` where no parts vote.
    pub fn votes(&self, picture: &Picture, rects: &[Rect]) -> Option<Vec<Vec<Vec<f32>>>> {
        let seen = self.config.input.see(picture);
        let sides = [picture.height, picture.width];
        let own: Vec<Rect> = rects.iter().map(|rect| seen.seen(rect.map(f64::from), sides)).collect();
        self.network.votes(batch(&[seen], &self.device), &own)
    }
}
