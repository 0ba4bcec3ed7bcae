//! Weights that others have trained, with what goes with them.

use std::path::{Path, PathBuf};

use dozen_nn::Error;
use serde::Deserialize;

use super::{Naming, Numerics, Scaling};
use crate::picture::{Filter, Preprocessing, Resized};
use crate::weights::{Hub, Tensors, read_weights};

/// A file of weights, and what it or what lies beside it says of them.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its tensors.
    pub tensors: Tensors,
    /// Whose names they have.
    pub naming: Naming,
    /// Which of B0 to B7, where that is said.
    pub variant: Option<usize>,
    /// Whose numerics they were trained with: as is said, or else those of whoever names so.
    pub numerics: Numerics,
    /// What was done with pictures, where that is said.
    pub preprocessing: Option<Preprocessing>,
}

/// The part of timm's `config.json` that matters here.
#[derive(Debug, Deserialize)]
struct TimmConfig {
    architecture: String,
    pretrained_cfg: Option<Pretrained>,
}

#[derive(Debug, Deserialize)]
struct Pretrained {
    input_size: [usize; 3],
    #[serde(default)]
    interpolation: Option<String>,
    #[serde(default)]
    crop_pct: Option<f64>,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Source {
    /// Opens a file of weights, or with `hf:OWNER/NAME` those of a model on the Hugging Face Hub.
    ///
    /// # Errors
    /// When there is no such file or model, or its names are nobody's that is known.
    pub fn open(name: &str) -> Result<Self, Error> {
        let (path, config) = if let Some(model) = name.strip_prefix("hf:") {
            let snapshot = Hub::from_environment().snapshot(model)?;
            (snapshot.weights, snapshot.config)
        } else {
            let path = PathBuf::from(name);
            let beside = path.with_file_name("config.json");
            (path, beside.is_file().then_some(beside))
        };
        let mut tensors = read_weights(&path)?;
        let naming = Naming::of(tensors.keys().map(String::as_str)).ok_or_else(|| {
            // Keras 3 numbers the layers of each kind in its own format.
            let hint = if tensors.keys().any(|name| name.starts_with("vars/")) {
                "; this is Keras' .weights.h5, which does not name layers: save the whole model as .h5"
            } else {
                ""
            };
            Error::Request(format!(
                "`{}` has neither timm's `conv_stem.weight` nor torchvision's `features.0.0.weight` nor Keras' `stem_conv`{hint}",
                path.display()
            ))
        })?;
        let config = config.as_deref().and_then(timm_config);
        let mut numerics = match naming {
            Naming::Timm => Numerics::Timm,
            Naming::Torchvision => Numerics::Torchvision,
            Naming::Keras => Numerics::Tf,
        };
        let mut preprocessing =
            config.as_ref().and_then(|config| config.pretrained_cfg.as_ref()).map(of_timm);
        if config.as_ref().is_some_and(|config| config.architecture.starts_with("tf_")) {
            numerics = Numerics::Tf;
        }
        if naming == Naming::Keras {
            let plain = keras_names(&mut tensors);
            if plain && preprocessing.is_none() {
                let side = Scaling::of_variant(0)?.resolution;
                let whole = Preprocessing::imagenet(side);
                preprocessing = Some(Preprocessing { mean: [0.0; 3], deviation: [1.0; 3], ..whole });
            }
        }
        let variant = config.as_ref().and_then(|config| {
            let (_, after) = config.architecture.split_once("efficientnet_b")?;
            after.chars().next()?.to_digit(10).map(|digit| digit as usize)
        });
        Ok(Self { path, tensors, naming, variant, numerics, preprocessing })
    }

    /// How many classes its classifier tells.
    pub fn classes(&self) -> Option<usize> {
        let bias = match self.naming {
            Naming::Timm => "classifier.bias",
            Naming::Torchvision => "classifier.1.bias",
            Naming::Keras => "predictions/bias",
        };
        self.tensors.get(bias).map(|data| data.shape().to_vec().iter().product())
    }

    /// What is done with pictures for this variant: as is said, or else as whoever names so published it.
    pub fn preprocessing(&self, variant: usize) -> Preprocessing {
        match (self.preprocessing, self.naming) {
            (Some(given), Naming::Keras) => {
                let published = published(self.naming, self.numerics, variant);
                Preprocessing { mean: given.mean, deviation: given.deviation, ..published }
            }
            (Some(given), _) => given,
            (None, naming) => published(naming, self.numerics, variant),
        }
    }
}

fn timm_config(path: &Path) -> Option<TimmConfig> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn of_timm(config: &Pretrained) -> Preprocessing {
    let size = config.input_size[2];
    let share = config.crop_pct.unwrap_or(0.875);
    let filter = match config.interpolation.as_deref() {
        Some("bilinear") => Filter::Bilinear,
        _ => Filter::Bicubic,
    };
    let resized = Resized::Centre((size as f64 / share).floor() as usize);
    Preprocessing { size, resized, filter, mean: config.mean, deviation: config.std }
}

/// Of the shorter side, what the middle is that TensorFlow's checkpoints were evaluated at (timm's `tf_efficientnet_*`).
const TF_SHARES: [f64; 8] = [0.875, 0.882, 0.890, 0.904, 0.922, 0.934, 0.942, 0.949];

/// Shorter side and middle of torchvision's first weights (`EfficientNet_B0_Weights.IMAGENET1K_V1` and so on).
const TORCHVISION_SIDES: [[usize; 2]; 8] =
    [[256, 224], [256, 240], [288, 288], [320, 300], [384, 380], [456, 456], [528, 528], [600, 600]];

/// What whoever published weights of these names evaluated them with.
fn published(naming: Naming, numerics: Numerics, variant: usize) -> Preprocessing {
    let side = Scaling::of_variant(variant).map_or(224, |scaling| scaling.resolution);
    let whole = Preprocessing::imagenet(side);
    match (naming, numerics) {
        (Naming::Torchvision, _) => {
            let [scale, size] = TORCHVISION_SIDES[variant.min(7)];
            Preprocessing { size, resized: Resized::Centre(scale), ..whole }
        }
        (_, Numerics::Tf) => {
            let scale = (side as f64 / TF_SHARES[variant.min(7)]).floor() as usize;
            Preprocessing { resized: Resized::Centre(scale), ..whole }
        }
        _ => whole,
    }
}

/// Takes the tensors of Keras' preprocessing out, and calls depthwise kernels what older versions call them. Whether the preprocessing only divides by 255, as that
/// of a network does that began without weights.
fn keras_names(tensors: &mut Tensors) -> bool {
    let newer: Vec<String> = tensors.keys().filter(|name| name.ends_with("dwconv/kernel")).cloned().collect();
    for name in newer {
        if let Some(data) = tensors.remove(&name) {
            tensors.insert(name.replace("/kernel", "/depthwise_kernel"), data);
        }
    }
    let mut plain = false;
    if let Some(mean) = tensors.remove("normalization/mean") {
        plain = mean.iter::<f32>().all(|value| value == 0.0);
    }
    tensors.remove("normalization/variance");
    tensors.remove("normalization/count");
    plain
}
